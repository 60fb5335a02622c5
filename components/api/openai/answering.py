"""Starts the replies to a call and answers with them, whole or as they are written."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from components.api.openai.answers import Usage
from components.api.openai.calls import Call
from components.api.openai.form import Form, Part
from components.api.openai.lengths import fitted
from components.api.openai.running import fingerprint_of
from components.api.openai.streaming import EventStream
from components.api.reading import read_events, read_replies
from components.api.starting import asked_by, off_the_loop, start
from components.engine.events import Delta, Finished
from components.engine.interface import Engine, Generation, GenerationRequest


async def answer(
    request: Request, engine: Engine, call: Call, prompts: Sequence[GenerationRequest], form: Form
) -> Response:
    """Write what the call asks for.

    Args:
        request: its body must have been read.
        engine: who writes.
        call: how many replies to each prompt, and whether as a stream.
        prompts: what to reply to, with the sampling parameters of the call.
        form: the form of the answer.

    Raises:
        ApiError: a prompt and its reply do not fit the context.
        EngineError: a reply cannot be written.
    """

    def wanted() -> list[GenerationRequest]:
        return [
            replace(fit, sampling=fit.sampling.model_copy(update={"seed": call.seed_of(choice)}))
            for prompt in prompts
            for fit in [fitted(engine, asked_by(request, prompt), longest_given=call.longest is not None)]
            for choice in range(call.choices)
        ]

    generations = await start(engine, await off_the_loop(wanted))
    head: dict[str, object] = {
        "id": f"{form.id_prefix}{uuid4().hex}",
        "object": form.chunk_object if call.stream else form.answer_object,
        "created": int(time.time()),
        "model": engine.info.model,
        "system_fingerprint": fingerprint_of(engine),
    }
    if call.stream:
        return EventStream(_chunks(head, call, generations, form), generations)
    replies = await read_replies(request, generations)
    choices = [_marked(form.whole(index, reply), reply.finished) for index, reply in enumerate(replies)]
    usage = _usage([reply.finished for reply in replies], call.choices)
    return JSONResponse({**head, "choices": choices, "usage": usage})


async def _chunks(
    head: dict[str, object], call: Call, generations: Sequence[Generation], form: Form
) -> AsyncIterator[dict[str, object]]:
    extra: dict[str, object] = {"usage": None} if call.include_usage else {}
    ends: dict[int, Finished] = {}
    for index in range(len(generations)):
        if opening := form.opening(index):
            yield {**head, "choices": [opening], **extra}
    async with aclosing(read_events(generations)) as events:
        async for index, event in events:
            match event:
                case Delta():
                    yield {**head, "choices": [form.piece(index, event)], **extra}
                case Finished():
                    ends[index] = event
                    yield {**head, "choices": [_marked(form.ending(index, event), event)], **extra}
    if call.include_usage:
        yield {**head, "choices": [], "usage": _usage([ends[index] for index in sorted(ends)], call.choices)}


def _marked(part: Part, finished: Finished) -> Part:
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
