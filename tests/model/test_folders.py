"""Checkpoints as people have them: each runs and can be exported, or is refused in one line that helps."""

import contextlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig

from components.checkpoints.errors import CheckpointError, LoadError, UnsupportedCheckpointError
from components.checkpoints.gguf import read_header
from components.checkpoints.gguf_checks import check_usable
from components.engine.host import EngineHost, Failed
from components.engine.local.loading import load_engine
from components.model.chat_format import BaichuanChatFormat, MessagesError, chat_format_of
from components.model.export.folder import export_llama
from components.model.export.gguf_file import export_gguf
from components.model.generation import end_tokens_of
from components.model.loading import load_model
from components.model.weight_names import plain_names
from components.settings import Settings
from tests.model.conftest import Tiny
from tests.model.folders import REFUSED, RUN, Folder
from tests.tiny import CHATS

LONGEST = 700
"""Characters that fit on the page without scrolling."""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "mine")


def logits_of(path: Path) -> torch.Tensor:
    model, _ = load_model(path, dtype=torch.float32, device="cpu")
    logits: torch.Tensor = model(torch.tensor([CHATS[1]["input_ids"]])).logits
    return logits


def assert_helps(message: str, folder: Path, words: list[str]) -> None:
    assert str(folder) in message
    assert "\n" not in message
    assert len(message) < LONGEST + len(str(folder)) * 2
    for word in words:
        assert word in message
    for wrong in ("pip install", "weights_only", "Traceback", "above report", "trust_remote_code"):
        assert wrong not in message


