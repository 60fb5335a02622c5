"""``/tokenize`` and ``/detokenize``."""

from typing import Any

import pytest
import requests

from tests.tiny import CHATS


def post(server: str, path: str, body: Any) -> requests.Response:
    return requests.post(server + path, json=body, timeout=60)


@pytest.mark.parametrize("chat", CHATS[:4])
def test_a_conversation_has_the_tokens_that_the_model_reads(server: str, chat: dict[str, Any]) -> None:
    answer = post(server, "/tokenize", {"model": "baichuan2-7b-tiny", "messages": chat["messages"]})

    assert answer.json() == {"tokens": chat["input_ids"], "count": len(chat["input_ids"]), "max_model_len": 256}


def test_a_text_comes_back_from_its_tokens(server: str) -> None:
    text = "你是谁，请给我介绍下自己 </s> 🙂\n"
    tokens = post(server, "/tokenize", {"prompt": text}).json()["tokens"]

    assert 2 not in tokens, "control tokens that are written out are plain text"
    assert post(server, "/detokenize", {"tokens": tokens}).json() == {"prompt": text}


TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tools": [TOOL]},
        {"tools": [TOOL], "tool_choice": "required"},
        {"tools": [TOOL], "tool_choice": "none"},
        {"tools": [TOOL], "parallel_tool_calls": False},
        {"tools": []},
    ],
    ids=str,
)
def test_what_a_chat_reads_is_what_is_counted(server: str, fields: dict[str, Any]) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], **fields}
    count = post(server, "/tokenize", body).json()["count"]
    usage = post(server, "/v1/chat/completions", {**body, "max_tokens": 1}).json()["usage"]

    assert usage["prompt_tokens"] == count


@pytest.mark.parametrize(("fields", "invited"), [({}, 1), ({"add_generation_prompt": True}, 1), ({"tools": [TOOL]}, 1)])
def test_the_invitation_to_reply_is_left_out_when_it_is_not_wanted(
    server: str, fields: dict[str, Any], invited: int
) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], **fields}
    whole = post(server, "/tokenize", body).json()["tokens"]

    assert post(server, "/tokenize", body | {"add_generation_prompt": False}).json()["tokens"] == whole[:-invited]


@pytest.mark.parametrize(
    ("path", "body", "param", "message"),
    [
        ("/tokenize", {}, "prompt", "either prompt or messages"),
        ("/tokenize", {"prompt": "a", "messages": [{"role": "user", "content": "a"}]}, "prompt", "either"),
        ("/tokenize", {"prompt": 1}, "prompt", "valid string"),
        ("/tokenize", {"promt": "a"}, "prompt", "either prompt or messages"),
        ("/tokenize", {"messages": []}, "messages", "at least 1"),
        ("/tokenize", {"messages": [{"role": "user", "content": "a"}], "tools": [TOOL, TOOL]}, "tools", "same name"),
        ("/detokenize", {}, "tokens", "required"),
        ("/detokenize", {"tokens": ["a"]}, "tokens.0", "integer"),
        ("/detokenize", {"tokens": [4096]}, None, "ids run from 0 to 4095"),
        ("/detokenize", {"tokens": [-1]}, None, "ids run from 0 to 4095"),
        ("/detokenize", {"tokens": [10**30]}, None, "ids run from 0 to 4095"),
    ],
)
def test_a_bad_call_is_refused_in_openais_form(
    server: str, path: str, body: Any, param: str | None, message: str
) -> None:
    answer = post(server, path, body)

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param
    assert message in error["message"]


@pytest.mark.parametrize("path", ["/tokenize", "/detokenize"])
def test_only_posting_is_possible(server: str, path: str) -> None:
    answer = requests.get(server + path, timeout=60)

    assert answer.status_code == 405
    assert "is not possible" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("龘".encode()[:2], ""),
        ("a好".encode() + b"\xf0\x9f\x98", "a好"),
        (b"a" + b"\xe9\xbe" + "b好".encode(), "a\ufffd\ufffdb好"),
    ],
)
def test_a_character_that_is_not_complete_is_left_out_at_the_end_alone(server: str, written: bytes, text: str) -> None:
    tokens = [250 + byte for byte in written]  # 250 is the id of <0x00>
    answer = requests.post(f"{server}/detokenize", json={"tokens": tokens}, timeout=60)

    assert answer.json() == {"prompt": text}
