"""Objects with instructor."""

from typing import Any, Literal

import instructor
from openai import OpenAI
from pydantic import BaseModel, Field
from scenarios import answer, base_url, model

openai = OpenAI(base_url=base_url, api_key="none")
QUESTION: Any = [{"role": "user", "content": "What is the capital of France?"}]


class City(BaseModel):
    """A city."""

    name: Literal["Paris", "Rome"]
    millions: int = Field(ge=1, le=40)


def tools() -> Any:
    """The default: a tool that must be called."""
    client = instructor.from_openai(openai)
    return client.chat.completions.create(model=model, messages=QUESTION, response_model=City).model_dump()


def tools_partial() -> Any:
    """The object as it grows."""
    client = instructor.from_openai(openai)
    pieces = client.chat.completions.create_partial(model=model, messages=QUESTION, response_model=City)
    return [piece.model_dump() for piece in pieces]


def json_mode() -> Any:
    """The older way, which asks for JSON and tells the schema in the prompt."""
    client = instructor.from_openai(openai, mode=instructor.Mode.JSON)
    return client.chat.completions.create(model=model, messages=QUESTION, response_model=City).model_dump()


def json_schema() -> Any:
    """The newer way, which sends the schema."""
    client = instructor.from_openai(openai, mode=instructor.Mode.JSON_SCHEMA)
    return client.chat.completions.create(model=model, messages=QUESTION, response_model=City).model_dump()


if __name__ == "__main__":
    answer(globals())
