import threading
from collections.abc import Iterator

import pytest

from components.chats.asker import Asker
from components.chats.chat import Chat
from components.chats.controls import Controls
from components.chats.replies import Replies
from components.chats.titles import title_of
from components.chats.view import WINDOW
from components.engine.interface import GenerationRequest
from components.sampling.parameters import SamplingParams
from components.store.errors import NotFoundError
from tests.chats.helpers import CONTROLS, Start, ask, asked, finish, texts, wait_until
from tests.scripted_engine import ScriptedEngine


def test_it_is_found_again(chat: Chat, engine: ScriptedEngine, start: Start) -> None:
    controls = Controls(SamplingParams(temperature=0.7, seed=5), "Be brief.")
    ask(chat, engine, "one", controls)
    again = Chat.open(chat.asker, start(), chat.conversation.id)
    assert texts(again.shown) == ["one", "You said: one"]
    assert again.conversation.title == "one"
    assert again.conversation.system == "Be brief."
    assert SamplingParams(**again.conversation.sampling) == controls.sampling
    assert again.last is not None
    assert again.last.reply is not None
    assert again.last.reply.end == "stop"
    ask(again, engine, "two")
    assert asked(engine) == ["one", "You said: one", "two"]


def test_nobody_else_opens_it(chat: Chat, engine: ScriptedEngine, replies: Replies) -> None:
    ask(chat, engine, "one")
    with pytest.raises(NotFoundError):
        Chat.open(Asker("browser:two"), replies, chat.conversation.id)


def test_an_edited_question_is_a_sibling(chat: Chat, engine: ScriptedEngine) -> None:
    ask(chat, engine, "one")
    ask(chat, engine, "two")
    old = chat.shown[2]
    chat.edit(engine, old, "three", CONTROLS)
    assert chat.siblings[chat.shown[2].id] == [old.id, chat.shown[2].id], "the arrows are there at once"
    finish(chat)
    assert texts(chat.shown) == ["one", "You said: one", "three", "You said: three"]
    assert asked(engine) == ["one", "You said: one", "three"]
    assert chat.siblings[chat.shown[2].id] == [old.id, chat.shown[2].id]
    chat.select(old.id)
    chat.refresh()
    assert texts(chat.shown)[2:] == ["two", "You said: two"]


def test_the_first_question_can_be_edited(chat: Chat, engine: ScriptedEngine) -> None:
    ask(chat, engine, "one")
    chat.edit(engine, chat.shown[0], "other", CONTROLS)
    finish(chat)
    assert texts(chat.shown) == ["other", "You said: other"]
    assert len(chat.siblings[chat.shown[0].id]) == 2


def test_another_try_keeps_the_first(chat: Chat, engine: ScriptedEngine) -> None:
    first = ask(chat, engine, "one")
    chat.regenerate(engine, first, CONTROLS)
    finish(chat)
    assert chat.last is not None
    assert chat.siblings[chat.last.id] == [first.id, chat.last.id]
    assert asked(engine) == ["one"]


def test_an_older_reply_is_tried_again_where_it_stands(chat: Chat, engine: ScriptedEngine) -> None:
    first = ask(chat, engine, "one")
    ask(chat, engine, "two")
    chat.regenerate(engine, first, CONTROLS)
    finish(chat)
    assert texts(chat.shown) == ["one", "You said: one"]
    assert asked(engine) == ["one"]


def test_a_reply_goes_on_in_its_place(chat: Chat, engine: ScriptedEngine) -> None:
    engine.script = lambda _: ["a "] * 40
    first = ask(chat, engine, "one", Controls(SamplingParams(max_new_tokens=4)))
    engine.script = lambda _: ["b"]
    chat.resume(engine, first, CONTROLS)
    finish(chat)
    assert texts(chat.shown) == ["one", "a a a a b"]
    assert chat.shown[1].id == first.id
    assert asked(engine) == ["one", "a a a a "]


def test_an_older_reply_goes_on_beside_itself(chat: Chat, engine: ScriptedEngine) -> None:
    engine.script = lambda _: ["a "] * 40
    first = ask(chat, engine, "one", Controls(SamplingParams(max_new_tokens=4)))
    ask(chat, engine, "two", Controls(SamplingParams(max_new_tokens=4)))
    engine.script = lambda _: ["b"]
    chat.resume(engine, first, CONTROLS)
    finish(chat)
    assert texts(chat.shown) == ["one", "a a a a b"]
    chat.select(first.id)
    chat.refresh()
    assert texts(chat.shown) == ["one", "a a a a ", "two", "a a a a "]


def test_an_unanswered_question_is_not_sent_again(chat: Chat, engine: ScriptedEngine) -> None:
    engine.script = lambda _: []
    ask(chat, engine, "one")
    ask(chat, engine, "two")
    assert asked(engine) == ["two"]


def test_a_new_question_stops_the_reply_before(chat: Chat, engine: ScriptedEngine) -> None:
    release = threading.Event()

    def slow(request: GenerationRequest) -> Iterator[str]:
        yield "begun"
        if len(request.messages) == 1:
            release.wait(10)
            yield "never seen"

    engine.script = slow
    chat.ask(engine, "one", CONTROLS)
    first = chat.shown[1]
    wait_until(lambda: chat.now(first).text == "begun")
    threading.Timer(0.1, release.set).start()
    ask(chat, engine, "two")
    assert texts(chat.shown) == ["one", "begun", "two", "begun"]
    assert chat.shown[1].reply is not None
    assert chat.shown[1].reply.end == "cancelled"


def test_a_fault_ends_the_reply_too(chat: Chat, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedEngine, "generate", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        chat.ask(engine, "one", CONTROLS)
    finish(chat)
    assert chat.last is not None
    assert chat.last.reply is not None
    assert (chat.last.reply.end, chat.last.reply.error_kind) == ("failed", "other")


def test_only_the_end_of_a_long_conversation_is_read(chat: Chat, engine: ScriptedEngine) -> None:
    for number in range(WINDOW):
        ask(chat, engine, f"question {number}")
    assert len(chat.shown) == WINDOW
    assert chat.earlier == WINDOW
    chat.window += 10
    chat.refresh()
    assert len(chat.shown) == WINDOW + 10


@pytest.mark.parametrize(
    ("question", "title"),
    [("你好", "你好"), ("a\n\n b", "a b"), ("x" * 61, "x" * 59 + "…"), ("x" * 60, "x" * 60)],
)
def test_the_title_is_the_beginning_of_the_question(question: str, title: str) -> None:
    assert title_of(question) == title
