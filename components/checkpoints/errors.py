"""What can be wrong with checkpoints. Every message is one line that ends with what to do."""


class CheckpointError(Exception):
    """There is no usable checkpoint, or one could not be fetched."""


class IncompleteCheckpointError(CheckpointError):
    """A folder lacks files that a checkpoint needs."""


class FetchError(CheckpointError):
    """A download failed. What was fetched stays in place, and the same command goes on from there."""


class LoadError(CheckpointError):
    """A checkpoint could not be loaded; the text names the file or folder, the reason, and what to do."""


class UnsupportedCheckpointError(LoadError):
    """The checkpoint is of a kind that this application cannot run; the text says which and what can be run."""
