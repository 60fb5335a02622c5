import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from components.chats import reply as reply_module
from components.chats.reply import ReplyTask, Snapshot
from components.engine.errors import EngineError
from components.engine.events import Delta, Finished, Waiting
from components.engine.interface import Generation
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


def test_nobody_need_look(reply: ReplyTask, generation: Generation, clock: Clock) -> None:
    clock.now += 1e6
    generation.put(Delta("a"))
    wait_for(reply, Snapshot("a", None, None))
    assert not generation.cancelled


def test_an_owner_may_have_it_ended_when_nobody_looks(
    generation: Generation, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_module, "time", SimpleNamespace(monotonic=clock))
    cancelled = threading.Event()
    generation.on_cancel = cancelled.set
    reply = ReplyTask(unwatched_seconds=10)
    reply.follow(generation)
    for number in range(5):
        generation.put(Delta("a"))
        wait_for(reply, Snapshot("a" * (number + 1), None, None))
        clock.now += 9.9
    assert not generation.cancelled
    reply.unseen()
    clock.now += 0.2
    assert cancelled.wait(60)
    generation.put(Finished("cancelled", 1, 1, 1.0, 0.5))
