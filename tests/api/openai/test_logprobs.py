"""The forms in which log probabilities are told."""

import pytest

from components.api.openai.logprobs import chat_logprobs, text_logprobs
from components.engine.events import ChosenToken, TokenLogprob


def likeliest(*told: tuple[bytes, float]) -> tuple[TokenLogprob, ...]:
    return tuple(TokenLogprob(text, logprob) for text, logprob in told)


@pytest.mark.parametrize(
    ("token", "name", "top"),
    [
        (
            ChosenToken(b"\xe9", -5.9, likeliest((b"\xe8", -1.65), (b"\xe7", -2.0))),
            r"bytes:\xe9",
            {r"bytes:\xe8": -1.65, r"bytes:\xe7": -2.0, r"bytes:\xe9": -5.9},
        ),
        (
            ChosenToken(b"a", -3.0, likeliest((b"a", -1.0), (b"a", -3.0), (b"b", -4.0))),
            "bytes:a",
            {"a": -1.0, "bytes:a": -3.0, "b": -4.0},
        ),
        (ChosenToken(b"a", -1.0, likeliest((b"a", -1.0), (b"a", -3.0))), "a", {"a": -1.0, "bytes:a": -3.0}),
        (ChosenToken(b"a", -5.0, likeliest((b"a", -1.0), (b"b", -2))), "bytes:a", {"a": -1, "b": -2, "bytes:a": -5}),
        (ChosenToken(b"", -5.0, likeliest((b"", -1.0), (b"", -2.0))), "bytes:", {"": -1.0, "bytes:": -5.0}),
        (ChosenToken(b"a", -0.5001, likeliest((b"a", -0.5),)), "a", {"a": -0.5001}),
        (ChosenToken(b"a", -0.5), "a", {"a": -0.5}),
        (ChosenToken(b"\xe9", None, likeliest((b"\xe8", -1.0))), r"bytes:\xe9", {r"bytes:\xe8": -1.0}),
    ],
)  # fmt: skip
def test_tokens_have_names_that_differ_and_figures_of_their_own(
    token: ChosenToken, name: str, top: dict[str, float]
) -> None:
    told = text_logprobs([("a", [token])], 0)

    assert told["tokens"] == [name]
    assert told["token_logprobs"] == [token.logprob]
    assert told["top_logprobs"] == [top]


def test_chat_spells_them_so_too() -> None:
    [told] = chat_logprobs([ChosenToken(b"\xe9", -1.0, likeliest((b"\xe9", -1.0), (b"\xef\xbf\xbd", -2.0)))])

    assert (told["token"], told["bytes"]) == (r"bytes:\xe9", [0xE9])
    assert [one["token"] for one in told["top_logprobs"]] == [r"bytes:\xe9", "\ufffd"], "the last one is a character"


@pytest.mark.parametrize(
    ("text", "tokens", "offsets"),
    [
        ("龘ab", [b"\xe9", b"\xbe", b"\x98", b"a", b"b"], [0, 0, 0, 1, 2]),
        ("龘ab", [b"\xbe", b"\x98", b"a", b"b"], [0, 0, 1, 2]),
        ("龘ab", [b"\x98a", b"b"], [0, 2]),
        ("龘好", [b"\x98", b"\xe5", b"\xa5\xbd"], [0, 1, 1]),
        ("龘", [b"\x98", b""], [0, 1]),
    ],
)
def test_what_ends_a_character_stands_where_the_character_does(
    text: str, tokens: list[bytes], offsets: list[int]
) -> None:
    assert text_logprobs([(text, [ChosenToken(one, -1.0) for one in tokens])], 7)["text_offset"] == [
        7 + offset for offset in offsets
    ]
