"""Any type in any field of a checkpoint's small files: it is opened, or the message says which is wrong."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from transformers import GenerationConfig

from components.checkpoints.errors import LoadError
from components.model.chat_format import BaichuanChatFormat
from components.model.export.folder import export_llama
from components.model.loading import load_model
from components.model.opening import open_checkpoint
from tests.model.folders import Folder

VALUES: list[Any] = [None, "x", [], {}, -1, 1e30, True, [3], {"a": 3}]
OTHERS = {
    "config.json": [
        *("rope_scaling", "rope_parameters", "rope_theta", "quantization_config", "compression_config", "dtype"),
        *("num_key_value_heads", "head_dim", "attention_bias", "attention_dropout", "pretraining_tp", "layer_types"),
        *("id2label", "num_labels", "text_config", "mlp_bias", "sliding_window"),
    ],
    "generation_config.json": ["min_p", "suppress_tokens", "cache_implementation", "watermarking_config"],
    "tokenizer_config.json": [
        *("chat_template", "added_tokens_decoder", "additional_special_tokens", "extra_special_tokens", "mask_token"),
        *("model_specific_special_tokens", "model_input_names", "padding_side", "truncation_side", "init_inputs"),
        "split_special_tokens",
    ],
    "special_tokens_map.json": ["additional_special_tokens"],
    "added_tokens.json": ["<new>"],
}
LIBRARY_WORDS = (
    "Validation error",
    "has no attribute",
    "not iterable",
    "instance",
    "subscriptable",
    "argument",
    "NoneType",
)


@pytest.fixture(scope="module", params=["baichuan", "llama"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    base = tmp_path_factory.mktemp("fields")
    mine = Folder(base / "mine")
    if request.param == "llama":
        export_llama(mine.path, base / "llama")
        mine.path = base / "llama"
    return mine


def refusal_of(folder: Path) -> str | None:
    """Why it is not opened, or None if it is and a prompt can be written for it."""
    try:
        opened = open_checkpoint(folder)
        GenerationConfig.from_dict(opened.generation)
        BaichuanChatFormat(opened.tokenizer, 195, 196).encode([{"role": "user", "content": "Hi"}])
    except LoadError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", OTHERS)
def test_any_type_in_any_field_is_opened_or_named(folder: Folder, name: str) -> None:
    file = folder.path / name
    kept = file.read_bytes() if file.exists() else None
    fields = dict.fromkeys([*json.loads(kept or "{}"), *OTHERS[name]])
    refusals = {}
    for field, value in itertools.product(fields, VALUES):
        folder.write(name, kept or b"{}").edit(name, **{field: value})
        refusals[f"{field} = {value!r}"] = refusal_of(folder.path)
    file.unlink() if kept is None else file.write_bytes(kept)

    told = {change: text for change, text in refusals.items() if text is not None}
    assert not {change: text for change, text in told.items() if str(folder.path) not in text}
    assert not {change: text for change, text in told.items() if any(word in text for word in LIBRARY_WORDS)}


@pytest.mark.parametrize("folder", ["llama"], indirect=True)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_attention_heads": "4"}, ["num_attention_heads is '4'"]),
        ({"rms_norm_eps": "small"}, ["rms_norm_eps is 'small'"]),
        ({"eos_token_id": "2"}, ["eos_token_id is '2'"]),
        ({"vocab_size": [4096]}, ["vocab_size is [4096]"]),
        ({"hidden_act": None}, ["hidden_act is None"]),
        ({"torch_dtype": "fp16"}, ["torch_dtype is 'fp16'", "bfloat16"]),
        ({"rope_scaling": {"type": "linear", "factor": "2"}}, ["rope_scaling is", "'2'"]),
        ({"rope_scaling": {"rope_type": "yarn"}}, ["rope_scaling is", "factor"]),
        ({"id2label": [1]}, ["id2label is [1]", "'llama' cannot be built"]),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_a_cure(
    folder: Folder, changes: dict[str, Any], words: list[str]
) -> None:
    kept = (folder.path / "config.json").read_bytes()
    folder.edit(**changes)
    try:
        with pytest.raises(LoadError) as caught:
            load_model(folder.path, device="cpu")
    finally:
        folder.write("config.json", kept)
    for word in ["config.json is not a model's", "Correct that field", *words]:
        assert word in str(caught.value)
