"""Tokens are chosen as the filters say, by each sequence for itself, and nothing is used up before it is noted."""

import copy
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from components.sampling import sampler as sampler_module
from components.sampling.choosing import SampledToken, choose
from components.sampling.errors import SamplingError
from components.sampling.parameters import SamplingParams
from components.sampling.sampler import Sampler

PLAIN: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0}


def sampler_of(seed: int = 0, prompt: tuple[int, ...] = (), **sampling: Any) -> Sampler:
    return Sampler(SamplingParams.model_validate(PLAIN | sampling), prompt, seed)


def token_of(logits: torch.Tensor, sampler: Sampler) -> int:
    """The next token for ``[vocabulary]`` logits."""
    (outcome,) = choose(logits[None].clone(), [sampler])
    assert isinstance(outcome, SampledToken), outcome
    return outcome.token


def probabilities(logits: torch.Tensor, sampling: SamplingParams, seen: list[int]) -> np.ndarray[Any, Any]:
    """What transformers' processors leave of the logits."""
    filters = LogitsProcessorList()
    if sampling.logit_bias:
        filters.append(SequenceBiasLogitsProcessor([[[token], bias] for token, bias in sampling.logit_bias.items()]))
    if sampling.repetition_penalty != 1:
        filters.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
    filters.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k:
        filters.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        filters.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p:
        filters.append(MinPLogitsWarper(sampling.min_p))
    wanted: np.ndarray[Any, Any] = (
        filters(torch.tensor([seen]), logits[None].clone())[0].softmax(dim=-1).double().numpy()
    )
    return wanted


DRAWS = 1000


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingParams(temperature=0.7, top_k=5, top_p=0.85),
        SamplingParams(temperature=1.5, top_k=20, top_p=1.0),
        SamplingParams(temperature=1.0, top_k=1000, top_p=0.9),
        SamplingParams(temperature=1.0, top_k=0, top_p=0.6),
        SamplingParams(temperature=1.3, top_k=0, top_p=1.0, repetition_penalty=1.0),
        SamplingParams(temperature=2.0, top_k=0, top_p=0.999),
        SamplingParams(temperature=2.0, top_k=0, top_p=0.2),
        SamplingParams(temperature=1.0, top_k=0, top_p=1.0, min_p=0.1),
        SamplingParams(temperature=1.2, top_k=0, top_p=0.7, min_p=0.01, logit_bias={1: 3.0, 7: 8.0, 8: -100.0}),
    ],
    ids=str,
)
@pytest.mark.parametrize(("vocabulary", "spread"), [(40, 2.0), (3000, 2.0), (3000, 0.3)])
def test_tokens_are_drawn_as_often_as_transformers_filters_say(
    sampling: SamplingParams, vocabulary: int, spread: float
) -> None:
    torch.manual_seed(1)
    logits = torch.randn(vocabulary) * spread
    prompt = [1, 2, 3]
    wanted = probabilities(logits, sampling, prompt)

    samplers = [Sampler(sampling, prompt, seed) for seed in range(DRAWS)]
    outcomes = [
        outcome
        for begin in range(0, DRAWS, 50)
        for outcome in choose(logits.repeat(50, 1), samplers[begin : begin + 50])
    ]
    counts = Counter(outcome.token for outcome in outcomes if isinstance(outcome, SampledToken))
    assert counts.total() == DRAWS
    assert all(wanted[token] > 0 for token in counts), "only what the filters leave"
    # The ten likeliest, and the rest in ten parts, so that flat distributions are checked too.
    ranked = np.argsort(-wanted)
    for group in [*ranked[:10, None], *np.array_split(ranked[10:], 10)]:
        expected = wanted[group].sum() * DRAWS
        found = sum(counts[int(token)] for token in group)
        assert abs(found - expected) < 5 * np.sqrt(expected) + 1, (group[:3], found, expected)


kinds = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([0.0, 0.3, 1.0, 2.0]),
        "top_k": st.sampled_from([0, 0, 1, 5, 40, 1000]),
        "top_p": st.sampled_from([0.1, 0.85, 0.999, 1.0]),
        "min_p": st.sampled_from([0.0, 0.0, 0.05, 1.0]),
        "repetition_penalty": st.sampled_from([1.0, 1.05, 0.8]),
        "frequency_penalty": st.sampled_from([0.0, 0.5]),
        "logit_bias": st.sampled_from([{}, {3: 5.0}]),
    }
)


