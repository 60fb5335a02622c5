"""What can be done with a single reply."""

from collections.abc import Sequence

import pytest
from sqlalchemy import event
from streamlit.testing.v1 import AppTest

from components.chats.replies import Replies
from components.engine.events import Finished
from components.engine.interface import GenerationRequest
from components.engine.receipts import Receipt
from components.sampling.parameters import SamplingParams
from components.store.messages import Messages
from components.store.rows import Message
from components.ui.texts import EN
from tests.scripted_engine import ScriptedEngine


def ask(page: AppTest, question: str) -> AppTest:
    page.chat_input(key="question").set_value(question).run()
    assert not page.exception
    return page


def kept(page: AppTest, replies: Replies) -> Sequence[Message]:
    """The replies on the page, as they are kept."""
    with replies.database.reading() as connection:
        messages = Messages(connection, page.session_state["chat"].conversation.id).all()
    return [message for message in messages if message.role == "assistant"]


def open_menu(page: AppTest, message: Message) -> AppTest:
    page.session_state[f"icon_menu_{message.id}"] = True
    page.run()
    assert not page.exception
    return page


def test_nothing_of_a_menu_is_there_before_it_is_opened(page: AppTest, replies: Replies) -> None:
    ask(page, "hello")
    assert not page.code
    open_menu(page, kept(page, replies)[0])
    assert page.code[0].value == "You said: hello"


def test_every_reply_can_be_copied_as_it_was_written(page: AppTest, engine: ScriptedEngine, replies: Replies) -> None:
    engine.script = lambda _: ["# A *title*\n\n$x$ <b>"]
    ask(ask(page, "one"), "two")
    for reply in kept(page, replies):
        open_menu(page, reply)
    assert [code.value for code in page.code] == ["# A *title*\n\n$x$ <b>"] * 2


def test_a_rating_and_its_note_are_kept_and_taken_back(page: AppTest, replies: Replies) -> None:
    ask(page, "hello")
    reply = kept(page, replies)[0]
    open_menu(page, reply)
    page.button(key=f"thumb_down_{reply.id}").click().run()
    page.text_input(key=f"note_{reply.id}").set_value("  too short ").run()
    now = kept(page, replies)[0]
    assert (now.rating, now.note) == (-1, "too short")
    page.button(key=f"thumb_up_{reply.id}").click().run()
    now = kept(page, replies)[0]
    assert (now.rating, now.note) == (1, "too short")
    page.button(key=f"thumb_up_{reply.id}").click().run()
    now = kept(page, replies)[0]
    assert (now.rating, now.note) == (0, "")


def test_an_older_reply_is_regenerated_beside_itself(page: AppTest, engine: ScriptedEngine, replies: Replies) -> None:
    ask(ask(page, "one"), "two")
    first = kept(page, replies)[0]
    open_menu(page, first)
    page.button(key=f"regenerate_{first.id}").click().run()
    assert engine.requests[-1].messages == [{"role": "user", "content": "one"}]
    assert len(page.chat_message) == 2
    assert "2/2" in [caption.value for caption in page.caption]


def test_an_older_reply_that_was_cut_off_is_continued_beside_itself(
    page: AppTest, engine: ScriptedEngine, replies: Replies
) -> None:
    engine.script = lambda request: ["a "] * 40 if "one" in request.messages[-1]["content"] else ["b"]
    page.slider(key="max_new_tokens").set_value(16)
    ask(ask(ask(page, "one"), "two"), "three")
    first, second, _ = kept(page, replies)
    open_menu(open_menu(page, first), second)
    keys = [str(button.key) for button in page.button]
    assert f"resume_{first.id}" in keys
    assert f"resume_{second.id}" not in keys
    page.button(key=f"resume_{first.id}").click().run()
    assert engine.requests[-1].messages[-1] == {"role": "assistant", "content": "a " * 16}


def test_what_a_run_reads_does_not_grow_with_the_replies(
    page: AppTest, engine: ScriptedEngine, replies: Replies
) -> None:
    """A receipt is read when it is asked for."""

    def script(_: GenerationRequest) -> list[str | Finished]:
        receipt = Receipt([], None, (1, 2), SamplingParams(), False, 0, "M", "", "", "", "", {})
        return ["hi", Finished("stop", 5, 2, 1.0, 0.5, receipt=receipt)]

    engine.script = script
    statements: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        statements.append(statement)

    ask(ask(page, "one"), "two")
    replies.keeper.close()  # it asks every second
    event.listen(replies.database._engine, "before_cursor_execute", note)
    page.run()
    assert not [statement for statement in statements if "messages.id IN" in statement]
    open_menu(page, kept(page, replies)[0])
    assert [expander.label for expander in page.expander if expander.label == EN.receipt]
    assert [statement for statement in statements if "messages.id IN" in statement]


@pytest.mark.parametrize("question", ["x", "中文"])
def test_keys_of_widgets_are_unique_and_stable(page: AppTest, replies: Replies, question: str) -> None:
    for number in range(3):
        ask(page, f"{question} {number}")
    for reply in kept(page, replies):
        open_menu(page, reply)
    keys = [str(widget.key) for widget in [*page.button, *page.text_input] if widget.key]
    page.run()
    assert keys == [str(widget.key) for widget in [*page.button, *page.text_input] if widget.key]
    assert len(keys) == len(set(keys))
