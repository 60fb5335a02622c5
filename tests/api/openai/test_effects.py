"""What the sampling fields do to the tokens that a real model writes."""

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import requests
import torch

from components.model.loading import load_model
from components.model.modeling import BaichuanForCausalLM
from tests.engine.conftest import Tiny
from tests.tiny import CHATS, TINY_PATH

MESSAGES = CHATS[0]["messages"]
PROMPT: list[int] = CHATS[0]["input_ids"]
COUNT = 12
GREEDY: dict[str, Any] = {"temperature": 0, "repetition_penalty": 1, "max_tokens": COUNT}
WILD: dict[str, Any] = {**GREEDY, "temperature": 2, "top_p": 1, "top_k": 0}
SEEDS = (1, 2, 3)

Write = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def tiny() -> Tiny:
    """The server's checkpoint."""
    return load_model(TINY_PATH, dtype=torch.float32, device="cpu")


@pytest.fixture(params=["chat", "text"])
def write(request: pytest.FixtureRequest, server: str) -> Write:
    """Writes on the same tokens over either endpoint, and returns the choice with its text as ``text``."""

    def write_one(**options: Any) -> dict[str, Any]:
        path, asked = {
            "chat": ("chat/completions", {"messages": MESSAGES}),
            "text": ("completions", {"prompt": PROMPT}),
        }[request.param]
        answer = requests.post(f"{server}/v1/{path}", json={**asked, **GREEDY, **options}, timeout=120)
        assert answer.status_code == 200, answer.text
        choice: dict[str, Any] = answer.json()["choices"][0]
        text = choice["text"] if request.param == "text" else choice["message"]["content"]
        return {**choice, "text": text, "count": answer.json()["usage"]["completion_tokens"]}

    return write_one