@given(
    st.lists(kinds, min_size=2, max_size=7),
    st.sampled_from([50, 1000, 4096]),
    st.sampled_from([0.1, 3.0]),
    st.booleans(),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_each_sequence_draws_the_same_to_the_bit_whoever_else_is_in_the_batch(
    sampled: list[dict[str, Any]], vocabulary: int, spread: float, ties: bool, data: st.DataObject
) -> None:
    torch.manual_seed(vocabulary)
    logits = torch.randn(len(sampled), vocabulary) * spread
    if ties:
        logits = logits.bfloat16().float()
    failing = data.draw(st.sampled_from([None, *range(len(sampled))]))
    if failing is not None:
        logits[failing, 7] = torch.nan

    def samplers() -> list[Sampler]:
        return [
            Sampler(SamplingParams.model_validate(kind), [5, 6], seed, logprobs=3 if seed % 2 else None)
            for seed, kind in enumerate(sampled)
        ]

    alone = [choose(row[None].clone(), [one])[0] for row, one in zip(logits, samplers(), strict=True)]
    order = data.draw(st.permutations(range(len(sampled))))
    here = samplers()
    together = choose(logits[order].clone(), [here[place] for place in order])
    found = [together[order.index(place)] for place in range(len(sampled))]

    assert [repr(outcome) for outcome in found] == [repr(outcome) for outcome in alone]


@given(kinds, st.integers(0, 2**53 - 1))
@settings(max_examples=40, deadline=None)
def test_choosing_changes_nothing_until_the_token_is_noted(kind: dict[str, Any], seed: int) -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 500)
    sampler = Sampler(SamplingParams.model_validate(kind), [5, 6], seed, logprobs=2)
    untouched = copy.deepcopy(sampler)
    for _ in range(3):
        outcomes = [choose(logits.clone(), [sampler]) for _ in range(3)]
        assert outcomes[0] == outcomes[1] == outcomes[2] == choose(logits.clone(), [untouched])
        assert isinstance(outcomes[0][0], SampledToken)
        sampler.note(outcomes[0][0].token)
        untouched.note(outcomes[0][0].token)


def test_each_noted_token_brings_a_new_random_number() -> None:
    sampler = sampler_of(seed=3)
    numbers = []
    for _ in range(200):
        numbers += [sampler.uniform(0), sampler.uniform(1)]
        sampler.note(0)

    assert len(set(numbers)) == len(numbers)
    assert 0.4 < np.mean(numbers) < 0.6
    assert sampler_of(seed=4).uniform() != sampler_of(seed=3).uniform()


def test_a_seed_means_the_same_tokens_in_every_process() -> None:
    """The numbers are written down: another version of Python or numpy must not change them."""
    sampler = sampler_of(seed=2**53 - 1)
    sampler.note(1)

    assert (sampler.uniform(), sampler.uniform(2)) == (0.2202003449934008, 0.17544475746612354)


@pytest.mark.parametrize("temperature", [0.0, 0.5])
@pytest.mark.parametrize("top_k", [1, 3, 64])
def test_equal_logits_count_in_the_order_of_their_ids(temperature: float, top_k: int) -> None:
    """As many as are equal at the cut are all kept, as transformers keeps them; the first is the likeliest."""
    logits = torch.zeros(5000)
    tied = [77, 640, 641, 1999, 3500, 4999]
    logits[tied] = 3.0
    tokens = {token_of(logits, sampler_of(seed, temperature=temperature, top_k=top_k)) for seed in range(200)}

    if temperature == 0:
        assert tokens == {77}
    elif top_k <= len(tied):
        assert tokens == set(tied)
    else:
        assert set(tied) < tokens


def test_a_nucleus_that_ends_among_equal_logits_takes_the_smallest_ids() -> None:
    logits = torch.full((100_000,), 1.0)
    tokens = [token_of(logits, sampler_of(seed, top_p=0.1)) for seed in range(60)]

    assert max(tokens) < 10_000
    assert max(tokens) > 5_000


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
@pytest.mark.parametrize("kind", [{"temperature": 0.0}, {"top_k": 5}, {"top_p": 0.9}, {}], ids=str)
def test_logits_that_are_no_numbers_fail_that_sequence_alone(kind: dict[str, Any], wrong: float) -> None:
    torch.manual_seed(5)
    logits = torch.randn(3, 700)
    good = [token_of(logits[row], sampler_of(row, **kind)) for row in (0, 2)]
    logits[1, 500] = wrong
    first, bad, last = choose(logits.clone(), [sampler_of(row, **kind) for row in range(3)])

    assert isinstance(bad, SamplingError)
    assert "NaN" in str(bad)
    assert [first, last] == [SampledToken(token) for token in good]


def test_logits_that_are_all_impossible_fail() -> None:
    (outcome,) = choose(torch.full((1, 100), -torch.inf), [sampler_of()])

    assert isinstance(outcome, SamplingError)


def test_an_exception_within_one_sequence_is_that_sequences_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(6)
    logits = torch.randn(3, 200)
    samplers = [sampler_of(seed, top_k=5, repetition_penalty=1.3) for seed in range(3)]
    wanted = choose(logits.clone(), samplers)

    def fail(attempt: int = 0) -> float:
        raise ZeroDivisionError

    monkeypatch.setattr(samplers[1], "uniform", fail)
    outcomes = choose(logits.clone(), samplers)

    assert isinstance(outcomes[1], SamplingError)
    assert (outcomes[0], outcomes[2]) == (wanted[0], wanted[2])
    assert samplers[1]._position == 0


