"""``POST /v1/responses``: what OpenAI's current clients call by default. Text in, text out; nothing is stored."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from components.api.errors import Failure
from components.api.generation import GeneratedText, read_events, read_texts, start
from components.api.openai.choices import finish_reason, usage_of
from components.api.openai.fitting import fit
from components.api.openai.logprobs import chosen
from components.api.openai.models import engine_for
from components.api.openai.response_schemas import ChosenToken
from components.api.openai.responses_request import ResponsesRequest, TextFormat
from components.api.openai.schema_base import read_request
from components.api.openai.streaming import EventStream
from components.engine.events import Delta, Finished
from components.engine.interface import Engine, GenerationRequest


async def create_response(request: Request) -> Response:
    """Reply to a question or a conversation, as a response of one message.

    With "stream": true its events come as they happen, from response.created to response.completed, or to
    response.incomplete or response.failed with the reason. Nothing is stored: what needs an earlier response is
    refused.
    """
    body = await read_request(request, ResponsesRequest)
    engine = engine_for(body.model)
    sampling = body.sampling(engine.info.defaults)
    wanted = GenerationRequest(body.conversation, sampling, logprobs=body.told_logprobs, origin="v1")
    [(fitted, _)] = await fit(request, engine, body, [wanted])
    generations = await start(engine, [fitted])
    response = _ResponseWriter(engine, body, fitted)
    headers = body.response_headers()
    if body.stream:
        return _ResponseStream(response, response.events(generations), generations, headers)
    [text] = await read_texts(request, generations)
    return JSONResponse(response.finished(text), headers=headers)


class _ResponseWriter:
    """Puts one reply into the form of this API."""

    def __init__(self, engine: Engine, body: ResponsesRequest, request: GenerationRequest) -> None:
        self._body = body
        self._with_logprobs = request.logprobs is not None
        self._message_id = f"msg_{uuid4().hex}"
        self._number = 0
        form = body.text.format if body.text and body.text.format else TextFormat(type="text")
        self._head: dict[str, object] = {
            "id": f"resp_{uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "model": engine.info.model,
            "instructions": body.instructions,
            "max_output_tokens": body.longest,
            "temperature": request.sampling.temperature,
            "top_p": request.sampling.top_p,
            "top_logprobs": body.top_logprobs or 0,
            "text": {"format": form.model_dump(by_alias=True, exclude_none=True, exclude_unset=True)},
            "metadata": body.metadata or {},
            "background": False,
            "parallel_tool_calls": False,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "store": False,
            "tool_choice": "none",
            "tools": [],
            "truncation": "disabled",
        }

    def finished(self, text: GeneratedText) -> dict[str, object]:
        """The response when its reply is there.

        Raises:
            EngineError: the reply was cancelled on the server while its reader still wanted it.
        """
        is_whole = finish_reason(text.finished) == "stop"
        usage = usage_of([text.finished], 1)
        return self._response(
            "completed" if is_whole else "incomplete",
            [self._message(text, "completed" if is_whole else "incomplete")],
            incomplete_details=None if is_whole else {"reason": "max_output_tokens"},
            usage={
                "input_tokens": usage["prompt_tokens"],
                "input_tokens_details": {**usage["prompt_tokens_details"], "cache_write_tokens": 0},
                "output_tokens": usage["completion_tokens"],
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage["total_tokens"],
            },
        )

    def failed(self, failure: Failure) -> Mapping[str, object]:
        """The last event of a stream that broke off."""
        error = {"code": failure.code or "server_error", "message": failure.message}
        return self._event("response.failed", response=self._response("failed", [], error=error))

    async def events(self, generations: Sequence[Any]) -> AsyncIterator[Mapping[str, object]]:
        """A stream's events. Raises the ``EngineError`` that broke it off."""
        for kind in ("response.created", "response.in_progress"):
            yield self._event(kind, response=self._response("in_progress", []))
        empty: dict[str, object] = {"id": self._message_id, "type": "message", "role": "assistant", "content": []}
        item: dict[str, object] = {"output_index": 0}
        part: dict[str, object] = {**item, "item_id": self._message_id, "content_index": 0}
        yield self._event("response.output_item.added", **item, item={**empty, "status": "in_progress"})
        yield self._event("response.content_part.added", **part, part=_output_text("", []))
        deltas: list[Delta] = []
        async with aclosing(read_events(generations)) as events:
            async for _, event in events:
                match event:
                    case Delta():
                        deltas.append(event)
                        logprobs = self._logprobs([event])
                        yield self._event("response.output_text.delta", **part, delta=event.text, logprobs=logprobs)
                    case Finished():
                        for last in self._endings(GeneratedText(deltas, event), item, part):
                            yield last

    def _endings(
        self, text: GeneratedText, item: dict[str, object], part: dict[str, object]
    ) -> Iterator[Mapping[str, object]]:
        response = self.finished(text)
        status = str(response["status"])
        logprobs = self._logprobs(text.deltas)
        yield self._event("response.output_text.done", **part, text=text.text, logprobs=logprobs)
        yield self._event("response.content_part.done", **part, part=_output_text(text.text, logprobs))
        yield self._event("response.output_item.done", **item, item=self._message(text, status))
        yield self._event(f"response.{status}", response=response)

    def _event(self, kind: str, **content: object) -> Mapping[str, object]:
        self._number += 1
        return {"type": kind, "sequence_number": self._number - 1, **content}

    def _response(self, status: str, output: Sequence[object], **rest: object) -> dict[str, object]:
        nothing: dict[str, object] = {"error": None, "incomplete_details": None, "usage": None}
        return {**self._head, "status": status, "output": output, **nothing, **rest}

    def _message(self, text: GeneratedText, status: str) -> dict[str, object]:
        content = [_output_text(text.text, self._logprobs(text.deltas))]
        return {"id": self._message_id, "type": "message", "role": "assistant", "status": status, "content": content}

    def _logprobs(self, deltas: Sequence[Delta]) -> list[ChosenToken]:
        return [chosen(token) for delta in deltas for token in delta.tokens] if self._with_logprobs else []


class _ResponseStream(EventStream):
    """Events with a name, and none after the one that says how the response ended."""

    _end = ""

    def __init__(
        self,
        response: _ResponseWriter,
        events: AsyncIterator[Mapping[str, object]],
        generations: Sequence[Any],
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(events, generations, headers)
        self._response = response

    def _event(self, content: Mapping[str, object]) -> str:
        return f"event: {content['type']}\n{super()._event(content)}"

    def _failed(self, failure: Failure) -> Mapping[str, object]:
        return self._response.failed(failure)


def _output_text(text: str, logprobs: Sequence[ChosenToken]) -> dict[str, object]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}
