"""Presets: how to sample, under a name. Built in, one's own as JSON, and text-generation-webui's preset files.

Whatever they come from, their values pass ``SamplingParams``, as what the sliders and the APIs take does.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import yaml
from pydantic import ValidationError

from components.sampling.parameters import SamplingParams

FORMAT = "baichuan-chat-presets"
VERSION = 1

LONGEST_NAME = 60
"""In characters."""

MOST_BYTES = 256 * 1024
"""Of a file."""

MOST_OF_A_FILE = 1000

NEUTRAL: Mapping[str, float] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""What a preset sets, with the values that change nothing. They hold for what a file leaves out, as they do in
text-generation-webui."""

_IDLE: Mapping[str, Any] = {
    "do_sample": True,
    "dynamic_temperature": False,
    "dynatemp_low": 1,
    "dynatemp_high": 1,
    "dynatemp_exponent": 1,
    "temperature_last": False,
    "smoothing_factor": 0,
    "smoothing_curve": 1,
    "typical_p": 1,
    "xtc_threshold": 0.1,
    "xtc_probability": 0,
    "epsilon_cutoff": 0,
    "eta_cutoff": 0,
    "tfs": 1,
    "top_a": 0,
    "top_n_sigma": 0,
    "dry_multiplier": 0,
    "dry_allowed_length": 2,
    "dry_base": 1.75,
    "encoder_repetition_penalty": 1,
    "no_repeat_ngram_size": 0,
    "repetition_penalty_range": 1024,
    "penalty_alpha": 0,
    "guidance_scale": 1,
    "mirostat_mode": 0,
    "mirostat_tau": 5,
    "mirostat_eta": 0.1,
}
"""Fields of text-generation-webui's presets that are not known here, with its values for what a preset leaves out.

Nothing is lost by leaving them out where they have these.
"""


class PresetError(Exception):
    """It is no preset, or no file of them; the text says what is wrong."""


@dataclass(frozen=True)
class Preset:
    """A name, and a value for every key of ``NEUTRAL``. ``check_preset`` makes it of what others wrote."""

    name: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class PresetFile:
    """What a file holds, and the names of its fields that mean something and were not taken."""

    presets: Sequence[Preset]
    left_out: Sequence[str] = ()


BUILT_IN: Mapping[str, Mapping[str, float]] = {
    "precise": {**NEUTRAL, "temperature": 0.2, "top_p": 0.8, "top_k": 10, "repetition_penalty": 1.05},
    "balanced": {**NEUTRAL, "temperature": 0.7, "top_p": 0.9, "top_k": 40, "repetition_penalty": 1.05},
    "creative": {**NEUTRAL, "temperature": 1.1, "min_p": 0.05, "repetition_penalty": 1.05},
}
"""Their names are the page's to translate."""


def check_preset(name: Any, values: Any) -> Preset:
    """A preset of what somebody wrote; what it leaves out is neutral, and fields that are not known are passed over.

    Raises:
        PresetError: the name or a value cannot be taken.
    """
    if not isinstance(name, str) or not (name := _clean(name)):
        raise PresetError("A preset needs a name.")
    if len(name) > LONGEST_NAME:
        raise PresetError(f"{name[:20]}…: a name has {LONGEST_NAME} characters at most.")
    if not isinstance(values, dict):
        raise PresetError(f"{name}: its values must be given by name, like temperature: 0.7.")
    given = {key: value for key, value in values.items() if key in NEUTRAL}
    for key, value in given.items():
        if isinstance(value, bool):
            raise PresetError(f"{name}: {key} must be a number.")
    try:
        checked = SamplingParams.model_validate({**NEUTRAL, **given})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise PresetError(f"{name}: {first['loc'][0]}: {first['msg']}.") from None
    return Preset(name, {key: getattr(checked, key) for key in NEUTRAL})


def entry_of(preset: Preset) -> dict[str, Any]:
    """As it stands in JSON files."""
    return {"name": preset.name, **preset.values}


def check_entry(entry: Any) -> Preset:
    """A preset as it stands in JSON files.

    Raises:
        PresetError: it is none.
    """
    if not isinstance(entry, dict):
        raise PresetError("A preset must be an object.")
    return check_preset(entry.get("name"), entry)


def write_presets(presets: Iterable[Preset]) -> str:
    """A JSON file of presets, which ``read_presets`` reads."""
    content = {"format": FORMAT, "version": VERSION, "presets": [entry_of(preset) for preset in presets]}
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def read_presets(data: bytes, file_name: str) -> PresetFile:
    """The presets of a JSON file that was saved here, or the one of a text-generation-webui preset file.

    The latter is YAML, and is named by its file.

    Raises:
        PresetError: it is neither, or wrong somewhere.
    """
    if len(data) > MOST_BYTES:
        raise PresetError(f"The file is larger than {MOST_BYTES // 1024} KB, which no preset needs.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PresetError(f"It is not UTF-8 (byte {error.start + 1}). Save it as UTF-8.") from None
    if text.lstrip().startswith("{"):
        return _read_json(text)
    return _read_yaml(text, PurePath(file_name.replace("\\", "/")).stem)


def _read_json(text: str) -> PresetFile:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise PresetError(f"It is not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from None
    except (ValueError, RecursionError):
        raise PresetError("It is nested too deeply, or holds a number that is too long.") from None
    if content.get("format") != FORMAT or not isinstance(entries := content.get("presets"), list):
        raise PresetError("It is no file of presets that was saved here.")
    if not isinstance(version := content.get("version"), int) or version > VERSION:
        raise PresetError("A later version of this application made it. Bring it in there.")
    if len(entries) > MOST_OF_A_FILE:
        raise PresetError(f"It holds more than {MOST_OF_A_FILE} presets.")
    presets = [check_entry(entry) for entry in entries]
    if not presets:
        raise PresetError("There is no preset in it.")
    unknown = dict.fromkeys(
        _clean(str(key))[:LONGEST_NAME] for entry in entries for key in entry if key not in {"name", *NEUTRAL}
    )
    return PresetFile(presets, list(unknown))


def _read_yaml(text: str, name: str) -> PresetFile:
    try:
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        where = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise PresetError(f"It is not YAML: {error.problem or error.context}{where}.") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise PresetError("It is not YAML, or nested too deeply.") from None
    if not isinstance(content, dict) or not content.keys() & {*NEUTRAL, *_IDLE}:
        raise PresetError("It is no preset: it should say how to sample, like temperature: 0.7.")
    values = dict(content)
    if content.get("do_sample") is False:
        values["temperature"] = 0.0
    left_out = [
        _clean(str(key))[:LONGEST_NAME]
        for key, value in content.items()
        if key not in NEUTRAL and key != "do_sample" and not (key in _IDLE and _IDLE[key] == value)
    ]
    return PresetFile([check_preset(_clean(name)[:LONGEST_NAME], values)], left_out)


def _clean(name: str) -> str:
    """In one line, without what neither people see nor databases keep."""
    return " ".join("".join(one if one.isprintable() else " " for one in name).split())
