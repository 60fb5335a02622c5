"""litellm, which stands between many programs and their servers."""

import pytest

from tests.clients.conftest import PROGRAMS, Answers, run_program


@pytest.fixture(scope="module")
def said(server: str) -> Answers:
    return run_program(PROGRAMS / "with_litellm.py", server, "default", "streamed", "tool", "responses", "errors")


def test_a_stream_is_put_together_again(said: Answers) -> None:
    for text, tokens in said["streamed"]:
        assert text
        assert 0 < tokens <= 8


def test_a_streamed_call_is_put_together_again(said: Answers) -> None:
    assert said["tool"]
    for call in said["tool"]:
        assert call["name"] == "weather"
        assert call["arguments"]["city"] in ("Paris", "Rome")


def test_a_response_is_a_text(said: Answers) -> None:
    assert said["responses"]


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        ("too long", "ContextWindowExceededError"),
        ("no such model", "NotFoundError"),
        ("bad value", "BadRequestError"),
    ],
)
def test_a_mistake_is_known_by_its_class(said: Answers, mistake: str, error: str) -> None:
    assert said["errors"][mistake] == error
