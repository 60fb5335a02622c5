"""Replies of a given form: OpenAI's ``response_format``, and vLLM's ``structured_outputs`` and ``guided_*`` fields."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from components.api.errors import Failure
from components.api.openai.errors import ApiError
from components.api.openai.json_schemas import Schema, WrittenSchema, problem_and_place
from components.api.openai.schema_base import RequestPart, ignored, refused, refuses
from components.api.openai.schema_normalization import normalized
from components.engine.errors import SchemaError

ANY_OBJECT: Schema = {"type": "object"}


@dataclass(frozen=True)
class Constraint:
    """What a reply must follow, token by token: one of these, under the names of the sampling parameters.

    Attributes:
        name: of the request's field that asks for it.
        schemas: the JSON schemas that it is made of, by their fields in the request.
        json_schema: a JSON schema, written as JSON.
        regex: a regular expression that the whole reply matches.
        choice: texts of which the reply is one.
        grammar: in llguidance's form.
        left_out: what of the schemas it is not held to, as pointers behind the names of their fields.
    """

    name: str
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    json_schema: str | None = None
    regex: str | None = None
    choice: tuple[str, ...] | None = None
    grammar: str | None = None
    left_out: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """In characters."""
        return sum(map(len, [self.json_schema or "", self.regex or "", self.grammar or "", *(self.choice or ())]))


class JsonSchema(RequestPart):
    """A JSON schema that the reply follows, token by token."""

    name: str | None = ignored()
    description: str | None = ignored("say in a message what you want")
    schema_: Schema = Field(alias="schema")
    strict: bool | None = ignored("the schema always holds, but for what X-Notes names")


class ResponseFormat(RequestPart):
    """The form of the reply."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None
    schema_: Schema | None = Field(None, alias="schema", description="llama.cpp's place for it, beside json_object.")

    @model_validator(mode="after")
    def _schema_where_needed(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise refused("json_schema", 'it goes with "type": "json_schema", and must be there then')
        return self

    @property
    def constraint(self) -> Constraint | None:
        """What it asks for; None leaves the reply free."""
        match self.type:
            case "text":
                return None
            case "json_object":
                schema = ANY_OBJECT if self.schema_ is None else self.schema_
                return of_schema(schema, "response_format.schema")
        assert self.json_schema is not None
        return of_schema(self.json_schema.schema_, "response_format.json_schema.schema")


class StructuredOutputs(RequestPart):
    """vLLM's way to say it: one of these."""

    json_: WrittenSchema | None = Field(None, alias="json", description="A JSON schema.")
    json_object: bool | None = Field(None, description="Any JSON object.")
    regex: str | None = Field(None, min_length=1, description="A regular expression that the whole reply matches.")
    choice: list[str] | None = Field(None, min_length=1, description="The reply is one of these texts.")
    grammar: JsonValue = refuses("grammars are written in another language here: send json, regex or choice")
    structural_tag: JsonValue = refuses("it is not known here: send json, regex or choice")

    @property
    def constraints(self) -> list[Constraint]:
        """All that it asks for."""
        place = "structured_outputs"
        found = [
            of_schema(self.json_, f"{place}.json") if self.json_ is not None else None,
            of_schema(ANY_OBJECT, f"{place}.json_object") if self.json_object else None,
            Constraint(f"{place}.regex", regex=self.regex) if self.regex is not None else None,
            Constraint(f"{place}.choice", choice=tuple(self.choice)) if self.choice is not None else None,
        ]
        return [one for one in found if one is not None]


def of_schema(schema: Schema, name: str) -> Constraint:
    """JSON that a schema allows."""
    normal = normalized(schema)
    return Constraint(
        name,
        {name: normal.schema},
        json_schema=json.dumps(normal.schema),
        left_out=tuple(name + pointer for pointer in normal.left_out),
    )


def unusable_form(error: SchemaError, form: Constraint | None) -> ApiError:
    """The answer where a form cannot be used: what about it, and where. Takes as long as reading it some times."""
    param = form.name if form else None
    message = str(error)
    for place, schema in form.schemas.items() if form else ():
        if problem := problem_and_place(schema):
            param, message = place, f"The JSON schema cannot be used: {problem} of {place}."
            break
    return ApiError(Failure(HTTPStatus.BAD_REQUEST, message, "invalid_json_schema", param))
