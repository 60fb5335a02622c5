"""The choices of a request: how many, how long, started together, and answered whole or as they are written.

A prompt and its text must fit the context. Nothing is cut here: a program would not notice.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import ClassVar
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from components.api.generation import (
    GeneratedText,
    asked_by,
    most_at_once,
    off_the_loop,
    read_events,
    read_texts,
    start,
)
from components.api.openai.errors import bad_request
from components.api.openai.models import fingerprint_of
from components.api.openai.request_schemas import GenerationFields
from components.api.openai.response_schemas import FinishReason, Usage
from components.api.openai.streaming import EventStream
from components.engine.errors import EngineError, UnsupportedError
from components.engine.events import Delta, Finished
from components.engine.interface import Engine, Generation, GenerationRequest

Choice = Mapping[str, object]
"""One of the ``choices`` of a response, or what a chunk adds to it."""


class ChoiceWriter(ABC):
    """Puts generated texts into the form of one endpoint's choices, which ``index`` counts."""

    id_prefix: ClassVar[str]
    response_object: ClassVar[str]
    chunk_object: ClassVar[str]

    @abstractmethod
    def whole(self, index: int, text: GeneratedText) -> Choice:
        """The choice that a text is."""

    @abstractmethod
    def opening(self, index: int) -> Choice | None:
        """What a stream begins with."""

    @abstractmethod
    def piece(self, index: int, delta: Delta) -> Choice:
        """What a piece of a text adds. Called in the order of the pieces."""

    @abstractmethod
    def ending(self, index: int, finished: Finished) -> Choice:
        """What a stream ends with."""


async def respond(
    request: Request, engine: Engine, body: GenerationFields, prompts: Sequence[GenerationRequest], writer: ChoiceWriter
) -> Response:
    """Write what a request asks for.

    Args:
        request: its body must have been read.
        engine: who writes.
        body: how many choices of each prompt, and whether as a stream.
        prompts: what to write on, with the sampling parameters of the body.
        writer: the form of the choices.

    Raises:
        ApiError: there are more choices than can ever be had, or a prompt and its reply do not fit the context.
        EngineError: a reply cannot be written.
    """
    _refuse_too_many(len(prompts), body.choices, most_at_once(engine, request))

    def wanted() -> list[GenerationRequest]:
        return [
            replace(fit, sampling=fit.sampling.model_copy(update={"seed": body.seed_of(choice)}))
            for prompt in prompts
            for fit in [_fitted(engine, asked_by(request, prompt), longest_given=body.longest is not None)]
            for choice in range(body.choices)
        ]

    generations = await start(engine, await off_the_loop(wanted))
    head: dict[str, object] = {
        "id": f"{writer.id_prefix}{uuid4().hex}",
        "object": writer.chunk_object if body.stream else writer.response_object,
        "created": int(time.time()),
        "model": engine.info.model,
        "system_fingerprint": fingerprint_of(engine),
    }
    if body.stream:
        return EventStream(_chunks(head, body, generations, writer), generations)
    texts = await read_texts(request, generations)
    choices = [_marked(writer.whole(index, text), text.finished) for index, text in enumerate(texts)]
    usage = _usage([text.finished for text in texts], body.choices)
    return JSONResponse({**head, "choices": choices, "usage": usage})


async def _chunks(
    head: dict[str, object], body: GenerationFields, generations: Sequence[Generation], writer: ChoiceWriter
) -> AsyncIterator[dict[str, object]]:
    extra: dict[str, object] = {"usage": None} if body.include_usage else {}
    ends: dict[int, Finished] = {}
    for index in range(len(generations)):
        if opening := writer.opening(index):
            yield {**head, "choices": [opening], **extra}
    async with aclosing(read_events(generations)) as events:
        async for index, event in events:
            match event:
                case Delta():
                    yield {**head, "choices": [writer.piece(index, event)], **extra}
                case Finished():
                    ends[index] = event
                    yield {**head, "choices": [_marked(writer.ending(index, event), event)], **extra}
    if body.include_usage:
        yield {**head, "choices": [], "usage": _usage([ends[index] for index in sorted(ends)], body.choices)}


def _marked(part: Choice, finished: Finished) -> Choice:
    return {**part, "stop_reason": finished.reason} if finished.reason in ("loop", "time") else part


def _usage(ends: Sequence[Finished], choices: int) -> Usage:
    """``ends`` has ``choices`` replies to the first prompt, then those to the next."""
    prompts = ends[::choices]
    prompt, completion = sum(end.prompt_tokens for end in prompts), sum(end.completion_tokens for end in ends)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": sum(end.reused_tokens for end in prompts)},
    }


def finish_reason(finished: Finished) -> FinishReason:
    """OpenAI's word for why a reply ended: it has none for a circle or the longest time, and strict clients want one.

    Raises:
        EngineError: the reply was cancelled on the server while its reader still wanted it.
    """
    match finished.reason:
        case "stop":
            return "stop"
        case "length" | "loop" | "time":
            return "length"
    raise EngineError("The reply was stopped on the server before its end. Ask again.")


def _refuse_too_many(prompts: int, choices: int, most: int) -> None:
    if prompts * choices > most:
        texts = f"{prompts} prompts times n={choices}" if prompts > 1 else f"n={choices}"
        raise bad_request(
            f"{texts} are more replies than one request can get here, which is {most}. Ask in several requests.",
            param="n" if choices > 1 else "prompt",
        )


def _fitted(engine: Engine, request: GenerationRequest, longest_given: bool) -> GenerationRequest:
    """The request with a longest reply for which the context has room. Takes the time of turning text into tokens.

    Args:
        engine: who will write.
        request: its ``max_new_tokens`` is what the call says, or the default.
        longest_given: whether the call says it; a default shrinks to what is left.

    Raises:
        ApiError: prompt and reply do not fit.
        PromptError: the prompt cannot be turned into tokens.
    """
    longest, context = request.sampling.max_new_tokens, engine.info.context_length
    try:
        prompt = _count(engine, request)
    except UnsupportedError:
        return request
    if not longest_given:
        longest = min(longest, max(1, context - prompt))
    if prompt + longest > context:
        raise bad_request(
            f"This model's maximum context length is {context} tokens, but {prompt + longest} are asked for: "
            f"{prompt} in the prompt and {longest} for the reply. Shorten the prompt or ask for a shorter reply.",
            param="messages" if request.prompt is None else "prompt",
            code="context_length_exceeded",
        )
    return replace(request, sampling=request.sampling.model_copy(update={"max_new_tokens": longest}))


def _count(engine: Engine, request: GenerationRequest) -> int:
    if request.prompt is None:
        return len(engine.tokenize(request.messages))
    return len(engine.tokenize(request.prompt) if isinstance(request.prompt, str) else request.prompt)
