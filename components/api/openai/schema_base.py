"""Kinds of fields that the bodies of several requests have, and how strictly they are read."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from components.api.problems import UNNAMED
from components.sampling.parameters import SamplingParams


class Strict(BaseModel):
    """A part of a request. What it does not know it refuses, because a mistyped name would otherwise change nothing.

    Every optional field takes ``null`` for "not given", as OpenAI's do.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def ignored() -> Any:
    """A field that may hold anything."""
    return Field(None, description="Ignored.")


def sampling_field(name: str, remark: str = "") -> Any:
    """An optional field with the bounds and the description of a sampling parameter."""
    parameter = SamplingParams.model_fields[name]
    bounds = {
        bound: getattr(item, bound)
        for item in parameter.metadata
        for bound in ("gt", "ge", "le")
        if hasattr(item, bound)
    }
    return Field(None, description=f"{parameter.description} {remark}".strip(), **bounds)


def refused(field: str, why: str) -> PydanticCustomError:
    """What cannot be done, although each field by itself is right."""
    return PydanticCustomError("refused", "{why}", {"field": field, "why": why})


def one_or_several(value: Any) -> str | None:
    """Which of the two a value is, as a tag."""
    return UNNAMED + "one" if isinstance(value, str) else UNNAMED + "several" if isinstance(value, list) else None


StopText = Annotated[str, Field(min_length=1, max_length=100)]

Stop = Annotated[
    Annotated[StopText, Tag(UNNAMED + "one")]
    | Annotated[list[StopText], Field(max_length=4), Tag(UNNAMED + "several")],
    Discriminator(
        one_or_several, custom_error_type="text", custom_error_message="Input should be a text or a list of texts"
    ),
]
"""One stop string, or up to four."""
