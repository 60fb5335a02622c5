"""GGUF files that cannot be served: each is said clearly, before llama.cpp gets to see it."""

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.checkpoints.errors import CheckpointError, LoadError
from components.checkpoints.fingerprint import fingerprint
from components.checkpoints.gguf import read_header
from components.checkpoints.gguf_checks import check_usable
from components.checkpoints.locate import DEMO_NAME, find_checkpoint
from components.settings import Settings
from tests.engine.sidecar.gguf_files import SMALL as WHOLE
from tests.engine.sidecar.gguf_files import small_gguf


def changed(**values: Any) -> Callable[[Path], Path]:
    return lambda folder: small_gguf(folder / "model.gguf", WHOLE | values)


def head(version: int = 3, weights: int = 1, keys: int = 1, rest: bytes = b"") -> Callable[[Path], Path]:
    return written(b"GGUF" + struct.pack("<IQQ", version, weights, keys) + rest)


def written(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "model.gguf").write_bytes(content)
        return folder / "model.gguf"

    return write


def cut(folder: Path, size: int) -> Path:
    file = small_gguf(folder / "model.gguf", WHOLE)
    file.write_bytes(file.read_bytes()[:size])
    return file


def part(folder: Path, name: str, weights: int = 1, **values: Any) -> Path:
    return small_gguf(folder / name, WHOLE | values, weights)


BAD: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "nothing": (written(b""), ["empty"]),
    "a page": (written(b"<!doctype html><html>login"), ["web page"]),
    "a pointer": (written(b"version https://git-lfs.github.com/spec/v1\noid sha256:0"), ["git lfs pull"]),
    "an older form": (written(b"tjgg" + bytes(64)), ["newer file"]),
    "something else": (written(b"\x93NUMPY" + bytes(range(256))), ["no GGUF file"]),
    "cut off within its header": (lambda folder: cut(folder, 100), ["cut off within its header"]),
    "cut off within its weights": (lambda folder: cut(folder, -20), ["cut off", "weights are missing"]),
    "another order of bytes": (head(version=3 << 24), ["order of bytes"]),
    "a version of the future": (head(version=9), ["version 9"]),
    "weights without end": (head(weights=2**60), [str(2**60), "weights", "damaged"]),
    "keys without end": (head(keys=2**60), [str(2**60), "keys"]),
    "a name without end": (head(rest=struct.pack("<Q", 2**60)), [str(2**60), "bytes in a text"]),
    "a list without end": (
        head(rest=struct.pack("<Q1sIIQ", 1, b"a", 9, 4, 2**60) + bytes(8)),
        [str(2**60), "items in a list"],
    ),
    "lists within lists": (
        head(rest=struct.pack("<Q1sI", 1, b"a", 9) + struct.pack("<IQ", 9, 1) * 50),
        ["type 9", "damaged"],
    ),
    "an unknown type of value": (head(rest=struct.pack("<Q1sI", 1, b"a", 77)), ["type 77"]),
    "a weight without end": (
        head(keys=0, rest=struct.pack("<Q1sI2QIQ", 1, b"a", 2, 2**60, 2**60, 0, 0)),
        ["damaged", "behind the file's end"],
    ),
    "a weight of many dimensions": (head(keys=0, rest=struct.pack("<Q1sI", 1, b"a", 2**31)), ["dimensions"]),
    "a vision projector": (changed(**{"general.architecture": "clip"}), ["vision projector", "language model"]),
    "another vision projector": (changed(**{"general.type": "mmproj"}), ["vision projector"]),
    "an adapter": (changed(**{"general.type": "adapter"}), ["LoRA"]),
    "an embedding model": (changed(**{"general.architecture": "bert"}), ["embedding model", "download.py"]),
    "an embedding model like a chat model": (changed(**{"llama.pooling_type": 3}), ["embedding model"]),
    "no tokenizer": (changed(**{"tokenizer.ggml.model": None}), ["no tokenizer"]),
    "no tokens": (changed(**{"tokenizer.ggml.tokens": None}), ["no tokenizer"]),
    "only a vocabulary": (lambda folder: small_gguf(folder / "model.gguf", WHOLE, weights=0), ["only a vocabulary"]),
    "a part under another name": (changed(**{"split.count": 3}), ["one of 3 parts"]),
    "a first part alone": (
        lambda folder: part(folder, "m-00001-of-00002.gguf", **{"split.count": 2, "split.no": 0}),
        ["m-00002-of-00002.gguf is missing"],
    ),
    "a second part": (
        lambda folder: part(folder, "m-00002-of-00002.gguf", **{"split.count": 2, "split.no": 1}),
        ["m-00001-of-00002.gguf"],
    ),
}


