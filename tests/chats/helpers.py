"""What the tests of conversations do again and again."""

import io
import time
import zipfile
from collections.abc import Callable, Sequence

from components.chats.chat import Chat
from components.chats.controls import Controls
from components.chats.replies import Replies
from components.sampling.parameters import SamplingParams
from components.store.rows import Message
from tests.scripted_engine import ScriptedEngine

CONTROLS = Controls(SamplingParams())

Start = Callable[[], Replies]


def wait_until(condition: Callable[[], bool], what: str = "it does not happen") -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def finish(chat: Chat) -> None:
    """Wait until the reply at the end is written and kept."""
    wait_until(lambda: chat.writing is None, "the reply does not end")
    wait_until(lambda: chat.last is None or chat.replies.is_kept(chat.last.id), "the reply is not kept")
    chat.refresh()


def ask(chat: Chat, engine: ScriptedEngine, question: str, controls: Controls = CONTROLS) -> Message:
    """Ask and wait for the end; gives the reply."""
    chat.ask(engine, question, controls)
    finish(chat)
    assert chat.last is not None
    return chat.last


def texts(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages]


def asked(engine: ScriptedEngine) -> list[str]:
    """What the model was given the last time."""
    return [message["content"] for message in engine.requests[-1].messages]


def zipped(files: dict[str, bytes]) -> bytes:
    """A ZIP file with these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return packed.getvalue()
