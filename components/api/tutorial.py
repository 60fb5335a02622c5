"""``POST /``: the HTTP API of the original Baichuan 2 tutorial, kept for scripts written against it."""

import logging
from datetime import datetime
from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from components.api.body import read_body
from components.api.errors import UNEXPECTED, BodyTooLargeError, Failure, failure_of
from components.api.generation import asked_by, read_texts, start
from components.api.problems import problems_of
from components.engine.errors import EngineError
from components.engine.host import engine_host
from components.engine.interface import GenerationRequest
from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams

logger = logging.getLogger(__name__)

EXAMPLE = '{"prompt": "你是谁"}'


class _Body(BaseModel):
    """The body of ``POST /``. Sampling parameters may stand beside these two; each defaults to the checkpoint's."""

    model_config = ConfigDict(extra="allow", strict=True)

    prompt: str = Field(min_length=1)
    history: list[Message] = []

    def sampling(self, defaults: SamplingParams) -> SamplingParams:
        """The sampling parameters of the call.

        Raises:
            ValidationError: one is unknown or out of bounds.
        """
        return SamplingParams.model_validate(defaults.model_dump() | (self.model_extra or {}), strict=True)


class TutorialRequest(SamplingParams):
    """All that the body of ``POST /`` may hold, for its description."""

    prompt: str = Field(min_length=1, description="What to answer.")
    history: list[Message] = Field([], description="The conversation before it, the oldest message first.")


class TutorialResponse(TypedDict):
    """The reply, and when it was there."""

    response: str
    status: Literal[200]
    time: str


class TutorialError(TypedDict):
    """What is wrong and what to send instead. ``status`` is the HTTP status, too."""

    status: int
    error: str
    time: str


async def create_tutorial_response(request: Request) -> JSONResponse:
    """Answer one prompt; every error comes as JSON with a status of its own."""
    try:
        return await _respond(request)
    except ValidationError as error:
        return failure_response(Failure(HTTPStatus.BAD_REQUEST, describe(error)))
    except (BodyTooLargeError, EngineError) as error:
        return failure_response(failure_of(error))
    except Exception:  # the edge: a client must get JSON, the log the traceback
        logger.exception("POST / failed")
        return failure_response(Failure(HTTPStatus.INTERNAL_SERVER_ERROR, UNEXPECTED))


async def _respond(request: Request) -> JSONResponse:
    body = _Body.model_validate_json(await read_body(request))
    engine = engine_host().wait(timeout=0)
    messages: list[Message] = [*body.history, {"role": "user", "content": body.prompt}]
    wanted = GenerationRequest(messages, body.sampling(engine.info.defaults), origin="tutorial")
    [text] = await read_texts(request, await start(engine, [asked_by(request, wanted)]))
    return JSONResponse({"response": text.text, "status": 200, "time": _now()})


def failure_response(failure: Failure) -> JSONResponse:
    """A failure in the tutorial's form."""
    body: TutorialError = {"status": failure.status, "error": failure.message, "time": _now()}
    return JSONResponse(body, failure.status, failure.headers)


def describe(error: ValidationError) -> str:
    """Say which fields are wrong, what they held, and what a right call looks like."""
    problems = problems_of(error, [*_Body.model_fields, *SamplingParams.model_fields])
    return f"{'; '.join(problem.text for problem in problems)}. Send JSON such as {EXAMPLE}."


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")
