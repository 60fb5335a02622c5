import json
from collections.abc import Callable

import pytest

from components.chats.asker import Asker
from components.chats.chat import Chat
from components.chats.context import FIRST_LOOK
from components.chats.controls import Controls
from components.chats.drafts import keep
from components.chats.importing import read_file
from components.chats.replies import Replies
from components.engine.errors import EngineNotReadyError
from components.model.chat_format import Prompt
from components.sampling.parameters import SamplingParams
from components.store.rows import Message
from tests.chats.helpers import CONTROLS, ask, asked, finish, texts
from tests.scripted_engine import ScriptedEngine


def room_for(characters: int, engine: ScriptedEngine) -> Controls:
    """Settings that leave so many characters to the prompt; a scripted engine's tokens are characters."""
    return Controls(SamplingParams(max_new_tokens=engine.info.context_length - characters))


def test_everything_is_seen_while_it_fits(chat: Chat, engine: ScriptedEngine) -> None:
    assert chat.context(engine, CONTROLS) is None
    ask(chat, engine, "one")
    context = chat.context(engine, CONTROLS)
    assert context is not None
    assert context.first is None


def test_the_oldest_turns_are_left_out_first(chat: Chat, engine: ScriptedEngine) -> None:
    engine.with_info(context_length=4096)
    for question in ("one", "two", "three"):
        ask(chat, engine, question)
    small = room_for(len("three" + "You said: three") + 1, engine)
    context = chat.context(engine, small)
    assert context is not None
    assert context.first == chat.shown[4]
    ask(chat, engine, "x", small)
    assert asked(engine) == ["three", "You said: three", "x"]


def test_it_is_worked_out_once(chat: Chat, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(chat, engine, "one")
    before = chat.context(engine, CONTROLS)
    monkeypatch.delattr(ScriptedEngine, "build_prompt")
    assert chat.context(engine, CONTROLS) is before


def test_a_turn_that_was_left_out_is_not_seen(chat: Chat, engine: ScriptedEngine) -> None:
    for question in ("one", "two"):
        ask(chat, engine, question)
    chat.put(chat.shown[0].id, "left_out")
    chat.refresh()
    ask(chat, engine, "three")
    assert asked(engine) == ["two", "You said: two", "three"]


def test_a_pinned_turn_stays_when_later_ones_go(chat: Chat, engine: ScriptedEngine) -> None:
    engine.with_info(context_length=4096)
    for question in ("one", "two", "three"):
        ask(chat, engine, question)
    chat.put(chat.shown[0].id, "pinned")
    small = room_for(len("one" + "You said: one" + "three" + "You said: three") + 1, engine)
    ask(chat, engine, "x", small)
    assert asked(engine) == ["one", "You said: one", "three", "You said: three", "x"]


def test_what_is_pinned_gives_way_to_the_question(chat: Chat, engine: ScriptedEngine) -> None:
    engine.with_info(context_length=4096)
    ask(chat, engine, "one")
    chat.put(chat.shown[0].id, "pinned")
    ask(chat, engine, "x" * 20, room_for(20, engine))
    assert asked(engine) == ["x" * 20]


def test_a_pinned_turn_long_ago_is_seen(chat: Chat, engine: ScriptedEngine) -> None:
    engine.with_info(context_length=4096)
    ask(chat, engine, "remember this")
    chat.put(chat.shown[0].id, "pinned")
    for number in range(FIRST_LOOK):
        ask(chat, engine, f"{number} {'x' * 40}")
    ask(chat, engine, "x", room_for(1000, engine))
    assert asked(engine)[:2] == ["remember this", "You said: remember this"]
    assert len(asked(engine)) > 6


def test_a_long_history_is_seen_as_far_as_it_fits(chat: Chat, engine: ScriptedEngine) -> None:
    for number in range(FIRST_LOOK):
        ask(chat, engine, str(number))
    ask(chat, engine, "last")
    assert asked(engine)[0] == "0"
    assert len(asked(engine)) == 2 * FIRST_LOOK + 1
    assert texts(chat.shown)[-2] == "last"


def away(_: object, *__: object) -> Prompt:
    raise EngineNotReadyError("It is being started again.")


def test_while_nobody_can_count_what_is_seen_is_a_guess(
    chat: Chat, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.with_info(context_length=4096)
    for question in ("one", "two", "three"):
        ask(chat, engine, question + " x" * 30)
    chat.put(chat.shown[0].id, "pinned")
    chat.refresh()
    small = room_for(160, engine)
    with monkeypatch.context() as down:
        down.setattr(engine, "build_prompt", away)
        guess = chat.context(engine, small)
        assert guess is not None
        assert guess.is_guess
        assert [one.text[:3] for one in guess.messages] == ["one", "You", "…"]
        assert chat.context(engine, small) == guess  # or the page would be drawn again and again

        chat.ask(engine, "four", small)  # the engine refuses it, and nothing of it is lost
        finish(chat)
        reply = chat.shown[-1].reply
        assert texts(chat.shown[-2:]) == ["four", ""]
        assert reply is not None
        assert (reply.end, reply.error) == ("failed", "It is being started again.")

    now = chat.context(engine, CONTROLS)
    assert now is not None
    assert not now.is_guess
    chat.regenerate(engine, chat.shown[-1], CONTROLS)
    finish(chat)
    assert chat.shown[-1].text == "You said: four"


BEGINS_WITH_A_REPLY = {
    "one reply": ["an answer"],
    "a question behind it": ["an answer", "and now?", "this"],
}
"""What was said, the first by the model."""


def begun_with_a_reply(replies: Replies, said: list[str]) -> Chat:
    turns = [{"from": ("gpt", "human")[number % 2], "value": text} for number, text in enumerate(said)]
    asker = Asker("browser:one")
    [draft] = read_file(json.dumps({"conversations": turns}).encode()).drafts
    keep(replies.database, asker, [draft])
    return Chat.open(asker, replies, draft.conversation.id)


@pytest.mark.parametrize("said", BEGINS_WITH_A_REPLY.values(), ids=list(BEGINS_WITH_A_REPLY))
@pytest.mark.parametrize("act", [Chat.regenerate, Chat.resume], ids=["regenerate", "continue"])
@pytest.mark.parametrize("controls", [CONTROLS, Controls(SamplingParams(), "Be brief.")], ids=["plain", "system"])
def test_a_reply_that_answers_nothing_is_not_written_again_and_stays(
    replies: Replies,
    engine: ScriptedEngine,
    said: list[str],
    act: Callable[[Chat, ScriptedEngine, Message, Controls], None],
    controls: Controls,
) -> None:
    chat = begun_with_a_reply(replies, said)
    first = chat.shown[0]

    act(chat, engine, first, controls)
    chat.context(engine, controls)
    finish(chat)

    assert chat.last is not None
    failed = chat.last.reply
    refusal = chat.refusal(first)
    assert refusal is not None or (failed is not None and (failed.end, failed.error_kind) == ("failed", "prompt"))
    chat.select(first.id)
    chat.refresh()
    assert texts(chat.shown) == said
    assert chat.shown[0].reply == first.reply


def test_behind_a_reply_that_answers_nothing_a_question_is_answered(replies: Replies, engine: ScriptedEngine) -> None:
    chat = begun_with_a_reply(replies, ["an answer"])
    assert chat.context(engine, CONTROLS) is not None
    assert ask(chat, engine, "hello").text == "You said: hello"
