"""``echo`` with ``logprobs`` on ``/v1/completions``: what evaluation harnesses ask for."""

import json
from collections.abc import AsyncIterator, Sequence
from itertools import accumulate
from typing import Any

import openai
import pytest
import requests
import torch

from components.api.generation import read_events
from components.engine.events import ChosenToken, Event, PromptRead
from components.engine.interface import Generation, GenerationRequest
from components.engine.remote.connecting import connect
from components.model.chat_format import Prompt
from components.model.loading import load_model
from components.sampling.parameters import SamplingParams
from components.settings import Settings
from tests.api.scripted_server import serving_engine
from tests.engine.conftest import Tiny
from tests.scripted_engine import ScriptedEngine
from tests.tiny import CHATS, TINY_PATH

CHAT: list[int] = CHATS[0]["input_ids"]
TEXT = "从前有一条河 and 1€"
GREEDY = {"temperature": 0, "repetition_penalty": 1.0}
FIELDS = ("tokens", "token_logprobs", "top_logprobs", "text_offset")


@pytest.fixture(scope="module")
def tiny() -> Tiny:
    """The server's checkpoint."""
    return load_model(TINY_PATH, dtype=torch.float32, device="cpu")


def complete(server: str, prompt: Any, **options: Any) -> dict[str, Any]:
    body = {"prompt": prompt, "echo": True, "logprobs": 1, **GREEDY, **options}
    answer = requests.post(f"{server}/v1/completions", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def tokens_of(server: str, prompt: str | list[int]) -> list[int]:
    if not isinstance(prompt, str):
        return prompt
    tokens: list[int] = requests.post(f"{server}/tokenize", json={"prompt": prompt}, timeout=60).json()["tokens"]
    return tokens


@torch.inference_mode()
def plain_logprobs(tiny: Tiny, tokens: Sequence[int]) -> torch.Tensor:
    logits: torch.Tensor = tiny[0](torch.tensor([tokens]), use_cache=False).logits[0].float()
    return logits.log_softmax(dim=-1)


def assert_told(told: dict[str, Any], tiny: Tiny, tokens: list[int], top: int, extra: int) -> None:
    """The prompt's tokens, and ``extra`` that were written."""
    assert {len(told[field]) for field in FIELDS} == {len(tokens) + extra}
    assert told["token_logprobs"][0] is told["top_logprobs"][0] is None
    wanted = plain_logprobs(tiny, tokens)
    for place, token in enumerate(tokens[1:], start=1):
        of_one, likeliest = told["token_logprobs"][place], told["top_logprobs"][place]
        assert of_one == pytest.approx(float(wanted[place - 1, token]), abs=1e-4)
        assert likeliest[told["tokens"][place]] >= of_one
        assert max(likeliest.values()) == pytest.approx(float(wanted[place - 1].max() if top else of_one), abs=1e-4)
        # What lm-eval calls greedy.
        assert (of_one == max(likeliest.values())) == (not top or token == int(wanted[place - 1].argmax()))


@pytest.mark.parametrize("max_tokens", [0, 1, 5])
@pytest.mark.parametrize("top", [0, 1, 50])
@pytest.mark.parametrize("prompt", [TEXT, CHAT, [195]], ids=["text", "tokens", "one token"])
def test_the_prompts_tokens_are_as_likely_as_a_plain_pass_says(
    server: str, tiny: Tiny, prompt: str | list[int], top: int, max_tokens: int
) -> None:
    answer = complete(server, prompt, logprobs=top, max_tokens=max_tokens)
    [choice] = answer["choices"]
    tokens = tokens_of(server, prompt)

    assert_told(choice["logprobs"], tiny, tokens, top, extra=max_tokens)
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (len(tokens), max_tokens)
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    plain = complete(server, prompt, echo=False, logprobs=top, max_tokens=max_tokens)["choices"][0]
    assert choice["text"].endswith(plain["text"])
    if max_tokens:
        told = choice["logprobs"]
        assert told["tokens"][len(tokens) :] == plain["logprobs"]["tokens"]
        assert told["token_logprobs"][len(tokens) :] == pytest.approx(plain["logprobs"]["token_logprobs"], abs=1e-4)


@pytest.mark.parametrize("max_tokens", [0, 6])
def test_the_tokens_stand_where_they_are_said_to(server: str, max_tokens: int) -> None:
    """Also behind control tokens, and where a character has several tokens."""
    for prompt in (TEXT, CHAT, [*CHAT[:-1], 2, *CHAT]):
        [choice] = complete(server, prompt, max_tokens=max_tokens)["choices"]
        told = choice["logprobs"]
        assert told["text_offset"] == sorted(told["text_offset"])
        for token, offset in zip(told["tokens"], told["text_offset"], strict=True):
            assert choice["text"][offset:].startswith(token) or token.startswith("bytes:")
        whole = [token for token in told["tokens"] if not token.startswith("bytes:")]
        if len(whole) == len(told["tokens"]):
            assert told["text_offset"] == [0, *accumulate(map(len, whole[:-1]))]


@pytest.mark.parametrize("max_tokens", [0, 3])
@pytest.mark.parametrize("prompts", [[TEXT, "hi", TEXT], [CHAT, [195], CHAT]], ids=["texts", "tokens"])
@pytest.mark.parametrize("choices", [{}, {"n": 2}, {"n": 2, "best_of": 3}], ids=["one", "n", "best_of"])
def test_every_choice_of_every_prompt_is_told(
    server: str, tiny: Tiny, prompts: list[Any], choices: dict[str, Any], max_tokens: int
) -> None:
    options = {**choices, "temperature": 1.5, "top_p": 1, "top_k": 0, "seed": 7}
    answer = complete(server, prompts, max_tokens=max_tokens, **options)
    n = choices.get("n", 1)

    assert [choice["index"] for choice in answer["choices"]] == list(range(n * len(prompts)))
    for choice in answer["choices"]:
        prompt = prompts[choice["index"] // n]
        tokens = tokens_of(server, prompt)
        assert_told(choice["logprobs"], tiny, tokens, 1, len(choice["logprobs"]["tokens"]) - len(tokens))
        if max_tokens == 0:
            assert len(choice["logprobs"]["tokens"]) == len(tokens)
    plain = complete(server, prompts, max_tokens=max_tokens, echo=False, **options)
    for choice, alone in zip(answer["choices"], plain["choices"], strict=True):
        assert choice["text"].endswith(alone["text"])


@pytest.mark.parametrize("max_tokens", [0, 4])
@pytest.mark.parametrize("n", [1, 3])
def test_a_stream_tells_the_same_prompt_first(client: openai.OpenAI, server: str, max_tokens: int, n: int) -> None:
    prompts = [TEXT, "hi " * 60]
    whole = complete(server, prompts, max_tokens=max_tokens, n=n)
    chunks = client.completions.create(
        model="default",
        prompt=prompts,
        echo=True,
        logprobs=1,
        max_tokens=max_tokens,
        n=n,
        temperature=0,
        stream=True,
        extra_body={"repetition_penalty": 1.0},
    )
    texts = [""] * 2 * n
    told: list[dict[str, list[Any]]] = [{field: [] for field in FIELDS} for _ in texts]
    for chunk in chunks:
        [choice] = chunk.choices
        if not texts[choice.index]:
            assert choice.text == prompts[choice.index // n]
        texts[choice.index] += choice.text
        for field in FIELDS if choice.logprobs else ():
            told[choice.index][field] += getattr(choice.logprobs, field)

    assert texts == [choice["text"] for choice in whole["choices"]]
    for one, choice in zip(told, whole["choices"], strict=True):
        assert one["tokens"] == choice["logprobs"]["tokens"]
        assert one["text_offset"] == choice["logprobs"]["text_offset"]
        first, *rest = one["token_logprobs"]
        assert first is None
        assert rest == pytest.approx(choice["logprobs"]["token_logprobs"][1:], abs=1e-4)


def test_no_text_of_a_stream_comes_before_its_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of a prompt's choices tells of it for all of them, who may be ahead of it."""

    class Reading(ScriptedEngine):
        def _run(self, request: GenerationRequest, prompt: Prompt, generation: Generation) -> None:
            if request.prompt_logprobs is not None:
                generation.put(PromptRead(b"h", (ChosenToken(b"i", -1.0),)))
            super()._run(request, prompt, generation)

    async def last_first(generations: Sequence[Generation]) -> AsyncIterator[tuple[int, Event]]:
        events = [event async for event in read_events(generations)]
        for one in sorted(events, key=lambda event: -event[0]):
            yield one

    monkeypatch.setattr("components.api.openai.choices.read_events", last_first)
    body: dict[str, Any] = {"prompt": ["hi", "ho"], "echo": True, "logprobs": 0, "n": 2, "stream": True}
    with serving_engine(Reading(lambda _: ["!"]), monkeypatch) as address:
        answer = requests.post(f"{address}/v1/completions", json=body, timeout=120)

    *events, _, _ = answer.text.split("\n\n")
    choices = [json.loads(event.removeprefix("data: "))["choices"][0] for event in events]
    for index, prompt in enumerate(["hi", "hi", "ho", "ho"]):
        assert [choice["text"] for choice in choices if choice["index"] == index] == [prompt, "!", ""]


def test_one_token_is_asked_for_and_told_whatever_it_is(server: str, tiny: Tiny) -> None:
    """lm-eval takes the last for the one that was written, and drops it: the prompt's own must not stand there."""
    tokenizer = tiny[1]
    for token, name in (("</s>", "</s>"), ("<0xE4>", r"bytes:\xe4"), ("你", "你")):
        bias = {str(tokenizer.convert_tokens_to_ids(token)): 100}
        [choice] = complete(server, CHAT, max_tokens=1, logit_bias=bias)["choices"]
        assert len(choice["logprobs"]["tokens"]) == len(CHAT) + 1
        assert choice["logprobs"]["tokens"][-1] == name
        assert choice["text"].endswith("你") == (token == "你")


def test_a_prompt_may_fill_the_context_where_nothing_is_written(server: str, tiny: Tiny) -> None:
    models = requests.get(f"{server}/v1/models", timeout=60).json()
    tokens = [300 + place for place in range(models["data"][0]["max_model_len"])]
    answer = complete(server, tokens, max_tokens=0)

    assert_told(answer["choices"][0]["logprobs"], tiny, tokens, 1, extra=0)
    body: dict[str, Any] = {"prompt": [*tokens, 300], "max_tokens": 0, "echo": True, "logprobs": 1}
    refused = requests.post(f"{server}/v1/completions", json=body, timeout=60)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "context_length_exceeded")


@pytest.mark.parametrize("writes", [True, False])
def test_our_own_server_is_one_that_another_can_ask(server: str, tiny: Tiny, writes: bool) -> None:
    engine = connect(Settings(engine="openai", openai_base_url=f"{server}/v1"), lambda _: None)
    try:
        sampling = SamplingParams(max_new_tokens=3)
        events = list(
            engine.generate(GenerationRequest([], sampling, prompt=CHAT, logprobs=1, prompt_logprobs=1, writes=writes))
        )
    finally:
        engine.close()

    read = next(event for event in events if isinstance(event, PromptRead))
    wanted = plain_logprobs(tiny, CHAT)
    assert [token.logprob for token in read.others] == pytest.approx(
        [float(wanted[place, token]) for place, token in enumerate(CHAT[1:])], abs=1e-4
    )
