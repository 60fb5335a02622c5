"""A clock that is set back, or another server's that goes behind, hides nothing of what was said."""

import time
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.chats.chat import Chat
from components.chats.keeper import Keeper
from components.store import rows
from components.store.rows import new_message_id
from tests.chats.helpers import CONTROLS, Start, ask, asked, finish, texts
from tests.scripted_engine import ScriptedEngine


def set_clock(monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    """Of a server that was started anew."""
    ahead = int(hours * 3600 * 10**9)
    monkeypatch.setattr(rows, "time", SimpleNamespace(time_ns=lambda: time.time_ns() + ahead))
    monkeypatch.setattr(rows, "_last_id", 0)


@pytest.fixture
def turned_back(chat: Chat, engine: ScriptedEngine, start: Start, monkeypatch: pytest.MonkeyPatch) -> Chat:
    """A conversation of a first question, and two that were asked an hour earlier by the clock."""
    monkeypatch.setattr(rows, "_last_id", rows._last_id)
    ask(chat, engine, "q1")
    set_clock(monkeypatch, -1)
    again = Chat.open(chat.asker, start(), chat.conversation.id)
    for question in ("q2", "q3"):
        ask(again, engine, question)
    return again


def test_the_arrows_lead_to_everything(turned_back: Chat, engine: ScriptedEngine) -> None:
    first = turned_back.shown[0]
    turned_back.edit(engine, first, "other", CONTROLS)
    finish(turned_back)
    assert texts(turned_back.shown) == ["other", "You said: other"]
    assert turned_back.siblings[turned_back.shown[0].id] == [first.id, turned_back.shown[0].id]
    turned_back.select(first.id)
    turned_back.refresh()
    assert texts(turned_back.shown)[::2] == ["q1", "q2", "q3"]


def test_the_model_sees_everything_though_the_database_is_away(
    turned_back: Chat, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "is_behind", True)
        turned_back.ask(engine, "q4", CONTROLS)
    assert asked(engine)[::2] == ["q1", "q2", "q3", "q4"]


def test_what_was_kept_with_ids_out_of_order_is_seen_as_well(
    chat: Chat, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    falling = iter(range(10**6, 0, -1))
    monkeypatch.setattr("components.chats.view.new_message_id", lambda *_: next(falling))
    for question in ("q1", "q2"):
        ask(chat, engine, question)
    chat.select(chat.shown[0].id)
    chat.refresh()
    assert texts(chat.shown)[::2] == ["q1", "q2"]
    monkeypatch.setattr(Keeper, "is_behind", True)
    chat.ask(engine, "q3", CONTROLS)
    assert asked(engine)[::2] == ["q1", "q2", "q3"]


@given(st.lists(st.tuples(st.integers(-100, 100), st.booleans()), min_size=1, max_size=30))
@settings(deadline=None)
def test_a_message_has_a_larger_id_than_those_it_follows(jumps: list[tuple[int, bool]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "_last_id", 0)
        branch = [new_message_id()]
        for hours, restart in jumps:
            if restart:
                set_clock(patch, hours)
            branch.append(new_message_id(branch[-1], None))
    assert branch == sorted(set(branch))
    assert branch[-1] < 2**63


def test_two_servers_behind_the_same_message_give_different_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_last_id", 0)
    parent = new_message_id()
    ids = set()
    for _ in range(100):
        set_clock(monkeypatch, -1)
        ids.add(new_message_id(parent))
    assert len(ids) > 95
