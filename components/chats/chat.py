"""A conversation as one reader has it open in one tab: what is seen of it, and what can be done to it."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from components.chats.asker import Asker
from components.chats.context import Branch, Context, build_context
from components.chats.records import begun_reply, receipt_of, room_taken_by, turns_of
from components.chats.replies import Replies, Written
from components.chats.reply import Before
from components.chats.room import make_room
from components.engine.errors import EngineError, UnsupportedError
from components.engine.interface import Engine, GenerationRequest
from components.engine.receipts import Receipt
from components.sampling.kept import KeptScores
from components.sampling.parameters import SamplingParams
from components.settings import get_settings
from components.store.conversations import Conversations
from components.store.errors import StoreError
from components.store.messages import Messages
from components.store.rows import Conversation, Message, Place, Reply, Role, new_conversation_id, new_message_id

WINDOW = 30
"""So many messages are shown at first; a button shows as many more."""

TITLE_CHARACTERS = 60
"""Of a first title, which the question gives."""

LONGEST_TITLE = 200
"""In characters, whoever gives it."""


@dataclass(frozen=True)
class Controls:
    """What the sidebar shows: how to sample, and what the model is told before the conversation."""

    sampling: SamplingParams
    system: str = ""


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
class Chat:
    """One conversation, the end of one of its branches, and what is written there.

    Attributes:
        conversation: as it is kept, or will be with the first question.
        is_new: whether it is not kept yet.
        shown: the last messages of the branch, the oldest first.
        siblings: for each of them, itself and what else follows the same message.
        problem: why the store could not be read just now; None when it could.
    """

    asker: Asker
    replies: Replies
    conversation: Conversation
    is_new: bool = True
    shown: Sequence[Message] = ()
    siblings: Mapping[int, Sequence[int]] = field(default_factory=dict)
    window: int = WINDOW
    problem: str | None = None
    _context: tuple[object, Context] | None = None

    @classmethod
    def new(cls, asker: Asker, replies: Replies) -> "Chat":
        """An empty one. It is kept with its first question."""
        return cls(asker, replies, Conversation(new_conversation_id(), asker.reader))

    @classmethod
    def open(cls, asker: Asker, replies: Replies, conversation: str) -> "Chat":
        """One that is kept.

        Raises:
            NotFoundError: there is none with this id, or it is somebody else's.
            StoreError: the store cannot be read at present.
        """
        chat = cls(asker, replies, Conversation(conversation, asker.reader), is_new=False)
        with replies.database.reading() as connection:
            chat._read(connection)
        return chat

    @property
    def last(self) -> Message | None:
        """The end of the branch."""
        return self.shown[-1] if self.shown else None

    @property
    def earlier(self) -> int:
        """How many messages stand before those shown."""
        return self.shown[0].depth if self.shown else 0

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

    def refresh(self) -> None:
        """Read again what is kept. While that is older than what is shown, or cannot be read, nothing changes.

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

    def ask(self, engine: Engine, question: str, controls: Controls) -> None:
        """Put a question behind what is shown. A reply that is still written stops, with its text kept.

        Raises:
            FullError: the reader keeps as much as they may.
        """
        self._make_room(question)
        self.stop()
        last = self.last
        parent, depth = (last.id, last.depth + 1) if last else (None, 0)
        self._ask(engine, self._new(parent, depth, "user", question), controls)

    def edit(self, engine: Engine, message: Message, question: str, controls: Controls) -> None:
        """Ask something else beside ``message``, which keeps its replies.

        Raises:
            FullError: the reader keeps as much as they may.
        """
        self._make_room(question)
        self.stop()
        self._ask(engine, self._beside(message, question), controls)

    def regenerate(self, engine: Engine, message: Message, controls: Controls) -> None:
        """Write another reply beside ``message``.

        Raises:
            FullError: the reader keeps as much as they may.
        """
        self._make_room()
        self.stop()
        self._write(engine, self._beside(message), controls)

    def resume(self, engine: Engine, message: Message, controls: Controls) -> None:
        """Write on where ``message`` ended: in place, or beside it where something follows it already.

        In place, it stays as it was where nothing is written on; see ``refusal``.

        Raises:
            FullError: the reader keeps as much as they may.
            StoreError: what it came from cannot be read at present.
        """
        self._make_room()
        self.stop()
        message = self.replies.now(message)
        reply, tokens, scores = message.reply, self.replies.tokens(message), self.replies.scores(message)
        before = Before(reply, tokens, scores) if reply is not None and reply.end is not None else None
        if reply is None or reply.model != engine.info.model:
            tokens, scores = (), None  # another model's ids mean other words
        if message.id != (self.last.id if self.last else None):
            message, before = self._beside(message, message.text), None
        self._write(engine, message, controls, tokens=tokens, scores=scores, before=before)

    def branch(
        self,
        engine: Engine,
        message: Message,
        begin: KeptScores,
        controls: Controls,
        changes: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Write another reply beside ``message`` that begins with the tokens of ``begin``, and on from there.

        The model sees what it saw for ``message``, as long as there is room for one token behind that.

        Args:
            engine: writes it.
            message: the reply that it branches from.
            begin: what it begins with.
            controls: what the sidebar shows, which the conversation keeps.
            changes: sampling parameters that are otherwise for this reply.

        Raises:
            FullError: the reader keeps as much as they may.
            PromptError: the engine does not have these tokens.
            UnsupportedError: the engine does not know what tokens stand for, or another model wrote ``message``.
            StoreError: what it came from cannot be read at present.
        """
        if message.reply is None or message.reply.model != engine.info.model:
            raise UnsupportedError(
                "Another model runs than wrote this reply: to it, the same token ids are other words."
            )
        tokens = [step.token for step in begin.steps]
        text = engine.reply_text(tokens)
        self._make_room()
        self.stop()
        system = message.reply.record.get("system", controls.system)
        sampling = controls.sampling.model_copy(update=dict(changes))
        seen = self.seen(engine, message)
        if seen is not None:
            room = engine.info.context_length - len(seen.prompt) - len(tokens)
            if room < 1:
                seen = None
            else:
                sampling = sampling.model_copy(update={"max_new_tokens": min(sampling.max_new_tokens, room)})
        self._write(
            engine,
            self._beside(message, text),
            controls,
            used=Controls(sampling, system),
            seen=seen.messages if seen else None,
            tokens=tokens,
            scores=begin,
        )

    def refusal(self, message: Message) -> EngineError | None:
        """Why ``message`` was not written on just now and is what it was before; None where nobody asked, or it was."""
        return self.replies.refusal(message.id)

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

    def stop(self) -> None:
        """Stop the reply that is being written here, if there is one."""
        if (writing := self.writing) is not None:
            writing.stop()

    def select(self, message: int) -> None:
        """Show the branch that goes through ``message``, as far as its newest end.

        Raises:
            StoreError: the store cannot be written at present.
        """
        with self.replies.database.writing() as connection:
            leaf = Messages(connection, self.conversation.id).newest_below(message)
            Conversations(connection, self.asker.reader).change(self.conversation.id, leaf=leaf)

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
        changed = replace(self.conversation, sampling=_kept(controls.sampling), system=controls.system)
        if not self.is_new and changed != self.conversation:
            self.conversation = changed
            self.replies.keeper.keep(self._change(sampling=changed.sampling, system=changed.system))

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

    def _read(self, connection: Connection) -> None:
        self.conversation = Conversations(connection, self.asker.reader).get(self.conversation.id)
        messages = Messages(connection, self.conversation.id)
        self.shown = messages.branch(self.conversation.leaf, self.window)
        self.siblings = messages.siblings(self.shown)

    def _ask(self, engine: Engine, question: Message, controls: Controls) -> None:
        if not self.conversation.title:
            self.conversation = replace(self.conversation, title=title_of(question.text))
        reply = self._new(question.id, question.depth + 1, "assistant")
        self._write(engine, reply, controls, question=question)

    def _make_room(self, text: str = "") -> None:
        with suppress(StoreError):  # asking goes on without the store
            make_room(self.replies.database, self.asker, len(text))

    def _write(
        self,
        engine: Engine,
        reply: Message,
        controls: Controls,
        *,
        used: Controls | None = None,
        question: Message | None = None,
        seen: Sequence[Message] | None = None,
        tokens: Sequence[int] = (),
        scores: KeptScores | None = None,
        before: Before | None = None,
    ) -> None:
        """Have a reply written, or written on.

        Args:
            engine: writes it.
            reply: with the text that it has already.
            controls: what the sidebar shows, which the conversation keeps.
            used: how it is written, where that is otherwise.
            question: what it answers, where that is new.
            seen: what the model is given; None: what the branch says.
            tokens: what its text comes from.
            scores: of a reply that begins so.
            before: what the reply is again if nothing is written on.
        """
        used = used or controls
        new = [question] if question else []
        end = question.parent if question else reply.parent
        if seen is None:
            seen = self._build_context(engine, end, new, used, len(tokens)).messages
        seen_ids = [one.id for one in seen]
        model = engine.info.model
        begun = begun_reply(used.sampling, used.system, seen_ids, len(tokens), self.replies.process, model)
        reply = replace(reply, reply=begun)
        first = (question or reply).depth
        self.shown = [*(one for one in self.shown if one.depth < first), *new, reply]
        self._keep_begun([*new, reply], controls)
        turns = turns_of(used.system, seen)
        if reply.text and not tokens:  # tokens say exactly where it ended, inside a character, too
            turns.append({"role": "assistant", "content": reply.text})
        asker = self.asker
        request = GenerationRequest(
            turns,
            used.sampling,
            asker.visitor,
            origin="page",
            limited=asker.limited,
            address=asker.address,
            continues=tokens,
            kept_scores=get_settings().kept_scores,
            may_be_shorter=bool(tokens or reply.text),
        )
        self.replies.start(engine, request, reply, tokens, scores, before)

    def _keep_begun(self, written: Sequence[Message], controls: Controls) -> None:
        """Keep a question and the reply to come before the model is asked: they are not lost whatever happens."""
        values: dict[str, Any] = {
            "sampling": _kept(controls.sampling),
            "system": controls.system,
            "leaf": written[-1].id,
            "changed": time.time(),
        }
        self.conversation = conversation = replace(self.conversation, **values)
        self.is_new = False
        note = self._change(**values)

        def change(connection: Connection) -> None:
            self.replies.register(connection)
            Conversations(connection, self.asker.reader).add(conversation)
            messages = Messages(connection, conversation.id)
            for message in written:
                if not messages.add(message) and message.reply is not None:
                    messages.begin_again(message.id, message.reply)
            note(connection)

        self.replies.keeper.keep(change)

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
                    messages = Messages(connection, self.conversation.id)
                    has_pinned = any(message.place == "pinned" for message in messages.placed())
                    here = self.replies.here
                    return build(lambda limit: [*map(here, messages.branch(end, limit)), *new], has_pinned=has_pinned)
            except StoreError as error:
                self.problem = str(error)
        past = [one for one in self.shown if end is not None and one.id <= end]
        return build(lambda _: [*past, *new])

    def _change(self, **values: object) -> Callable[[Connection], None]:
        reader, conversation = self.asker.reader, self.conversation.id

        def change(connection: Connection) -> None:
            Conversations(connection, reader).change(conversation, **values)

        return change

    def _own(self, connection: Connection) -> str:
        """The conversation's id, if it is the reader's own."""
        return Conversations(connection, self.asker.reader).get(self.conversation.id).id

    def _beside(self, message: Message, text: str = "") -> Message:
        """A new message that follows the same one."""
        new = self._new(message.parent, message.depth, message.role, text)
        self.siblings = {**self.siblings, new.id: [*self.siblings.get(message.id, [message.id]), new.id]}
        return new

    def _new(self, parent: int | None, depth: int, role: Role, text: str = "") -> Message:
        reply = Reply() if role == "assistant" else None
        return Message(new_message_id(), self.conversation.id, parent, depth, role, text, reply=reply)


def title_of(question: str) -> str:
    """A first title for a conversation: the beginning of its first question, in one line."""
    line = " ".join(question.split())
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1] + "…"


def _kept(sampling: SamplingParams) -> dict[str, object]:
    return sampling.model_dump(mode="json")
