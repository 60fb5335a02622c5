"""``POST /v1/responses``: what OpenAI's current clients call by default. Text in, text or calls out; nothing kept."""

import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from components.api.errors import Failure
from components.api.generation import GeneratedText, read_events, read_texts
from components.api.openai.choices import begin, finish_reason, usage_of
from components.api.openai.fitting import fit
from components.api.openai.models import engine_for
from components.api.openai.response_output import Event, ResponseOutput, written
from components.api.openai.responses_request import ResponsesRequest, TextFormat
from components.api.openai.schema_base import RequestPart, read_request
from components.api.openai.streaming import EventStream
from components.api.openai.tool_calls import ToolCallReader
from components.engine.events import Delta, Finished
from components.engine.interface import Engine, GenerationRequest


async def create_response(request: Request) -> Response:
    """Reply to a question or a conversation, as a response of one message, or of calls where there are functions.

    With "stream": true its events come as they happen, from response.created to response.completed, or to
    response.incomplete or response.failed with the reason. Nothing is stored: what needs an earlier response is
    refused.
    """
    body = await read_request(request, ResponsesRequest)
    engine = engine_for(body.model)
    sampling = body.sampling(engine.info.defaults)
    wanted = GenerationRequest(body.conversation, sampling, logprobs=body.told_logprobs, origin="v1")
    [(fitted, _)] = await fit(request, engine, body, [wanted])
    generations = await begin(engine, body, [fitted])
    response = _ResponseWriter(engine, body, fitted)
    headers = body.response_headers()
    if body.stream:
        return _ResponseStream(response, response.events(generations), generations, headers)
    [text] = await read_texts(request, generations)
    return JSONResponse(response.whole(text), headers=headers)


class _ResponseWriter:
    """Puts one reply into the form of this API."""

    def __init__(self, engine: Engine, body: ResponsesRequest, request: GenerationRequest) -> None:
        self._body = body
        reader = ToolCallReader(must_call=body.offer.must_call) if body.offer else None
        self._output = ResponseOutput(reader, with_logprobs=request.logprobs is not None)
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
            "text": {"format": _as_sent(form)},
            "metadata": body.metadata or {},
            "background": False,
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "store": False,
            "tool_choice": _as_sent(body.tool_choice) if body.tool_choice else "auto",
            "tools": [{"strict": None, **_as_sent(tool)} for tool in body.tools or ()],
            "truncation": "disabled",
        }

    def whole(self, text: GeneratedText) -> dict[str, object]:
        """The response to a reply that is there.

        Raises:
            EngineError: the reply was cancelled on the server while its reader still wanted it.
        """
        output = written(self._output, text.deltas, is_whole=finish_reason(text.finished) == "stop")
        return self._finished(output, text.finished)

    def failed(self, failure: Failure) -> Mapping[str, object]:
        """The last event of a stream that broke off."""
        error = {"code": failure.code or "server_error", "message": failure.message}
        return self._event("response.failed", response=self._response("failed", [], error=error))

    async def events(self, generations: Sequence[Any]) -> AsyncIterator[Mapping[str, object]]:
        """A stream's events. Raises the ``EngineError`` that broke it off."""
        for kind in ("response.created", "response.in_progress"):
            yield self._event(kind, response=self._response("in_progress", []))
        for told in self._events(self._output.start()):
            yield told
        async with aclosing(read_events(generations)) as events:
            async for _, event in events:
                match event:
                    case Delta():
                        for told in self._events(self._output.push(event)):
                            yield told
                    case Finished():
                        is_whole = finish_reason(event) == "stop"
                        for told in self._events(self._output.finish(is_whole=is_whole)):
                            yield told
                        response = self._finished(self._output.items, event)
                        yield self._event(f"response.{response['status']}", response=response)

    def _finished(self, output: Sequence[object], finished: Finished) -> dict[str, object]:
        is_whole = finish_reason(finished) == "stop"
        usage = usage_of([finished], 1)
        return self._response(
            "completed" if is_whole else "incomplete",
            output,
            incomplete_details=None if is_whole else {"reason": "max_output_tokens"},
            usage={
                "input_tokens": usage["prompt_tokens"],
                "input_tokens_details": {**usage["prompt_tokens_details"], "cache_write_tokens": 0},
                "output_tokens": usage["completion_tokens"],
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage["total_tokens"],
            },
        )

    def _events(self, told: Iterable[Event]) -> Iterator[Mapping[str, object]]:
        return (self._event(f"response.{kind}", **content) for kind, content in told)

    def _event(self, kind: str, **content: object) -> Mapping[str, object]:
        self._number += 1
        return {"type": kind, "sequence_number": self._number - 1, **content}

    def _response(self, status: str, output: Sequence[object], **rest: object) -> dict[str, object]:
        nothing: dict[str, object] = {"error": None, "incomplete_details": None, "usage": None}
        return {**self._head, "status": status, "output": output, **nothing, **rest}


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


def _as_sent(part: RequestPart | str) -> Any:
    return part if isinstance(part, str) else part.model_dump(by_alias=True, exclude_none=True, exclude_unset=True)
