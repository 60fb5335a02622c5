"""Checkpoints on disk: which one runs, and how they get there."""
