"""Where replies differ: word by word, in Chinese character by character, and nothing is lost."""

import pytest

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


@pytest.mark.parametrize("text", ["a  b\n\nc", "混合 mixed文字, 3.5% 😀!", "\t '’ x’y"])
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(pieces_of(text)) == text
    assert "".join(span.text for span in differences(text, "b mixed")) == text


def test_how_much_differs_is_counted_in_characters() -> None:
    assert share_that_differs(differences("abcd x", "x")) == pytest.approx(5 / 6)
