"""How tokens are spelled that are no text by themselves."""

import random

import pytest

from components.model.token_texts import read_spelled, spelled, spelled_in_bytes


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        (b"a", "a"),
        ("龘".encode(), "龘"),
        (b"", ""),
        (b"\xe9", r"bytes:\xe9"),
        (b" \xf0\x9f\x98", r"bytes: \xf0\x9f\x98"),
        (b"\\\xe9\n", r"bytes:\x5c\xe9\x0a"),
        ("好".encode() + b"\xe9", r"bytes:\xe5\xa5\xbd\xe9"),
    ],
)
def test_what_is_no_text_is_spelled_as_openai_does_it(text: bytes, spelling: str) -> None:
    assert spelled(text) == spelling
    assert read_spelled(spelling) == text


def test_every_spelling_says_which_bytes_it_stands_for() -> None:
    chance = random.Random(11)
    for _ in range(5_000):
        text = chance.randbytes(chance.randint(1, 5)) if chance.random() < 0.5 else chance.choice([b"\\xe9", b"bytes"])
        assert read_spelled(spelled(text)) == read_spelled(spelled_in_bytes(text)) == text
        spelled(text).encode()
