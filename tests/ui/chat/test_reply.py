import time
from collections.abc import Iterator

import pytest

from components.engine.errors import EngineError
from components.engine.events import Delta, Finished, Waiting
from components.engine.interface import Generation
from components.ui.chat import reply as reply_module
from components.ui.chat.reply import ReplyTask, Snapshot


@pytest.fixture
def generation() -> Generation:
    return Generation()


@pytest.fixture
def reply(generation: Generation) -> Iterator[ReplyTask]:
    reply = ReplyTask()
    reply.follow(generation)
    yield reply
    generation.put(Finished("stop", 1, 1, 1.0, 0.5))


def wait_for(reply: ReplyTask, snapshot: Snapshot) -> None:
    deadline = time.monotonic() + 5
    while (now := reply.snapshot()) != snapshot:
        assert time.monotonic() < deadline, now
        reply.wait(now, 0.1)


def test_it_grows_without_anybody_reading(reply: ReplyTask, generation: Generation) -> None:
    generation.put(Waiting(2))
    wait_for(reply, Snapshot("", Waiting(2), None))
    generation.put(Delta("a"))
    generation.put(Delta("b"))
    generation.put(finished := Finished("stop", 3, 2, 1.0, 0.5))
    wait_for(reply, Snapshot("ab", Waiting(2), "stop"))
    assert reply.finished == finished


def test_stop_keeps_the_text_and_the_engines_figures(reply: ReplyTask, generation: Generation) -> None:
    generation.put(Delta("a"))
    wait_for(reply, Snapshot("a", None, None))
    generation.put(finished := Finished("cancelled", 3, 1, 1.0, 0.5))
    reply.stop()
    assert generation.cancelled
    assert reply.snapshot() == Snapshot("a", None, "cancelled")
    assert reply.finished == finished


def test_stop_does_not_wait_for_an_engine_that_is_busy(
    reply: ReplyTask, generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_module, "CANCEL_SECONDS", 0.01)
    reply.stop()
    generation.put(Delta("too late"))
    assert reply.snapshot() == Snapshot("", None, "cancelled")


def test_an_error_ends_it_and_keeps_the_text(reply: ReplyTask, generation: Generation) -> None:
    generation.put(Delta("a"))
    generation.put(error := EngineError("no memory"))
    wait_for(reply, Snapshot("a", None, "failed"))
    assert reply.error is error


def test_nobody_looking_cancels_it(reply: ReplyTask, generation: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_module, "GRACE_SECONDS", 0.05)
    deadline = time.monotonic() + 5
    while not generation.cancelled:
        generation.put(Delta("a"))
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_looking_keeps_it_going(reply: ReplyTask, generation: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_module, "GRACE_SECONDS", 0.5)
    for _ in range(20):
        generation.put(Delta("a"))
        reply.snapshot()
        time.sleep(0.05)
    assert not generation.cancelled
