import threading
from collections.abc import Iterator

import pytest

from components.engine.interface import GenerationRequest
from components.sampling.parameters import SamplingParams
from components.ui.chat.conversation import Controls, Conversation
from tests.scripted_engine import ScriptedEngine

CONTROLS = Controls(SamplingParams())


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


def ask(conversation: Conversation, engine: ScriptedEngine, question: str) -> None:
    """Ask and wait for the end."""
    conversation.ask(engine, question, CONTROLS)
    reply = conversation.exchanges[-1].reply
    while reply.end is None:
        reply.wait(reply.snapshot(), 1.0)


def test_an_unanswered_question_is_not_sent_again(engine: ScriptedEngine) -> None:
    conversation = Conversation()
    engine.script = lambda _: []
    ask(conversation, engine, "one")
    ask(conversation, engine, "two")
    assert engine.requests[1].messages == [{"role": "user", "content": "two"}]


def test_a_new_question_stops_the_reply_before(engine: ScriptedEngine) -> None:
    release = threading.Event()

    def slow(request: GenerationRequest) -> Iterator[str]:
        yield "begun"
        if len(request.messages) == 1:
            release.wait(10)
            yield "never seen"

    engine.script = slow
    conversation = Conversation()
    conversation.ask(engine, "one", CONTROLS)
    first = conversation.exchanges[0].reply
    first.wait(first.snapshot(), 1.0)
    threading.Timer(0.1, release.set).start()
    ask(conversation, engine, "two")
    assert (first.text, first.end) == ("begun", "cancelled")
    assert conversation.exchanges[1].reply.text == "begun"


def test_nothing_is_forgotten_while_it_fits(engine: ScriptedEngine) -> None:
    conversation = Conversation()
    assert conversation.forgotten(engine, CONTROLS) == 0
    ask(conversation, engine, "one")
    assert conversation.forgotten(engine, CONTROLS) == 0


def test_the_oldest_exchanges_are_forgotten_first(engine: ScriptedEngine) -> None:
    conversation = Conversation()
    engine.with_info(context_length=4096)
    for question in ("one", "two", "three"):
        ask(conversation, engine, question)
    room = len("three" + "You said: three")
    small = Controls(SamplingParams(max_new_tokens=engine.info.context_length - room - 1))
    assert conversation.forgotten(engine, small) == 2


def test_the_conversation_is_measured_once(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    conversation = Conversation()
    ask(conversation, engine, "one")
    conversation.forgotten(engine, CONTROLS)
    monkeypatch.delattr(ScriptedEngine, "build_prompt")
    assert conversation.forgotten(engine, CONTROLS) == 0


def test_a_fault_ends_the_reply_too(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedEngine, "build_prompt", lambda *_: 1 / 0)
    conversation = Conversation()
    with pytest.raises(ZeroDivisionError):
        conversation.ask(engine, "one", CONTROLS)
    assert conversation.exchanges[0].reply.end == "failed"
