"""Whatever is done to conversations, in whatever order: the store says what a plain model of it says."""

import contextlib
import time
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from components.store import rows
from components.store.conversations import Conversations, purge
from components.store.database import Database
from components.store.errors import NotFoundError
from components.store.messages import Messages
from components.store.rows import Conversation, Message, Reply, Role, new_conversation_id, new_message_id
from components.store.texts import fold, storable

READERS = ("browser:one", "browser:two")

TEXTS = st.text(max_size=20) | st.sampled_from(["床前明月光", "a%b_c\\", "\0", "\ud800", "😀", "שלום", "ＡＢＣ"])


@dataclass
class Model:
    """A conversation as it should be."""

    reader: str
    deleted: bool = False
    messages: dict[int, Message] = field(default_factory=dict)
    tokens: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def branch(self, leaf: int | None) -> list[Message]:
        branch: list[Message] = []
        while leaf is not None:
            branch.insert(0, self.messages[leaf])
            leaf = branch[0].parent
        return branch

    def ends_below(self, message: int) -> list[int]:
        children = [one.id for one in self.messages.values() if one.parent == message]
        return [found for child in children for found in self.ends_below(child)] or [message]


class Store(RuleBasedStateMachine):
    """Rules take a number and choose by it, so that a failing run can be made smaller."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.models: dict[str, Model] = {}
        with self.database.writing() as connection:
            for reader in READERS:
                Conversations(connection, reader).delete_everything()

    @rule(reader=st.sampled_from(READERS))
    def begin(self, reader: str) -> None:
        new = Conversation(new_conversation_id(), reader)
        with self.database.writing() as connection:
            Conversations(connection, reader).add(new)
        self.models[new.id] = Model(reader)

    @rule(hours=st.integers(-48, 48), restart=st.booleans())
    def set_the_clock(self, hours: int, restart: bool) -> None:
        rows.time.ahead += hours * 3600 * 10**9  # type: ignore[attr-defined]
        if restart:
            rows._last_id = 0

    @precondition(lambda self: self.models)
    @rule(number=st.integers(0), text=TEXTS, is_reply=st.booleans(), at_root=st.booleans(), twice=st.booleans())
    def add(self, number: int, text: str, is_reply: bool, at_root: bool, twice: bool) -> None:
        knows_parent = number % 3 > 0  # earlier versions did not look at it
        where, model = self._choose(number)
        parents = list(model.messages.values())
        parent = None if at_root or not parents else parents[number % len(parents)]
        reply = Reply(writer="p", sampling={"text": storable(text)}) if is_reply else None
        depth = parent.depth + 1 if parent else 0
        role: Role = "assistant" if is_reply else "user"
        new_id = new_message_id(parent.id if parent and knows_parent else None)
        new = Message(new_id, where, parent.id if parent else None, depth, role, text, reply=reply)
        assert parent is None or not knows_parent or new.id > parent.id
        with self.database.writing() as connection:
            for _ in range(1 + twice):
                Messages(connection, where).add(new, [number % 2**32] if is_reply else ())
        model.messages[new.id] = replace(new, text=storable(text))
        model.tokens[new.id] = (number % 2**32,) if is_reply else ()

    @precondition(lambda self: any(model.messages for model in self.models.values()))
    @rule(number=st.integers(0), text=TEXTS, end=st.sampled_from([None, "stop", "length", "cut"]))
    def grow(self, number: int, text: str, end: str | None) -> None:
        where, model, message = self._choose_message(number)
        if message.reply is None:
            return
        reply = replace(message.reply, end=end)
        with self.database.writing() as connection:
            Messages(connection, where).set_reply(message.id, text, [1, 2, 3], reply)
        model.messages[message.id] = replace(message, text=storable(text), reply=reply)
        model.tokens[message.id] = (1, 2, 3)

    @precondition(lambda self: any(model.messages for model in self.models.values()))
    @rule(number=st.integers(0), rating=st.sampled_from([-1, 0, 1]), place=st.sampled_from(["usual", "pinned"]))
    def mark(self, number: int, rating: int, place: str) -> None:
        where, model, message = self._choose_message(number)
        marked = replace(message, rating=rating, place="pinned" if place == "pinned" else "usual")
        with self.database.writing() as connection:
            Messages(connection, where).rate(message.id, rating, "")
            Messages(connection, where).put(message.id, marked.place)
        model.messages[message.id] = marked

    @precondition(lambda self: self.models)
    @rule(number=st.integers(0), back=st.booleans())
    def throw_away_or_restore(self, number: int, back: bool) -> None:
        where, model = self._choose(number)
        with self.database.writing() as connection:
            mine = Conversations(connection, model.reader)
            (mine.restore if back else mine.delete)(where)
        model.deleted = not back

    @rule()
    def purge(self) -> None:
        gone = [where for where, model in self.models.items() if model.deleted]
        with self.database.writing() as connection:
            assert purge(connection, float("inf")) == len(gone)
        for where in gone:
            del self.models[where]

    @rule(reader=st.sampled_from(READERS))
    def delete_everything(self, reader: str) -> None:
        gone = [where for where, model in self.models.items() if model.reader == reader]
        with self.database.writing() as connection:
            assert Conversations(connection, reader).delete_everything() == len(gone)
        for where in gone:
            del self.models[where]

    @precondition(lambda self: self.models)
    @rule()
    def fail_halfway(self) -> None:
        """A transaction that fails changes nothing."""
        where, model = self._choose(0)
        with contextlib.suppress(NotFoundError), self.database.writing() as connection:
            Messages(connection, where).add(Message(new_message_id(), where, None, 0, "user", "lost"))
            purge(connection, float("inf"))
            Conversations(connection, model.reader).get("nowhere")

    @invariant()
    def says_what_the_model_says(self) -> None:
        with self.database.reading() as connection:
            for reader in READERS:
                own = {where: model for where, model in self.models.items() if model.reader == reader}
                mine = Conversations(connection, reader)
                assert {one.id for one in mine.list(1000)} == {one for one in own if not own[one].deleted}
                assert {one.id for one in mine.deleted()} == {one for one in own if own[one].deleted}
            for where, model in self.models.items():
                self._check(Messages(connection, where), model)

    @invariant()
    def finds_what_the_model_has(self) -> None:
        with self.database.reading() as connection:
            for words in ("明月", "%", "abc", "\0"):
                for reader in READERS:
                    found = {one.conversation.id for one in Conversations(connection, reader).search(words, 1000)}
                    assert found == {
                        where
                        for where, model in self.models.items()
                        if model.reader == reader and not model.deleted and self._has(model, fold(words))
                    }

    def _check(self, messages: Messages, model: Model) -> None:
        kept = model.messages
        assert list(messages.all()) == sorted(kept.values(), key=lambda one: (one.depth, one.id))
        placed = [one for one in kept.values() if one.place != "usual"]
        assert list(messages.placed()) == sorted(placed, key=lambda one: (one.depth, one.id))
        siblings = messages.siblings(kept.values())
        for one in kept.values():
            branch = model.branch(one.id)
            assert messages.branch(one.id, None) == branch
            assert messages.branch(one.id, 2) == branch[-2:]
            assert messages.newest_below(one.id) == max(model.ends_below(one.id))
            assert list(siblings[one.id]) == sorted(two.id for two in kept.values() if two.parent == one.parent)
            assert tuple(messages.tokens(one.id)) == model.tokens[one.id]

    def _has(self, model: Model, words: str) -> bool:
        return any(words in fold(message.text) for message in model.messages.values())

    def _choose(self, number: int) -> tuple[str, Model]:
        return list(self.models.items())[number % len(self.models)]

    def _choose_message(self, number: int) -> tuple[str, Model, Message]:
        all_messages = [
            (where, model, message) for where, model in self.models.items() for message in model.messages.values()
        ]
        return all_messages[number % len(all_messages)]


class _Clock:
    """One that is set forth and back."""

    ahead = 0

    def time_ns(self) -> int:
        return time.time_ns() + self.ahead


def test_the_store_says_what_a_plain_model_says(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "time", _Clock())
    monkeypatch.setattr(rows, "_last_id", rows._last_id)
    run_state_machine_as_test(
        type("OverIt", (Store,), {"database": database}),
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
