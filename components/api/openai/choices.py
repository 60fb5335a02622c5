"""The choices of a request: started together, and answered whole or as they are written."""

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import ClassVar
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from components.api.generation import GeneratedText, off_the_loop, read_events, read_texts, start
from components.api.openai.fitting import fit
from components.api.openai.generation_fields import GenerationFields
from components.api.openai.models import fingerprint_of
from components.api.openai.response_schemas import FinishReason, Usage
from components.api.openai.streaming import EventStream
from components.api.openai.structured_outputs import unusable_form
from components.engine.errors import EngineError, SchemaError
from components.engine.events import Delta, Event, Finished, PromptRead
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

    def prompt(self, index: int, prompt: PromptRead) -> Choice | None:  # noqa: ARG002 for those that tell it
        """What a stream tells of the prompt's tokens, before any piece of the choice."""
        return None

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
    counts = [count for _, count in fitted]
    if body.longest == 0 and prompts[0].prompt_logprobs is None:
        texts = [GeneratedText((), _unwritten(count)) for count in counts]
        if body.stream:
            return EventStream(_chunks(head, body, _ends(texts), counts, writer), (), headers)
    else:
        generations = await begin(engine, body, [prompt for prompt, _ in fitted])
        if body.stream:
            events = read_events(generations)
            if prompts[0].prompt_logprobs is not None:
                events = _prompts_first(events, body.choices)
            return EventStream(_chunks(head, body, events, counts, writer), generations, headers)
        texts = await read_texts(request, generations)
        # Of a prompt's replies the first told of the prompt.
        texts = [
            replace(text, prompt=texts[index // body.written * body.written].prompt) for index, text in enumerate(texts)
        ]
    usage = usage_of([text.finished for text in texts], body.written)
    choices = [
        _marked(writer.whole(index, text), text.finished)
        for index, text in enumerate(_best(texts, body.written, body.choices))
    ]
    return JSONResponse({**head, "choices": choices, "usage": usage}, headers=headers)


async def begin(engine: Engine, body: GenerationFields, prompts: Sequence[GenerationRequest]) -> list[Generation]:
    """Start all of the replies or, if one cannot be started, none.

    Raises:
        ApiError: the form that they should have cannot be used.
        EngineError: a reply cannot be started.
    """
    try:
        return await start(engine, prompts)
    except SchemaError as error:
        raise await off_the_loop(unusable_form, error, body.form) from error


async def _chunks(
    head: dict[str, object],
    body: GenerationFields,
    events: AsyncGenerator[tuple[int, Event]],
    prompt_tokens: Sequence[int],
    writer: ChoiceWriter,
) -> AsyncIterator[dict[str, object]]:
    """The chunks of a stream. ``prompt_tokens`` are counted for each choice; 0 where that is known only at its end."""
    written = [0] * len(prompt_tokens)
    ends: dict[int, Finished] = {}

    def chunk(index: int, choice: Choice | None) -> Iterator[dict[str, object]]:
        usage = None
        if body.continuous_usage and prompt_tokens[index]:
            usage = _counted(prompt_tokens[index], written[index])
        if choice:
            yield {**head, "choices": [choice], **({"usage": usage} if body.include_usage else {})}

    for index in range(len(prompt_tokens)):
        for one in chunk(index, writer.opening(index)):
            yield one
    async with aclosing(events):
        async for index, event in events:
            match event:
                case PromptRead():
                    for choice in range(index, index + body.choices):
                        for one in chunk(choice, writer.prompt(choice, event)):
                            yield one
                case Delta():
                    written[index] += event.count
                    for one in chunk(index, writer.piece(index, event)):
                        yield one
                case Finished():
                    ends[index], written[index] = event, event.completion_tokens
                    for one in chunk(index, _marked(writer.ending(index, event), event)):
                        yield one
    if body.include_usage:
        yield {**head, "choices": [], "usage": usage_of([ends[index] for index in sorted(ends)], body.choices)}


async def _prompts_first(events: AsyncGenerator[tuple[int, Event]], choices: int) -> AsyncGenerator[tuple[int, Event]]:
    """The same with what happens to a prompt's ``choices`` behind what the first of them tells of the prompt."""
    held: dict[int, list[tuple[int, Event]]] = {}
    told: set[int] = set()
    async with aclosing(events):
        async for index, event in events:
            prompt = index // choices
            if isinstance(event, PromptRead):
                told.add(prompt)
                yield index, event
                for one in held.pop(prompt, ()):
                    yield one
            elif prompt in told:
                yield index, event
            else:
                held.setdefault(prompt, []).append((index, event))


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
    tokens = [*(token for delta in text.deltas for token in delta.tokens), *text.finished.tokens]
    logprobs = [token.logprob for token in tokens if token.logprob is not None]
    return sum(logprobs) / len(logprobs) if logprobs else 0.0


def _marked(part: Choice, finished: Finished) -> Choice:
    return {**part, "stop_reason": finished.reason} if finished.reason in ("loop", "time") else part


def usage_of(ends: Sequence[Finished], written: int) -> Usage:
    """``ends`` has ``written`` replies to the first prompt, then those to the next."""
    prompts = ends[::written]
    counted = _counted(sum(end.prompt_tokens for end in prompts), sum(end.completion_tokens for end in ends))
    return {**counted, "prompt_tokens_details": {"cached_tokens": sum(end.reused_tokens for end in prompts)}}


def _counted(prompt: int, completion: int) -> Usage:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


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
