"""One reply of another server: how often it is asked for, and how long it is waited for."""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

from openai import APIError, APIStatusError

from components.engine.errors import EngineError, EngineNotReadyError, UnsupportedError
from components.engine.events import FinishReason, Waiting
from components.engine.interface import GenerationRequest
from components.engine.remote.calls import KEPT_SCORES, refused_by
from components.engine.remote.chunks import read_prompt, usage_of
from components.engine.remote.failures import (
    DroppedError,
    broken_off,
    delay_before,
    describe,
    lost_again,
    message_of,
    unknown_model,
    was_read,
)
from components.engine.remote.server import Call, Server
from components.engine.remote.streamed_reply import StreamedReply
from components.model.chat_format import Message
from components.settings import Settings

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
"""How often it is looked whether a server of our own is back."""

MOST_LOSSES = 3
"""A reply that so many runs of a server of our own did not outlive is asked for no more: it may be what they die of."""


class Asker:
    """Asks one server for replies, in its event loop.

    Attributes:
        refused: what the server has been found not to take; requests leave it out.
    """

    def __init__(
        self,
        server: Server,
        model: str,
        settings: Settings,
        call_for: Callable[[StreamedReply, Sequence[Message]], Call],
        prompt_call_for: Callable[[StreamedReply], dict[str, Any]],
    ) -> None:
        """Set up.

        Args:
            server: who is asked.
            model: the server's name of it.
            settings: how long it is waited for, and how often it is asked again.
            call_for: what asks for a reply to these messages.
            prompt_call_for: what asks how likely the tokens of a reply's prompt are.
        """
        self.refused: set[str] = set()
        self._server = server
        self._model = model
        self._settings = settings
        self._call_for = call_for
        self._prompt_call_for = prompt_call_for

    async def ask(self, reply: StreamedReply, messages: Sequence[Message]) -> FinishReason:
        """Ask for the reply, and again as long as nothing of it has come and that may help.

        Args:
            reply: takes what comes.
            messages: what it answers, as far as that fits.

        Raises:
            EngineError: there is no reply, or not all of it.
        """
        attempt = 0
        lost_in: set[int] = set()
        while True:
            if await self.wait_for_restart(reply):
                attempt = 0
            start = self._server.own.keeper.starts if self._server.own else 0
            call = self._call_for(reply, messages)
            try:
                if reply.request.prompt_logprobs is not None and not reply.prompt_told:
                    await self._read_prompt(reply)
                if not reply.request.writes:
                    return "length"
                await self._stream(reply, call)
            except (APIError, DroppedError) as error:
                if reply.end is not None:  # only what follows a reply was lost
                    return reply.end
                if reply.pieces:
                    reason = message_of(error, self._server) if isinstance(error, APIError) else str(error)
                    raise broken_off(self._server, reason) from error
                if isinstance(error, APIStatusError) and self._learn_from(error, call, reply.request):
                    continue
                if isinstance(error, APIStatusError) and error.status_code == 404:
                    await self._check_model()
                failure = describe(error, self._server, self._model)
                if self._server.own and was_read(error):
                    lost_in.add(start)
                    if len(lost_in) == MOST_LOSSES:
                        raise lost_again(self._server, MOST_LOSSES) from error
                if not failure.temporary or attempt == self._settings.openai_retries:
                    raise failure.error from error
                delay = delay_before(attempt, failure.after)
                attempt += 1
                reply.generation.put(Waiting(0, delay))
                await asyncio.sleep(delay)
            else:
                assert reply.end is not None
                return reply.end

    async def wait_for_restart(self, reply: StreamedReply) -> bool:
        """Wait while a server of our own is started again, and tell the reader so; whether that was necessary.

        Raises:
            EngineNotReadyError: it is not started any more.
        """
        if self._server.own is None or self._server.own.keeper.trouble is None:
            return False
        keeper, clock = self._server.own.keeper, asyncio.get_running_loop().time
        began = clock()
        reply.generation.put(Waiting(0, for_restart=True))
        try:
            while (trouble := keeper.trouble) is not None:
                if keeper.has_given_up:
                    raise EngineNotReadyError(trouble)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            reply.waited += clock() - began
        reply.generation.put(Waiting(0))
        return True

    async def _read_prompt(self, reply: StreamedReply) -> None:
        """Have the server tell how likely the prompt's tokens were.

        Raises:
            openai.APIError: the server did not answer, or refused.
            DroppedError: the answer is none.
            UnsupportedError: it answers without telling.
            EngineError: nothing came in time.
        """
        try:
            async with asyncio.timeout(self._patience):
                answer = await self._server.complete(self._prompt_call_for(reply))
        except TimeoutError as error:
            raise self._too_late() from error
        except json.JSONDecodeError as error:
            raise DroppedError("what it sent is no JSON") from error
        prompt = read_prompt(answer, reply.request.prompt_logprobs or 0)
        if prompt is None:
            raise UnsupportedError(
                f"{self._server.who} does not tell the log probabilities of prompts: leave echo or logprobs out."
            )
        reply.usage = usage_of(answer.usage)
        reply.tell_prompt(prompt)

    @property
    def _patience(self) -> float | None:
        """Seconds until the first token; None for a server of our own, which tells when it has gone.

        On a slow CPU a long conversation alone may take as long as others' servers are waited for.
        """
        return None if self._server.own else self._settings.openai_first_token_timeout

    def _too_late(self) -> EngineError:
        return EngineError(
            f"{self._server.who} did not begin the reply within "
            f"{self._settings.openai_first_token_timeout:g} seconds. "
            "It may be busy: ask again later, or with a shorter conversation."
        )

    async def _stream(self, reply: StreamedReply, call: Call) -> None:
        """Read one stream to its end, or to where the reply goes round in a circle.

        Raises:
            openai.APIError: the server did not answer, refused, or broke off.
            DroppedError: the stream has ended, the reply has not.
            EngineError: nothing came in time.
        """
        clock = asyncio.get_running_loop().time
        between = self._settings.openai_token_timeout
        try:
            async with asyncio.timeout(self._patience) as patience, self._server.write(call) as parts, aclosing(parts):
                async for part in parts:
                    reply.take(part)
                    if reply.is_over:
                        return
                    if reply.pieces:
                        patience.reschedule(clock() + between)
        except TimeoutError as error:
            if reply.pieces:
                raise DroppedError(f"nothing came for {between:g} seconds") from error
            raise self._too_late() from error
        except json.JSONDecodeError as error:
            raise DroppedError("what it sent is no JSON") from error
        if reply.end is None:
            raise DroppedError("the connection ended")

    def _learn_from(self, error: APIStatusError, call: Call, request: GenerationRequest) -> bool:
        """Remember what the server refuses; whether asking without it is worth another try."""
        keeps_scores = request.kept_scores > 0 and request.logprobs is None and KEPT_SCORES not in self.refused
        refused = refused_by(error, call, keeps_scores)
        if refused is None:
            return False
        logger.warning("%s does not take %s", self._server.who, refused)
        self.refused.add(refused)
        return True

    async def _check_model(self) -> None:
        try:
            known = [model.id for model in await self._server.models()]
        except (APIError, EngineError):
            return  # the first error says enough
        if self._model not in known:
            raise unknown_model(self._server, self._model, known)
