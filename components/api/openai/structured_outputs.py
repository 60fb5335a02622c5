"""Replies of a given form: OpenAI's ``response_format``, and vLLM's ``structured_outputs`` and ``guided_*`` fields."""

import json
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from components.api.openai.schema_base import RequestPart, ignored, refused, refuses

Schema = dict[str, JsonValue]

ANY_OBJECT: Schema = {"type": "object"}


@dataclass(frozen=True)
class Constraint:
    """What a reply must follow, token by token: a JSON schema, written as JSON, or a grammar in llguidance's form."""

    json_schema: str | None = None
    grammar: str | None = None


class JsonSchema(RequestPart):
    """A JSON schema that the reply follows, token by token."""

    name: str | None = ignored()
    description: str | None = ignored("say in a message what you want")
    schema_: Schema = Field(alias="schema")
    strict: bool | None = ignored("the schema always holds")


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
                return of_schema(ANY_OBJECT if self.schema_ is None else self.schema_)
        assert self.json_schema is not None
        return of_schema(self.json_schema.schema_)


class StructuredOutputs(RequestPart):
    """vLLM's way to say it: one of these."""

    json_: str | Schema | None = Field(None, alias="json", description="A JSON schema.")
    json_object: bool | None = Field(None, description="Any JSON object.")
    regex: str | None = Field(None, min_length=1, description="A regular expression that the whole reply matches.")
    choice: list[str] | None = Field(None, min_length=1, description="The reply is one of these texts.")
    grammar: JsonValue = refuses("grammars are written in another language here: send json, regex or choice")
    structural_tag: JsonValue = refuses("it is not known here: send json, regex or choice")

    @property
    def constraints(self) -> list[Constraint]:
        """All that it asks for."""
        found = [
            of_schema(self.json_) if self.json_ is not None else None,
            of_schema(ANY_OBJECT) if self.json_object else None,
            of_regex(self.regex) if self.regex is not None else None,
            of_choice(self.choice) if self.choice is not None else None,
        ]
        return [one for one in found if one is not None]


def of_schema(schema: str | Schema) -> Constraint:
    """JSON that a schema allows."""
    return Constraint(json_schema=schema if isinstance(schema, str) else json.dumps(schema))


def of_regex(regex: str) -> Constraint:
    """A text that matches from its beginning to its end."""
    return Constraint(grammar=f"start: /{_slashed(regex)}/")


def of_choice(texts: list[str]) -> Constraint:
    """One of several texts."""
    return Constraint(grammar=f"start: {' | '.join(json.dumps(text) for text in dict.fromkeys(texts))}")


def _slashed(regex: str) -> str:
    """A regular expression as it stands between slashes: with those in it escaped, and on one line."""
    escaped, after_backslash = "", False
    for character in regex:
        if character in "/\n\r":
            character = {"/": "/", "\n": "n", "\r": "r"}[character]
            escaped += character if after_backslash else f"\\{character}"
            after_backslash = False
        else:
            escaped += character
            after_backslash = character == "\\" and not after_backslash
    return escaped
