"""``/v1/chat/completions`` through the official client."""

import asyncio
import json
import math
import re
import subprocess
from typing import Any

import openai
import pytest
import requests
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import SecretStr

from tests.tiny import CHATS

MODEL = "baichuan2-7b-tiny"
GREEDY: dict[str, Any] = {
    "model": MODEL,
    "temperature": 0,
    "max_tokens": 24,
    "extra_body": {"repetition_penalty": 1.0},
}
WILD: dict[str, Any] = {
    "model": MODEL,
    "temperature": 1.9,
    "top_p": 1.0,
    "max_tokens": 16,
    "extra_body": {"top_k": 0},
}
QUESTION = CHATS[0]["messages"]
PROMPT_TOKENS = len(CHATS[0]["input_ids"])


def write(client: openai.OpenAI, **options: Any) -> ChatCompletion:
    completion: ChatCompletion = client.chat.completions.create(**{"messages": QUESTION, **GREEDY, **options})
    return completion


def stream(client: openai.OpenAI, **options: Any) -> list[ChatCompletionChunk]:
    return list(client.chat.completions.create(**{"messages": QUESTION, **GREEDY, **options, "stream": True}))


def text_of(completion: ChatCompletion, index: int = 0) -> str:
    content = completion.choices[index].message.content
    assert content is not None
    return content


def streamed_text(chunks: list[ChatCompletionChunk], index: int = 0) -> str:
    choices = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
    return "".join(choice.delta.content or "" for choice in choices)


@pytest.mark.parametrize("chat", [chat for chat in CHATS if chat.get("max_new_tokens", 64) == 64][:4])
def test_greedy_text_equals_the_reference(client: openai.OpenAI, chat: dict[str, Any]) -> None:
    completion = write(client, messages=chat["messages"])

    assert text_of(completion) == chat["greedy_text"]
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == len(chat["input_ids"])
    assert completion.usage.completion_tokens == len(chat["greedy_ids"])
    assert completion.usage.total_tokens == len(chat["input_ids"]) + len(chat["greedy_ids"])


def test_an_answer_has_openais_shape(client: openai.OpenAI) -> None:
    completion = write(client)

    assert completion.object == "chat.completion"
    assert completion.id.startswith("chatcmpl-")
    assert completion.model == MODEL
    assert completion.choices[0].message.role == "assistant"
    assert completion.choices[0].finish_reason == "length"
    assert completion.choices[0].logprobs is None
    assert re.fullmatch(r"fp_[0-9a-f]{10}", completion.system_fingerprint or "")
    assert write(client).id != completion.id


def test_a_stream_brings_the_same_text_in_pieces(client: openai.OpenAI) -> None:
    chunks = stream(client)

    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(chunk.choices[0].delta.role is None for chunk in chunks[1:])
    assert len(chunks) > 10
    assert streamed_text(chunks) == CHATS[0]["greedy_text"]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["length"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_counts_its_tokens_when_asked(client: openai.OpenAI) -> None:
    *chunks, last = stream(client, stream_options={"include_usage": True})

    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (PROMPT_TOKENS, 24)
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_a_stream_on_the_wire_is_what_openai_sends(server: str) -> None:
    """By curl, as people try it first."""
    body = {"messages": QUESTION, "max_tokens": 3, "stream": True, "stream_options": {"include_usage": True}}
    command = ["curl", "-sNi", "--compressed", f"{server}/v1/chat/completions", "-H", "Content-Type: application/json"]
    result = subprocess.run([*command, "-d", json.dumps(body)], capture_output=True, check=True)

    headers, _, content = result.stdout.decode("ascii").partition("\r\n\r\n")
    assert "content-type: text/event-stream" in headers.lower()
    *events, done, end = content.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    assert all(event.startswith("data: {") for event in events)
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}


def test_many_ask_at_once_and_each_gets_the_reference_text(server: str) -> None:
    async def ask_all() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server}/v1", api_key="none") as client:

            async def ask(index: int) -> str:
                pieces = []
                chunks = await client.chat.completions.create(
                    **{**GREEDY, "messages": CHATS[index % 4]["messages"], "stream": True}
                )
                async for chunk in chunks:
                    pieces.append(chunk.choices[0].delta.content or "")
                return "".join(pieces)

            return await asyncio.gather(*(ask(index) for index in range(12)))

    assert asyncio.run(ask_all()) == [CHATS[index % 4]["greedy_text"] for index in range(12)]


