"""OpenAI's agents."""

from typing import Any, Literal

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, function_tool, set_default_openai_client
from openai import AsyncOpenAI
from pydantic import BaseModel, Field
from scenarios import answer, base_url, model

client = AsyncOpenAI(base_url=base_url, api_key="none")
set_default_openai_client(client)
QUESTION = "What is the capital of France?"
BRIEF = ModelSettings(max_tokens=64)  # the library takes a reply that was cut off for an error


class City(BaseModel):
    """A city."""

    name: Literal["Paris", "Rome"]
    millions: int = Field(ge=1, le=40)


@function_tool
def password() -> str:
    """Tell the password."""
    return "swordfish"


async def typed() -> Any:
    """An object, from /v1/responses: the library's default."""
    result = await Runner.run(Agent("Guide", model=model, output_type=City), QUESTION)
    return result.final_output.model_dump()


async def streamed() -> Any:
    """The events of a stream of /v1/responses, and what it said."""
    result = Runner.run_streamed(Agent("Guide", instructions="Be brief.", model=model, model_settings=BRIEF), QUESTION)
    events = [event.data async for event in result.stream_events() if event.type == "raw_response_event"]
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    return {"pieces": pieces, "output": result.final_output, "last": events[-1].type}


async def tool() -> Any:
    """What an agent ends with that must call its tool, and stops there."""
    must = ModelSettings(tool_choice="required")
    guard = Agent("Guard", model=model, tools=[password], model_settings=must, tool_use_behavior="stop_on_first_tool")
    return (await Runner.run(guard, "What is the password?")).final_output


async def tool_streamed() -> Any:
    """What a streaming agent says that has a tool and may call it."""
    result = Runner.run_streamed(Agent("Guard", model=model, tools=[password]), "What is the password?")
    async for _ in result.stream_events():
        pass
    return result.final_output


async def chat_tool() -> Any:
    """What an agent says that has a tool and may call it, over the older API."""
    result = await Runner.run(
        Agent("Guard", model=OpenAIChatCompletionsModel(model, client), tools=[password]), "What is the password?"
    )
    return result.final_output


if __name__ == "__main__":
    answer(globals())
