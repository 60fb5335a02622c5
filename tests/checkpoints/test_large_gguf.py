"""GGUF files of many GB with damaged headers: what is read of them is bounded by what headers have, not by the file."""

import itertools
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from components.checkpoints.gguf import LONGEST_TEXT, PassedOver, read_header
from tests.engine.sidecar.gguf_files import text
from tests.server import ROOT

FILE_BYTES = 8 * 10**9
MEMORY_BYTES = 10**9
"""What a child may map besides the file."""

PEAK_BYTES = 200 * 10**6

LOOK = """
import json, resource, sys
from pathlib import Path
from components.checkpoints.errors import LoadError
from components.checkpoints.gguf import read_header

file, limit = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
said = None
try:
    read_header(file)
except LoadError as error:
    said = str(error)
print(json.dumps([said, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024]))
"""


def large(file: Path, *parts: bytes, weights: int = 1, keys: int = 1) -> Path:
    """A file with room for whatever its header says; most of it takes no disk."""
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, weights, keys) + b"".join(parts))
    os.truncate(file, FILE_BYTES)
    return file


def look(file: Path) -> tuple[str | None, int]:
    """What a process with little memory says of a file, and how much of it that took, in bytes."""
    limit = file.stat().st_size + MEMORY_BYTES
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(file), str(limit)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    said, peak = json.loads(done.stdout)
    return said, peak


def value(key: str, kind: int, *parts: int) -> bytes:
    """A key, and how the value begins: for a list the type of its items, and their number."""
    return text(key) + struct.pack(f"<I{'IQ' if len(parts) == 2 else 'Q'}", kind, *parts)


STRING, ARRAY = 8, 9
MANY = 10**9
DAMAGED = {
    "a text": value("tokenizer.chat_template", STRING, MANY),
    "a name": struct.pack("<Q", MANY),
    "bytes": value("general.x", ARRAY, 0, MANY),
    "whole numbers": value("tokenizer.ggml.token_type", ARRAY, 5, MANY),
    "numbers": value("tokenizer.ggml.scores", ARRAY, 12, MANY // 2),
    "tokens": value("tokenizer.ggml.tokens", ARRAY, STRING, MANY // 2),
    "merges": value("tokenizer.ggml.merges", ARRAY, STRING, MANY // 2),
    "lists": value("general.x", ARRAY, ARRAY, MANY // 2),
    "a long token": value("tokenizer.ggml.tokens", ARRAY, STRING, 1) + struct.pack("<Q", MANY),
    "a long merge": value("tokenizer.ggml.merges", ARRAY, STRING, 1) + struct.pack("<Q", MANY),
    "texts that come to much": value("general.x", ARRAY, STRING, 9) + struct.pack("<Q100000000x", 10**8) * 2,
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_length_that_the_file_has_room_for_is_not_believed(tmp_path: Path, damage: bytes) -> None:
    file = large(tmp_path / "large.gguf", damage)

    said, peak = look(file)

    assert said is not None
    assert said.startswith(f"{file} is damaged: it says that ")
    assert peak < PEAK_BYTES


@pytest.mark.parametrize(("weights", "keys", "what"), [(10**6, 1, "1000000 weights"), (1, 65000, "65000 keys")])
def test_counts_that_the_file_has_room_for_are_not_believed(tmp_path: Path, weights: int, keys: int, what: str) -> None:
    said, _ = look(large(tmp_path / "large.gguf", weights=weights, keys=keys))

    assert said is not None
    assert f"damaged: it says that there are {what}" in said


def test_a_file_of_zeros_behind_its_header_is_read_with_little(tmp_path: Path) -> None:
    """As many lists, keys and weights as may be, all of them empty."""
    most = value("tokenizer.ggml.tokens", ARRAY, STRING, 2**21)
    said, peak = look(large(tmp_path / "large.gguf", most, weights=2**17, keys=4096))

    assert said is None  # it is refused later, since it has no tokenizer
    assert peak < PEAK_BYTES


def test_the_largest_vocabularies_are_read_with_little(tmp_path: Path) -> None:
    tokens, merges = 300_000, 520_000
    words = [f"▁token{number}" for number in range(tokens)]
    file = tmp_path / "whole.gguf"
    large(
        file,
        value("tokenizer.ggml.tokens", ARRAY, STRING, tokens),
        *map(text, words),
        value("tokenizer.ggml.scores", ARRAY, 6, tokens),
        bytes(4 * tokens),
        value("tokenizer.ggml.token_type", ARRAY, 5, tokens),
        struct.pack("<i", 1) * tokens,
        value("tokenizer.ggml.merges", ARRAY, STRING, merges),
        *(
            text(f"{first} {second}")
            for first, second in itertools.islice(itertools.pairwise(itertools.cycle(words)), merges)
        ),
        value("tokenizer.huggingface.json", STRING, 33 * 10**6),
        bytes(33 * 10**6),
        text("tokenizer.chat_template") + struct.pack("<I", STRING) + text("x" * 60_000),
        keys=6,
        weights=0,
    )

    header = read_header(file)

    assert header.values["tokenizer.ggml.tokens"] == words
    assert header.values["tokenizer.ggml.token_type"].tobytes() == struct.pack("<i", 1) * tokens
    assert header.values["tokenizer.ggml.merges"] == PassedOver(f"a list of {merges} texts")
    assert header.values["tokenizer.huggingface.json"] == PassedOver("a text of 33000000 bytes")
    assert len(header.values["tokenizer.chat_template"]) == 60_000 < LONGEST_TEXT
    assert look(file)[1] < PEAK_BYTES