def test_the_same_seed_gives_the_same_text(client: openai.OpenAI) -> None:
    texts = [text_of(write(client, **WILD, seed=seed)) for seed in (7, 7, 8)]

    assert texts[0] == texts[1] != texts[2]


def test_several_replies_have_seeds_of_their_own(client: openai.OpenAI) -> None:
    completion = write(client, **WILD, n=3, seed=7)

    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    assert [text_of(completion, index) for index in range(3)] == [
        text_of(write(client, **WILD, seed=seed)) for seed in (7, 8, 9)
    ]
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (PROMPT_TOKENS, 3 * 16)


def test_several_replies_stream_side_by_side(client: openai.OpenAI) -> None:
    whole = write(client, **WILD, n=3, seed=7)
    chunks = stream(client, **WILD, n=3, seed=7)

    assert [streamed_text(chunks, index) for index in range(3)] == [text_of(whole, index) for index in range(3)]
    ends = [choice.index for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert sorted(ends) == [0, 1, 2]


@pytest.mark.parametrize("stop", ["型", ["zzz", "型"], ["width", "女人", "表", "at型"]])
def test_a_reply_ends_before_the_first_stop_text(client: openai.OpenAI, stop: str | list[str]) -> None:
    completion = write(client, stop=stop)
    expected = min(
        (CHATS[0]["greedy_text"].split(one)[0] for one in ([stop] if isinstance(stop, str) else stop)), key=len
    )

    assert text_of(completion) == expected
    assert completion.choices[0].finish_reason == "stop"
    assert streamed_text(stream(client, stop=stop)) == expected


def test_log_probabilities_tell_the_chosen_token_and_the_likeliest(client: openai.OpenAI) -> None:
    completion = write(client, logprobs=True, top_logprobs=3)
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None

    assert b"".join(bytes(token.bytes or []) for token in logprobs.content).decode() == text_of(completion)
    for token in logprobs.content:
        assert len(token.top_logprobs) == 3
        assert token.logprob == token.top_logprobs[0].logprob < 0, "greedy takes the likeliest"
        assert token.token == token.top_logprobs[0].token
        assert sum(math.exp(one.logprob) for one in token.top_logprobs) < 1


def test_streamed_log_probabilities_are_the_same(client: openai.OpenAI) -> None:
    whole = write(client, logprobs=True, top_logprobs=1).choices[0].logprobs
    chunks = stream(client, logprobs=True, top_logprobs=1)
    assert whole is not None

    streamed = [chunk.choices[0].logprobs for chunk in chunks]
    assert [token for one in streamed if one for token in one.content or []] == whole.content


def test_without_alternatives_only_the_chosen_token_is_told(client: openai.OpenAI) -> None:
    logprobs = write(client, logprobs=True).choices[0].logprobs

    assert logprobs is not None
    assert logprobs.content is not None
    assert [token.top_logprobs for token in logprobs.content] == [[]] * 24


def test_a_reply_follows_a_json_schema(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"bird": {"enum": ["swallow", "燕子"]}, "legs": {"type": "boolean"}},
        "required": ["bird", "legs"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "bird", "schema": schema, "strict": True}}
    completion = write(client, **WILD | {"max_tokens": 100}, response_format=form)

    bird = json.loads(text_of(completion))
    assert bird.keys() == {"bird", "legs"}
    assert bird["bird"] in {"swallow", "燕子"}
    assert isinstance(bird["legs"], bool)
    assert completion.choices[0].finish_reason == "stop"


def test_a_reply_can_be_any_json_object(client: openai.OpenAI) -> None:
    completion = write(client, max_tokens=100, response_format={"type": "json_object"})

    assert text_of(completion).startswith("{")
    assert text_of(write(client, response_format={"type": "text"})) == CHATS[0]["greedy_text"]


def test_penalties_make_a_reply_repeat_itself_less(client: openai.OpenAI) -> None:
    loop = {"stop": None, "max_tokens": 100}
    plain = text_of(write(client, **loop))
    varied = text_of(write(client, **loop, frequency_penalty=2, presence_penalty=2))

    assert varied != plain
    assert len(set(varied)) > len(set(plain))


def test_a_message_may_come_in_parts(client: openai.OpenAI) -> None:
    parts = [{"type": "text", "text": "你"}, {"type": "text", "text": "是谁"}]

    assert text_of(write(client, messages=[{"role": "user", "content": parts}])) == CHATS[0]["greedy_text"]


