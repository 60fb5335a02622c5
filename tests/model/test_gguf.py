"""Checkpoints as GGUF files: what llama.cpp makes of them is what the reference makes of the original."""

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from components.checkpoints.errors import CheckpointError, UnsupportedCheckpointError
from components.checkpoints.gguf import read_header
from components.model.detokenizer import IncrementalDetokenizer, token_texts_of
from components.model.export.gguf_file import export_gguf
from components.model.export.gguf_vocabulary import LLAMA_3
from components.model.gguf_tokenizer import GgufTokenizer
from components.model.weights import normalize_rows
from tests.llama_cpp import LlamaCpp, llama_cpp
from tests.model.conftest import Tiny
from tests.server import ROOT
from tests.tiny import CHATS, EXPECTED, TINY_PATH

KEPT_WHOLE = [chat for chat in CHATS if "max_new_tokens" not in chat]
CONTROL = {1, 2, *range(9, 250)}
"""Ids of the tiny tokenizer's control tokens; those between are spaces and line breaks."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    export_gguf(TINY_PATH, file, "f32")
    return file


@pytest.fixture(scope="module")
def served(written: Path) -> Iterator[LlamaCpp]:
    with llama_cpp(written) as server:
        yield server


def test_greedy_replies_equal_the_reference(served: LlamaCpp) -> None:
    for chat in KEPT_WHOLE:
        expected = chat["greedy_ids"]
        length = expected.index(2) if 2 in expected else len(expected)
        assert served.greedy(chat["input_ids"], len(expected)) == expected[:length]


def test_its_own_chat_endpoint_builds_the_prompt_of_the_reference(served: LlamaCpp) -> None:
    for chat in KEPT_WHOLE:
        prompt = served.ask("/apply-template", {"messages": chat["messages"]})["prompt"]
        body = {"messages": chat["messages"], "max_tokens": 24, "temperature": 0, "repeat_penalty": 1}
        answer = served.ask("/v1/chat/completions", body)

        assert served.ids(prompt, with_control_tokens=True) == chat["input_ids"]
        assert answer["usage"]["prompt_tokens"] == len(chat["input_ids"])
        # llama.cpp shows no control tokens, which the reference does not know as such; and it repeats a begun reply.
        begun = chat["messages"][-1]["content"] if chat["messages"][-1]["role"] == "assistant" else ""
        expected = begun + re.sub(r"<(reserved|extra)_\d+>", "", chat["greedy_text"])
        assert answer["choices"][0]["message"]["content"] == expected


def test_every_reference_text_without_control_tokens_gives_its_ids(served: LlamaCpp) -> None:
    cases = [case for case in EXPECTED["tokenizer"] if not CONTROL & set(case["ids"])]

    assert len(cases) >= 18
    for case in cases:
        assert served.ids(case["text"]) == case["ids"]


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
    | st.lists(st.sampled_from([*"abAB  09\n\t.,'<>", "你好", "今天", "😀", "龘", "▁", "    ", "\r\n", "é"])).map(
        "".join
    )
)
def test_any_text_gives_the_same_ids_as_here(served: LlamaCpp, tiny: Tiny, text: str) -> None:
    assert served.ids(text) == tiny[1].encode(text, add_special_tokens=False)


@pytest.mark.parametrize("token", ["<s>", "</s>", "<reserved_106>", "<extra_9>"])
def test_control_tokens_that_somebody_writes_stay_text(served: LlamaCpp, tiny: Tiny, token: str) -> None:
    ids = served.ids(f"a{token}b")

    assert not CONTROL & set(ids)
    assert tiny[1].decode(ids) == f"a{token}b"


def test_the_sampling_defaults_come_along_in_transformers_order(served: LlamaCpp) -> None:
    defaults = served.ask("/props")["default_generation_settings"]["params"]

    kept = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty")
    assert [round(defaults[name], 3) for name in kept] == [0.3, 5, 0.85, 0.0, 1.05]
    assert defaults["repeat_last_n"] == -1
    assert defaults["samplers"] == ["penalties", "temperature", "top_k", "top_p", "min_p"]


# Models of Llama's type


def byte_level(cut: Any) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with a hundred merges, trained on the spot."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = cut
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=380, initial_alphabet=alphabet, special_tokens=["<|end|>"], show_progress=False)
    tokenizer.train_from_iterator(
        ["the cat sat on the mat 2026", "今天天气很好", "don't I'll we've 12345"] * 3, trainer
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")


def llama_2() -> PreTrainedTokenizerFast:
    """Pieces with a byte fallback, a dummy space before a text, and a beginning that is put before it."""
    words = ["▁", "t", "h", "e", "c", "a", "th", "the", "▁the", "▁c", "at", "▁cat"]
    merges = [("t", "h"), ("th", "e"), ("▁", "the"), ("▁", "c"), ("a", "t"), ("▁c", "at")]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    vocabulary = {piece: id_ for id_, piece in enumerate(["<unk>", "<s>", "</s>", *bytes_, *words])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def split(rule: str) -> Any:
    parts = [pre_tokenizers.Split(Regex(rule), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    return pre_tokenizers.Sequence(parts)


TOKENIZERS: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "gpt-2": lambda: byte_level(pre_tokenizers.ByteLevel(False)),
    "smollm": lambda: byte_level(
        pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False)])
    ),
    "llama-bpe": lambda: byte_level(split(LLAMA_3)),
    "llama-2": llama_2,
}
ROTATIONS: dict[str, dict[str, Any]] = {
    "default": {"rope_type": "default"},
    "linear": {"rope_type": "linear", "factor": 2.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
}


def make_llama(folder: Path, tokenizer: PreTrainedTokenizerFast, **changes: Any) -> LlamaForCausalLM:
    """Save a small random model in a folder."""
    torch.manual_seed(7)
    shape = {
        "vocab_size": len(tokenizer) + 5,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 256,
        "initializer_range": 0.2,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
    }
    model = LlamaForCausalLM(LlamaConfig(**(shape | changes)))
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight, std=0.2)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize(
    ("rotation", "changes"),
    [
        ("default", {"tie_word_embeddings": True}),
        ("default", {"attention_bias": True, "mlp_bias": True}),
        ("linear", {}),
        ("llama3", {}),
        ("yarn", {}),
    ],
)
def test_a_llama_type_model_writes_what_transformers_writes(
    tmp_path: Path, rotation: str, changes: dict[str, Any]
) -> None:
    rope = {"rope_theta": 10_000.0, **ROTATIONS[rotation]}
    model = make_llama(tmp_path / "model", TOKENIZERS["gpt-2"](), rope_parameters=rope, **changes)
    prompt = [random.Random(3).randrange(1, 300) for _ in range(100)]
    ids = torch.tensor([prompt])
    greedy = GenerationConfig(do_sample=False, max_new_tokens=20, eos_token_id=0, pad_token_id=0)
    expected = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=greedy)[0, 100:].tolist()
    export_gguf(tmp_path / "model", tmp_path / "model.gguf", "f32")

    with llama_cpp(tmp_path / "model.gguf") as server:
        assert server.greedy(prompt, 20) == [token for token in expected if token]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_end_token_of_the_checkpoint_ends_a_reply(tmp_path: Path, place: int) -> None:
    model = make_llama(tmp_path / "model", TOKENIZERS["gpt-2"]())
    prompt = [random.Random(3).randrange(1, 300) for _ in range(20)]
    ids = torch.tensor([prompt])
    greedy = GenerationConfig(do_sample=False, max_new_tokens=12, pad_token_id=0)
    written = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=greedy)[0, 20:].tolist()
    others = [token for token in range(1, 300) if token not in written]
    ends = others[:2]
    ends.insert(place, end := written[8])
    GenerationConfig(eos_token_id=ends).save_pretrained(tmp_path / "model")
    export_gguf(tmp_path / "model", tmp_path / "model.gguf", "f32")

    with llama_cpp(tmp_path / "model.gguf") as server:
        tokens = server.greedy(prompt, 12)
    assert [token for token in tokens if token != end] == written[: written.index(end)]
    assert written.index(end) < 11, "or it would have ended there anyway"


@pytest.mark.parametrize("name", list(TOKENIZERS))
def test_a_llama_type_tokenizer_gives_the_same_ids(tmp_path: Path, name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    make_llama(tmp_path / "model", tokenizer)
    export_gguf(tmp_path / "model", tmp_path / "model.gguf", "q8_0")
    texts = [
        "the cat sat",
        " the  cat\n\nsat 12345 on",
        "今天天气很好，don't WE'LL",
        "a\tb\r\n c",
        "😀 e\u0301 \u3000x",
    ]

    with llama_cpp(tmp_path / "model.gguf") as server:
        for text in texts:
            assert server.ids(text) == tokenizer.encode(text, add_special_tokens=False), text
        body = {"content": texts[0], "add_special": True}
        assert server.ask("/tokenize", body)["tokens"] == tokenizer.encode(texts[0])


@pytest.mark.parametrize("name", list(TOKENIZERS))
def test_what_the_tokens_of_a_file_stand_for_is_what_the_checkpoints_tokenizer_says(tmp_path: Path, name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    make_llama(tmp_path / "model", tokenizer)
    export_gguf(tmp_path / "model", tmp_path / "model.gguf", "f32")
    from_file = GgufTokenizer(read_header(tmp_path / "model.gguf")).texts()
    from_checkpoint = token_texts_of(tokenizer)

    for text in (" the cat", "今天 😀", "a<s></s><|end|>"):
        ids = tokenizer.encode(text)
        assert from_file.decode(ids) == from_checkpoint.decode(ids) == tokenizer.decode(ids)
    chance = random.Random(5)
    for _ in range(500):
        ids = chance.choices(range(len(tokenizer) + 5), k=chance.randint(1, 12))
        assert from_file.decode(ids) == from_checkpoint.decode(ids), ids
        for ahead in ([], ids[:1]):
            here = IncrementalDetokenizer(from_file, ahead)
            there = IncrementalDetokenizer(from_checkpoint, ahead)
            assert list(map(here.push, ids)) == list(map(there.push, ids)), ids


# Types


def weights_of(file: Path) -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    """The type and the values of each weight."""
    tensors = GGUFReader(file).tensors
    return {one.name: (one.tensor_type.name.lower(), dequantize(one.data, one.tensor_type)) for one in tensors}


@pytest.mark.parametrize(
    ("kind", "matrix", "down", "head", "error"),
    [
        ("f32", "f32", "f32", "f32", 0),
        ("f16", "f16", "f16", "f16", 1e-3),
        ("q8_0", "q8_0", "f16", "q8_0", 1e-2),
        ("q4_0", "q4_0", "f16", "q8_0", 0.15),
    ],
)
def test_each_type_keeps_the_numbers_as_well_as_it_can(
    tmp_path: Path, kind: str, matrix: str, down: str, head: str, error: float
) -> None:
    export_gguf(TINY_PATH, tmp_path / "out.gguf", kind)
    weights = weights_of(tmp_path / "out.gguf")
    stored = torch.load(TINY_PATH / "pytorch_model.bin", weights_only=True)
    pairs = {
        "blk.1.ffn_up.weight": (matrix, stored["model.layers.1.mlp.up_proj.weight"]),
        "blk.1.ffn_down.weight": (down, stored["model.layers.1.mlp.down_proj.weight"]),  # rows of 172, no whole blocks
        "blk.2.attn_v.weight": (matrix, stored["model.layers.2.self_attn.W_pack.weight"][128:]),
        "output.weight": (head, normalize_rows(stored["lm_head.weight"])),
        "token_embd.weight": (head, stored["model.embed_tokens.weight"]),
        "output_norm.weight": ("f32", stored["model.norm.weight"]),
    }
    for name, (wanted, source) in pairs.items():
        found, values = weights[name]
        assert found == wanted, name
        distance = np.linalg.norm(values.reshape(source.shape) - source.float().numpy())
        assert distance <= error * np.linalg.norm(source.float().numpy()), name


def test_every_type_is_loaded_by_llama_cpp(tmp_path: Path) -> None:
    for kind in ("f16", "q8_0", "q4_0"):
        export_gguf(TINY_PATH, tmp_path / f"{kind}.gguf", kind)
        with llama_cpp(tmp_path / f"{kind}.gguf") as server:
            assert len(server.greedy(KEPT_WHOLE[0]["input_ids"], 8)) == 8


def test_memory_stays_near_one_shard(tmp_path: Path) -> None:
    tokenizer = TOKENIZERS["gpt-2"]()
    model = make_llama(
        tmp_path / "model", tokenizer, hidden_size=1024, intermediate_size=4096, num_hidden_layers=6, head_dim=256
    )
    model.save_pretrained(tmp_path / "model", max_shard_size="60MB")  # of 350 MB
    whole = sum(file.stat().st_size for file in (tmp_path / "model").glob("*.safetensors"))
    code = f"""
