"""Agents of pydantic-ai."""

from typing import Any, Literal

from pydantic import BaseModel, Field
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


if __name__ == "__main__":
    answer(globals())
