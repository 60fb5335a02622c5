"""Headers of GGUF files with numbers that no model has: each is refused in a sentence, or given to llama.cpp."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Never

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.checkpoints.errors import LoadError
from components.checkpoints.gguf import read_header
from components.checkpoints.gguf_shape import shape_of
from components.checkpoints.locate import Checkpoint
from components.engine.sidecar.llama_cpp import load_llama_cpp
from components.engine.sidecar.process import Endpoint
from components.engine.sidecar.sidecar import Sidecar
from components.model.chat_format import MessagesError
from components.model.gguf_tokenizer import GgufTokenizer
from components.settings import Settings
from tests.engine.sidecar.gguf_files import SMALL, small_gguf

LARGEST = 2**31 - 1
"""What llama.cpp counts up to."""


class StartedError(Exception):
    """llama.cpp would be started now; ``options`` are what it is told."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options


@pytest.fixture(autouse=True, scope="module")
def nothing_is_started() -> Iterator[None]:
    def start(sidecar: Sidecar) -> Never:
        raise StartedError(json.loads(sidecar._command(Endpoint.new()).environment["LLAMA_CPP_OPTIONS"]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sidecar, "start", start)
        yield


def load(file: Path, **options: Any) -> dict[str, Any]:
    """What llama.cpp would be told; all of it can be counted there."""
    with pytest.raises(StartedError) as caught:
        load_llama_cpp(Checkpoint(file, file.stem, False), Settings(**options), lambda _: None)
    told = caught.value.options
    assert all(0 <= told[name] <= LARGEST for name in ("tokens", "replies", "cache_mib", "threads"))
    assert told["tokens"] >= 64
    return told


def refused(file: Path) -> str:
    """In which sentence it is."""
    with pytest.raises(LoadError) as caught:
        load_llama_cpp(Checkpoint(file, file.stem, False), Settings(), lambda _: None)
    said = str(caught.value)
    assert str(file) in said
    assert "\n" not in said
    assert len(said) < len(str(file)) + 300
    return said


ABSURD: list[Any] = [0, -1, 2**31, 2**32 - 1, 2**63, 2.5, float("nan"), float("inf"), True, "2", ["2"], [0.5, 1.0]]
LISTS: list[Any] = [[0, 0], [4, -4], [4], [4, 4, 4], [2**30, 1]]
NEEDED = ("block_count", "embedding_length", "context_length", "attention.head_count")
MAY_BE_MISSING = ("attention.head_count_kv", "attention.key_length", "attention.value_length")
TEXTS = ["tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.chat_template"]


@pytest.mark.parametrize("value", [*ABSURD, *LISTS, None], ids=repr)
@pytest.mark.parametrize("name", [f"llama.{name}" for name in (*NEEDED, *MAY_BE_MISSING)])
def test_a_shape_that_no_model_has_is_refused_by_its_name(tmp_path: Path, name: str, value: Any) -> None:
    file = small_gguf(tmp_path / "small.gguf", SMALL | {name: value})
    if value is None and name.removeprefix("llama.") in MAY_BE_MISSING:
        load(file)
        return
    if name == "llama.context_length" and value == LARGEST:
        load(file)
        return

    said = refused(file)

    assert name in said
    assert "Take another file of this model." in said


@pytest.mark.parametrize("value", [1, 63, 2**31], ids=repr)
def test_a_context_in_which_nobody_can_ask_is_refused(tmp_path: Path, value: int) -> None:
    file = small_gguf(tmp_path / "small.gguf", SMALL | {"llama.context_length": value})

    assert f"llama.context_length is {value}, where a whole number from 64" in refused(file)


def test_more_heads_than_numbers_are_refused_unless_their_size_is_said(tmp_path: Path) -> None:
    many = SMALL | {"llama.attention.head_count": 64}
    assert "llama.attention.head_count is 64, where at most 32 belong" in refused(small_gguf(tmp_path / "a.gguf", many))

    sizes = {"llama.attention.key_length": 16, "llama.attention.value_length": 8}
    file = small_gguf(tmp_path / "b.gguf", many | sizes)
    load(file)
    assert shape_of(file, read_header(file)).bytes_per_token == 2 * 2 * 2 * (16 + 8)


@pytest.mark.parametrize(
    ("values", "bytes_per_token"),
    [
        ({}, 2 * 2 * 2 * (8 + 8)),
        ({"llama.attention.head_count_kv": None}, 2 * 2 * 4 * (8 + 8)),
        ({"llama.attention.head_count": [4, 2], "llama.attention.head_count_kv": [2, 0]}, 2 * 2 * 2 * (8 + 8)),
        ({"llama.attention.key_length": 64}, 2 * 2 * 2 * (64 + 8)),
    ],
    ids=["one number for all layers", "as many keys and values as queries", "each layer's own", "larger keys"],
)
def test_shapes_that_models_have_are_served(tmp_path: Path, values: dict[str, Any], bytes_per_token: int) -> None:
    file = small_gguf(tmp_path / "small.gguf", SMALL | values)

    load(file)
    assert shape_of(file, read_header(file)).bytes_per_token == bytes_per_token


def test_a_model_without_attention_has_no_heads(tmp_path: Path) -> None:
    """Mamba's and RWKV's files say so, since llama.cpp wants the number."""
    file = tmp_path / "small.gguf"
    small_gguf(file, SMALL | {"llama.attention.head_count": 0, "llama.attention.head_count_kv": 0})
    file.write_bytes(file.read_bytes().replace(b".attn_q.weight", b".ssm_in.weight"))

    load(file)


@pytest.mark.parametrize("value", [*ABSURD, *LISTS], ids=repr)
@pytest.mark.parametrize("name", TEXTS)
def test_a_tokenizer_of_something_else_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    file = small_gguf(tmp_path / "small.gguf", SMALL | {name: value})
    if (name, value) in (
        ("tokenizer.ggml.model", "2"),
        ("tokenizer.ggml.tokens", ["2"]),
        ("tokenizer.chat_template", "2"),
    ):
        load(file)
        return

    said = refused(file)

    assert name in said or "has no tokenizer" in said


@pytest.mark.parametrize("value", [0, 2.5, "1", ["1", "1"], [1], [0.5, 0.5]], ids=repr)
@pytest.mark.parametrize("name", ["tokenizer.ggml.token_type", "tokenizer.ggml.scores"])
def test_lists_that_llama_cpp_would_read_past_their_end_are_refused(tmp_path: Path, name: str, value: Any) -> None:
    file = small_gguf(tmp_path / "small.gguf", SMALL | {name: value})
    if name == "tokenizer.ggml.scores" and value == [0.5, 0.5]:
        load(file)
        return

    assert f"{name} is " in refused(file)


@pytest.mark.parametrize("name", ["bos", "eos", "eot", "unknown", "padding", "fim_mid"])
def test_ids_beyond_the_vocabulary_are_llama_cpps_to_replace_and_others_refused(tmp_path: Path, name: str) -> None:
    key = f"tokenizer.ggml.{name}_token_id"
    load(small_gguf(tmp_path / "small.gguf", SMALL | {key: 4_000_000_000}))

    for value in (-1, 2**40, 1.5, "1", [1]):
        assert key in refused(small_gguf(tmp_path / "small.gguf", SMALL | {key: value}))


@pytest.mark.parametrize("value", [*ABSURD, *LISTS], ids=repr)
def test_what_else_a_header_says_disturbs_nothing(tmp_path: Path, value: Any) -> None:
    others = ["general.file_type", "llama.vocab_size", "general.name", "general.quantization_version"]
    others += [f"general.sampling.{key}" for key in ("temp", "top_k", "top_p", "min_p", "penalty_repeat")]

    load(small_gguf(tmp_path / "small.gguf", SMALL | dict.fromkeys(others, value)))


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (None, "has no chat template, and its vocabulary no role tokens of Baichuan 2"),
        ("  ", "has no chat template"),
        ("{% if %}", "chat template refuses these messages: Expected an expression"),
        ("{{ raise_exception('Not so.') }}", "chat template refuses these messages: Not so."),
        ("{{ messages.content.text }}", "chat template refuses these messages: "),
        ("{{ 1 / 0 }}", "chat template refuses these messages: ZeroDivisionError: division by zero"),
        ("{{ messages[0].content + 1 }}", "chat template refuses these messages: TypeError: "),
    ],
)
def test_a_model_that_nobody_can_chat_with_is_refused_before_its_weights_are_read(
    tmp_path: Path, template: str | None, said: str
) -> None:
    file = small_gguf(tmp_path / "small.gguf", SMALL | {"tokenizer.chat_template": template})
    stages: list[str] = []

    with pytest.raises(MessagesError) as caught:
        load_llama_cpp(Checkpoint(file, file.stem, False), Settings(), stages.append)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert stages == []


