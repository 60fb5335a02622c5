"""What a reader does to a conversation: questions are asked, other ones tried, replies written, and written on."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from components.chats.controls import Controls
from components.chats.records import begun_reply, turns_of
from components.chats.reply import Before
from components.chats.room import make_room
from components.chats.titles import title_of
from components.chats.view import View
from components.engine.errors import EngineError, UnsupportedError
from components.engine.interface import Engine, GenerationRequest
from components.sampling.kept import KeptScores
from components.settings import get_settings
from components.store.conversations import Conversations
from components.store.errors import StoreError
from components.store.messages import Messages
from components.store.rows import Message


class Chat(View):
    """A conversation that is open, and what is written there."""

    def ask(self, engine: Engine, question: str, controls: Controls) -> None:
        """Put a question behind what is shown. A reply that is still written stops, with its text kept.

        Raises:
            FullError: the reader keeps as much as they may.
        """
        self._make_room(question, controls.system)
        self.stop()
        last = self.last
        parent, depth = (last.id, last.depth + 1) if last else (None, 0)
        self._ask(engine, self._new(parent, depth, "user", question), controls)

    def edit(self, engine: Engine, message: Message, question: str, controls: Controls) -> None:
        """Ask something else beside ``message``, which keeps its replies.

        Raises:
            FullError: the reader keeps as much as they may.
        """
        self._make_room(question, controls.system)
        self.stop()
        self._ask(engine, self._beside(message, question), controls)

    def regenerate(self, engine: Engine, message: Message, controls: Controls) -> None:
        """Write another reply beside ``message``.

        Raises:
            FullError: the reader keeps as much as they may.
        """
        self._make_room(controls.system)
        self.stop()
        self._write(engine, self._beside(message), controls)

    def resume(self, engine: Engine, message: Message, controls: Controls) -> None:
        """Write on where ``message`` ended: in place, or beside it where something follows it already.

        In place, it stays as it was where nothing is written on; see ``refusal``.

        Raises:
            FullError: the reader keeps as much as they may.
            StoreError: what it came from cannot be read at present.
        """
        self._make_room(controls.system)
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
        self._make_room(controls.system)
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

    def stop(self) -> None:
        """Stop the reply that is being written here, if there is one."""
        if (writing := self.writing) is not None:
            writing.stop()

    def _ask(self, engine: Engine, question: Message, controls: Controls) -> None:
        if not self.conversation.title:
            self.conversation = replace(self.conversation, title=title_of(question.text))
        reply = self._new(question.id, question.depth + 1, "assistant")
        self._write(engine, reply, controls, question=question)

    def _make_room(self, *texts: str) -> None:
        if self.replies.keeper.is_behind:
            return  # asking goes on without the store
        with suppress(StoreError):
            make_room(self.replies.database, self.asker, sum(map(len, texts)))

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
        self.older = [one for one in self.older if one.depth < first]
        self.shown = [*(one for one in self.shown if one.depth < first), *new, reply]
        self.found = None
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
        values: dict[str, Any] = controls.kept | {"leaf": written[-1].id, "changed": time.time()}
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

    def _beside(self, message: Message, text: str = "") -> Message:
        """A new message that follows the same one."""
        beside = self.siblings.get(message.id, [message.id])
        new = self._new(message.parent, message.depth, message.role, text, beside)
        self.siblings = {**self.siblings, new.id: [*beside, new.id]}
        return new
