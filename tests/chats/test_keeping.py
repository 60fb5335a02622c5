"""What is kept of a reply while it is written, and when the database is away."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection

from components.chats.chat import Chat
from components.chats.keeper import Keeper
from components.chats.replies import Replies
from components.engine.errors import EngineError, LimitError
from components.engine.events import Finished, Waiting
from components.engine.interface import GenerationRequest
from components.engine.receipts import Receipt
from components.model.chat_format import Message as Turn
from components.sampling.parameters import SamplingParams
from components.store.errors import StoreError
from components.store.processes import cut_orphans
from tests.chats.helpers import CONTROLS, Start, ask, asked, finish, texts, wait_until
from tests.scripted_engine import Script, ScriptedEngine, endless


def kept(chat: Chat, start: Start) -> list[str]:
    """What a server that knows nothing but the database shows."""
    return texts(Chat.open(chat.asker, start(), chat.conversation.id).shown)


def test_the_question_is_kept_before_the_first_token(chat: Chat, engine: ScriptedEngine, start: Start) -> None:
    release = threading.Event()

    def held(_: GenerationRequest) -> Iterator[str]:
        release.wait(60)
        yield "late"

    engine.script = held
    chat.ask(engine, "one", CONTROLS)
    assert kept(chat, start) == ["one", ""]
    release.set()


def test_a_growing_reply_is_kept(chat: Chat, engine: ScriptedEngine, start: Start) -> None:
    engine.script = endless
    chat.ask(engine, "one", CONTROLS)
    wait_until(lambda: len(kept(chat, start)[1]) > 10)
    chat.stop()


def test_another_tab_streams_the_same_reply(chat: Chat, engine: ScriptedEngine, replies: Replies) -> None:
    engine.script = endless
    chat.ask(engine, "one", CONTROLS)
    other = Chat.open(chat.asker, replies, chat.conversation.id)
    writing = other.writing
    assert writing is not None
    wait_until(lambda: len(writing.snapshot().text) > 10)
    other.stop()
    finish(chat)
    assert chat.last is not None
    assert chat.last.reply is not None
    assert chat.last.reply.end == "cancelled"


def test_another_process_follows_and_stops_it(chat: Chat, engine: ScriptedEngine, start: Start) -> None:
    engine.script = endless
    chat.ask(engine, "one", CONTROLS)
    other = Chat.open(chat.asker, start(), chat.conversation.id)
    writing = other.writing
    assert writing is not None
    wait_until(lambda: len(writing.snapshot().text) > 10)
    other.stop()
    wait_until(lambda: writing.snapshot().end == "cancelled")


def test_an_error_is_kept_with_the_text(chat: Chat, engine: ScriptedEngine, start: Start) -> None:
    engine.script = lambda _: ["Half", EngineError("The device ran out of memory.")]
    ask(chat, engine, "one")
    again = Chat.open(chat.asker, start(), chat.conversation.id)
    assert again.last is not None
    assert again.last.reply is not None
    assert (again.last.text, again.last.reply.end) == ("Half", "failed")
    assert again.last.reply.error == "The device ran out of memory."


def test_the_receipt_and_continue_work_after_a_restart(chat: Chat, engine: ScriptedEngine, start: Start) -> None:
    sampling = SamplingParams(seed=3)
    said: list[Turn] = [{"role": "user", "content": "one"}]
    model = engine.info.model
    receipt = Receipt(said, None, (5, 6), sampling, True, 0, model, "abc", "cpu", "float32", "local", {"torch": "2"})
    engine.script = lambda _: ["hi", Finished("length", 5, 2, 1.0, 0.5, receipt=receipt)]
    ask(chat, engine, "one")
    again = Chat.open(chat.asker, start(), chat.conversation.id)
    assert again.last is not None
    assert again.receipt(again.last) == receipt
    again.resume(engine, again.last, CONTROLS)
    assert engine.requests[-1].continues == (5, 6)
    assert asked(engine) == ["one"]


@pytest.mark.parametrize(
    "script",
    [
        lambda _: [LimitError("60 requests within a minute.", 30)],
        lambda _: [Waiting(3), EngineError("The server does not answer.")],
        lambda _: [Finished("time", 5, 0, 1.0, None)],
    ],
    ids=["refused", "failed", "too late"],
)
@pytest.mark.parametrize("model", ["Scripted-1B", "other"])
def test_a_reply_of_which_nothing_more_comes_stays_as_it_was(
    chat: Chat, engine: ScriptedEngine, start: Start, script: Script, model: str
) -> None:
    said: list[Turn] = [{"role": "user", "content": "one"}]
    name = engine.info.model
    receipt = Receipt(said, None, (5, 6), SamplingParams(), True, 0, name, "abc", "cpu", "float32", "local", {})
    engine.script = lambda _: ["hi", Finished("length", 5, 2, 1.0, 0.5, receipt=receipt)]
    reply = ask(chat, engine, "one")

    chat.resume(ScriptedEngine(script).with_info(model=model), reply, CONTROLS)
    finish(chat)

    told = chat.refusal(reply)
    assert str(told) == "60 requests within a minute." or not isinstance(told, LimitError)
    for one in (chat, Chat.open(chat.asker, start(), chat.conversation.id)):
        assert one.last == reply
        assert one.receipt(reply) == receipt
    engine.script = lambda _: [" there"]
    chat.resume(engine, reply, CONTROLS)
    assert engine.requests[-1].continues == (5, 6)
    finish(chat)
    assert chat.last is not None
    assert (chat.last.text, chat.refusal(reply)) == ("hi there", None)


def test_a_reply_that_is_stopped_before_more_comes_stays_as_it_was(chat: Chat, engine: ScriptedEngine) -> None:
    engine.script = lambda _: ["hi", Finished("length", 5, 2, 1.0, 0.5)]
    reply = ask(chat, engine, "one")

    def waiting(_: GenerationRequest) -> Iterator[Waiting]:
        while True:
            time.sleep(0.005)
            yield Waiting(3)

    engine.script = waiting
    chat.resume(engine, reply, CONTROLS)
    chat.stop()
    finish(chat)
    assert chat.last == reply
    assert chat.refusal(reply) is None


def test_a_model_that_has_nothing_to_add_has_ended_the_reply(chat: Chat, engine: ScriptedEngine) -> None:
    engine.script = lambda _: ["hi", Finished("length", 5, 2, 1.0, 0.5)]
    reply = ask(chat, engine, "one")
    engine.script = lambda _: [Finished("stop", 7, 0, 1.0, None)]
    chat.resume(engine, reply, CONTROLS)
    finish(chat)
    assert chat.last is not None
    assert chat.last.reply is not None
    assert (chat.last.text, chat.last.reply.end) == ("hi", "stop")


def test_what_cannot_be_kept_is_kept_later(
    chat: Chat, engine: ScriptedEngine, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> Iterator[None]:
        raise StoreError("The database is away.")

    with monkeypatch.context() as patch:
        patch.setattr(chat.replies.database, "_transaction", away)
        chat.ask(engine, "one", CONTROLS)
        wait_until(lambda: chat.writing is None)
        chat.ask(engine, "two", CONTROLS)
        wait_until(lambda: chat.writing is None)
        chat.refresh()
        assert [chat.now(message).text for message in chat.shown] == ["one", "You said: one", "two", "You said: two"]
        assert chat.unkept == "The database is away."
        assert asked(engine)[-1] == "two"
    wait_until(lambda: chat.unkept is None)
    assert kept(chat, start) == ["one", "You said: one", "two", "You said: two"]


def test_a_server_that_ends_marks_what_it_was_writing(chat: Chat, engine: ScriptedEngine, start: Start) -> None:
    engine.script = endless
    chat.ask(engine, "one", CONTROLS)
    wait_until(lambda: chat.last is not None and len(chat.now(chat.last).text) > 10)
    chat.replies.close()
    again = Chat.open(chat.asker, start(), chat.conversation.id)
    assert again.last is not None
    assert again.last.reply is not None
    assert (again.last.reply.end, len(again.last.text) > 10) == ("cut", True)
    chat.stop()


def test_a_reply_of_a_server_that_lives_is_not_cut(chat: Chat, engine: ScriptedEngine, start: Start) -> None:
    engine.script = endless
    chat.ask(engine, "one", CONTROLS)
    other = start()
    with other.database.writing() as connection:
        cut_orphans(connection, other.process)
    again = Chat.open(chat.asker, other, chat.conversation.id)
    assert again.writing is not None
    chat.stop()


def test_what_is_kept_can_be_opened_while_something_else_is_not(
    chat: Chat, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(chat, engine, "one")
    monkeypatch.setattr(Keeper, "is_behind", True)
    assert texts(Chat.open(chat.asker, chat.replies, chat.conversation.id).shown) == ["one", "You said: one"]


def test_what_comes_while_the_server_ends_is_kept(start: Start) -> None:
    """While the last of the work is done, and after it, from several threads."""
    replies = start()
    kept: list[str] = []
    doing, release = threading.Event(), threading.Event()

    def keep(name: str) -> None:
        replies.keeper.keep(lambda _: kept.append(name))

    def last(_: Connection) -> Callable[[], None]:
        doing.set()
        assert release.wait(60)
        return lambda: None

    keeper = replies.keeper
    wait_until(lambda: not keeper.is_behind)
    keeper._routine = lambda: last
    closing = threading.Thread(target=keeper.close)
    closing.start()
    assert doing.wait(60)
    keeper._routine = lambda: None
    early = threading.Thread(target=keep, args=("early",))
    early.start()
    wait_until(lambda: bool(keeper._waiting))
    release.set()
    late = [threading.Thread(target=keep, args=(f"late {number}",)) for number in range(8)]
    for thread in late:
        thread.start()
    for thread in (closing, early, *late):
        thread.join()
    assert sorted(kept) == ["early", *(f"late {number}" for number in range(8))]
    assert keeper.problem is None
    assert not keeper._waiting