@pytest.mark.parametrize(
    "sampler",
    [sampler_of(logit_bias={5000: 1.0}), sampler_of(prompt=(5000,), repetition_penalty=1.1)],
    ids=["bias", "prompt"],
)
def test_a_token_outside_the_vocabulary_fails_that_sequence_alone(sampler: Sampler) -> None:
    bad, good = choose(torch.randn(2, 100), [sampler, sampler_of(repetition_penalty=1.1, prompt=(1,))])

    assert isinstance(bad, SamplingError)
    assert "5000 is no token" in str(bad)
    assert isinstance(good, SampledToken)


@given(
    st.lists(st.integers(0, 29), max_size=40),
    st.lists(st.integers(0, 29), max_size=40),
    st.sampled_from([0.8, 1.0, 1.2]),
    st.sampled_from([-0.5, 0.0, 0.7]),
    st.sampled_from([-0.25, 0.0, 0.3]),
    st.dictionaries(st.integers(0, 29), st.sampled_from([-3.0, 2.0])),
)
@settings(max_examples=150, deadline=None)
def test_penalties_follow_their_definitions(
    prompt: list[int], reply: list[int], repetition: float, presence: float, frequency: float, bias: dict[int, float]
) -> None:
    torch.manual_seed(1)
    logits = torch.randn(1, 30) * 4
    sampler = sampler_of(
        prompt=tuple(prompt),
        repetition_penalty=repetition,
        presence_penalty=presence,
        frequency_penalty=frequency,
        logit_bias=bias,
    )
    for token in reply:
        sampler.note(token)
    wanted = logits[0].tolist()
    for token, count in ((token, reply.count(token)) for token in range(30)):
        wanted[token] += bias.get(token, 0)
        if token in prompt or count:
            wanted[token] *= repetition if wanted[token] < 0 else 1 / repetition
        wanted[token] -= (presence + frequency * count) if count else 0
    choose(logits, [sampler])  # in place

    np.testing.assert_allclose(logits[0].numpy(), wanted, atol=1e-5)


def test_log_probabilities_are_the_models_own(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(2)
    logits = torch.randn(2, 3000).bfloat16().float()
    sampling = SamplingParams(temperature=0.5, top_k=5, repetition_penalty=1.5, logit_bias={9: 100.0})
    samplers = [Sampler(sampling, range(3000), 1, logprobs=count) for count in (4, 0)]
    outcomes = choose(logits.clone(), samplers)
    wanted = logits.double().log_softmax(-1)
    for row, (outcome, count) in enumerate(zip(outcomes, (4, 0), strict=True)):
        assert isinstance(outcome, SampledToken)
        assert outcome.logprob == pytest.approx(float(wanted[row, outcome.token]), abs=1e-6)
        order = sorted(range(3000), key=lambda token: (-wanted[row, token], token))[:count]
        assert [token for token, _ in outcome.top] == order
        assert [logprob for _, logprob in outcome.top] == pytest.approx(wanted[row, order].tolist(), abs=1e-6)


def test_no_end_token_comes_before_the_shortest_reply() -> None:
    logits = torch.zeros(100)
    logits[[2, 9]] = 50.0
    sampler = Sampler(SamplingParams(**PLAIN, min_tokens=3, stop_token_ids=(9,)), [], 1, end_tokens=[2])
    for _ in range(3):
        token = token_of(logits, sampler)
        assert token not in (2, 9)
        sampler.note(token)

    assert token_of(logits, sampler) in (2, 9)


def test_ignoring_the_end_token_never_writes_it_but_stops_at_what_was_asked_for() -> None:
    logits = torch.zeros(100)
    logits[2], logits[9] = 50.0, 40.0
    sampler = Sampler(SamplingParams(**PLAIN, ignore_eos=True, stop_token_ids=(9,)), [], 1, end_tokens=[2])

    assert token_of(logits, sampler) == 9


def test_where_everything_is_ruled_out_the_reply_fails_and_says_why() -> None:
    sampler = Sampler(SamplingParams(**PLAIN, min_tokens=3), [], 1, end_tokens=range(100))
    (outcome,) = choose(torch.zeros(1, 100), [sampler])

    assert isinstance(outcome, SamplingError)
    assert "min_tokens" in str(outcome)


def test_small_and_large_ways_to_draw_from_a_nucleus_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is the same whether the nucleus is found among candidates or by rejection."""
    torch.manual_seed(3)
    logits = torch.randn(6400) * 1.5
    wanted = probabilities(logits, SamplingParams(temperature=1.0, top_k=0, top_p=0.3, repetition_penalty=1.0), [])
    for candidates in (1, 4000):
        monkeypatch.setattr(sampler_module, "NUCLEUS_CANDIDATES", candidates)
        tokens = [token_of(logits, sampler_of(seed, top_p=0.3)) for seed in range(300)]
        assert all(wanted[token] > 0 for token in tokens)
        assert len(set(tokens)) > 100
