import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from components.engine.errors import EngineError
from components.engine.events import Delta, Finished, Waiting
from components.engine.interface import Generation
from components.ui.chat import reply as reply_module
from components.ui.chat.reply import ReplyTask, Snapshot
from tests.conftest import Clock


@pytest.fixture
def generation() -> Generation:
    return Generation()


@pytest.fixture
def reply(generation: Generation, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplyTask]:
    monkeypatch.setattr(reply_module, "time", SimpleNamespace(monotonic=clock))
    reply = ReplyTask()
    reply.follow(generation)
    yield reply
    generation.put(Finished("stop", 1, 1, 1.0, 0.5))


def wait_for(reply: ReplyTask, snapshot: Snapshot) -> None:
    for _ in range(600):  # of a tenth of a second each, where nothing comes
        if (now := reply.snapshot()) == snapshot:
            return
        reply.wait(now, 0.1)
    raise AssertionError(now)


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


def test_nobody_looking_cancels_it(reply: ReplyTask, generation: Generation, clock: Clock) -> None:
    cancelled = threading.Event()
    generation.on_cancel = cancelled.set
    reply.snapshot()
    clock.now += reply_module.GRACE_SECONDS + 0.1
    generation.put(Delta("a"))

    assert cancelled.wait(60)


def test_looking_keeps_it_going(reply: ReplyTask, generation: Generation, clock: Clock) -> None:
    for number in range(20):
        generation.put(Delta("a"))
        wait_for(reply, Snapshot("a" * (number + 1), None, None))
        clock.now += reply_module.GRACE_SECONDS - 0.1
    generation.put(Delta("a"))
    wait_for(reply, Snapshot("a" * 21, None, None))

    assert not generation.cancelled
