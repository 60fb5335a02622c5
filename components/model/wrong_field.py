"""Which field of ``config.json`` is to blame where a library refuses what the file describes."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from transformers.models.auto.auto_factory import _get_model_class

from components.checkpoints.errors import CheckpointError, LoadError
from components.model.configuration_file import CURE, read_config, shortened


@contextmanager
def wrong_field_named(folder: Path) -> Iterator[None]:
    """Turn what is raised within the block into a ``LoadError`` that names the field without which it goes well.

    What no field is to blame for passes as it is.

    Raises:
        LoadError: a field is to blame.
    """
    try:
        yield
    except (CheckpointError, OSError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # libraries raise anything over a value that they do not expect
        values = read_config(folder)
        if (field := _field_to_blame(values)) is None:
            raise
        raise LoadError(
            f"{folder / 'config.json'} is not a model's: {field} is {shortened(values[field])}, with which a model of "
            f"type {values['model_type']!r} cannot be built. {CURE}"
        ) from error


def _field_to_blame(values: dict[str, Any]) -> str | None:
    """The first field whose absence makes the file describe a model; None if nothing is wrong, or several are."""
    if _describes_a_model(values):
        return None
    others = [name for name in values if name != "model_type"]
    for name in others:
        if _describes_a_model({kept: value for kept, value in values.items() if kept != name}):
            return name
    return None


def _describes_a_model(values: dict[str, Any]) -> bool:
    """Whether a model can be built from this, without its weights."""
    try:
        config = CONFIG_MAPPING[values["model_type"]].from_dict(deepcopy(values))
        with torch.device("meta"):
            _get_model_class(config, AutoModelForCausalLM._model_mapping)(config)
    except Exception:  # noqa: BLE001  # which one it is was told already, or does not matter
        return False
    return True
