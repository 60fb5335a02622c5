"""``POST /``: the HTTP API of the original Baichuan 2 tutorial, kept for scripts written against it."""

import logging
import math
from datetime import datetime
from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from components.api.problems import problems_of
from components.api.reading import BodyTooLargeError, read_body, read_replies
from components.api.starting import asked_by, start
from components.engine.errors import BusyError, EngineError, EngineNotReadyError, LimitError, PromptError
from components.engine.host import engine_host
from components.engine.interface import GenerationRequest
from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams
from components.settings import get_settings

logger = logging.getLogger(__name__)

LOADING_RETRY_SECONDS = 10.0

EXAMPLE = '{"prompt": "你是谁"}'


class Call(BaseModel):
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


class TutorialCall(SamplingParams):
    """All that the body of ``POST /`` may hold, for its description."""

    prompt: str = Field(min_length=1, description="What to answer.")
    history: list[Message] = Field([], description="The conversation before it, the oldest message first.")


class Answer(TypedDict):
    """The reply, and when it was there."""

    response: str
    status: Literal[200]
    time: str


class Failure(TypedDict):
    """What is wrong and what to send instead. ``status`` is the HTTP status, too."""

    status: int
    error: str
    time: str


async def answer(request: Request) -> JSONResponse:
    """Answer one prompt; every error comes as JSON with a status of its own."""
    try:
        body = await read_body(request, get_settings().max_body_bytes)
        call = Call.model_validate_json(body)
        engine = engine_host().wait(timeout=0)
        messages: list[Message] = [*call.history, {"role": "user", "content": call.prompt}]
        wanted = GenerationRequest(messages, call.sampling(engine.info.defaults), origin="tutorial")
        [reply] = await read_replies(request, await start(engine, [asked_by(request, wanted)]))
    except ValidationError as error:
        return failure(HTTPStatus.BAD_REQUEST, describe(error))
    except BodyTooLargeError as error:
        return failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
    except PromptError as error:
        return failure(HTTPStatus.BAD_REQUEST, str(error))
    except LimitError as error:
        return failure(HTTPStatus.TOO_MANY_REQUESTS, str(error), error.retry_after)
    except BusyError as error:
        return failure(HTTPStatus.SERVICE_UNAVAILABLE, str(error), error.retry_after)
    except EngineNotReadyError as error:
        return failure(HTTPStatus.SERVICE_UNAVAILABLE, str(error), LOADING_RETRY_SECONDS)
    except EngineError as error:
        return failure(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
    except Exception:  # the edge: a client must get JSON, the log the traceback
        logger.exception("POST / failed")
        return failure(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; the server's log says what.")
    return JSONResponse({"response": reply.text, "status": 200, "time": _now()})


def failure(status: HTTPStatus, error: str, retry_after: float | None = None) -> JSONResponse:
    """An answer in the tutorial's shape that says what is wrong, and after how many seconds to try again."""
    headers = {"Retry-After": str(math.ceil(retry_after))} if retry_after is not None else None
    return JSONResponse({"status": status, "error": error, "time": _now()}, status, headers)


def describe(error: ValidationError) -> str:
    """Say which fields are wrong, what they held, and what a right call looks like."""
    problems = problems_of(error, [*Call.model_fields, *SamplingParams.model_fields])
    return f"{'; '.join(problem.text for problem in problems)}. Send JSON such as {EXAMPLE}."


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")
