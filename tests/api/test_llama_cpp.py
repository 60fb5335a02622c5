"""The whole application over a GGUF file, with llama.cpp beside it."""

from collections.abc import Iterator
from pathlib import Path

import openai
import psutil
import pytest

from tests.engine.sidecar.gguf_files import exported
from tests.engine.sidecar.test_sidecar import assert_gone
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


def test_llama_cpp_ends_with_the_application_even_when_that_is_killed(tmp_path: Path) -> None:
    env = {"BAICHUAN_MODEL": str(exported(tmp_path)), "BAICHUAN_CACHE_GB": "0.01"}
    with running_server(tmp_path / "server.log", env, preloaded=False) as address:
        killed = application(address)
        beside = [one.pid for one in killed.children(recursive=True)]
        killed.kill()
        assert_gone(*beside)