import resource
from pathlib import Path
from components.model.export.gguf_file import export_gguf
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
export_gguf(Path({str(tmp_path / "model")!r}), Path({str(tmp_path / "out.gguf")!r}), "q8_0")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert whole > 300e6
    assert int(done.stdout.split()[-1]) * 1024 < 130e6


# What goes wrong


def assert_nothing_there(folder: Path) -> None:
    assert not list(folder.glob("*.gguf")) + list(folder.glob(".*.partial"))


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_text("mine")

    with pytest.raises(CheckpointError, match="there already"):
        export_gguf(TINY_PATH, tmp_path / "mine.gguf", "f16")
    assert (tmp_path / "mine.gguf").read_text() == "mine"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "'dynamic'"),
        ({"hidden_act": "gelu"}, "convert_hf_to_gguf"),
        ({"num_hidden_layers": 3}, "lacks|3"),
    ],
)
def test_a_model_that_cannot_be_written_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    make_llama(tmp_path / "model", TOKENIZERS["gpt-2"]())
    file = tmp_path / "model" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    with pytest.raises(CheckpointError, match=message):
        export_gguf(tmp_path / "model", tmp_path / "out.gguf", "f16")
    assert_nothing_there(tmp_path)


@pytest.mark.parametrize(
    "part",
    [
        {"pre_tokenizer": pre_tokenizers.Whitespace()},
        {"pre_tokenizer": pre_tokenizers.ByteLevel(True)},
        {"normalizer": normalizers.Lowercase()},
        {"model": models.WordPiece({"a": 0, "[UNK]": 1}, unk_token="[UNK]")},
    ],
    ids=["cut", "space", "changed", "kind"],
)
def test_a_tokenizer_that_cannot_be_written_is_refused(tmp_path: Path, part: dict[str, Any]) -> None:
    tokenizer = TOKENIZERS["gpt-2"]()
    for name, value in part.items():
        setattr(tokenizer.backend_tokenizer, name, value)
    make_llama(tmp_path / "model", tokenizer, vocab_size=400)

    with pytest.raises(UnsupportedCheckpointError, match="tokenizer cannot be written"):
        export_gguf(tmp_path / "model", tmp_path / "out.gguf", "f16")
    assert_nothing_there(tmp_path)


