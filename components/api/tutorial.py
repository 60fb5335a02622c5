"""``POST /``: the HTTP API of the original Baichuan 2 tutorial, kept for scripts written against it."""

import logging
from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from components.api.body import lenient, read_json
from components.api.errors import UNEXPECTED, BodyError, Failure, failure_of
from components.api.generation import asked_by, off_the_loop, read_texts, start
from components.api.openai.schema_base import RequestPart, ignored, refused, refuses, sampling_field
from components.api.problems import problems_of
from components.engine.errors import EngineError, UnsupportedError
from components.engine.host import engine_host
from components.engine.interface import Engine, GenerationRequest
from components.model.chat_format import Message, Role
from components.sampling.parameters import SamplingParams, as_meant

logger = logging.getLogger(__name__)

MISSPELT = 0.85
"""How like a field's name is one that was meant to be it, by difflib's ratio: ``tempreature`` is, ``top_n`` is not."""

FILLS = "-1: whatever is left of the context."

EXAMPLE = '{"prompt": "你是谁"}'


class TutorialMessage(RequestPart):
    """A turn of the history."""

    role: Role
    content: str

    @model_validator(mode="before")
    @classmethod
    def _read_leniently(cls, data: Any) -> Any:
        data = lenient(cls, data)
        # A reply may have been empty.
        return {"content": ""} | data if isinstance(data, dict) and data.get("role") == "assistant" else data


class TutorialRequest(SamplingParams, RequestPart):
    """The body of ``POST /``. Each sampling parameter that is not given is what the checkpoint recommends."""

    model_config = ConfigDict(strict=True, extra="allow")

    prompt: str = Field(min_length=1, description="What to answer.")
    history: list[TutorialMessage] = Field([], description="The conversation before it, the oldest message first.")
    max_new_tokens: int = sampling_field("max_new_tokens", FILLS, ge=-1)
    max_tokens: int | None = sampling_field("max_new_tokens", "Another name of max_new_tokens.", ge=-1)
    model: JsonValue = ignored("the model that runs answers")
    stream: JsonValue = refuses("the reply comes as a whole here: leave it out, or ask POST /v1/chat/completions")

    @model_validator(mode="before")
    @classmethod
    def _read_leniently(cls, data: Any) -> Any:
        data = lenient(cls, data)
        if isinstance(data, dict) and isinstance(data.get("stop"), str):
            data["stop"] = [data["stop"]]
        # As a dict without nulls: a seed of -1 is left out, too.
        return lenient(cls, as_meant(data)) if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for name in self.model_extra or ():
            # What is not known changes nothing, unless it was to be something else.
            if near := get_close_matches(name, type(self).model_fields, n=1, cutoff=MISSPELT):
                raise refused(name, f"it is not known. Did you mean {near[0]}?")
        given = {getattr(self, name) for name in ("max_new_tokens", "max_tokens") if name in self.model_fields_set}
        if 0 in given:
            raise refused("max_new_tokens", "a reply has at least 1 token")
        if len(given) > 1:
            raise refused("max_tokens", "max_new_tokens says otherwise. Send one of them")
        return self

    @property
    def messages(self) -> list[Message]:
        """The conversation, with what is to be answered."""
        history: list[Message] = [{"role": one.role, "content": one.content} for one in self.history]
        return [*history, {"role": "user", "content": self.prompt}]

    def sampling(self, defaults: SamplingParams, room: int) -> SamplingParams:
        """The sampling parameters to use, where the context has so much room for a reply."""
        given = {name: getattr(self, name) for name in self.model_fields_set & SamplingParams.model_fields.keys()}
        if self.longest is not None:
            given["max_new_tokens"] = room if self.longest == -1 else self.longest
        return defaults.model_copy(update=given)

    @property
    def longest(self) -> int | None:
        """The longest reply, in tokens; -1 for all that the context has room for, None if the request does not say."""
        return self.max_new_tokens if "max_new_tokens" in self.model_fields_set else self.max_tokens


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
    room = await off_the_loop(_room_for_reply, engine, body.messages) if body.longest == -1 else 0
    wanted = GenerationRequest(body.messages, body.sampling(engine.info.defaults, room), origin="tutorial")
    [text] = await read_texts(request, await start(engine, [asked_by(request, wanted)]))
    content = {"response": text.text, "status": 200, "time": _now()}
    return JSONResponse(content, headers=body.response_headers())


def _room_for_reply(engine: Engine, messages: Sequence[Message]) -> int:
    try:
        return max(1, engine.info.context_length - len(engine.tokenize(messages)))
    except UnsupportedError:
        return engine.info.defaults.max_new_tokens


def failure_response(failure: Failure) -> JSONResponse:
    """A failure in the tutorial's form."""
    body: TutorialError = {"status": failure.status, "error": failure.message, "time": _now()}
    return JSONResponse(body, failure.status, failure.headers)


def describe(error: ValidationError) -> str:
    """Say which fields are wrong, what they held, and what a right call looks like."""
    problems = problems_of(error)
    return f"{'; '.join(problem.text for problem in problems)}. Send JSON such as {EXAMPLE}."


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")
