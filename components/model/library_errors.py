"""The one place where what libraries raise over a checkpoint becomes an error that says what to do."""

import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from components.checkpoints.content import CURE, explain_content
from components.checkpoints.errors import CheckpointError, LoadError

LONGEST = 300
"""Characters of a library's message that are passed on."""

PICKLED_OBJECT = re.compile(r"\bGLOBAL ([\w.]+)")


@contextmanager
def explained(place: Path, reading: str = "") -> Iterator[None]:
    """Turn whatever is raised within the block into a ``LoadError`` of one line; our own errors pass.

    Args:
        place: the file or folder that is being read.
        reading: what of it, if it is not the whole.

    Raises:
        LoadError: something was raised.
    """
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # libraries raise anything over a stranger's bytes, bare Exception too
        subject = f"{reading} in {place}" if reading else str(place)
        raise LoadError(f"{subject} cannot be read ({_reason(place, error)}") from error


def _reason(place: Path, error: Exception) -> str:
    """The reason, a bracket, and the cure."""
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in text:
        return (
            "memory is short: the weights do not fit. Nothing is wrong with the files). Close what else runs, "
            "or use a smaller model or a machine with more memory."
        )
    if place.is_file() and (wrong := explain_content(place)):
        return f"{wrong}). {CURE}"
    if pickled := PICKLED_OBJECT.search(text):
        return (
            f"it holds a Python object, {pickled[1]}, which could run code and is never loaded). Where it was made, "
            "save the weights alone: model.save_pretrained(folder), or torch.save(model.state_dict(), file)."
        )
    if isinstance(error, pickle.UnpicklingError):  # torch's own text advises to load it without protection
        return f"it is damaged, or not what torch.save writes). {CURE}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{lines[0][:LONGEST] if lines else type(error).__name__}). {CURE}"
