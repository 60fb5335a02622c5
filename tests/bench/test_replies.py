"""Recited replies are as long as asked, and the same each time."""

import pytest

from bench.apps.replies import Kind, read_question, reply
from components.markdown.document import complete_blocks


@pytest.mark.parametrize("kind", ["prose", "code"])
@pytest.mark.parametrize("tokens", [500, 1000, 2000])
def test_a_reply_has_the_length_asked_for_and_grows_at_its_end_only(kind: Kind, tokens: int) -> None:
    assert len(reply(kind, tokens)) == tokens
    assert "".join(reply(kind, 2000)).startswith("".join(reply(kind, tokens)))


def test_prose_comes_in_paragraphs_and_code_in_one_block() -> None:
    assert len(complete_blocks("".join(reply("prose", 2000)))) > 10
    assert len(complete_blocks("".join(reply("code", 2000)))) == 1


def test_a_question_names_kind_and_length() -> None:
    assert read_question("code 500") == ("code", 500)


def test_more_than_there_is_is_refused() -> None:
    with pytest.raises(ValueError, match="tokens only"):
        reply("prose", 10**6)
