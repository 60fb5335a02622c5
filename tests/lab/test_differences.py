"""Where replies differ: word by word, in Chinese character by character, and nothing is lost."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.lab import differences as module
from components.lab.differences import differences, share_that_differs
from components.lab.pieces import pieces_of


def marked(text: str, other: str) -> str:
    return "".join(f"[{span.text}]" if span.differs else span.text for span in differences(text, other))


@pytest.mark.parametrize(
    ("text", "other", "shown"),
    [
        ("The sky is blue.", "The sky is grey.", "The sky is [blue]."),
        ("天空是蓝色的", "天空是灰色的", "天空是[蓝]色的"),
        ("同じ空 sky", "同じ空 sky", "同じ空 sky"),
        ("don't <b>go</b>", "don't <i>go</i>", "don't <[b]>go</[b]>"),
        ("", "something", ""),
        ("something", "", "[something]"),
    ],
)
def test_what_the_other_reply_lacks_is_marked(text: str, other: str, shown: str) -> None:
    assert marked(text, other) == shown


def test_a_word_that_is_frequent_is_no_noise() -> None:
    text = " the" * 300
    assert marked(f"red{text}", f"blue{text}") == f"[red]{text}"


def test_long_replies_are_compared_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 9)
    assert marked("one red line\nthe same\n", "one blue line\nthe same\n") == "[one red line\n]the same\n"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("cafe\u0301 au lait", "cafe\u0301| |au| |lait"),
        ("नमस्ते दुनिया!", "नमस्ते| |दुनिया|!"),
        ("ไม่เป็นไร", "ไม่เป็นไร"),
        ("👍🏽👩\u200d🚀❤\ufe0f🇨🇳🇫🇷", "👍🏽|👩\u200d🚀|❤\ufe0f|🇨🇳|🇫🇷"),
        ("か\u3099葛\U000e0100x", "か\u3099|葛\U000e0100|x"),
        ("don’t x² ½ _a1 3.5%", "don’t| |x²| |½| |_a1| |3|.|5|%"),
        ("a \n\r\n b", "a| \n\r\n |b"),
    ],
)
def test_what_a_reader_takes_for_one_character_is_not_taken_apart(text: str, pieces: str) -> None:
    assert pieces_of(text) == pieces.split("|")


PARTS = st.sampled_from(
    [*"aéनก中か1 \n\r'’!👍👩❤🇨🏽", *"\u0301\u093f\u0e31\u3099\u20e3\u200c\u200d\ufe0f\U000e0100\u1100\u1161"]
)


@given(st.lists(PARTS | st.characters(exclude_categories=["Cs"])).map("".join))
def test_pieces_joined_are_the_text_and_begin_with_no_part_of_a_character(text: str) -> None:
    pieces = pieces_of(text)
    assert "".join(pieces) == text
    assert "".join(span.text for span in differences(text, "b mixed")) == text
    for before, piece in pairwise(pieces):
        is_part = unicodedata.category(piece[0]) in ("Mn", "Me") or piece[0] in "\u093f\u200d🏽"
        assert not is_part or unicodedata.category(before[-1])[0] in "CZ", pieces  # nothing belongs to a line's end


def test_how_much_differs_is_counted_in_characters() -> None:
    assert share_that_differs(differences("abcd x", "x")) == pytest.approx(5 / 6)
