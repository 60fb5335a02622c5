"""The choices of a request: how many, how long, started together, and answered whole or as they are written.

A prompt and its text must fit the context. Nothing is cut here: a program would not notice.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
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
from components.api.openai.generation_fields import GenerationFields
from components.api.openai.models import fingerprint_of
from components.api.openai.response_schemas import FinishReason, Usage
from components.api.openai.streaming import EventStream
from components.engine.errors import EngineError, UnsupportedError
from components.engine.events import Delta, Event, Finished
from components.engine.interface import Engine, GenerationRequest

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
    def piece(self, index: int, delta: Delta) -> Choice | None:
        """What a piece of a text adds, if anything yet. Called in the order of the pieces."""

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
    headers = body.response_headers()
    head: dict[str, object] = {
        "id": f"{writer.id_prefix}{uuid4().hex}",
        "object": writer.chunk_object if body.stream else writer.response_object,
        "created": int(time.time()),
        "model": engine.info.model,
        "system_fingerprint": fingerprint_of(engine),
    }
    fitted = await fit(request, engine, body, prompts)
    if body.longest == 0:
        texts = [GeneratedText((), _unwritten(count)) for _, count in fitted]
        if body.stream:
            return EventStream(_chunks(head, body, _ends(texts), len(texts), writer), (), headers)
    else:
        generations = await start(engine, [prompt for prompt, _ in fitted])
        if body.stream:
            chunks = _chunks(head, body, read_events(generations), len(generations), writer)
            return EventStream(chunks, generations, headers)
        texts = await read_texts(request, generations)
    usage = usage_of([text.finished for text in texts], body.written)
    choices = [
        _marked(writer.whole(index, text), text.finished)
        for index, text in enumerate(_best(texts, body.written, body.choices))
    ]
    return JSONResponse({**head, "choices": choices, "usage": usage}, headers=headers)


async def fit(
    request: Request, engine: Engine, body: GenerationFields, prompts: Sequence[GenerationRequest]
) -> list[tuple[GenerationRequest, int]]:
    """Every text that is to be written, with a longest reply and a seed of its own, and its prompt's tokens.

    Raises:
        ApiError: there are more than can ever be had, or a prompt and its reply do not fit the context.
        PromptError: a prompt cannot be turned into tokens.
    """
    _refuse_too_many(len(prompts), body.written, most_at_once(engine, request))

    def fit_all() -> list[tuple[GenerationRequest, int]]:
        return [
            (replace(fitting, sampling=fitting.sampling.model_copy(update={"seed": body.seed_of(choice)})), count)
            for prompt in prompts
            for fitting, count in [_fitted(engine, asked_by(request, prompt), body.longest)]
            for choice in range(body.written)
        ]

    return await off_the_loop(fit_all)


async def _chunks(
    head: dict[str, object],
    body: GenerationFields,
    events: AsyncGenerator[tuple[int, Event]],
    count: int,
    writer: ChoiceWriter,
) -> AsyncIterator[dict[str, object]]:
    extra: dict[str, object] = {"usage": None} if body.include_usage else {}
    ends: dict[int, Finished] = {}
    for index in range(count):
        if opening := writer.opening(index):
            yield {**head, "choices": [opening], **extra}
    async with aclosing(events):
        async for index, event in events:
            match event:
                case Delta():
                    if piece := writer.piece(index, event):
                        yield {**head, "choices": [piece], **extra}
                case Finished():
                    ends[index] = event
                    yield {**head, "choices": [_marked(writer.ending(index, event), event)], **extra}
    if body.include_usage:
        yield {**head, "choices": [], "usage": usage_of([ends[index] for index in sorted(ends)], body.choices)}


async def _ends(texts: Sequence[GeneratedText]) -> AsyncGenerator[tuple[int, Event]]:
    for index, text in enumerate(texts):
        yield index, text.finished


def _unwritten(prompt_tokens: int) -> Finished:
    return Finished("length", prompt_tokens, completion_tokens=0, seconds=0.0, time_to_first_token=None)


def _best(texts: Sequence[GeneratedText], written: int, choices: int) -> list[GeneratedText]:
    """Of every ``written`` texts the ``choices`` whose tokens were likeliest on the whole."""
    if written == choices:
        return list(texts)
    groups = (texts[first : first + written] for first in range(0, len(texts), written))
    return [text for group in groups for text in sorted(group, key=_likelihood, reverse=True)[:choices]]


def _likelihood(text: GeneratedText) -> float:
    logprobs = [token.logprob for delta in text.deltas for token in delta.tokens]
    return sum(logprobs) / len(logprobs) if logprobs else 0.0


def _marked(part: Choice, finished: Finished) -> Choice:
    return {**part, "stop_reason": finished.reason} if finished.reason in ("loop", "time") else part


def usage_of(ends: Sequence[Finished], written: int) -> Usage:
    """``ends`` has ``written`` replies to the first prompt, then those to the next."""
    prompts = ends[::written]
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


def _refuse_too_many(prompts: int, written: int, most: int) -> None:
    if prompts * written > most:
        texts = " times ".join([f"{prompts} prompts"] * (prompts > 1) + [f"{written} replies"] * (written > 1))
        raise bad_request(
            f"{texts} are more than one request can get here, which is {most}. Ask in several requests.",
            param="n" if written > 1 else "prompt",
        )


def _fitted(engine: Engine, request: GenerationRequest, longest: int | None) -> tuple[GenerationRequest, int]:
    """The request with a longest reply for which the context has room, and the number of its prompt's tokens.

    Takes the time of turning text into tokens. An engine that cannot count them judges the length itself.

    Args:
        engine: who will write.
        request: its ``max_new_tokens`` is what is wanted.
        longest: what the client says; None lets what is wanted shrink to what is left.

    Raises:
        ApiError: prompt and reply do not fit.
        PromptError: the prompt cannot be turned into tokens.
    """
    wanted, context = request.sampling.max_new_tokens if longest is None else longest, engine.info.context_length
    try:
        prompt = _count(engine, request)
    except UnsupportedError:
        return request, 0
    if longest is None:
        wanted = min(wanted, max(1, context - prompt))
    if prompt + wanted > context:
        raise bad_request(
            f"This model's maximum context length is {context} tokens, but {prompt + wanted} are asked for: "
            f"{prompt} in the prompt and {wanted} for the reply. Shorten the prompt or ask for a shorter reply.",
            param="messages" if request.prompt is None else "prompt",
            code="context_length_exceeded",
        )
    return replace(request, sampling=request.sampling.model_copy(update={"max_new_tokens": max(1, wanted)})), prompt


def _count(engine: Engine, request: GenerationRequest) -> int:
    if request.prompt is None:
        return len(engine.tokenize(request.messages))
    return len(engine.tokenize(request.prompt) if isinstance(request.prompt, str) else request.prompt)
