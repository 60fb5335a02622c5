"""How the bodies of requests are read, whatever is in them.

``null`` is the same as leaving a field out, and ``4.0`` is an integer. Each field is in one of three groups, which
``/openapi.json`` tells as ``x-use`` and ``GET /docs`` lists: *implemented*; *ignored*, because it cannot change what
the answer means; *refused*, because an answer without it would be wrong. What is not known at all is ignored, too, as
vLLM does. The response names every ignored field in a header.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from components.api.body import lenient, read_json
from components.api.errors import BodyError, failure_of
from components.api.openai.errors import ApiError, bad_body
from components.api.problems import UNNAMED
from components.sampling.parameters import SamplingParams, StopText

T = TypeVar("T", bound="RequestPart")

IGNORED_HEADER = "X-Ignored-Fields"
NOTES_HEADER = "X-Notes"

USE = "x-use"
MAX_NAMED = 32
"""So many ignored fields are named, each with so many characters twice."""

_EMPTY: tuple[object, ...] = (None, False, "", [], {})
"""Values of refused fields that ask for nothing."""


class RequestPart(BaseModel):
    """A body, or a part of one."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _read_leniently(cls, data: Any) -> Any:
        return lenient(cls, data)

    @model_validator(mode="after")
    def _refuse(self) -> Self:
        for name in sorted(self.model_fields_set & type(self).model_fields.keys()):
            field = type(self).model_fields[name]
            if _use_of(field) == "refused" and getattr(self, name) not in _EMPTY:
                raise refused(field.alias or name, field.description or "leave it out")
        return self

    @property
    def notes(self) -> list[str]:
        """What was understood otherwise than it was written, for a header."""
        return []

    def ignored_fields(self) -> list[str]:
        """The fields that were sent and make no difference, dotted; those of list items as ``messages[].id``."""
        return list(dict.fromkeys(_ignored(self, "")))

    def response_headers(self) -> Mapping[str, str]:
        """What the response says about the request."""
        names = [quote(name, safe=".[]-_")[: 2 * MAX_NAMED] for name in self.ignored_fields()]
        headers = {IGNORED_HEADER: ", ".join(named(names)), NOTES_HEADER: "; ".join(self.notes)}
        return {name: value for name, value in headers.items() if value}


def named(names: Sequence[str]) -> list[str]:
    """As many of the names as a header tells."""
    return [*names[:MAX_NAMED], *(["..."] if len(names) > MAX_NAMED else [])]


class ModelField(RequestPart):
    """Which model is meant."""

    model: str | None = Field(
        None,
        description="The id that GET /v1/models tells, in any case and with or without the hub's owner in front; "
        "default, empty or not given: the model that runs.",
    )


def ignored(why: str = "") -> Any:
    """A field that may hold anything."""
    return Field(None, description=f"Ignored{f': {why}' if why else ''}.", json_schema_extra={USE: "ignored"})


def refuses(why: str) -> Any:
    """A field that may hold nothing but what asks for nothing: null, false, or something empty."""
    return Field(None, description=why, json_schema_extra={USE: "refused"})


def refused(field: str, why: str) -> PydanticCustomError:
    """What cannot be done, although each field by itself is right."""
    return PydanticCustomError("refused", "{why}", {"field": field, "why": why})


def sampling_field(name: str, remark: str = "", **bounds: Any) -> Any:
    """An optional field with the description of a sampling parameter, and its bounds where none are given."""
    parameter = SamplingParams.model_fields[name]
    bounds |= {
        bound: getattr(item, bound)
        for item in parameter.metadata
        for bound in ("gt", "ge", "le")
        if hasattr(item, bound) and not (bounds.keys() & {bound, "ge" if bound == "gt" else bound})
    }
    return Field(None, description=f"{parameter.description} {remark}".strip(), **bounds)


def one_or_several(value: Any) -> str | None:
    """Which of the two a value is, as a tag."""
    return UNNAMED + "one" if isinstance(value, str) else UNNAMED + "several" if isinstance(value, list) else None


Stop = Annotated[
    Annotated[StopText, Tag(UNNAMED + "one")] | Annotated[list[StopText], Tag(UNNAMED + "several")],
    Discriminator(
        one_or_several, custom_error_type="text", custom_error_message="Input should be a text or a list of texts"
    ),
]
"""One stop string, or several."""


async def read_request(request: Request, kind: type[T]) -> T:
    """Read the body of a request.

    Raises:
        ApiError: it is too large, no JSON, or not what the endpoint takes.
    """
    try:
        return kind.model_validate(await read_json(request))
    except BodyError as error:
        raise ApiError(failure_of(error)) from error
    except ValidationError as error:
        raise bad_body(error) from error


def _ignored(part: RequestPart, prefix: str) -> Iterator[str]:
    yield from (f"{prefix}{name}" for name in part.model_extra or ())
    for name, field in type(part).model_fields.items():
        if name not in part.model_fields_set:
            continue
        dotted = f"{prefix}{field.alias or name}"
        value = getattr(part, name)
        if _use_of(field) == "ignored":
            yield dotted
        elif isinstance(value, RequestPart):
            yield from _ignored(value, f"{dotted}.")
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, RequestPart):
                    yield from _ignored(item, f"{dotted}[].")


def _use_of(field: Any) -> str | None:
    extra = field.json_schema_extra
    return extra.get(USE) if isinstance(extra, dict) else None
