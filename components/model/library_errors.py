"""The one place where what libraries raise over a checkpoint becomes an error that says what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from components.checkpoints.content import CURE, explain_content, is_safetensors
from components.checkpoints.errors import CheckpointError, LoadError

LONGEST = 300
"""Characters of a library's message that are passed on."""

WEIGHT_SUFFIXES = (".bin", ".safetensors")

NO_MEMORY = re.compile("can.?t allocate memory|cannot allocate memory", re.IGNORECASE)
"""How PyTorch and the system say it."""

PICKLED_OBJECT = re.compile(r"\bGLOBAL ([\w.]+)")


@contextmanager
def explained(place: Path, part: str = "", verb: str = "read") -> Iterator[None]:
    """Turn whatever is raised within the block into a ``LoadError`` of one line; our own errors pass.

    Args:
        place: the file or folder that is being read.
        part: what of it, if it is not the whole.
        verb: what cannot be done with it.

    Raises:
        LoadError: something was raised.
    """
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # libraries raise anything over a stranger's bytes, bare Exception too
        subject = f"{part} in {place}" if part else str(place)
        raise LoadError(f"{subject} cannot be {verb} ({_reason(place, error)}") from error


def _reason(place: Path, error: Exception) -> str:
    """The reason, a bracket, and the cure."""
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or NO_MEMORY.search(text):
        return (
            "memory is short: the weights do not fit. Nothing is wrong with the files). Close what else runs, "
            "or use a smaller model or a machine with more memory."
        )
    if place.is_file() and (wrong := explain_content(place, binary=place.suffix != ".json")):
        return f"{wrong}). {CURE}"
    if pickled := PICKLED_OBJECT.search(text):
        return (
            f"it holds a Python object, {pickled[1]}, which could run code and is never loaded). Where it was made, "
            "save the weights alone: model.save_pretrained(folder), or torch.save(model.state_dict(), file)."
        )
    if place.suffix in WEIGHT_SUFFIXES and not isinstance(error, OSError):
        # What libraries say over such bytes helps nobody; torch's own text advises to load them without protection.
        writer = "safetensors" if is_safetensors(place) else "torch.save"
        return f"it is damaged or cut off, or not what {writer} writes). {CURE}"
    if isinstance(error, KeyError):
        text = f"there is no {text}"
    sentence = " ".join(text.split()).split(". ")[0].removesuffix(".")
    return f"{sentence[:LONGEST] or type(error).__name__}). {CURE}"
