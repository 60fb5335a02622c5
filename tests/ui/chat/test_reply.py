import time
from collections.abc import Iterator

import pytest

from components.engine.errors import EngineError
from components.engine.events import Delta, Finished, Waiting
from components.engine.interface import Generation
from components.ui.chat import reply as reply_module
from components.ui.chat.reply import Reply, View


@pytest.fixture
def generation() -> Generation:
    return Generation()


@pytest.fixture
def reply(generation: Generation) -> Iterator[Reply]:
    reply = Reply()
    reply.follow(generation)
    yield reply
    generation.put(Finished("stop", 1, 1, 1.0, 0.5))


def wait_for(reply: Reply, view: View) -> None:
    deadline = time.monotonic() + 5
    while (now := reply.look()) != view:
        assert time.monotonic() < deadline, now
        reply.wait(now, 0.1)


def test_it_grows_without_anybody_reading(reply: Reply, generation: Generation) -> None:
    generation.put(Waiting(2))
    wait_for(reply, View("", Waiting(2), None))
    generation.put(Delta("a"))
    generation.put(Delta("b"))
    generation.put(finished := Finished("stop", 3, 2, 1.0, 0.5))
    wait_for(reply, View("ab", Waiting(2), "stop"))
    assert reply.finished == finished


def test_stop_keeps_the_text_and_the_engines_figures(reply: Reply, generation: Generation) -> None:
    generation.put(Delta("a"))
    wait_for(reply, View("a", None, None))
    generation.put(finished := Finished("cancelled", 3, 1, 1.0, 0.5))
    reply.stop()
    assert generation.cancelled
    assert reply.look() == View("a", None, "cancelled")
    assert reply.finished == finished


def test_stop_does_not_wait_for_an_engine_that_is_busy(
    reply: Reply, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_module, "CANCEL_SECONDS", 0.01)
    reply.stop()
    generation.put(Delta("too late"))
    assert reply.look() == View("", None, "cancelled")


def test_an_error_ends_it_and_keeps_the_text(reply: Reply, generation: Generation) -> None:
    generation.put(Delta("a"))
    generation.put(error := EngineError("no memory"))
    wait_for(reply, View("a", None, "failed"))
    assert reply.error is error


def test_nobody_looking_cancels_it(reply: Reply, generation: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_module, "GRACE_SECONDS", 0.05)
    deadline = time.monotonic() + 5
    while not generation.cancelled:
        generation.put(Delta("a"))
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_looking_keeps_it_going(reply: Reply, generation: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_module, "GRACE_SECONDS", 0.5)
    for _ in range(20):
        generation.put(Delta("a"))
        reply.look()
        time.sleep(0.05)
    assert not generation.cancelled
