"""Baichuan 2 as a plain Llama model: what others load is what we load."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import GenerationConfig

from components.checkpoints.errors import CheckpointError, UnsupportedCheckpointError
from components.checkpoints.locate import is_complete
from components.model.chat_format import Message, TemplateChatFormat, chat_format_of
from components.model.export.folder import export_llama
from components.model.generation import generate_tokens
from components.model.loading import load_model
from tests.model.conftest import Tiny
from tests.tiny import CHATS, EXPECTED, TINY_PATH

KEPT_WHOLE = [index for index, chat in enumerate(CHATS) if "max_new_tokens" not in chat]
"""The reference chats that fit into the context; cutting a history is not a template's job."""

PLAIN_TRANSFORMERS = """
import json, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

folder, chats, texts = json.load(sys.stdin)
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
found = {"texts": [tokenizer.encode(text) for text in texts], "chats": [], "kind": type(model).__name__}
found |= {"decoded": [tokenizer.decode(ids) for ids in found["texts"]]}
greedy = GenerationConfig(do_sample=False, max_new_tokens=24, repetition_penalty=1.0, eos_token_id=2, pad_token_id=0)
for messages in chats:
    encoded = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.inference_mode():
        logits = model(**encoded).logits[0]
        written = model.generate(**encoded, generation_config=greedy)[0]
    ids = encoded["input_ids"][0]
    found["chats"].append(
        {"input_ids": ids.tolist(), "greedy_ids": written[len(ids):].tolist(), "last": logits[-1].tolist()}
        | {"max": logits.max(-1).values.tolist()}
    )
assert not any(name.startswith("components") for name in sys.modules)
json.dump(found, sys.stdout)
"""