@pytest.mark.parametrize(("number", "message"), [(float("nan"), "not finite"), (1e6, "--type f32")])
def test_numbers_that_a_type_cannot_hold_are_refused(tmp_path: Path, number: float, message: str) -> None:
    model = make_llama(tmp_path / "model", TOKENIZERS["gpt-2"]())
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 3] = number
    model.save_pretrained(tmp_path / "model")

    with pytest.raises(CheckpointError, match=message):
        export_gguf(tmp_path / "model", tmp_path / "out.gguf", "f16")
    assert_nothing_there(tmp_path)


def test_a_disk_without_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.checkpoints.fetch.SPARE_BYTES", 10**15)

    with pytest.raises(CheckpointError, match=r"free.*--export-gguf"):
        export_gguf(TINY_PATH, tmp_path / "out.gguf", "f16")
    assert_nothing_there(tmp_path)


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path: Path) -> None:
    # The limit is set by a shell: preexec_fn would copy this process, with all the models it holds, to set it.
    command = [sys.executable, "download.py", "--model", TINY_PATH, "--export-gguf", tmp_path / "out.gguf"]
    limited = ["sh", "-c", 'ulimit -f 500 && exec "$@"', "sh", *(str(word) for word in command)]
    done = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "Make room" in done.stderr
    assert "Traceback" not in done.stderr
    assert_nothing_there(tmp_path)
