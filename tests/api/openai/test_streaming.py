"""A client that goes away takes its replies with it, before, while and after they stream."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from starlette.types import Message

from components.api.openai.streaming import EventStream
from components.engine.interface import Generation
from tests.api.scripted_server import serving_engine, wait_for
from tests.scripted_engine import ScriptedEngine, endless

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "hi"}]


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(endless)


@pytest.fixture
def address(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serving_engine(engine, monkeypatch) as one:
        yield one


def test_leaving_a_stream_cancels_its_replies(address: str, engine: ScriptedEngine) -> None:
    body = {"messages": HI, "stream": True, "n": 3, "max_tokens": 32768}
    with httpx.stream("POST", address + CHAT, json=body, timeout=30) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")

    assert wait_for(lambda: len(engine.cancelled) == 3)


def test_the_official_clients_cancel_by_closing(address: str, engine: ScriptedEngine) -> None:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="Scripted-1B", messages=[{"role": "user", "content": "hi"}], stream=True, max_tokens=32768
        )
        with stream:
            next(iter(stream))
        assert wait_for(lambda: len(engine.cancelled) == 1)

    async def leave() -> None:
        async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="Scripted-1B", messages=[{"role": "user", "content": "hi"}], stream=True, max_tokens=32768
            )
            async with stream:
                await anext(aiter(stream))

    asyncio.run(leave())
    assert wait_for(lambda: len(engine.cancelled) == 2)


@pytest.mark.parametrize("stream", ["true", "false"])
def test_hanging_up_before_the_answer_cancels_the_reply(address: str, engine: ScriptedEngine, stream: str) -> None:
    url = urlsplit(address)
    body = b'{"messages": [{"role": "user", "content": "hi"}], "max_tokens": 32768, "stream": %s}' % stream.encode()
    with socket.create_connection((url.hostname, url.port)) as client:
        client.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (CHAT.encode(), len(body)) + body)
        assert wait_for(lambda: len(engine.requests) == 1)

    assert wait_for(lambda: len(engine.cancelled) == 1)


def test_a_reply_reaches_the_reader_piece_by_piece(address: str) -> None:
    """The reply never ends, so whoever waits for its end gets nothing."""
    body = {"messages": HI, "stream": True, "max_tokens": 32768}
    with httpx.stream("POST", address + CHAT, json=body, timeout=30) as answer:
        lines = (line for line in answer.iter_lines() if line)
        assert [next(lines).startswith("data: {") for _ in range(5)] == [True] * 5


def test_the_server_answers_others_while_replies_are_written(address: str) -> None:
    body = {"messages": HI, "stream": True, "max_tokens": 32768, "n": 32}
    with httpx.stream("POST", address + CHAT, json=body, timeout=30) as answer:
        next(answer.iter_lines())
        assert httpx.get(f"{address}/health", timeout=30).json() == {"status": "ok"}
        assert httpx.get(f"{address}/v1/models", timeout=30).status_code == 200


def test_a_stream_whose_client_left_before_it_began_is_cancelled() -> None:
    async def chunks() -> AsyncIterator[dict[str, object]]:
        raise AssertionError("it began")
        yield {}

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        await asyncio.sleep(0)

    generation = Generation()
    asyncio.run(EventStream(chunks(), [generation])({"type": "http"}, gone, send))
    assert generation.cancelled
