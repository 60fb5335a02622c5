"""Replies that another server writes: who is next, and how they end.

Up to ``max_batch`` replies are written at once, each by a task of one event loop; more wait in a line in which the
visitors take turns. Messages go to the server as they are: whether a control token that somebody has written out counts
as one is for that server to say.
"""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Sequence
from functools import lru_cache, partial
from math import ceil
from typing import Any

from openai import APIError

from components.engine.errors import EngineError, EngineNotReadyError, PromptError
from components.engine.events import Finished, FinishReason
from components.engine.interface import Engine, EngineInfo, Generation, GenerationRequest, Load
from components.engine.line.estimates import Estimates, Remaining
from components.engine.line.fair_queue import FairQueue, check_line
from components.engine.measuring import Measure, Text, measured_prompt, parted
from components.engine.receipts import Receipt
from components.engine.remote.asking import Asker
from components.engine.remote.calls import build_call, build_prompt_call, used_sampling
from components.engine.remote.failures import describe
from components.engine.remote.loop import LoopThread
from components.engine.remote.server import Call, Server
from components.engine.remote.streamed_reply import StreamedReply
from components.engine.remote.whole_characters import WholeCharacters
from components.model.chat_format import Message, Prompt
from components.settings import Settings

logger = logging.getLogger(__name__)

REMEMBERED_LENGTHS = 256
"""So many conversations' lengths are known without asking the server again."""