def run_plain_transformers(folder: Path, elsewhere: Path) -> dict[str, Any]:
    """What a process finds that knows transformers and nothing of this project."""
    asked = [str(folder), [CHATS[i]["messages"] for i in KEPT_WHOLE], [case["text"] for case in EXPECTED["tokenizer"]]]
    done = subprocess.run(
        [sys.executable, "-c", PLAIN_TRANSFORMERS],
        input=json.dumps(asked),
        cwd=elsewhere,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint as a Llama model, in several shards."""
    folder = tmp_path_factory.mktemp("exported") / "tiny-llama"
    export_llama(TINY_PATH, folder, shard_bytes=500_000)
    return folder


@pytest.fixture(scope="module")
def plain(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_plain_transformers(exported, tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint to take apart."""
    return Path(shutil.copytree(TINY_PATH, tmp_path / "source"))


def edit_config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = {}
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            weights |= {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    return weights


def test_plain_transformers_loads_it_as_llama(plain: dict[str, Any], exported: Path) -> None:
    assert plain["kind"] == "LlamaForCausalLM"
    assert "baichuan" not in (exported / "config.json").read_text().lower()
    assert not list(exported.glob("*.py"))


def test_every_reference_text_gives_its_ids_and_comes_back(plain: dict[str, Any]) -> None:
    assert plain["texts"] == [case["ids"] for case in EXPECTED["tokenizer"]]
    assert plain["decoded"] == [case["text"] for case in EXPECTED["tokenizer"]]


def test_the_template_gives_the_ids_of_the_chat_format(plain: dict[str, Any]) -> None:
    assert [chat["input_ids"] for chat in plain["chats"]] == [CHATS[i]["input_ids"] for i in KEPT_WHOLE]


def test_logits_and_greedy_replies_equal_the_reference(plain: dict[str, Any]) -> None:
    reference = np.load(TINY_PATH / "expected_logits.npz")
    for index, found in zip(KEPT_WHOLE, plain["chats"], strict=True):
        np.testing.assert_allclose(found["last"], reference[f"chat{index}_last"], atol=1e-4)
        np.testing.assert_allclose(found["max"], reference[f"chat{index}_all_max"], atol=1e-4)
        assert found["greedy_ids"] == CHATS[index]["greedy_ids"]


@pytest.mark.parametrize("index", KEPT_WHOLE)
def test_this_application_chats_with_it_as_with_the_original(exported: Path, index: int) -> None:
    model, tokenizer = load_model(exported, dtype=torch.float32, device="cpu")
    chat_format = chat_format_of(tokenizer, model.generation_config)
    assert isinstance(chat_format, TemplateChatFormat)

    prompt = chat_format.build_prompt(CHATS[index]["messages"], max_input_tokens=192)
    greedy = GenerationConfig(do_sample=False, max_new_tokens=24, eos_token_id=2)
    written = list(generate_tokens(model, torch.tensor([prompt.input_ids]), greedy))
    assert tokenizer.decode(written, skip_special_tokens=True) == CHATS[index]["greedy_text"]


def test_shards_are_no_larger_than_asked_and_the_index_names_every_weight_once(exported: Path) -> None:
    index = json.loads((exported / "model.safetensors.index.json").read_text())
    held: dict[str, str] = {}
    for file in exported.glob("*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            tensors = [opened.get_tensor(name) for name in opened.keys()]  # noqa: SIM118
            held |= dict.fromkeys(opened.keys(), file.name)
        assert sum(tensor.nbytes for tensor in tensors) <= 500_000 or len(tensors) == 1
    assert len(set(held.values())) > 3
    assert index["weight_map"] == held
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in weights_of(exported).values())


def test_others_may_read_what_was_written(exported: Path) -> None:
    modes = {file.name: file.stat().st_mode for file in exported.iterdir()}

    assert set(modes.values()) == {modes["config.json"]}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_keep_their_type_and_get_the_values_that_loading_gives_them(
    source: Path, tmp_path: Path, dtype: torch.dtype
) -> None:
    file = source / "pytorch_model.bin"
    torch.save({name: tensor.to(dtype) for name, tensor in torch.load(file, weights_only=True).items()}, file)
    export_llama(source, tmp_path / "out")

    model, _ = load_model(source, dtype=dtype, device="cpu", quantize="none")
    loaded = model.state_dict()
    written = weights_of(tmp_path / "out")
    assert written.keys() == loaded.keys()
    assert all(torch.equal(written[name], loaded[name]) and written[name].dtype == dtype for name in loaded)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["dtype"] == config["torch_dtype"] == str(dtype).split(".")[-1]


@pytest.mark.parametrize("form", ["shards.bin", "model.safetensors", "shards.safetensors"])
def test_every_form_of_checkpoint_gives_the_same_export(
    source: Path, tmp_path: Path, exported: Path, form: str
) -> None:
    file = source / "pytorch_model.bin"
    weights = {name: tensor.clone() for name, tensor in torch.load(file, weights_only=True).items()}
    file.unlink()
    if form == "model.safetensors":
        save_file(weights, source / form)
    else:
        kind, suffix = ("pytorch_model", "bin") if form.endswith("bin") else ("model", "safetensors")
        names = sorted(weights)
        weight_map: dict[str, str] = {}
        for number in range(3):
            part = {name: weights[name] for name in names[number::3]}
            shard = source / f"{kind}-0000{number + 1}-of-00003.{suffix}"
            torch.save(part, shard) if suffix == "bin" else save_file(part, shard)
            weight_map |= dict.fromkeys(part, shard.name)
        (source / f"{kind}.{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    export_llama(source, tmp_path / "out")

    expected, written = weights_of(exported), weights_of(tmp_path / "out")
    assert written.keys() == expected.keys()
    assert all(torch.equal(written[name], expected[name]) for name in expected)


def test_the_context_and_the_sampling_defaults_come_along(source: Path, tmp_path: Path) -> None:
    edit_config(source, model_max_length=128, rms_norm_eps=1e-5, rope_theta=5000.0)
    export_llama(source, tmp_path / "out")

    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["max_position_embeddings"], config["rms_norm_eps"], config["rope_theta"]) == (128, 1e-5, 5000.0)
    assert config["rope_parameters"]["rope_theta"] == 5000.0
    assert json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())["model_max_length"] == 128
    defaults = GenerationConfig.from_pretrained(tmp_path / "out")
    assert (defaults.temperature, defaults.top_p, defaults.top_k) == (0.3, 0.85, 5)
    assert (defaults.repetition_penalty, defaults.max_new_tokens, defaults.do_sample) == (1.05, 64, True)
    assert (defaults.bos_token_id, defaults.eos_token_id, defaults.pad_token_id) == (1, 2, 0)


def test_the_tokenizer_says_what_transformers_4_assumes_otherwise(exported: Path) -> None:
    values = json.loads((exported / "tokenizer_config.json").read_text())

    assert values["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert "token_type_ids" not in values["model_input_names"]
    assert values["clean_up_tokenization_spaces"] is False
    assert values["chat_template"] == (exported / "chat_template.jinja").read_text()


def test_licences_come_along(source: Path, tmp_path: Path) -> None:
    licences = ["LICENSE", "Community License for Baichuan2 Model.pdf", "Baichuan2 模型社区许可协议.pdf"]
    for name in licences:
        (source / name).write_text(name)
    export_llama(source, tmp_path / "out")

    for name in licences:
        assert (tmp_path / "out" / name).read_text() == name


def test_a_checkpoint_not_made_for_chatting_gets_no_template(source: Path, tmp_path: Path) -> None:
    (source / "generation_config.json").unlink()
    export_llama(source, tmp_path / "out")

    assert not (tmp_path / "out" / "chat_template.jinja").exists()
    assert "chat_template" not in json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())


@pytest.mark.parametrize(
    ("roles", "message"),
    [(["user", "system"], "system message may only come first"), (["user", "tool"], "role must be")],
)
def test_the_template_refuses_what_the_format_has_no_place_for(
    exported: Path, tiny: Tiny, roles: list[str], message: str
) -> None:
    _, tokenizer = load_model(exported, device="cpu")
    messages: list[Any] = [Message(role=role, content="a") for role in roles]  # type: ignore[typeddict-item]

    with pytest.raises(Exception, match=message):
        tokenizer.apply_chat_template(messages)


def assert_nothing_there(target: Path) -> None:
    assert not target.exists()
    assert not any(is_complete(folder) for folder in target.parent.iterdir() if folder.name.startswith("."))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_position_embeddings": None}, "13B"),
        ({"vocab_size": 64000}, "first Baichuan"),
        ({"model_type": "llama"}, "vllm serve"),
        ({"model_type": "gpt2"}, "gpt2"),
    ],
)
def test_what_is_no_baichuan_2_7b_is_refused_with_what_to_do(
    source: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    edit_config(source, **changes)

    with pytest.raises(UnsupportedCheckpointError, match=message):
        export_llama(source, tmp_path / "out")
    assert_nothing_there(tmp_path / "out")


@pytest.mark.parametrize("missing", ["config.json", "pytorch_model.bin", "tokenizer.model"])
def test_a_folder_that_is_not_whole_is_refused(source: Path, tmp_path: Path, missing: str) -> None:
    (source / missing).unlink()

    with pytest.raises(CheckpointError, match=str(source)):
        export_llama(source, tmp_path / "out")
    assert_nothing_there(tmp_path / "out")


def test_a_folder_of_the_users_own_is_never_replaced(source: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="in the way"):
        export_llama(TINY_PATH, source)
    assert (source / "pytorch_model.bin").exists()


def damage(source: Path, how: str) -> None:
    file = source / "pytorch_model.bin"
    weights = torch.load(file, weights_only=True)
    name = "model.layers.1.mlp.up_proj.weight"
    match how:
        case "truncated":
            file.write_bytes(file.read_bytes()[:100_000])
            return
        case "absent":
            del weights[name]
        case "misshapen":
            weights[name] = weights[name][:-1]
        case "foreign":
            weights["model.layers.1.mlp.fourth.weight"] = weights[name]
    torch.save(weights, file)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("truncated", r"pytorch_model\.bin cannot be read"),
        ("absent", r"lacks 1 weights, model\.layers\.1\.mlp\.up_proj\.weight"),
        ("misshapen", r"model\.layers\.1\.mlp\.up_proj\.weight is \[171, 64\]"),
        ("foreign", r"fourth"),
    ],
)
def test_damaged_weights_are_refused_in_one_line(source: Path, tmp_path: Path, how: str, message: str) -> None:
    damage(source, how)

    with pytest.raises(CheckpointError, match=message) as caught:
        export_llama(source, tmp_path / "out", shard_bytes=500_000)
    assert "\n" not in str(caught.value)
    assert_nothing_there(tmp_path / "out")
    assert not list(tmp_path.glob(".out*")), "no half export is left on the disk"
