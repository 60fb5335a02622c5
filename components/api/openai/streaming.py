"""Server-sent events: one chunk of JSON in each, and for chat and completions ``[DONE]`` in the last."""

import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from http import HTTPStatus

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from components.api.errors import UNEXPECTED, Failure, failure_of
from components.api.openai.errors import error_body
from components.engine.errors import EngineError
from components.engine.interface import Generation

logger = logging.getLogger(__name__)


class EventStream(StreamingResponse):
    """Streams chunks. However the stream ends, and even if it never begins, the replies are not written on after it."""

    media_type = "text/event-stream"
    _end = "data: [DONE]\n\n"

    def __init__(
        self,
        chunks: AsyncIterator[Mapping[str, object]],
        generations: Sequence[Generation],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        # nginx and the like would otherwise collect the pieces of a reply and pass on all of it at its end
        unbuffered = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(self._events(chunks), headers={**unbuffered, **(headers or {})})
        self._generations = generations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream until it ends or the client hangs up."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            for generation in self._generations:
                generation.cancel()

    async def _events(self, chunks: AsyncIterator[Mapping[str, object]]) -> AsyncIterator[str]:
        """The status is sent by now, so an error can only be an event; the stream ends with it."""
        try:
            async for chunk in chunks:
                yield self._event(chunk)
        except EngineError as error:
            yield self._event(self._failed(failure_of(error)))
        except Exception:  # the edge: a client must get JSON, the log the traceback
            logger.exception("A stream failed")
            yield self._event(self._failed(Failure(HTTPStatus.INTERNAL_SERVER_ERROR, UNEXPECTED)))
        else:
            yield self._end

    def _event(self, content: Mapping[str, object]) -> str:
        # In ASCII, because clients cut streams at what Unicode calls a line end, too, and guess at encodings.
        return f"data: {json.dumps(content, separators=(',', ':'))}\n\n"

    def _failed(self, failure: Failure) -> Mapping[str, object]:
        """What says that the stream broke off."""
        return error_body(failure)
