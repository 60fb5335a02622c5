import time
from types import SimpleNamespace
from typing import cast

import pytest
from streamlit.delta_generator import DeltaGenerator

from components.chats.replies import Written
from components.chats.reply import Snapshot
from components.engine.events import Waiting
from components.ui.chat.streaming import BlockWriter, show_waiting
from components.ui.texts import EN


class Slot(list[str]):
    """Records what is sent to it."""

    def markdown(self, text: str) -> None:
        self.append(text)

    def empty(self) -> None:
        self.append("")


class Container:
    """Records the slots made in it."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []

    def empty(self) -> Slot:
        self.slots.append(Slot())
        return self.slots[-1]

    @property
    def sent(self) -> int:
        return sum(len(text) for slot in self.slots for text in slot)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def container() -> Container:
    return Container()


def stream(container: Container, text: str, step: int, seconds: float) -> None:
    """Write ``text`` as it grows by ``step`` characters every ``seconds``."""
    clock = Clock()
    writer = BlockWriter(cast("DeltaGenerator", container), clock)
    for length in range(step, len(text), step):
        clock.now += seconds
        writer.write(text[:length])
    writer.finish(text)


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        (Waiting(2, 4.2), f"{EN.ahead.format(ahead=2)}, about 4 s"),
        (Waiting(0, for_restart=True), f"{EN.restarting} · 7 s"),
        (None, f"{EN.thinking} · 7 s"),
    ],
)
def test_what_is_waited_for_is_said(waiting: Waiting | None, said: str) -> None:
    snapshots = [Snapshot("", waiting, None), Snapshot("", waiting, "stop")]
    reply = SimpleNamespace(began=time.monotonic() - 7, snapshot=lambda: snapshots.pop(0), wait=lambda *_: snapshots[0])
    slot = Slot()
    show_waiting(cast("Written", reply), cast("DeltaGenerator", slot), EN)

    assert slot == [f":shimmer[{said}]"]


def test_the_last_thing_sent_is_the_whole_text(container: Container) -> None:
    stream(container, "# Title\n\nOne **two**.\n\n- a\n- b\n", 3, 0.05)
    assert [slot[-1].strip() for slot in container.slots] == ["# Title", "One **two**.", "- a\n- b"]


def test_a_finished_block_is_not_sent_again(container: Container) -> None:
    stream(container, "first\n\nsecond, which is longer", 1, 0.05)
    assert container.slots[0] == ["f", "fi", "fir", "firs", "first"]
    assert container.slots[1][-1] == "second, which is longer"


def test_a_link_is_sent_again_when_its_address_comes(container: Container) -> None:
    stream(container, "see [docs]\n\nother\n\n[docs]: https://a.org\n\nend\n", 1, 0.05)
    assert container.slots[0][-2:] == [r"see \[docs\]", "see [docs](<https://a.org>)"]
    assert container.slots[1][-1] == "other"


@pytest.mark.parametrize(
    "text",
    [
        "A paragraph of the usual length, as replies have many of them.\n\n" * 100,
        "```python\n" + "x = compute(x)  # a line of code\n" * 300 + "```\n",
    ],
    ids=["paragraphs", "one fence"],
)
def test_sending_costs_a_multiple_of_the_length(container: Container, text: str) -> None:
    stream(container, text, 4, 0.001)
    assert container.sent < 40 * len(text)


def test_a_slow_reply_is_shown_at_once(container: Container) -> None:
    stream(container, "x" * 1_000 + " and a word", 4, 1.0)
    assert len(container.slots[0]) >= 1_000 // 4