@pytest.mark.parametrize(("make", "words"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, make: Callable[[Path], Path], words: list[str]) -> None:
    file = make(tmp_path)

    with pytest.raises(CheckpointError) as caught:
        find_checkpoint(Settings(model=file))

    message = str(caught.value)
    assert message.startswith(f"BAICHUAN_MODEL={file} cannot be used: ")
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_header_cut_anywhere_is_an_error_and_nothing_else(tmp_path: Path) -> None:
    whole = small_gguf(tmp_path / "whole.gguf", WHOLE).read_bytes()
    file = tmp_path / "cut.gguf"
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        with pytest.raises(LoadError):
            check_usable(file, read_header(file))
    file.write_bytes(whole)
    check_usable(file, read_header(file))


@pytest.mark.parametrize("byte", [0x00, 0x7F, 0xFF])
def test_a_header_with_a_wrong_byte_anywhere_is_read_or_refused(tmp_path: Path, byte: int) -> None:
    whole = small_gguf(tmp_path / "whole.gguf", WHOLE).read_bytes()
    file = tmp_path / "wrong.gguf"
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
        with contextlib.suppress(LoadError):
            check_usable(file, read_header(file))


def test_a_gguf_file_is_found_in_the_models_folder(tmp_path: Path) -> None:
    small_gguf(tmp_path / "other-instruct.gguf", WHOLE | {"general.name": "other"})
    best = small_gguf(tmp_path / "Baichuan2-7B-Chat.Q4_0.gguf", WHOLE)
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")

    found = find_checkpoint(Settings(models_dir=tmp_path))

    assert (found.path, found.name, found.is_gguf) == (best, "Baichuan2-7B-Chat.Q4_0", True)


def test_a_folder_stands_for_the_gguf_file_in_it(tmp_path: Path) -> None:
    file = small_gguf(tmp_path / "a.gguf", WHOLE)
    assert find_checkpoint(Settings(model=tmp_path)).path == file

    small_gguf(tmp_path / "b.gguf", WHOLE)
    with pytest.raises(CheckpointError, match=r"a\.gguf, b\.gguf"):
        find_checkpoint(Settings(model=tmp_path))


def test_llama_cpp_without_a_file_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="--export-gguf"):
        find_checkpoint(Settings(models_dir=tmp_path, engine="llamacpp"))


def test_a_file_that_nobody_can_chat_with_does_not_hide_one_or_the_demo_model(tmp_path: Path) -> None:
    nobody = WHOLE | {"tokenizer.chat_template": None}
    small_gguf(tmp_path / "llama-2-7b-chat.gguf", nobody)
    demo = tmp_path / DEMO_NAME
    demo.mkdir()
    (demo / "config.json").write_text("{}")
    (demo / "model.safetensors").touch()
    assert find_checkpoint(Settings(models_dir=tmp_path)).is_demo

    small_gguf(tmp_path / "other.gguf", WHOLE | {"general.name": "other"})
    assert find_checkpoint(Settings(models_dir=tmp_path)).name == "other"

    role_tokens = ["<unk>", "<reserved_106>", "<reserved_107>"]
    small_gguf(tmp_path / "baichuan.gguf", nobody | {"tokenizer.ggml.tokens": role_tokens})
    assert find_checkpoint(Settings(models_dir=tmp_path)).name == "baichuan"


def test_a_link_out_of_a_cache_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    blob = small_gguf(tmp_path / "blobs" / "whole.gguf", WHOLE).rename(tmp_path / "blobs" / ("9" * 64))
    link = tmp_path / "snapshot" / "Small-Chat.gguf"
    link.symlink_to(blob)

    found = find_checkpoint(Settings(model=link))
    assert (found.path, found.name) == (link, "Small-Chat")


def test_the_first_of_several_files_may_hold_no_weights(tmp_path: Path) -> None:
    first = part(tmp_path, "m-00001-of-00002.gguf", weights=0, **{"split.count": 2, "split.no": 0})
    part(tmp_path, "m-00002-of-00002.gguf", **{"split.count": 2, "split.no": 1})
    assert check_usable(first, read_header(first)).context == WHOLE["llama.context_length"]

    whole = small_gguf(tmp_path / "vocabulary.gguf", WHOLE, weights=0)
    with pytest.raises(LoadError, match="only a vocabulary"):
        check_usable(whole, read_header(whole))


def test_the_hash_of_weights_is_that_of_all_files(tmp_path: Path) -> None:
    first = part(tmp_path, "m-00001-of-00002.gguf", weights=0, **{"split.count": 2, "split.no": 0})
    second = part(tmp_path, "m-00002-of-00002.gguf", **{"split.count": 2, "split.no": 1})
    (tmp_path / "m-00001-of-00003.gguf").write_bytes(b"another model")
    before = fingerprint(first, tmp_path / "data")
    assert fingerprint(first, tmp_path / "data") == before

    second.write_bytes(second.read_bytes() + b"\0")
    assert fingerprint(first, tmp_path / "data") != before


def test_a_hash_that_was_kept_in_part_is_worked_out_again(tmp_path: Path) -> None:
    file = small_gguf(tmp_path / "m.gguf", WHOLE)
    wanted = fingerprint(file, tmp_path / "data")
    (kept,) = (tmp_path / "data" / "fingerprints").iterdir()
    for left in ("", wanted[:10]):
        kept.write_text(left)
        assert fingerprint(file, tmp_path / "data") == wanted