def test_developer_is_another_name_for_system(client: openai.OpenAI) -> None:
    chat = next(chat for chat in CHATS if chat["messages"][0]["role"] == "system")
    system, *turns = chat["messages"]

    completion = write(client, messages=[{**system, "role": "developer"}, *turns])
    assert text_of(completion) == chat["greedy_text"]


def test_a_reply_can_be_sent_back_as_it_came(client: openai.OpenAI) -> None:
    reply = write(client).choices[0].message

    question = {"role": "user", "content": "?"}
    replies = [write(client, messages=[*QUESTION, turn, question]) for turn in (reply.model_dump(), reply)]
    plain = write(client, messages=[*QUESTION, {"role": "assistant", "content": reply.content}, question])
    assert {text_of(one) for one in replies} == {text_of(plain)}


def test_a_last_message_of_the_assistants_is_continued(client: openai.OpenAI) -> None:
    beginning, rest = CHATS[0]["greedy_text"].split("女人")
    messages = [*QUESTION, {"role": "assistant", "content": f"{beginning}女人"}]

    assert rest.startswith(text_of(write(client, messages=messages, max_tokens=3)))


def test_fields_that_change_no_reply_are_ignored(client: openai.OpenAI) -> None:
    completion = write(
        client,
        user="somebody",
        store=True,
        metadata={"a": "b"},
        service_tier="auto",
        parallel_tool_calls=False,
        safety_identifier="x",
        prompt_cache_key="x",
        logit_bias={},
        tools=[],
        tool_choice="none",
        modalities=["text"],
        reasoning_effort="none",
    )

    assert text_of(completion) == CHATS[0]["greedy_text"]


def test_null_is_the_same_as_leaving_a_field_out(server: str) -> None:
    fields = ("model", "stream", "n", "stop", "temperature", "top_p", "top_k", "seed", "max_tokens", "tools", "audio")
    body = {"messages": QUESTION, **dict.fromkeys(fields)}

    answer = requests.post(f"{server}/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 200


def test_without_a_limit_a_reply_has_what_is_left_of_the_context(server: str) -> None:
    messages = [{"role": "user", "content": "1 2 3 4 " * 26}]
    count = requests.post(f"{server}/tokenize", json={"messages": messages}, timeout=60).json()["count"]
    assert 128 < count < 256

    answer = requests.post(f"{server}/v1/chat/completions", json={"messages": messages, "temperature": 0}, timeout=60)
    usage = answer.json()["usage"]
    assert usage["prompt_tokens"] == count
    assert usage["total_tokens"] <= 256


def test_the_reply_to_a_known_beginning_says_what_was_not_read_again(client: openai.OpenAI) -> None:
    messages = [{"role": "user", "content": "一二三四五六七八九十" * 8}]
    again = [write(client, messages=messages).usage for _ in range(2)][1]

    assert again is not None
    assert again.prompt_tokens_details is not None
    assert 0 < (again.prompt_tokens_details.cached_tokens or 0) < again.prompt_tokens


def test_langchain_talks_to_it(server: str) -> None:
    chat = ChatOpenAI(
        base_url=f"{server}/v1",
        api_key=SecretStr("none"),
        model=MODEL,
        temperature=0,
        max_completion_tokens=24,
        extra_body={"repetition_penalty": 1.0},
    )
    system, user = CHATS[1]["messages"][0], CHATS[1]["messages"][-1]
    assert [system["role"], user["role"]] == ["system", "user"]
    assert len(CHATS[1]["messages"]) == 2
    messages = [SystemMessage(system["content"]), HumanMessage(user["content"])]

    reply = chat.invoke(messages)
    assert reply.content == CHATS[1]["greedy_text"]
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["input_tokens"] == len(CHATS[1]["input_ids"])
    assert "".join(str(piece.content) for piece in chat.stream(messages)) == CHATS[1]["greedy_text"]


def test_langchain_gets_structured_output(server: str) -> None:
    chat = ChatOpenAI(base_url=f"{server}/v1", api_key=SecretStr("none"), model=MODEL, max_completion_tokens=64)
    schema = {
        "title": "Bird",
        "type": "object",
        "properties": {"flies": {"type": "boolean"}},
        "required": ["flies"],
        "additionalProperties": False,
    }

    bird = chat.with_structured_output(schema).invoke("Does it fly?")
    assert isinstance(bird, dict)
    assert isinstance(bird["flies"], bool)
