"""Choosing tokens where the scores are on a GPU: what is chosen from the same scores here, waiting for it once."""

from typing import Any

import pytest
import torch

from components.sampling.choosing import SampledToken, choose
from components.sampling.parameters import SamplingParams
from components.sampling.sampler import Sampler

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that CUDA sees")

KINDS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "top_k": {"top_k": 5, "top_p": 0.85, "repetition_penalty": 1.05},
    "a nucleus": {"top_k": 0, "top_p": 0.9},
    "everything": {"top_k": 0, "top_p": 1.0},
    "min_p": {"top_k": 0, "top_p": 1.0, "min_p": 0.05, "presence_penalty": 0.5, "frequency_penalty": 0.5},
    "biases": {"top_k": 40, "logit_bias": {3: 5.0}, "min_tokens": 3},
}


@pytest.mark.parametrize("logprobs", [None, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_the_tokens_are_those_that_are_chosen_here(kind: str, logprobs: int | None) -> None:
    torch.manual_seed(1)
    logits = torch.randn(16, 125_696) * 3

    def chosen(device: str) -> list[SampledToken]:
        samplers = [
            Sampler(SamplingParams.model_validate(KINDS[kind]), [5, 6], seed, None, logprobs, [2], 50)
            for seed in range(len(logits))
        ]
        tokens = []
        for outcome in choose(logits.to(device, copy=True), samplers):
            assert isinstance(outcome, SampledToken)
            tokens.append(outcome)
        return tokens

    for there, here in zip(chosen("cuda"), chosen("cpu"), strict=True):
        assert there.token == here.token
        assert there.logprob == (None if here.logprob is None else pytest.approx(here.logprob, abs=1e-4))
        assert [token for token, _ in there.top] == [token for token, _ in here.top]
        assert there.scores is not None
        assert here.scores is not None
        assert there.scores.ids.tolist() == here.scores.ids.tolist()
        assert there.scores.rest == pytest.approx(here.scores.rest, abs=1e-4)


@pytest.mark.parametrize("kind", ["greedy", "top_k", "biases"])
def test_nothing_but_the_one_transfer_is_waited_for(kind: str) -> None:
    sampling = SamplingParams.model_validate(KINDS[kind])
    samplers = [Sampler(sampling, [5, 6], seed, None, None, [2], 50) for seed in range(16)]
    logits = (torch.randn(16, 125_696) * 3).cuda()
    choose(logits.clone(), samplers)
    torch.cuda.set_sync_debug_mode("error")  # an event that is waited for is not one of its kinds
    try:
        choose(logits, samplers)
    finally:
        torch.cuda.set_sync_debug_mode("default")
