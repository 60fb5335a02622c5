"""Presets leave as a file and come back; text-generation-webui's come in; what cannot be meant is refused in words."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.sampling.parameters import SamplingParams
from components.sampling.presets import (
    BUILT_IN,
    FORMAT,
    LONGEST_NAME,
    NEUTRAL,
    VERSION,
    Preset,
    PresetError,
    check_preset,
    read_presets,
    write_presets,
)


def cleaned(name: str) -> bool:
    """Whether it is a name as a person may give it."""
    try:
        return check_preset(name, {}).name == name
    except PresetError:
        return False


VALUES = st.fixed_dictionaries(
    {
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1, exclude_min=True),
        "top_k": st.integers(0, 1000),
        "min_p": st.floats(0, 1),
        "repetition_penalty": st.floats(0.5, 2),
        "presence_penalty": st.floats(-2, 2),
        "frequency_penalty": st.floats(-2, 2),
    }
)
PRESETS = st.builds(Preset, st.text(min_size=1, max_size=LONGEST_NAME).filter(cleaned), VALUES)


@given(st.lists(PRESETS, min_size=1, max_size=5))
def test_what_is_brought_back_is_what_was_saved(presets: list[Preset]) -> None:
    back = read_presets(write_presets(presets).encode(), "presets.json")
    assert list(back.presets) == presets
    assert not back.left_out


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_presets_pass_the_check_and_set_everything(name: str) -> None:
    assert check_preset(name, dict(BUILT_IN[name])).values == BUILT_IN[name]
    assert BUILT_IN[name].keys() == NEUTRAL.keys()


def test_they_go_from_precise_to_creative() -> None:
    assert list(BUILT_IN) == ["precise", "balanced", "creative"]
    temperatures = [values["temperature"] for values in BUILT_IN.values()]
    assert temperatures == sorted(temperatures)


# As text-generation-webui writes them: yaml.dump without what has its default, and older ones with Python's True.
WEB_UI: Mapping[str, tuple[str, dict[str, float], list[str]]] = {
    "plain": (
        "temperature: 0.98\ntop_p: 0.37\nrepetition_penalty: 1.18\ntop_k: 100\n",
        {"temperature": 0.98, "top_p": 0.37, "repetition_penalty": 1.18, "top_k": 100},
        [],
    ),
    "min_p": ("min_p: 0.05\n", {"min_p": 0.05}, []),
    "penalties": (
        "presence_penalty: 0.5\nfrequency_penalty: 0.25\ntop_p: 0.9\n",
        {"presence_penalty": 0.5, "frequency_penalty": 0.25, "top_p": 0.9},
        [],
    ),
    "greedy": ("do_sample: False\n", {"temperature": 0}, []),
    "truncations": (
        "temperature: 1.31\ntop_p: 0.14\nepsilon_cutoff: 1.49\neta_cutoff: 10.42\ntop_a: 0.52\ntop_k: 49\n",
        {"temperature": 1.31, "top_p": 0.14, "top_k": 49},
        ["epsilon_cutoff", "eta_cutoff", "top_a"],
    ),
    "mirostat": ("mirostat_mode: 2\nmirostat_tau: 8\n", {}, ["mirostat_mode", "mirostat_tau"]),
    "dynamic": (
        "dynamic_temperature: true\ndynatemp_low: 0.1\ndynatemp_high: 1.5\ntop_n_sigma: 1\n",
        {},
        ["dynamic_temperature", "dynatemp_low", "dynatemp_high", "top_n_sigma"],
    ),
    "idle": ("temperature: 0.7\ntypical_p: 1\ntfs: 1\ndo_sample: true\nguidance_scale: 1\n", {"temperature": 0.7}, []),
    "order": (
        "temperature: 0.7\nsampler_priority: |-\n  top_k\n  temperature\n",
        {"temperature": 0.7},
        ["sampler_priority"],
    ),
}


@pytest.mark.parametrize(("text", "values", "left_out"), WEB_UI.values(), ids=list(WEB_UI))
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "with a byte order mark"])
def test_presets_of_text_generation_webui_come_in(
    text: str, values: dict[str, float], left_out: list[str], mark: str
) -> None:
    found = read_presets((mark + text).encode(), "Midnight Sun.yaml")
    assert list(found.presets) == [Preset("Midnight Sun", {**NEUTRAL, **values})]
    assert list(found.left_out) == left_out


@pytest.mark.parametrize("file_name", ["a/b/Sun.yaml", r"C:\presets\Sun.yaml", "Sun.yml", "  Su\0n\u202e.yaml"])
def test_the_file_names_the_preset(file_name: str) -> None:
    name = read_presets(b"top_k: 3", file_name).presets[0].name
    assert name in ("Sun", "Su n")


def test_fields_that_are_not_known_are_told_by_name() -> None:
    content = {"format": "baichuan-chat-presets", "version": 1, "presets": [{"name": "A", "typical_p": 0.5}]}
    assert read_presets(json.dumps(content).encode(), "a.json").left_out == ["typical_p"]


def file(*presets: Any, **more: Any) -> bytes:
    return json.dumps({"format": "baichuan-chat-presets", "version": 1, "presets": presets, **more}).encode()


WRONG: Mapping[str, tuple[bytes, str]] = {
    "too hot": (b"temperature: 50", "X: temperature: .*less than or equal to 10"),
    "no number": (b"temperature: hot", "X: temperature: "),
    "yes": (b"temperature: true", "X: temperature must be a number"),
    "not finite": (b"temperature: .nan", "X: temperature: "),
    "endless": (b"top_k: " + b"9" * 5000, "YAML|top_k"),
    "a list": (b"- temperature", "It is no preset"),
    "a character of the web UI": (b"name: AI\ngreeting: Hello", "It is no preset"),
    "empty": (b"", "It is no preset"),
    "not YAML": (b"temperature: [", "It is not YAML: .* in line"),
    "a Python object": (b"temperature: !!python/object/apply:os.getcwd []", "It is not YAML"),
    "deep": (b"temperature: " + b"[" * 5000, "not YAML"),
    "no text": (b"\xff\xfe", "not UTF-8"),
    "large": (b"temperature: 1 #" + b" " * 300_000, "larger than"),
    "not JSON": (b"{", "It is not JSON"),
    "deep JSON": (b'{"a":' + b"[" * 100_000, "nested too deeply"),
    "other JSON": (b'{"temperature": 1}', "saved here"),
    "later": (
        file(
            {"name": "A"},
        ).replace(b'"version": 1', b'"version": 2'),
        "later version",
    ),
    "no preset in it": (file(), "no preset"),
    "no object": (file(1), "must be an object"),
    "no name": (file({"name": " \n"}), "needs a name"),
    "long name": (file({"name": "x" * 61}), "60 characters"),
    "one of two": (file({"name": "A"}, {"name": "B", "top_p": 0}), "B: top_p: "),
}


@pytest.mark.parametrize(("data", "told"), WRONG.values(), ids=list(WRONG))
def test_what_is_no_preset_is_refused_in_words(data: bytes, told: str) -> None:
    with pytest.raises(PresetError, match=told):
        read_presets(data, "X.yaml")


def test_what_is_taken_are_sampling_parameters() -> None:
    assert SamplingParams.model_validate(dict(BUILT_IN["creative"])).min_p == 0.05


@pytest.mark.parametrize(
    "data",
    [
        json.dumps({"format": FORMAT, "version": VERSION, "presets": [{"name": "a", "b\ud83d": 1}]}).encode(),
        b'temperature: 1\n"b\\ud83d": 1\n',
    ],
)
def test_what_is_left_out_can_be_shown(data: bytes) -> None:
    [left_out] = read_presets(data, "a.yaml").left_out

    assert left_out.encode() == b"b"
