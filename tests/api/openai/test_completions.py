"""``/v1/completions`` through the official client."""

from typing import Any

import openai
import pytest
import requests
from openai.types import Completion

from components.model.token_texts import read_spelled
from tests.tiny import CHATS

GREEDY: dict[str, Any] = {
    "model": "baichuan2-7b-tiny",
    "temperature": 0,
    "max_tokens": 24,
    "extra_body": {"repetition_penalty": 1.0},
}
TOKENS: list[int] = CHATS[0]["input_ids"]
TEXT: str = CHATS[0]["greedy_text"]
BYTES_FROM = 250  # the id of <0x00> in the tiny vocabulary


def write(client: openai.OpenAI, **options: Any) -> Completion:
    completion: Completion = client.completions.create(**{"prompt": TOKENS, **GREEDY, **options})
    return completion


def test_token_ids_are_written_on_as_the_reference_does(client: openai.OpenAI) -> None:
    completion = write(client)

    assert completion.object == "text_completion"
    assert completion.id.startswith("cmpl-")
    assert completion.choices[0].text == TEXT
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (3, 24)


def test_a_text_is_its_own_tokens_without_a_chat_format(client: openai.OpenAI, server: str) -> None:
    tokens = requests.post(f"{server}/tokenize", json={"prompt": "你是谁"}, timeout=60).json()["tokens"]

    assert tokens == TOKENS[1:-1]
    assert write(client, prompt="你是谁").choices[0].text == write(client, prompt=tokens).choices[0].text


def test_without_a_limit_a_text_has_openais_sixteen_tokens(client: openai.OpenAI) -> None:
    completion = client.completions.create(model="baichuan2-7b-tiny", prompt="hi", temperature=0)

    assert completion.usage is not None
    assert completion.usage.completion_tokens == 16


def test_several_prompts_give_their_replies_in_order(client: openai.OpenAI) -> None:
    prompts = [chat["input_ids"] for chat in CHATS[:3]]
    completion = write(client, prompt=prompts, n=2)

    assert [choice.index for choice in completion.choices] == list(range(6))
    assert [choice.text for choice in completion.choices] == [
        chat["greedy_text"] for chat in CHATS[:3] for _ in range(2)
    ]
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == sum(len(prompt) for prompt in prompts)
    assert completion.usage.completion_tokens == 6 * 24


def test_a_stream_brings_the_same_texts(client: openai.OpenAI) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *chunks, last = client.completions.create(**{**GREEDY, "prompt": ["你是谁", "hi"], **options})

    whole = write(client, prompt=["你是谁", "hi"])
    for index in range(2):
        choices = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
        assert "".join(choice.text for choice in choices) == whole.choices[index].text
        assert [choice.finish_reason for choice in choices][-1] == "length"
    assert whole.usage is not None
    assert last.choices == []
    assert last.usage.total_tokens == whole.usage.total_tokens


def test_echo_puts_the_prompt_first(client: openai.OpenAI) -> None:
    assert write(client, echo=True).choices[0].text == f"<reserved_106>你是谁<reserved_107>{TEXT}"
    assert write(client, prompt="你是谁", echo=True).choices[0].text.startswith("你是谁")

    chunks = list(client.completions.create(**{**GREEDY, "prompt": "你是谁", "echo": True, "stream": True}))
    assert chunks[0].choices[0].text == "你是谁"


def test_log_probabilities_say_where_each_token_stands(client: openai.OpenAI) -> None:
    completion = write(client, logprobs=2)
    told = completion.choices[0].logprobs
    assert told is not None
    assert told.tokens is not None
    assert told.text_offset is not None
    assert told.token_logprobs is not None
    assert told.top_logprobs is not None

    for token, offset in zip(told.tokens, told.text_offset, strict=True):
        assert TEXT[offset:].startswith(token) or token.startswith("bytes:")
    for token, logprob, top in zip(told.tokens, told.token_logprobs, told.top_logprobs, strict=True):
        assert len(top) == 2
        assert top[token] == logprob == max(top.values())


