"""Baichuan 2 as a native transformers model."""
