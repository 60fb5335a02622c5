"""``POST /``: the HTTP API of the original Baichuan 2 tutorial, kept for scripts written against it."""

import logging
from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from components.api.body import lenient, read_json
from components.api.errors import UNEXPECTED, BodyError, Failure, failure_of
from components.api.generation import asked_by, read_texts, start
from components.api.problems import problems_of
from components.engine.errors import EngineError
from components.engine.host import engine_host
from components.engine.interface import GenerationRequest
from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams

logger = logging.getLogger(__name__)

EXAMPLE = '{"prompt": "你是谁"}'


class TutorialRequest(SamplingParams):
    """The body of ``POST /``. Each sampling parameter that is not given is what the checkpoint recommends."""

    model_config = ConfigDict(strict=True)

    prompt: str = Field(min_length=1, description="What to answer.")
    history: list[Message] = Field([], description="The conversation before it, the oldest message first.")

    @model_validator(mode="before")
    @classmethod
    def _read_leniently(cls, data: Any) -> Any:
        data = lenient(cls, data)
        if isinstance(data, dict) and isinstance(data.get("stop"), str):
            data["stop"] = [data["stop"]]
        return data

    def sampling(self, defaults: SamplingParams) -> SamplingParams:
        """The sampling parameters to use."""
        given = self.model_fields_set & SamplingParams.model_fields.keys()
        return defaults.model_copy(update={name: getattr(self, name) for name in given})


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
    except (BodyError, EngineError) as error:
        return failure_response(failure_of(error))
    except Exception:  # the edge: a client must get JSON, the log the traceback
        logger.exception("POST / failed")
        return failure_response(Failure(HTTPStatus.INTERNAL_SERVER_ERROR, UNEXPECTED))


async def _respond(request: Request) -> JSONResponse:
    body = TutorialRequest.model_validate(await read_json(request))
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
    problems = problems_of(error, TutorialRequest.model_fields)
    return f"{'; '.join(problem.text for problem in problems)}. Send JSON such as {EXAMPLE}."


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")
