"""The sampling parameters' one declaration."""

import json

import pytest
from pydantic import ValidationError
from transformers import GenerationConfig

from components.sampling.parameters import SamplingParams


def test_defaults_come_from_the_generation_config() -> None:
    config = GenerationConfig(do_sample=True, temperature=0.7, top_p=0.9, top_k=20, max_new_tokens=100)

    assert SamplingParams.from_generation_config(config) == SamplingParams(
        temperature=0.7, top_p=0.9, top_k=20, max_new_tokens=100
    )


def test_a_checkpoint_that_does_not_sample_is_greedy() -> None:
    assert SamplingParams.from_generation_config(GenerationConfig(do_sample=False)).temperature == 0


def test_a_default_out_of_our_bounds_is_left_out() -> None:
    config = GenerationConfig(do_sample=True, temperature=50.0, top_p=0.9)

    assert SamplingParams.from_generation_config(config) == SamplingParams(top_p=0.9)


def test_other_defaults_than_ours_can_hold_for_what_is_left_out() -> None:
    others = SamplingParams(temperature=1.0, top_p=1.0, top_k=0, repetition_penalty=1.0)
    config = GenerationConfig(do_sample=True, min_p=0.1, top_k=7)

    assert SamplingParams.from_generation_config(config, others) == others.model_copy(update={"min_p": 0.1, "top_k": 7})


@pytest.mark.parametrize("strict", [False, True])
def test_biases_are_taken_as_json_writes_them(strict: bool) -> None:
    content = json.loads('{"logit_bias": {"15": -100, "7": 2.5}, "stop_token_ids": [3]}')
    sampling = SamplingParams.model_validate(content, strict=strict)

    assert (sampling.logit_bias, sampling.stop_token_ids) == ({15: -100.0, 7: 2.5}, (3,))
    assert SamplingParams.model_validate_json(sampling.model_dump_json()) == sampling


@pytest.mark.parametrize(
    "wrong", [{"min_p": 1.1}, {"logit_bias": {"-1": 1}}, {"logit_bias": {"1": 101}}, {"min_tokens": -1}], ids=str
)
def test_what_is_out_of_bounds_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SamplingParams.model_validate(wrong)


@pytest.mark.parametrize(
    "name", [name for name, field in SamplingParams.model_fields.items() if field.json_schema_extra]
)
def test_every_slider_stays_within_the_bounds(name: str) -> None:
    extra = SamplingParams.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    slider = extra["slider"]
    assert isinstance(slider, list)
    low, high, _ = slider

    assert SamplingParams.model_validate({name: low})
    assert SamplingParams.model_validate({name: high})


@pytest.mark.parametrize("name", ["stop", "json_schema", "regex", "choice", "grammar"])
def test_half_a_character_is_no_text(name: str) -> None:
    """A file of conversations may hold some: they could be neither encoded nor shown."""
    half = json.loads('"a\\ud83d"')
    with pytest.raises(ValidationError, match="unicode"):
        SamplingParams.model_validate({name: [half] if name in ("stop", "choice") else half})