NAMES = [
    *(f"llama.{name}" for name in (*NEEDED, *MAY_BE_MISSING, "vocab_size", "pooling_type")),
    *(
        f"tokenizer.ggml.{name}"
        for name in ("token_type", "scores", "bos_token_id", "eos_token_id", "add_space_prefix")
    ),
    *TEXTS,
    *(f"general.{name}" for name in ("type", "file_type", "alignment", "sampling.top_k", "sampling.temp")),
    *(f"split.{name}" for name in ("count", "no", "tensors.count")),
]
NUMBERS = st.sampled_from([0, 1, 2, 3, 64, 512, 2**16, 2**18, 2**31 - 1, 2**31, 2**32 - 1, 2**64 - 1, -1, -(2**63)])
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.floats(width=32),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3),
    st.lists(st.floats(width=32), max_size=3),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=3),
)


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5), cache_gb=st.sampled_from([None, 1e-9, 1e12]))
def test_any_header_is_refused_in_a_sentence_or_given_to_llama_cpp(
    tmp_path: Path, values: dict[str, Any], cache_gb: float | None
) -> None:
    file = small_gguf(tmp_path / "small.gguf", SMALL | values)

    with pytest.raises((LoadError, MessagesError, StartedError)) as caught:
        load_llama_cpp(Checkpoint(file, file.stem, False), Settings(cache_gb=cache_gb), lambda _: None)

    match caught.value:
        case StartedError(options=options):
            assert all(0 <= options[name] <= LARGEST for name in ("tokens", "cache_mib"))
        case MessagesError() as error:
            assert "chat template" in str(error)
        case error:
            assert str(file) in str(error)
            assert "\n" not in str(error)


@pytest.mark.parametrize("piece", ["<0xZZ>", "<0x+1>", "<0x 1>", "<0x411", "<0x>", "<0x4>"])
def test_a_piece_that_looks_like_a_byte_stands_for_itself(tmp_path: Path, piece: str) -> None:
    file = small_gguf(tmp_path / "small.gguf", SMALL | {"tokenizer.ggml.tokens": [piece, "<0x41>"]})

    texts = GgufTokenizer(read_header(file)).texts()

    assert texts.decode([0, 1]) == f"{piece}A".replace("▁", " ")
