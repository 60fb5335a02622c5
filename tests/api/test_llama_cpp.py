"""The whole application over a GGUF file, with llama.cpp beside it."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import psutil
import pytest

from tests.engine.sidecar.gguf_files import exported
from tests.engine.sidecar.test_sidecar import assert_gone, wait_until
from tests.server import running_server


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("gguf")
    env = {"BAICHUAN_MODEL": str(exported(folder)), "BAICHUAN_CACHE_GB": "0.01"}
    with running_server(folder / "server.log", env, preloaded=False) as address:
        yield address


def application(address: str) -> psutil.Process:
    port = address.rpartition(":")[2]
    (found,) = (one for one in psutil.Process().children(recursive=True) if port in one.cmdline())
    return found


def test_an_openai_client_chats_and_neither_torch_nor_transformers_is_loaded(address: str) -> None:
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="none")

    chunks = list(
        client.chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": "你是谁"}],
            max_tokens=8,
            temperature=0,
            stream=True,
            logprobs=True,
            top_logprobs=3,
        )
    )

    told = [
        one for chunk in chunks for choice in chunk.choices if choice.logprobs for one in choice.logprobs.content or ()
    ]
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert len(told) == 8
    assert all(len(one.top_logprobs) == 3 for one in told)
    loaded = {Path(part.path).name for part in application(address).memory_maps(grouped=True)}
    assert not [name for name in loaded if name.startswith("libtorch")]
    assert not [name for name in loaded if "xllamacpp" in name]  # that is the other process's


def test_a_schema_is_followed_and_tokens_are_told(address: str) -> None:
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="none")
    schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "additionalProperties": False}

    answer = client.chat.completions.create(
        model="default",
        messages=[{"role": "user", "content": "?"}],
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
    )

    assert answer.choices[0].message.content == '{"a": 1}'
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 3


def test_programs_are_told_to_come_again_while_nobody_can_turn_texts_into_tokens(tmp_path: Path) -> None:
    file, away = exported(tmp_path), tmp_path / "away.gguf"
    env = {"BAICHUAN_MODEL": str(file), "BAICHUAN_CACHE_GB": "0.01"}
    with running_server(tmp_path / "server.log", env, preloaded=False) as address:
        children = application(address).children(recursive=True)
        (server,) = (one for one in children if "llama_cpp_server.py" in one.cmdline()[-1])
        file.rename(away)  # so it does not come back before we want it to
        server.kill()
        wait_until(lambda: httpx2.get(f"{address}/ready").status_code == 503)

        messages = [{"role": "user", "content": "你是谁"}]
        for path, body in (
            ("/v1/chat/completions", {"messages": messages, "max_tokens": 4}),
            ("/v1/chat/completions", {"messages": messages, "max_tokens": 4, "stream": True}),
            ("/v1/completions", {"prompt": "百川", "max_tokens": 4}),
            ("/v1/responses", {"input": "百川", "max_output_tokens": 16}),
            ("/tokenize", {"prompt": "百川"}),
        ):
            answer = httpx2.post(address + path, json={"model": "default", **body}, timeout=60)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10"), path
            assert "is being started again" in answer.text, path
        away.rename(file)
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=5)
        reply = client.chat.completions.create(model="default", messages=messages, max_tokens=4)  # type: ignore[arg-type]

        assert reply.usage is not None
        assert reply.usage.completion_tokens > 0


def test_llama_cpp_ends_with_the_application_even_when_that_is_killed(tmp_path: Path) -> None:
    env = {"BAICHUAN_MODEL": str(exported(tmp_path)), "BAICHUAN_CACHE_GB": "0.01"}
    with running_server(tmp_path / "server.log", env, preloaded=False) as address:
        killed = application(address)
        beside = [one.pid for one in killed.children(recursive=True)]
        killed.kill()
        assert_gone(*beside)
