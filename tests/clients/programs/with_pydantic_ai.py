"""Agents of pydantic-ai."""

from pathlib import Path
from typing import Any, Literal

from pydantic import UUID4, BaseModel, Field
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from scenarios import answer, base_url, model

provider = OpenAIProvider(base_url=base_url)
chat = OpenAIChatModel(model, provider=provider)
other = OpenAIResponsesModel(model, provider=provider)
QUESTION = "What is the capital of France?"


class City(BaseModel):
    """A city."""

    name: Literal["Paris", "Rome"]
    millions: int = Field(ge=1, le=40)


class Trip(BaseModel):
    """A trip."""

    request: UUID4
    cities: set[Literal["Paris", "Rome"]]
    days: dict[Literal["Paris", "Rome"], Literal[1, 2]]


def text() -> Any:
    """A reply, without any key having been set."""
    result = Agent(chat, instructions="Be brief.").run_sync(QUESTION, model_settings={"max_tokens": 16})
    return {"key": provider.client.api_key, "output": result.output, "tokens": result.usage.output_tokens}


def streamed() -> Any:
    """The pieces of a reply, and its tokens."""
    result = Agent(chat).run_stream_sync(QUESTION, model_settings={"max_tokens": 16})
    return {"pieces": list(result.stream_text(delta=True, debounce_by=None)), "tokens": result.usage.output_tokens}


def typed() -> Any:
    """An object by way of a tool that must be called: the library's default."""
    return Agent(chat, output_type=City).run_sync(QUESTION).output.model_dump()


def typed_streamed() -> Any:
    """The same while it is written."""
    return [one.model_dump() for one in Agent(chat, output_type=City).run_stream_sync(QUESTION).stream_output()]


def typed_natively() -> Any:
    """An object by way of a response format."""
    return Agent(chat, output_type=NativeOutput(City)).run_sync(QUESTION).output.model_dump()


def tool() -> Any:
    """What an agent says that has a tool."""
    agent = Agent(chat)

    @agent.tool_plain
    def password() -> str:
        """Tell the password."""
        return "swordfish"

    return agent.run_sync("What is the password?").output


def responses() -> Any:
    """A text and an object from the other API."""
    said = Agent(other, instructions="Be brief.").run_sync(QUESTION, model_settings={"max_tokens": 16})
    city = Agent(other, output_type=NativeOutput(City)).run_sync(QUESTION).output
    return {"output": said.output, "tokens": said.usage.output_tokens, "city": city.model_dump()}


def responses_typed() -> Any:
    """An object from the other API, by way of a tool that must be called."""
    return Agent(other, output_type=City).run_sync(QUESTION).output.model_dump()


def tool_of_paths() -> Any:
    """What an agent says that has a tool whose arguments have formats, sets and names of their own."""
    agent = Agent(chat)

    @agent.tool_plain
    def read(path: Path, lines: set[int], limits: dict[Literal["least", "most"], int], request: UUID4) -> str:
        """Read some lines of a file."""
        return f"{path} {lines} {limits} {request}"

    return agent.run_sync(QUESTION, model_settings={"max_tokens": 8}).output


def typed_with_formats() -> Any:
    """An object whose fields have what no grammar knows, or knows under another name."""
    return Agent(chat, output_type=NativeOutput(Trip)).run_sync(QUESTION).output.model_dump(mode="json")


if __name__ == "__main__":
    answer(globals())
