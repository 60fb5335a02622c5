"""Replies that a server of our own writes: it is given prompts as token ids, and tells the ids of what it writes.

So the chat format, what a forged turn comes to, stop strings, where a reply goes round in a circle, and from where it
is written on are as in the engine of this process, whatever the server would make of messages.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from components.engine.errors import EngineNotReadyError
from components.engine.interface import EngineInfo, Generation, GenerationRequest, Load
from components.engine.receipts import Receipt
from components.engine.remote.calls import build_prompt_call
from components.engine.remote.engine import RemoteEngine
from components.engine.remote.failures import delay_before
from components.engine.remote.loop import LoopThread
from components.engine.remote.reply_by_ids import ReplyByIds
from components.engine.remote.server import Call, Keeper, Server
from components.engine.remote.streamed_reply import StreamedReply
from components.engine.vocabulary import Vocabulary, VocabularyEngine
from components.model.chat_format import Message
from components.settings import Settings


class Dialect(Protocol):
    """How a kind of server is asked for replies to token ids."""

    def check(self, request: GenerationRequest) -> None:
        """See whether the server can do what is asked for.

        Raises:
            UnsupportedError: it cannot.
            PromptError: nobody can.
        """

    def call(self, request: GenerationRequest, prompt: Sequence[int]) -> Call:
        """What asks for a reply to these ids. The answer's parts have ids."""


class EngineByIds(VocabularyEngine, RemoteEngine):
    """Hands token ids to a server that this application keeps running.

    Attributes:
        dialect: the server's.
        keeper: keeps it running.
    """

    def __init__(
        self,
        server: Server,
        loop: LoopThread,
        info: EngineInfo,
        settings: Settings,
        vocabulary: Vocabulary,
        dialect: Dialect,
        keeper: Keeper,
        capacity: int,
        versions: dict[str, str],
    ) -> None:
        """Take over what runs.

        Args:
            server: where it is.
            loop: in which it is spoken to.
            info: what is running.
            settings: how many replies at once, how many in line.
            vocabulary: the model's.
            dialect: the server's.
            keeper: ends the server with this engine.
            capacity: tokens that the server has memory for, all replies together.
            versions: of what decides the numbers.
        """
        super().__init__(server, loop, info, settings)
        self.vocabulary = vocabulary
        self.dialect = dialect
        self.keeper = keeper
        self._capacity = capacity
        self._versions = versions

    @property
    def failure(self) -> str | None:
        """See ``Engine.failure``."""
        return self.keeper.trouble

    def load(self) -> Load:
        """See ``Engine.load``. Which of its tokens the server keeps for later is not told."""
        with self._lock:
            used = sum(
                len(reply.prompt or ()) + len(reply.ids) for reply in self._active if isinstance(reply, ReplyByIds)
            )
            return Load(len(self._active), len(self._waiting), used, 0, self._capacity)

    def close(self) -> None:
        """See ``Engine.close``."""
        super().close()
        self.keeper.close()

    def _begin(self, request: GenerationRequest, generation: Generation) -> ReplyByIds:
        self.dialect.check(request)
        prompt = None
        try:
            request, prompt = self._fitted(request)
        except EngineNotReadyError:
            if self.keeper.has_given_up:
                raise
        return ReplyByIds(request, generation, prompt, self.vocabulary.texts)

    async def _prepare(self, reply: StreamedReply) -> Sequence[Message]:
        """Build the prompt if it is not known yet, as soon as the server is back that knows the ids of a text.

        Raises:
            PromptError: there is none for this request.
            EngineNotReadyError: the server is not started any more, or tells no ids.
        """
        assert isinstance(reply, ReplyByIds)
        attempt = 0
        while reply.prompt is None:
            attempt = 0 if await self._asker.wait_for_restart(reply) else attempt
            try:
                reply.request, reply.prompt = await asyncio.to_thread(self._fitted, reply.request)
            except EngineNotReadyError:  # it has crashed just now, which may be noticed in a moment
                if attempt == self._settings.openai_retries:
                    raise
                await asyncio.sleep(delay_before(attempt, None))
                attempt += 1
            else:
                self._admit()  # the others, to the room that this one does not need
        return reply.request.messages

    def _call_for(self, reply: StreamedReply, messages: Sequence[Message]) -> Call:  # noqa: ARG002
        assert isinstance(reply, ReplyByIds)
        assert reply.prompt is not None
        return self.dialect.call(reply.request, reply.prompt)

    def _prompt_call_for(self, reply: StreamedReply) -> dict[str, Any]:
        assert isinstance(reply, ReplyByIds)
        return build_prompt_call(replace(reply.request, prompt=reply.prompt), self.info.model)

    def _has_room(self, reply: StreamedReply) -> bool:
        return sum(map(self._room_of, (*self._active, reply))) <= self._capacity

    def _room_of(self, reply: StreamedReply) -> int:
        """How many tokens the prompt and the longest reply have together; all that fit while that is not known."""
        assert isinstance(reply, ReplyByIds)
        return self.info.context_length if reply.prompt is None else len(reply.prompt) + reply.request.longest

    def _receipt(self, reply: StreamedReply) -> Receipt:
        assert isinstance(reply, ReplyByIds)
        request = reply.request
        return Receipt(
            messages=list(request.messages),
            prompt=request.prompt,
            tokens=(*request.continues, *reply.ids),
            sampling=request.sampling,
            exact=False,
            reused=reply.reused_tokens,
            model=self.info.model,
            weights=self.weights or "not known yet",
            device=self.info.device,
            dtype=self.info.dtype,
            engine=self.info.engine,
            versions=self._versions,
            continued=len(request.continues),
        )
