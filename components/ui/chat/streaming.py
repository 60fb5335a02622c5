"""Shows a reply as it grows: at most 20 updates a second, and only of what changed."""

import time
from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components.chats.replies import Written
from components.chats.reply import Snapshot
from components.markdown.document import Document, complete_blocks
from components.ui.texts import Texts

UPDATE_SECONDS = 0.05
"""Time between two updates, at the least."""

LONGEST_PAUSE_SECONDS = 1.0
"""Something is sent this often even when nothing is new: only while it sends can Streamlit end a script run."""

RESEND_SHARE = 32
"""A growing block is sent again once it is longer by this part of itself, so sending it costs at most this many times
its length, however long it gets. It never waits longer than ``LONGEST_PAUSE_SECONDS``."""


def draw_text(text: str) -> None:
    """A reply that is complete."""
    for block in filter(None, complete_blocks(text)):
        st.markdown(block)


def show_waiting(reply: Written, slot: DeltaGenerator, texts: Texts) -> None:
    """Say in ``slot`` what the reader waits for, until the reply has text or has ended."""
    while not (snapshot := reply.snapshot()).text and snapshot.end is None:
        slot.markdown(f":shimmer[{_waiting_text(reply, snapshot, texts)}]")
        _pause(reply, snapshot)


def show_growing(reply: Written, container: DeltaGenerator) -> None:
    """Show the text in ``container`` until the reply ends."""
    writer = BlockWriter(container)
    while (snapshot := reply.snapshot()).end is None:
        writer.write(snapshot.text)
        _pause(reply, snapshot)
    writer.finish(snapshot.text)


def _pause(reply: Written, shown: Snapshot) -> None:
    time.sleep(UPDATE_SECONDS)
    reply.wait(shown, LONGEST_PAUSE_SECONDS)


def _waiting_text(reply: Written, snapshot: Snapshot, texts: Texts) -> str:
    text = texts.thinking
    if snapshot.waiting and snapshot.waiting.for_restart:
        text = texts.restarting
    elif snapshot.waiting:
        text = texts.ahead.format(ahead=snapshot.waiting.ahead)
        if snapshot.waiting.seconds is not None:
            return text + texts.seconds_left.format(seconds=snapshot.waiting.seconds)
    seconds = time.monotonic() - reply.began
    return f"{text} · {texts.seconds.format(seconds=seconds)}" if seconds >= 2 else f"{text} …"


class BlockWriter:
    """Writes growing Markdown into a container, each finished block once."""

    def __init__(self, container: DeltaGenerator, clock: Callable[[], float] = time.monotonic) -> None:
        self._container = container
        self._clock = clock
        self._document = Document()
        self._slots: list[DeltaGenerator] = []
        self._sent: list[str] = []
        self._sent_length = 0
        self._sent_at = 0.0

    def write(self, text: str) -> None:
        """Show ``text``, which begins with what was written before."""
        if self._is_due(len(text) - self._document.finished):
            self._document.grow(text)
            self._send(len(text))

    def finish(self, text: str) -> None:
        """Show ``text``, which is complete now."""
        self._document.finish(text)
        self._send(len(text))

    def _is_due(self, length: int) -> bool:
        if self._clock() - self._sent_at >= LONGEST_PAUSE_SECONDS:
            return True
        return (length - self._sent_length) * RESEND_SHARE >= self._sent_length and length != self._sent_length

    def _send(self, length: int) -> None:
        """Send the blocks that are not shown yet as they are now."""
        blocks = self._document.blocks
        for number, block in enumerate(blocks):
            if number == len(self._slots):
                self._slots.append(self._container.empty())
                self._sent.append("")
            if block != self._sent[number]:
                self._slots[number].markdown(block)
                self._sent[number] = block
        for number in range(len(blocks), len(self._slots)):
            self._slots[number].empty()
            self._sent[number] = ""
        self._sent_length = length - self._document.finished
        self._sent_at = self._clock()
