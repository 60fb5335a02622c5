"""Tokens are chosen as transformers would choose them."""

from collections import Counter

import numpy as np
import pytest
import torch
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from components.sampling.parameters import SamplingParams
from components.sampling.sampler import Sampler, SeenTokens, choose, penalize

CPU = torch.device("cpu")


@pytest.mark.parametrize("penalty", [0.8, 1.05, 1.3, 2.0])
def test_the_repetition_penalty_equals_transformers(penalty: float) -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 500) * 5
    written = torch.randint(0, 500, (1, 80))
    wanted = RepetitionPenaltyLogitsProcessor(penalty)(written, logits.clone())
    seen = SeenTokens(written[0, :50].tolist(), CPU)
    for token in written[0, 50:].tolist():
        seen.add(token)
    penalize(logits[0], seen.ids, penalty)

    assert torch.equal(logits, wanted)


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingParams(temperature=0.7, top_k=5, top_p=0.85),
        SamplingParams(temperature=1.5, top_k=20, top_p=1.0),
        SamplingParams(temperature=1.0, top_k=0, top_p=0.6),
        SamplingParams(temperature=1.3, top_k=0, top_p=1.0, repetition_penalty=1.0),
        SamplingParams(temperature=2.0, top_k=0, top_p=0.999),
    ],
    ids=str,
)
@pytest.mark.parametrize("vocabulary", [40, 3000])
def test_tokens_are_drawn_as_often_as_transformers_filters_say(sampling: SamplingParams, vocabulary: int) -> None:
    torch.manual_seed(1)
    logits = torch.randn(vocabulary) * 2
    filters = LogitsProcessorList([TemperatureLogitsWarper(sampling.temperature)])
    prompt = [1, 2, 3]
    if sampling.repetition_penalty != 1:
        filters.insert(0, RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
    if sampling.top_k:
        filters.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        filters.append(TopPLogitsWarper(sampling.top_p))
    wanted = filters(torch.tensor([prompt]), logits[None].clone())[0].softmax(dim=-1).double().numpy()

    sampler = Sampler(sampling, prompt, 7, CPU)
    draws = 3000
    counts = Counter(choose(logits[None].clone(), [sampler])[0].token for _ in range(draws))
    assert all(wanted[token] > 0 for token in counts), "only what the filters leave"
    likely = [token for token in np.argsort(-wanted)[:10] if wanted[token] * draws > 20]
    for token in likely:
        expected = wanted[token] * draws
        assert abs(counts[int(token)] - expected) < 5 * np.sqrt(expected), (token, counts[int(token)], expected)


def test_each_sequence_draws_the_same_whoever_else_is_in_the_batch() -> None:
    torch.manual_seed(2)
    logits = torch.randn(4, 2000)
    kinds = [
        SamplingParams(temperature=0.0),
        SamplingParams(temperature=0.9, top_k=50),
        SamplingParams(temperature=0.9, top_k=7, repetition_penalty=1.2),
        SamplingParams(temperature=1.2, top_k=0, top_p=0.9),
    ]

    def samplers() -> list[Sampler]:
        return [Sampler(kind, [5, 6], seed, CPU) for seed, kind in enumerate(kinds)]

    together = choose(logits.clone(), samplers())
    alone = [choose(row[None].clone(), [one])[0] for row, one in zip(logits, samplers(), strict=True)]
    assert together == alone