def test_tokens_that_show_no_text_stand_at_its_end(client: openai.OpenAI) -> None:
    whole = write(client, logprobs=0).choices[0].logprobs
    stop = "表大家消"  # three tokens
    for stream in (False, True):
        answer = client.completions.create(
            **{**GREEDY, "prompt": TOKENS, "logprobs": 0, "stop": stop, "stream": stream}
        )
        choices = [chunk.choices[0] for chunk in answer] if stream else answer.choices
        text = "".join(choice.text for choice in choices)
        told = [choice.logprobs for choice in choices if choice.logprobs]
        tokens = [token for one in told for token in one.tokens]
        offsets = [offset for one in told for offset in one.text_offset]

        assert text == TEXT[: TEXT.index(stop)] != TEXT
        assert whole is not None
        assert tokens == (whole.tokens or [])[: len(tokens)]
        assert b"".join(map(read_spelled, tokens)).startswith(TEXT[: TEXT.index(stop) + len(stop)].encode())
        assert offsets == [min(offset, len(text)) for offset in (whole.text_offset or [])[: len(tokens)]]


def test_a_drawn_token_is_among_those_told(client: openai.OpenAI) -> None:
    completion = write(client, logprobs=0, seed=1, temperature=2, top_p=1, extra_body={"top_k": 0})
    told = completion.choices[0].logprobs
    assert told is not None

    assert told.top_logprobs == [
        {token: logprob} for token, logprob in zip(told.tokens or [], told.token_logprobs or [], strict=True)
    ]


def test_streamed_log_probabilities_are_the_same(client: openai.OpenAI) -> None:
    told = write(client, logprobs=1).choices[0].logprobs
    chunks = list(client.completions.create(**{**GREEDY, "prompt": TOKENS, "logprobs": 1, "stream": True}))
    assert told is not None

    streamed = [chunk.choices[0].logprobs for chunk in chunks if chunk.choices[0].logprobs]
    for field in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        assert [item for one in streamed for item in getattr(one, field)] == getattr(told, field)


def ids_of(text: str) -> list[int]:
    return [BYTES_FROM + byte for byte in text.encode()]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("options", [{}, {"logprobs": 3}, {"n": 2}, {"n": 1, "best_of": 2}, {"stop": "好"}])
@pytest.mark.parametrize("text", ["龘", "😀", "é", "a龘", "龘龘"])
def test_a_character_that_the_prompt_begins_and_the_reply_completes_is_the_replys(
    client: openai.OpenAI, text: str, options: dict[str, Any], stream: bool
) -> None:
    if stream and "best_of" in options:
        return
    *prompt, last = ids_of(text)
    asked = {**GREEDY, "prompt": prompt, "max_tokens": 1, "logit_bias": {str(last): 100}, "stream": stream, **options}
    for echo, wanted in ((True, text), (False, text[-1])):
        answer = client.completions.create(**{**asked, "echo": echo})
        choices = [choice for chunk in (answer if stream else [answer]) for choice in chunk.choices]
        for index in range(options.get("n", 1)):
            assert "".join(choice.text for choice in choices if choice.index == index) == wanted


@pytest.mark.parametrize("echo", [True, False])
def test_a_character_that_nobody_completes_is_not_sent(client: openai.OpenAI, echo: bool) -> None:
    prompt = ids_of("a龘")[:-1]
    asked: dict[str, Any] = {**GREEDY, "prompt": prompt[:-1], "echo": echo}
    within: list[dict[str, Any]] = [{"max_tokens": 0}, {"max_tokens": 1, "logit_bias": {str(prompt[-1]): 100}}]

    for reply in within:
        assert client.completions.create(**{**asked, **reply}).choices[0].text == ("a" if echo else "")
    other = client.completions.create(**{**asked, "max_tokens": 1, "logit_bias": {str(BYTES_FROM + ord("b")): 100}})
    assert other.choices[0].text == ("ab" if echo else "b")


@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("stream", [False, True])
def test_each_token_is_told_by_its_own_name_and_figure(client: openai.OpenAI, echo: bool, stream: bool) -> None:
    """Also those that are no text by themselves, and those that share their text with another."""
    bias = {str(BYTES_FROM + byte): 40 for byte in (*b"ab", 0xE9, 0xE8, 0xE7)}
    for seed in range(8):
        asked = {"prompt": ids_of("a龘"), "logit_bias": bias, "seed": seed, "logprobs": 20, "echo": echo}
        drawn = {"temperature": 2, "top_p": 1, "max_tokens": 6, "stream": stream, "extra_body": {"top_k": 0}}
        answer = client.completions.create(**{**GREEDY, **asked, **drawn})
        choices = [choice for chunk in (answer if stream else [answer]) for choice in chunk.choices]
        for told in [choice.logprobs for choice in choices if choice.logprobs]:
            assert "\ufffd" not in "".join(told.tokens)
            for token, logprob, top in zip(told.tokens, told.token_logprobs, told.top_logprobs, strict=True):
                if logprob is not None:
                    assert top[token] == logprob
                    assert 20 <= len(top) <= 21
