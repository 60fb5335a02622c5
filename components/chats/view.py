"""A conversation as one reader has it open in one tab: what is seen of it, and of what came of it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Self

from sqlalchemy import Connection

from components.chats.asker import Asker
from components.chats.context import Branch, Context, build_context
from components.chats.controls import Controls
from components.chats.records import receipt_of, room_taken_by, turns_of
from components.chats.replies import Replies, Written
from components.engine.interface import Engine
from components.engine.receipts import Receipt
from components.store.conversations import Conversations
from components.store.errors import NotFoundError, StoreError
from components.store.messages import Messages
from components.store.rows import Conversation, Message, Place, Reply, Role, new_conversation_id, new_message_id

WINDOW = 30
"""So many messages are shown at first; a button shows as many more."""

AROUND = 10
"""So many are shown before and after one that was searched for."""


@dataclass(frozen=True)
class Seen:
    """What the model read for a reply.

    Attributes:
        messages: the oldest first.
        prompt: their token ids, with what was said before the conversation.
    """

    messages: Sequence[Message]
    prompt: Sequence[int]


@dataclass
class View:
    """One conversation, and the end of one of its branches.

    Attributes:
        conversation: as it is kept, or will be with the first question.
        is_new: whether it is not kept yet.
        shown: the last messages of the branch, the oldest first.
        older: a passage further up that is shown, too, since something was found there.
        found: the message that was found.
        siblings: for each of them, itself and what else follows the same message.
        problem: why the store could not be read just now; None when it could.
    """

    asker: Asker
    replies: Replies
    conversation: Conversation
    is_new: bool = True
    shown: Sequence[Message] = ()
    older: Sequence[Message] = ()
    found: int | None = None
    siblings: Mapping[int, Sequence[int]] = field(default_factory=dict)
    window: int = WINDOW
    problem: str | None = None
    _passage: tuple[int, int] | None = None
    _context: tuple[object, Context] | None = None

    @classmethod
    def new(cls, asker: Asker, replies: Replies) -> Self:
        """An empty one. It is kept with its first question."""
        return cls(asker, replies, Conversation(new_conversation_id(), asker.reader))

    @classmethod
    def open(cls, asker: Asker, replies: Replies, conversation: str) -> Self:
        """One that is kept.

        Raises:
            NotFoundError: there is none with this id, or it is somebody else's.
            StoreError: the store cannot be read at present, or what is new in it cannot be kept yet.
        """
        chat = cls(asker, replies, Conversation(conversation, asker.reader), is_new=False)
        try:
            with replies.database.reading() as connection:
                chat._read(connection)
        except NotFoundError:
            if (problem := replies.keeper.problem) is not None:  # it may be one that waits to be kept
                raise StoreError(problem) from None
            raise
        return chat

    @property
    def last(self) -> Message | None:
        """The end of the branch."""
        return self.shown[-1] if self.shown else None

    @property
    def earlier(self) -> int:
        """How many messages stand before those shown."""
        return self.drawn[0].depth if self.drawn else 0

    @property
    def between(self) -> int:
        """How many messages stand between the passage further up and the last ones."""
        return self.shown[0].depth - self.older[-1].depth - 1 if self.older and self.shown else 0

    @property
    def drawn(self) -> Sequence[Message]:
        """All messages that are shown."""
        return [*self.older, *self.shown]

    @property
    def unkept(self) -> str | None:
        """Why something is not kept at present, for people; None when everything is."""
        return self.replies.keeper.problem

    def written(self, message: Message) -> Written | None:
        """The reply ``message`` while it is written; None when it has ended."""
        written = self.replies.find(message)
        return written if written is not None and written.snapshot().end is None else None

    @property
    def writing(self) -> Written | None:
        """The reply at the end of the branch while it is written."""
        return self.written(self.last) if self.last else None

    def now(self, message: Message) -> Message:
        """``message`` as it is now: more of it may be written than was read."""
        try:
            return self.replies.now(message)
        except StoreError as error:
            self.problem = str(error)
            return message

    def show_earlier(self) -> None:
        """Show more of what stands before."""
        if self._passage is None:
            self.window += WINDOW
        else:
            self._passage = self._passage[0] - WINDOW, self._passage[1]

    def show_between(self) -> None:
        """Show more of what stands behind the passage further up."""
        if self._passage is not None:
            self._passage = self._passage[0], self._passage[1] + WINDOW

    def refresh(self) -> None:
        """Read again what is kept. While that is older than what is shown, or cannot be read, nothing changes.

        Where another tab went to another branch, this one stays on its own.

        Raises:
            NotFoundError: it was deleted.
        """
        if self.is_new or self.replies.keeper.is_behind:
            return
        try:
            with self.replies.database.reading() as connection:
                self._read(connection)
        except StoreError as error:
            self.problem = str(error)
        else:
            self.problem = None

    def receipt(self, message: Message) -> Receipt | None:
        """What a reply came from; None where that is not known.

        Raises:
            StoreError: it cannot be read at present.
        """
        if message.reply is None:
            return None
        with self.replies.database.reading() as connection:
            seen = Messages(connection, self.conversation.id).by_ids(message.reply.record.get("seen", ()))
        return receipt_of(message.reply, seen, self.replies.tokens(message))

    def seen(self, engine: Engine, message: Message) -> Seen | None:
        """What the model read for a reply, where ``engine`` runs the same model; None where that is not known.

        Raises:
            PromptError: this is nothing that the engine can read.
            StoreError: it cannot be read at present.
        """
        reply = message.reply
        ids = reply.record.get("seen") if reply else None
        if reply is None or not ids or (longest := room_taken_by(reply)) is None:
            return None
        with self.replies.database.reading() as connection:
            messages = Messages(connection, self.conversation.id).by_ids(ids)
        if len(messages) < len(ids):
            return None
        prompt = engine.build_whole_prompt(turns_of(reply.record.get("system", ""), messages), longest)
        # Without ids only another server knows them.
        return Seen(messages[prompt.dropped_messages :], prompt.input_ids) if prompt.input_ids else None

    def select(self, message: int) -> None:
        """Show the branch that goes through ``message``, as far as its newest end.

        Raises:
            StoreError: the store cannot be written at present.
        """
        with self.replies.database.writing() as connection:
            messages = Messages(connection, self.conversation.id)
            leaf = messages.newest_below(message)
            Conversations(connection, self.asker.reader).change(self.conversation.id, leaf=leaf)
            self._show(messages, leaf)

    def find(self, message: int) -> None:
        """Show what stands around ``message``, on the branch that is shown if it is there.

        Raises:
            NotFoundError: there is no such message.
            StoreError: the store cannot be used at present.
        """
        with self.replies.database.reading() as connection:
            messages = Messages(connection, self.conversation.id)
            depth = messages.get(message).depth
            is_here = self.last is not None and messages.end_through(message, self.last.id) == self.last.id
            self._passage = depth - AROUND, depth + AROUND
            if is_here and self.last is not None:
                self._show(messages, self.last.id)
        if not is_here:
            self.select(message)
        self.found = message

    def put(self, message: int, place: Place) -> None:
        """Pin a turn to what the model sees, leave it out, or neither.

        Raises:
            StoreError: the store cannot be written at present.
        """
        self._context = None
        with self.replies.database.writing() as connection:
            Messages(connection, self._own(connection)).put(message, place)

    def rate(self, message: int, rating: int, note: str = "") -> None:
        """Keep what the reader thinks of a reply.

        Raises:
            StoreError: the store cannot be written at present.
        """
        with self.replies.database.writing() as connection:
            Messages(connection, self._own(connection)).rate(message, rating, note)

    def remember(self, controls: Controls) -> None:
        """Keep what the sidebar shows, with a conversation that is kept."""
        kept = controls.kept
        changed = replace(self.conversation, **kept)
        if not self.is_new and changed != self.conversation:
            self.conversation = changed
            self.replies.keeper.keep(self._change(**kept))

    def context(self, engine: Engine, controls: Controls) -> Context | None:
        """What the model sees for the reply being written, else for the next one; None before the first question.

        It is worked out anew only when something changed, or when it was a guess.
        """
        if self.last is None:
            return None
        self.shown = [*self.shown[:-1], self.now(self.last)]
        is_writing = self.writing is not None
        end = self.last.parent if is_writing else self.last.id
        key = (end, self.shown, controls.system, controls.sampling.max_new_tokens, engine.info)
        before = self._context[1] if self._context is not None and self._context[0] == key else None
        if before is not None and not before.is_guess:
            return before
        stand_in = before.messages[-1] if before else self._new(end, self.last.depth + 1, "user", "…")
        context = self._build_context(engine, end, [] if is_writing else [stand_in], controls)
        self._context = key, context
        return context

    def _build_context(
        self, engine: Engine, end: int | None, new: Sequence[Message], controls: Controls, begun: int = 0
    ) -> Context:
        """What the model sees of the branch up to ``end`` and of ``new`` behind it.

        The reply has ``begun`` tokens already.
        """
        longest = controls.sampling.max_new_tokens
        if begun:  # less may be written on, so that the newest round always fits
            longest = min(longest + begun, engine.info.context_length - 1)

        def build(branch: Branch, *, has_pinned: bool = False) -> Context:
            return build_context(branch, engine, controls.system, longest, has_pinned=has_pinned)

        if not self.replies.keeper.is_behind:
            try:
                with self.replies.database.reading() as connection:
                    placed = Messages(connection, self.conversation.id).placed()
                has_pinned = any(message.place == "pinned" for message in placed)
                return build(lambda limit: [*self._branch(end, limit), *new], has_pinned=has_pinned)
            except StoreError as error:
                self.problem = str(error)
        place = next((number for number, one in enumerate(self.shown, 1) if one.id == end), 0)
        past = self.shown[:place]
        return build(lambda _: [*past, *new])

    def _branch(self, end: int | None, limit: int | None) -> Sequence[Message]:
        """Read by itself: counting its tokens may take another server as long as it likes, without a connection."""
        with self.replies.database.reading() as connection:
            branch = Messages(connection, self.conversation.id).branch(end, limit)
        return [self.replies.here(message) for message in branch]

    def _read(self, connection: Connection) -> None:
        self.conversation = Conversations(connection, self.asker.reader).get(self.conversation.id)
        messages = Messages(connection, self.conversation.id)
        leaf = self.conversation.leaf
        if self.last is not None and leaf != self.last.id:
            with suppress(NotFoundError):
                leaf = messages.end_through(self.last.id, leaf)
        self._show(messages, leaf)

    def _show(self, messages: Messages, leaf: int | None) -> None:
        """The branch that ends with ``leaf``: its last messages, and the passage further up unless these reach it."""
        shown = messages.branch(leaf, self.window)
        older: Sequence[Message] = ()
        if self._passage is not None and shown and leaf is not None:
            first, last = self._passage
            if last < shown[0].depth - 1:
                older = messages.stretch(leaf, first, last)
            else:
                self._passage = None
                self.window = max(self.window, shown[-1].depth + 1 - first)
                shown = messages.branch(leaf, self.window)
        self.shown, self.older = shown, older
        self.siblings = messages.siblings(self.drawn)

    def _change(self, **values: object) -> Callable[[Connection], None]:
        reader, conversation = self.asker.reader, self.conversation.id

        def change(connection: Connection) -> None:
            Conversations(connection, reader).change(conversation, **values)

        return change

    def _own(self, connection: Connection) -> str:
        """The conversation's id, if it is the reader's own."""
        return Conversations(connection, self.asker.reader).get(self.conversation.id).id

    def _new(self, parent: int | None, depth: int, role: Role, text: str = "", beside: Sequence[int] = ()) -> Message:
        reply = Reply() if role == "assistant" else None
        return Message(new_message_id(parent, *beside), self.conversation.id, parent, depth, role, text, reply=reply)