@torch.inference_mode()
def greedy_tokens(model: BaichuanForCausalLM) -> list[int]:
    tokens = list(PROMPT)
    for _ in range(COUNT):
        tokens.append(int(model(torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax()))
    return tokens[len(PROMPT) :]


@pytest.fixture(scope="module")
def greedy(tiny: Tiny) -> list[int]:
    """The likeliest tokens, one after the other."""
    return greedy_tokens(tiny[0])


def text_of(tiny: Tiny, tokens: Sequence[int]) -> str:
    return str(tiny[1].decode(list(tokens)))


def biased_to(tiny: Tiny, token: str, bias: float) -> dict[str, float]:
    return {str(tiny[1].get_vocab()[token]): bias}


def end_of(tiny: Tiny) -> dict[str, float]:
    """A bias that makes the model end at once."""
    return {str(tiny[0].generation_config.eos_token_id): 100.0}


@pytest.mark.parametrize("only", [{"min_p": 1}, {"top_k": 1}, {"top_p": 0}, {"top_p": 1e-9}, {"temperature": 0}])
def test_only_the_likeliest_token_is_left(write: Write, tiny: Tiny, greedy: list[int], only: dict[str, Any]) -> None:
    likeliest = text_of(tiny, greedy)

    assert [write(**{**WILD, **only, "seed": seed})["text"] for seed in SEEDS] == [likeliest] * len(SEEDS)
    assert likeliest not in [write(**WILD, seed=seed)["text"] for seed in SEEDS]


@pytest.mark.parametrize("nothing", [{"min_p": 0}, {"top_k": -1}, {"top_k": 4096}, {"top_k": 10**30}, {"top_p": 1}])
def test_a_limit_of_nothing_changes_nothing(write: Write, nothing: dict[str, Any]) -> None:
    for seed in SEEDS:
        assert write(**{**WILD, **nothing}, seed=seed)["text"] == write(**WILD, seed=seed)["text"]


def test_min_p_keeps_what_is_likely_enough(write: Write, tiny: Tiny) -> None:
    """At a temperature of 2, tokens 0.9 times as likely as the likeliest differ from it by 2 ln 1/0.9 at most."""
    with torch.inference_mode():
        logits = tiny[0](torch.tensor([PROMPT]), use_cache=False).logits[0, -1].float()
    kept = (logits >= logits.max() + 2 * math.log(0.9)).nonzero().flatten().tolist()
    texts = {tiny[1].decode([token]) for token in kept}
    assert 1 < len(kept) < 20

    written = {write(**{**WILD, "min_p": 0.9, "max_tokens": 1}, seed=seed)["text"] for seed in range(20)}
    assert len(written) > 1
    assert written - {""} <= texts


def test_a_bias_of_100_leaves_no_other_token_and_one_of_minus_100_rules_it_out(
    write: Write, tiny: Tiny, greedy: list[int]
) -> None:
    assert write(**WILD, logit_bias=biased_to(tiny, "人", 100))["text"] == "人" * COUNT

    with torch.inference_mode():
        second = tiny[0](torch.tensor([PROMPT]), use_cache=False).logits[0, -1].topk(2).indices[1]
    assert write(logit_bias={str(greedy[0]): -100}, max_tokens=1)["text"] == text_of(tiny, [int(second)])


def test_the_text_ends_before_a_stop_token(write: Write, tiny: Tiny, greedy: list[int]) -> None:
    place = next(place for place in range(4, COUNT) if greedy[place] not in greedy[:place])
    choice = write(stop_token_ids=[greedy[place], 4000])

    assert choice["text"] == text_of(tiny, greedy[:place])
    assert (choice["finish_reason"], choice["count"]) == ("stop", place)


def test_the_text_ends_before_the_first_of_many_stop_texts(write: Write, tiny: Tiny, greedy: list[int]) -> None:
    text = text_of(tiny, greedy)
    early, late = text[5:7], text[9:11]
    choice = write(stop=[*(f"never {number}" for number in range(15)), late, early, text + "x"])

    assert choice["text"] == text[: text.index(early)]
    assert choice["finish_reason"] == "stop"


def test_the_end_token_is_ignored_or_put_off(write: Write, tiny: Tiny) -> None:
    ended = write(logit_bias=end_of(tiny))
    assert (ended["text"], ended["finish_reason"], ended["count"]) == ("", "stop", 0)

    later = write(logit_bias=end_of(tiny), min_tokens=4)
    assert (later["finish_reason"], later["count"]) == ("stop", 4)

    ignored = write(logit_bias=end_of(tiny), ignore_eos=True)
    assert (ignored["finish_reason"], ignored["count"]) == ("length", COUNT)
    assert ignored["text"].startswith(later["text"])


@pytest.mark.parametrize("name", ["repetition_penalty", "repeat_penalty"])
def test_a_token_that_was_there_before_comes_back_less(write: Write, tiny: Tiny, name: str) -> None:
    """A model that would say nothing else: penalized, it says others as well."""
    biased = {"logit_bias": biased_to(tiny, "人", 4)}

    def count(**options: Any) -> int:
        body = {**GREEDY, **biased, **options}
        if name == "repeat_penalty":
            body["repetition_penalty"] = None
        return int(write(**body)["text"].count("人"))

    counts = [count(**{name: penalty}) for penalty in (1.0, 1.3, 2.0)]
    assert counts[0] > counts[1] > counts[2]


@pytest.mark.parametrize(
    ("fields", "pattern"),
    [
        ({"structured_outputs": {"regex": "[0-9]{3}-[a-f]{2}"}}, "[0-9]{3}-[a-f]{2}"),
        ({"guided_regex": "(ab|cd)/[0-9]"}, "(ab|cd)/[0-9]"),
        ({"structured_outputs": {"choice": ["长江", "黄河"]}}, "长江|黄河"),
        ({"guided_choice": ["yes", "no"]}, "yes|no"),
    ],
)
def test_the_text_has_the_form_that_was_asked_for(write: Write, fields: dict[str, Any], pattern: str) -> None:
    for seed in SEEDS:
        choice = write(**WILD, **fields, seed=seed)
        assert re.fullmatch(pattern, choice["text"]), choice
        assert choice["finish_reason"] == "stop"


SCHEMA = {
    "type": "object",
    "properties": {"river": {"enum": ["长江", "黄河"]}, "long": {"type": "boolean"}},
    "required": ["river", "long"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "fields",
    [
        {"structured_outputs": {"json": SCHEMA}},
        {"guided_json": SCHEMA},
        {"guided_json": json.dumps(SCHEMA)},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "river", "schema": SCHEMA}}},
    ],
)
def test_the_text_is_json_of_the_schema(write: Write, fields: dict[str, Any]) -> None:
    for seed in SEEDS:
        choice = write(**{**WILD, "max_tokens": 100, "logit_bias": {}}, **fields, seed=seed)
        assert choice["finish_reason"] == "stop", choice
        told = json.loads(choice["text"])
        assert told.keys() == {"river", "long"}
        assert told["river"] in ("长江", "黄河")
        assert isinstance(told["long"], bool)


def test_the_best_of_several_are_the_likeliest_of_what_the_same_seed_writes(server: str) -> None:
    def choices(**options: Any) -> list[dict[str, Any]]:
        body = {"prompt": PROMPT, **WILD, "seed": 11, "logprobs": 0, **options}
        answer = requests.post(f"{server}/v1/completions", json=body, timeout=120).json()
        found: list[dict[str, Any]] = answer["choices"]
        return found

    def likelihood(choice: dict[str, Any]) -> float:
        logprobs = choice["logprobs"]["token_logprobs"]
        return float(sum(logprobs) / len(logprobs))

    every = choices(n=5)
    best = sorted(every, key=likelihood, reverse=True)[:2]
    assert [choice["text"] for choice in choices(n=2, best_of=5)] == [choice["text"] for choice in best]
    assert len({choice["text"] for choice in every}) == 5


@pytest.mark.parametrize("seed", [0, 5, -5, 2**53, 2**63 - 1, -(2**63), 2**64 - 1])
def test_the_same_seed_writes_the_same_whatever_its_size(write: Write, seed: int) -> None:
    once, again, another = (write(**WILD, seed=one)["text"] for one in (seed, seed, seed ^ 1))

    assert once == again != another


@pytest.mark.parametrize("field", [{"logit_bias": {"4096": 1}}, {"stop_token_ids": [1, 4096]}])
def test_a_token_that_there_is_not_is_refused(server: str, field: dict[str, Any]) -> None:
    answer = requests.post(f"{server}/v1/completions", json={"prompt": "hi", **field}, timeout=60)

    assert answer.status_code == 400, answer.text
    assert f"{next(iter(field))}: 4096 is no token" in answer.json()["error"]["message"]