class RemoteEngine(Engine):
    """Hands requests to one OpenAI-compatible server."""

    def __init__(
        self, server: Server, loop: LoopThread, info: EngineInfo, settings: Settings, kind: str | None = None
    ) -> None:
        """Take over ``server``, which is of this ``kind``, and the ``loop`` that it runs in."""
        super().__init__()
        self.info = info
        self._server = server
        self._loop = loop
        self._settings = settings
        self._kind = kind
        self._length_of_json = lru_cache(REMEMBERED_LENGTHS)(lambda text: len(self.tokenize(json.loads(text))))
        self._asker = Asker(server, info.model, settings, self._call_for, self._prompt_call_for)
        self._estimates = Estimates()
        self._lock = threading.Lock()  # for what follows
        self._waiting: FairQueue[StreamedReply] = FairQueue()
        self._active: list[StreamedReply] = []
        self._closed = False
        self._tasks: dict[StreamedReply, asyncio.Task[FinishReason]] = {}  # only the loop's thread touches them

    def build_prompt(self, messages: Sequence[Message], max_new_tokens: int) -> Prompt:
        """See ``Engine.build_prompt``. Only the other server knows the prompt's tokens."""
        return measured_prompt(messages, self.room_for_prompt(max_new_tokens), Measure(self._length_of))

    def tokenize(self, text: Text, *, invites: bool = True) -> list[int]:
        """See ``Engine.tokenize``."""
        if not isinstance(text, str):
            parted(text)
        try:
            return self._loop.run(self._server.tokenize(self.info.model, text, invites=invites))
        except APIError as error:
            raise describe(error, self._server, self.info.model).error from error

    def detokenize(self, tokens: Sequence[int]) -> str:
        """See ``Engine.detokenize``."""
        try:
            text = self._loop.run(self._server.detokenize(self.info.model, tokens))
        except APIError as error:
            raise describe(error, self._server, self.info.model).error from error

        return WholeCharacters().push(text)

    def load(self) -> Load:
        """See ``Engine.load``. The caches are the other server's."""
        with self._lock:
            return Load(len(self._active), len(self._waiting), used_tokens=0, idle_tokens=0, capacity_tokens=0)

    def close(self) -> None:
        """See ``Engine.close``."""
        with self._lock:
            self._closed = True
            waiting = list(self._waiting)
        for reply in waiting:
            reply.generation.cancel()
        self._loop.close(self._server.close)

    def _start(self, request: GenerationRequest, generation: Generation) -> None:
        reply = self._begin(request, generation)
        generation.on_cancel = lambda: self._loop.call(self._cancel, reply)
        with self._lock:
            if self._closed:
                raise EngineError("The engine was shut down. Start the application again.")
            places = self._settings.max_batch - len(self._active)
            check_line(request.origin, len(self._waiting), places, self._settings.max_queue)
            self._waiting.push(request.visitor, reply)
        self._loop.call(self._admit)

    def _begin(self, request: GenerationRequest, generation: Generation) -> StreamedReply:
        """The reply to a request, once it is clear that it can be asked for."""
        if not request.may_be_shorter:
            self.room_for_prompt(request.longest)
        if request.prompt is None:
            parted(request.messages)
        elif not request.prompt:
            raise PromptError("The prompt is empty: send at least one token.")
        reply = StreamedReply(request, generation)
        self._call_for(reply, request.messages)  # says what is wrong with the request
        return reply

    def _call_for(self, reply: StreamedReply, messages: Sequence[Message]) -> Call:
        return build_call(reply.request, messages, self.info.model, self._asker.refused, self._kind)

    def _prompt_call_for(self, reply: StreamedReply) -> dict[str, Any]:
        return build_prompt_call(reply.request, self.info.model)

    def _has_room(self, reply: StreamedReply) -> bool:  # noqa: ARG002
        """Whether the server can write this reply besides those that it writes. Most servers let requests wait."""
        return True

    def _length_of(self, text: Text) -> int:
        return self._length_of_json(json.dumps(text))

    def _fitting(self, request: GenerationRequest) -> tuple[GenerationRequest, Sequence[Message]]:
        """The request with a reply that fits, and as many of its messages as do.

        There are none for a prompt, which must fit as a whole. Asks the server.
        """
        longest = request.longest
        if request.may_be_shorter:
            longest = min(longest, self.info.context_length - 1)
        room = self.room_for_prompt(longest)
        if request.prompt is None:
            prompt = self.build_prompt(request.messages, longest)
            system, turns = parted(request.messages)
            messages, fits = [*system, *turns[prompt.dropped_messages :]], not prompt.too_long
            if request.may_be_shorter:
                used = self.info.context_length - longest if fits else ceil(Measure(self._length_of).length(messages))
                return self.shortened(request, used), messages
        elif isinstance(request.prompt, str):
            messages, fits = [], Measure(self._length_of).fits(request.prompt, room)
        else:
            messages, fits = [], len(request.prompt) <= room
        if not fits:
            raise self.too_long(longest)
        return request, messages

    # What follows runs in the event loop.

    def _admit(self) -> None:
        """Begin whoever is next, as long as there are places, and tell those who wait."""
        with self._lock:
            while (
                len(self._waiting)
                and len(self._active) < self._settings.max_batch
                and self._has_room(next(iter(self._waiting)))
                and not self._closed
            ):
                self._active.append(self._waiting.pop())
            active, waiting = list(self._active), list(self._waiting)
        for reply in active:
            if reply not in self._tasks:
                self._tasks[reply] = asyncio.get_running_loop().create_task(self._reply(reply))
                self._tasks[reply].add_done_callback(partial(self._leave, reply))
        begins = self._estimates.seconds_until(
            [Remaining(one.pieces, one.request.longest) for one in active],
            [Remaining(0, one.request.longest) for one in waiting],
        )
        for ahead, (reply, seconds) in enumerate(zip(waiting, begins, strict=True)):
            reply.tell_place(ahead, seconds)

    def _cancel(self, reply: StreamedReply) -> None:
        if reply in self._tasks:
            self._tasks[reply].cancel()
            return
        with self._lock:
            waits = reply in self._waiting
            self._waiting.remove(reply)
        if waits:
            self._finish(reply, "cancelled")
            self._admit()

    def _leave(self, reply: StreamedReply, task: asyncio.Task[FinishReason]) -> None:
        """Free the reply's place and tell how it ended."""
        del self._tasks[reply]
        with self._lock:
            self._active.remove(reply)
        error = None if task.cancelled() else task.exception()
        if error is None:
            self._finish(reply, "cancelled" if task.cancelled() else task.result())
        elif isinstance(error, EngineError):
            reply.generation.put(error)
        else:
            logger.error("A reply failed", exc_info=error)
            kind = type(error).__name__
            reply.generation.put(EngineError(f"The reply failed ({kind}). The log says more; try again."))
        self._admit()

    async def _reply(self, reply: StreamedReply) -> FinishReason:
        """Have the reply written within the longest time that one may take."""
        try:
            async with asyncio.timeout(self._settings.max_reply_seconds):
                return await self._asker.ask(reply, await self._prepare(reply))
        except TimeoutError as error:
            own = self._server.own
            if not reply.pieces and own and (trouble := own.keeper.trouble) is not None:
                raise EngineNotReadyError(trouble) from error
            return "time"

    async def _prepare(self, reply: StreamedReply) -> Sequence[Message]:
        """What the reply is asked for with, see ``_fitting``."""
        reply.request, messages = await asyncio.to_thread(self._fitting, reply.request)
        return messages

    def _finish(self, reply: StreamedReply, reason: FinishReason) -> None:
        request = reply.request
        now = time.monotonic()
        if reason in ("stop", "length") and request.writes:
            self._estimates.note_reply(reply.completion_tokens)
        if (seconds := reply.seconds_per_piece) is not None:
            self._estimates.note_step(seconds, len(self._active) + 1)
        reply.finish(
            Finished(
                reason=reason,
                prompt_tokens=reply.prompt_tokens,
                completion_tokens=reply.completion_tokens,
                seconds=now - reply.asked_at,
                time_to_first_token=reply.first_piece_at - reply.asked_at if reply.first_piece_at else None,
                reused_tokens=reply.reused_tokens,
                receipt=self._receipt(reply),
                approximate=reply.is_estimated,
                tokens=reply.untold,
                waited=reply.waited,
            )
        )

    def _receipt(self, reply: StreamedReply) -> Receipt:
        request = reply.request
        return Receipt(
            messages=list(request.messages),
            prompt=request.prompt,
            tokens=(),
            sampling=used_sampling(request.sampling, self._asker.refused),
            exact=False,
            reused=reply.reused_tokens,
            model=self.info.model,
            weights="not known: they are on another server",
            device=self.info.device,
            dtype=self.info.dtype,
            engine=self.info.engine,
            versions={"system_fingerprint": reply.fingerprint} if reply.fingerprint else {},
        )
