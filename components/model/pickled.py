"""Weights that ``torch.save`` wrote: which tensors a file holds, wherever in the pickled content they lie.

Reading never runs code: pickles are read with ``weights_only=True``.
"""

import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from components.checkpoints.content import CURE
from components.checkpoints.errors import LoadError, UnsupportedCheckpointError
from components.checkpoints.foreign import QUANTIZED_CURE

STATE_KEYS = ("state_dict", "model_state_dict", "model", "module")
"""Under which training frameworks put the weights, beside the optimizer and the like. Others have names of their own
for them."""

NEWEST_PROTOCOL = 3
"""Of pickles: newer ones are beyond what is read with ``weights_only=True``."""

SAVE_AGAIN = "Where it was made, save the weights alone: torch.save(model.state_dict(), file)."


def can_be_mapped(file: Path) -> bool:
    """Whether the tensors of a file that torch wrote can be read one by one, as in the zipped form."""
    return zipfile.is_zipfile(file)


def read_pickled(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file by their names in it; mapped if they can be.

    Raises:
        LoadError: it holds none, or what no model is made of, or is of a form that is not read.
        Exception: whatever the library raises over it.
    """
    is_zip = can_be_mapped(file)
    if file.suffix == ".safetensors":
        raise LoadError(
            f"{file} is not in the form of safetensors, but in that of torch.save. Rename it: pytorch_model.bin, or "
            "pytorch_model-00001-of-00002.bin and so on."
        )
    if is_zip:
        _check_archive(file)
    else:
        with file.open("rb") as opened:
            _check_protocol(file, opened.read(2))
    with warnings.catch_warnings(category=UserWarning, action="ignore"):  # of pickles in newer protocols
        content = torch.load(file, map_location="cpu", mmap=is_zip, weights_only=True)
    state = _state_dict(file, content)
    if not state:
        raise LoadError(f"{file} holds no weights (but a Python {type(content).__name__}). {SAVE_AGAIN}")
    for name, tensor in state.items():
        _check_plain(file, name, tensor)
    return state


def _state_dict(file: Path, content: Any) -> dict[str, torch.Tensor]:
    """The tensors by name, without the gradients that parameters want.

    Raises:
        LoadError: several parts of the content may be meant.
    """
    found = sorted(_parts(content, ""), key=lambda part: len(part[1]), reverse=True)
    if not found:
        return {}
    for key in STATE_KEYS:
        if isinstance(content.get(key), dict) and (inner := _state_dict(file, content[key])):
            return inner
    (_, most), *others = found
    if others and len(others[0][1]) == len(most):
        names = ", ".join(path or "the whole" for path, tensors in found if len(tensors) == len(most))
        raise LoadError(f"{file} holds several sets of weights ({names}). {SAVE_AGAIN}")
    return {name: tensor.detach() for name, tensor in most.items()}


def _parts(content: Any, path: str) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """Every dictionary in the content that has tensors, and where it lies."""
    if not isinstance(content, dict):
        return
    named = {key: value for key, value in content.items() if isinstance(key, str)}
    if tensors := {key: value for key, value in named.items() if isinstance(value, torch.Tensor)}:
        yield path, tensors
    for key, value in named.items():
        yield from _parts(value, f"{path}.{key}" if path else key)


def _check_plain(file: Path, name: str, tensor: torch.Tensor) -> None:
    """Refuse tensors that are no plain table of numbers."""
    if tensor.is_quantized:
        raise UnsupportedCheckpointError(f"{file} holds quantized weights ({name}, {tensor.dtype}). {QUANTIZED_CURE}")
    if tensor.is_meta:
        raise LoadError(
            f"{file} holds no numbers for {name}, only its shape: it was saved while it lay on PyTorch's meta device. "
            "Save the model again where its weights are loaded."
        )
    if tensor.layout is not torch.strided or tensor.is_nested:
        form = "nested" if tensor.is_nested else "sparse"
        raise LoadError(
            f"{file} holds {name} as a {form} tensor. Where it was made, save the weights again as plain ones, "
            "with to_dense()."
        )


def _check_archive(file: Path) -> None:
    """Refuse an archive that torch.save did not write.

    What was packed anew would be noise when it is mapped; unpacked, it may fill the memory.
    """
    with zipfile.ZipFile(file) as archive:
        names = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
        if "constants.pkl" in names:
            raise LoadError(f"{file} is a TorchScript archive, which holds a program and is never loaded. {SAVE_AGAIN}")
        if "data.pkl" not in names:
            what = archive.namelist()[0] if archive.namelist() else "nothing"
            raise LoadError(
                f"{file} is a zip archive (it holds {what[:60]}), and not one that torch.save wrote. If the model's "
                f"files are in it, unpack it. {CURE}"
            )
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise LoadError(f"{file} is a compressed archive, which torch.save never writes. {CURE}")
        with archive.open(names["data.pkl"]) as opened:
            _check_protocol(file, opened.read(2))


def _check_protocol(file: Path, start: bytes) -> None:
    """Refuse a pickle that begins with the number of a protocol that is not read."""
    if start[:1] == b"\x80" and NEWEST_PROTOCOL < start[-1] <= 9:
        raise LoadError(
            f"{file} is pickled with protocol {start[-1]}, which is not read without running what is in it. Where it "
            "was made, save the weights again without pickle_protocol: torch.save(model.state_dict(), file)."
        )