@pytest.mark.parametrize("name", RUN)
def test_it_runs_and_its_export_too(folder: Folder, tmp_path: Path, tiny: Tiny, name: str) -> None:
    RUN[name](folder)
    expected = tiny[0](torch.tensor([CHATS[1]["input_ids"]])).logits

    torch.testing.assert_close(logits_of(folder.path), expected)
    export_llama(folder.path, tmp_path / "out")
    torch.testing.assert_close(logits_of(tmp_path / "out"), expected, atol=1e-4, rtol=1e-4)
    export_gguf(folder.path, tmp_path / "out.gguf", "f32")
    check_usable(tmp_path / "out.gguf", read_header(tmp_path / "out.gguf"))


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_a_line_that_helps(folder: Folder, tmp_path: Path, name: str) -> None:
    change, words = REFUSED[name]
    change(folder)

    with pytest.raises(LoadError) as loading:
        load_model(folder.path, dtype=torch.float32, device="cpu")
    assert_helps(str(loading.value), folder.path, words)
    for export in (
        partial(export_llama, folder.path, tmp_path / "out"),
        partial(export_gguf, folder.path, tmp_path / "out", "f32"),
    ):
        with pytest.raises(CheckpointError) as exporting:
            export()
        assert_helps(str(exporting.value), folder.path, words)
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize("name", ["pointer for safetensors", "GPTQ", "ZeRO-3", "LoRA", "fewer layers configured"])
def test_the_page_says_the_same(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    change, words = REFUSED[name]
    change(folder)
    chosen = Settings(model=folder.path, data_dir=tmp_path, device="cpu")
    monkeypatch.setattr("components.engine.local.loading.get_settings", lambda: chosen)
    host = EngineHost(load_engine)
    with contextlib.suppress(Exception):
        host.wait(60)

    assert isinstance(host.state, Failed)
    assert_helps(host.state.message, folder.path, words)


@pytest.mark.parametrize("name", ["GPTQ", "LoRA without a config", "an adapter inside", "packed weights"])
def test_kinds_that_cannot_run_are_told_from_damage(folder: Folder, name: str) -> None:
    REFUSED[name][0](folder)

    if name.startswith("LoRA"):
        with pytest.raises(LoadError, match="adapter"):
            load_model(folder.path)
    else:
        with pytest.raises(UnsupportedCheckpointError):
            load_model(folder.path)


def test_a_tied_head_is_the_embedding_with_its_rows_normalised(folder: Folder, tmp_path: Path) -> None:
    weights = folder.take_weights()
    folder.pickle(weights | {"lm_head.weight": weights["model.embed_tokens.weight"]})
    written_out = logits_of(folder.path)

    del weights["lm_head.weight"]
    folder.pickle(weights)
    folder.edit(tie_word_embeddings=True)
    torch.testing.assert_close(logits_of(folder.path), written_out)
    export_llama(folder.path, tmp_path / "out")
    torch.testing.assert_close(logits_of(tmp_path / "out"), written_out, atol=1e-4, rtol=1e-4)


def test_all_end_tokens_come_along(folder: Folder, tmp_path: Path) -> None:
    folder.edit("generation_config.json", eos_token_id=[2, 196], pad_token_id=3)
    export_llama(folder.path, tmp_path / "out")

    exported = GenerationConfig.from_pretrained(tmp_path / "out")
    assert (exported.eos_token_id, exported.pad_token_id) == ([2, 196], 3)
    for path in (folder.path, tmp_path / "out"):
        model, _ = load_model(path, device="cpu")
        assert end_tokens_of(model.generation_config) == {2, 196}


def grow_vocabulary(folder: Folder, size: int) -> None:
    """Give the tiny model the published vocabulary's size, in a width that stays small."""
    weights = folder.take_weights()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = torch.cat([weights[name], torch.zeros(size - len(weights[name]), weights[name].shape[1])])
    folder.pickle({name: weight.to(torch.bfloat16) for name, weight in weights.items()})
    folder.edit(vocab_size=size)


@pytest.mark.parametrize("size", [125_696, 125_760])
def test_role_tokens_that_a_fine_tune_lost_are_the_published_ones(folder: Folder, tmp_path: Path, size: int) -> None:
    grow_vocabulary(folder, size)
    folder.edit("generation_config.json", user_token_id=..., assistant_token_id=...)
    model, tokenizer = load_model(folder.path, device="cpu", quantize="none")

    chat_format = chat_format_of(tokenizer, model.generation_config)
    assert isinstance(chat_format, BaichuanChatFormat)
    prompt = chat_format.encode(CHATS[0]["messages"])
    assert prompt == CHATS[0]["input_ids"]
    export_llama(folder.path, tmp_path / "out")
    assert "<reserved_106>" in (tmp_path / "out" / "chat_template.jinja").read_text()


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"user_token_id": ...}, ["user_token_id"]),
        ({"user_token_id": ..., "assistant_token_id": ...}, ["user_token_id and assistant_token_id"]),
        ({"assistant_token_id": None}, ["no assistant_token_id"]),
    ],
)
def test_role_tokens_of_another_vocabulary_are_asked_for_by_name(
    folder: Folder, changes: dict[str, Any], names: list[str]
) -> None:
    folder.edit("generation_config.json", **changes)
    model, tokenizer = load_model(folder.path, device="cpu")

    with pytest.raises(MessagesError) as caught:
        chat_format_of(tokenizer, model.generation_config)
    for name in [*names, "generation_config.json", "chat_template", '"user_token_id": 195']:
        assert name in str(caught.value)


def test_a_tokenizer_with_bytes_in_place_of_the_role_tokens_is_another_models(folder: Folder) -> None:
    tokenizer = load_model(folder.path, device="cpu")[1]
    a_byte = tokenizer.convert_tokens_to_ids("<0x41>")
    folder.edit("generation_config.json", user_token_id=a_byte)

    with pytest.raises(LoadError, match=r"tokenizer.*is not this model's.*<0x41>"):
        load_model(folder.path, device="cpu")


LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint as a plain Llama model, for what holds of every model of transformers."""
    base = tmp_path_factory.mktemp("llama")
    export_llama(Folder(base / "source").path, base / "out")
    return base / "out"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_hidden_layers": 2}, ["num_hidden_layers is 2", "3 layers"]),
        ({"num_hidden_layers": 4}, ["num_hidden_layers is 4", "3 layers"]),
        ({"intermediate_size": 100}, ["mlp", "172", "100"]),
        ({"attention_bias": True}, ["lacks", "bias"]),
        ({"hidden_act": "mine"}, ["config.json", "hidden_act is 'mine'"]),
        ({"hidden_act": None}, ["config.json"]),
        ({"hidden_size": "64"}, ["config.json", "hidden_size"]),
        ({"max_position_embeddings": 10**12}, ["config.json", "max_position_embeddings"]),
        ({"num_attention_heads": 0}, ["config.json"]),
        ({"num_key_value_heads": 3}, ["self_attn"]),
        ({"vocab_size": 4000}, ["4096", "4000"]),
        ({"vocab_size": 4200}, ["[4096, 64]", "[4200, 64]"]),
        ({"quantization_config": {"quant_method": "gptq"}}, ["GPTQ"]),
        ({"pad_token_id": 9999}, ["config.json"]),
        ({"rope_parameters": {"rope_type": "mine"}}, ["config.json"]),
    ],
)
def test_other_models_are_checked_too(llama: Path, changes: dict[str, Any], words: list[str]) -> None:
    kept = (llama / "config.json").read_text()
    (llama / "config.json").write_text(json.dumps(json.loads(kept) | changes))
    try:
        with pytest.raises(LoadError) as caught:
            load_model(llama, dtype=torch.float32, device="cpu")
    finally:
        (llama / "config.json").write_text(kept)
    assert_helps(str(caught.value), llama, words)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
FIELDS = [
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act"),
    *("num_key_value_heads", "head_dim", "max_position_embeddings", "model_max_length", "rms_norm_eps", "rope_theta"),
    *("rope_scaling", "rope_parameters", "tie_word_embeddings", "pad_token_id", "eos_token_id", "architectures"),
    *("model_type", "quantization_config", "attention_bias", "dtype", "torch_dtype", "initializer_range"),
]


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(FIELDS), value=VALUES)
@example(field="dtype", value="bfloat17")
@example(field="torch_dtype", value=["float32"])
def test_any_value_in_any_field_runs_or_is_refused(tiny: Tiny, shared: Folder, field: str, value: Any) -> None:
    kept = (shared.path / "config.json").read_text()
    shared.edit(**{field: value})
    try:
        load_model(shared.path, dtype=torch.float32, device="cpu")
    except LoadError as error:
        assert_helps(str(error), shared.path, [])
    finally:
        shared.write("config.json", kept)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from(["safetensors", "zip", "legacy"]),
    place=st.floats(0, 1),
    noise=st.binary(max_size=64),
    cut=st.booleans(),
)
def test_any_damage_to_the_weights_runs_or_is_refused(
    intact: dict[str, tuple[Folder, str, bytes]], form: str, place: float, noise: bytes, cut: bool
) -> None:
    folder, name, content = intact[form]
    position = int(place**3 * len(content))  # most often near the beginning, where the names are
    rest = b"" if cut else content[position + len(noise) :]
    folder.write(name, content[:position] + noise + rest)
    try:
        load_model(folder.path, dtype=torch.float32, device="cpu")
    except LoadError as error:
        assert_helps(str(error), folder.path, [])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("shared") / "mine")


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Folder, str, bytes]]:
    """The three forms of weight files, and their content before it is damaged."""
    base = tmp_path_factory.mktemp("intact")
    folders = {form: Folder(base / form) for form in ("safetensors", "zip", "legacy")}
    folders["safetensors"].as_safetensors()
    for form in ("zip", "legacy"):
        folders[form].pickle(folders[form].take_weights(), legacy=form == "legacy")
    names = {"safetensors": "model.safetensors", "zip": "pytorch_model.bin", "legacy": "pytorch_model.bin"}
    return {form: (folders[form], name, (folders[form].path / name).read_bytes()) for form, name in names.items()}


def test_names_of_a_model_that_is_not_like_llama_lose_the_wrapper_only() -> None:
    keys = ["module.transformer.wte.weight", "module.transformer.h.0.attn.bias"]

    assert plain_names(keys) == {key: key.removeprefix("module.") for key in keys}
