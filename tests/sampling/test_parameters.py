"""The sampling parameters' one declaration."""

import pytest
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
