"""With the scores on a device that is far away, a step waits for it once, and chooses what it chooses here."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from components.sampling import choosing, transfer, vocabulary
from components.sampling import logprobs as logprobs_module
from components.sampling.choosing import SampledToken, choose
from components.sampling.parameters import SamplingParams
from components.sampling.sampler import Sampler
from components.sampling.transfer import Arrivals, to_host
from tests.kernels import Kernels

FAR = (choosing, logprobs_module, transfer, vocabulary)

kinds = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([0.0, 0.3, 1.0]),
        "top_k": st.sampled_from([1, 5, 40]),
        "top_p": st.sampled_from([0.1, 0.85, 1.0]),
        "min_p": st.sampled_from([0.0, 0.05]),
        "repetition_penalty": st.sampled_from([1.0, 1.05]),
        "logit_bias": st.sampled_from([{}, {3: 5.0}]),
        "min_tokens": st.sampled_from([0, 3]),
    }
) | st.sampled_from([{"top_k": 0, "top_p": 0.5, "temperature": 0.5}, {"top_k": 0, "top_p": 1.0, "min_p": 0.5}])


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The CPU is taken for a device that is far away. How many tensors came with each transfer."""
    for module in FAR:
        monkeypatch.setattr(module, "is_far", lambda _: True)
    came: list[int] = []

    def noting(tensors: Sequence[torch.Tensor]) -> list[NDArray[Any]]:
        came.append(len(tensors))
        return to_host(tensors)

    monkeypatch.setattr(transfer, "to_host", noting)
    return came


@given(
    sampled=st.lists(kinds, min_size=1, max_size=5),
    kept=st.sampled_from([0, 50]),
    logprobs=st.sampled_from([None, None, 0, 5]),
    coarse=st.booleans(),
    failing=st.booleans(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_step_waits_once(
    waits: list[int], sampled: list[dict[str, Any]], kept: int, logprobs: int | None, coarse: bool, failing: bool
) -> None:
    """And once more where log probabilities are told, which depend on what was chosen."""
    torch.manual_seed(len(sampled))
    logits = torch.randn(len(sampled), 8_000) * 3
    if coarse:
        logits = logits.bfloat16().float()  # many are equal
    if failing:
        logits[0, 7] = torch.nan

    def chosen() -> list[Any]:
        samplers = [
            Sampler(SamplingParams.model_validate(kind), [5, 6], seed, None, logprobs, [2], kept)
            for seed, kind in enumerate(sampled)
        ]
        return choose(logits.clone(), samplers)

    waits.clear()
    far = chosen()
    tells = logprobs is not None and any(isinstance(outcome, SampledToken) for outcome in far)
    assert len(waits) == 1 + tells
    with pytest.MonkeyPatch.context() as near:
        for module in FAR:
            near.setattr(module, "is_far", lambda _: False)
        here = chosen()
    assert [repr(outcome) for outcome in far] == [repr(outcome) for outcome in here]
    assert all(isinstance(outcome, SampledToken) for outcome in far[failing:])


@pytest.mark.parametrize(
    "kind",
    [
        {"top_k": 5, "top_p": 0.85, "repetition_penalty": 1.05},
        {"temperature": 0.0, "presence_penalty": 0.5, "frequency_penalty": 0.5},
        {"top_k": 0, "top_p": 0.5, "logit_bias": {3: 5.0}},
        {"top_k": 5, "min_tokens": 3},
    ],
)
@pytest.mark.parametrize("logprobs", [None, 5])
@pytest.mark.usefixtures("waits")
def test_a_step_launches_as_much_for_many_as_for_one(kind: dict[str, Any], logprobs: int | None) -> None:
    counts, sampling = {}, SamplingParams.model_validate(kind)
    for readers in (1, 8, 32):
        samplers = [Sampler(sampling, [5, 6], seed, None, logprobs, [2], 50) for seed in range(readers)]
        torch.manual_seed(1)
        logits = torch.randn(readers, 8_000) * 9
        kernels = Kernels()
        with kernels:
            for sampler, chosen in zip(samplers, choose(logits, samplers), strict=True):
                assert isinstance(chosen, SampledToken)
                sampler.note(chosen.token)
        counts[readers] = kernels.counted.total()
    assert counts[1] == counts[8] == counts[32], counts


def test_what_arrives_is_what_was_wanted(waits: list[int]) -> None:
    arrivals = Arrivals()
    tensors = [
        torch.arange(5, dtype=torch.uint8),
        torch.randn(3, 7, dtype=torch.float64)[:, ::2],
        torch.tensor(2.5),
        torch.randint(9, (2, 0), dtype=torch.int64),
        torch.randn(4, 3).bfloat16().float().T,
    ]
    wanted = [arrivals.want(tensor) for tensor in tensors]
    for one, tensor in zip(wanted, tensors, strict=True):
        np.testing.assert_array_equal(one.numbers, tensor.numpy())
        assert one.numbers.dtype == tensor.numpy().dtype
    later = arrivals.want(torch.ones(2))

    assert waits == [len(tensors)]
    assert later.numbers.tolist() == [1, 1]
    assert waits == [len(tensors), 1]
