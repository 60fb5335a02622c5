"""OpenAI's agents: ``with_openai_agents.py BASE_URL MODEL SCENARIO...`` answers with JSON, by scenario."""

import asyncio
import json
import sys
from typing import Any, Literal

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, function_tool, set_default_openai_client
from openai import AsyncOpenAI
from pydantic import BaseModel, Field

base_url, name, *scenarios = sys.argv[1:]
client = AsyncOpenAI(base_url=base_url, api_key="none")
set_default_openai_client(client)
QUESTION = "What is the capital of France?"
BRIEF = ModelSettings(max_tokens=16)


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
    result = await Runner.run(Agent("Guide", model=name, output_type=City), QUESTION)
    return result.final_output.model_dump()


async def streamed() -> Any:
    """The events of a stream of /v1/responses, and what it said."""
    result = Runner.run_streamed(Agent("Guide", instructions="Be brief.", model=name, model_settings=BRIEF), QUESTION)
    events = [event.data async for event in result.stream_events() if event.type == "raw_response_event"]
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    return {"pieces": pieces, "output": result.final_output, "last": events[-1].type}


async def tool() -> Any:
    """What an agent does that has a tool and must call one first."""
    must = ModelSettings(tool_choice="required", max_tokens=64)
    result = await Runner.run(
        Agent("Guard", model=name, tools=[password], model_settings=must), "What is the password?"
    )
    return [item.output for item in result.new_items if item.type == "tool_call_output_item"]


async def tool_streamed() -> Any:
    """What a streaming agent says that has a tool and may call it."""
    result = Runner.run_streamed(Agent("Guard", model=name, tools=[password]), "What is the password?")
    async for _ in result.stream_events():
        pass
    return result.final_output


async def chat_tool() -> Any:
    """What an agent says that has a tool and may call it, over the older API."""
    result = await Runner.run(
        Agent("Guard", model=OpenAIChatCompletionsModel(name, client), tools=[password]), "What is the password?"
    )
    return result.final_output


async def main() -> None:
    """All scenarios that were asked for."""
    print(json.dumps({scenario: await globals()[scenario]() for scenario in scenarios}))


if __name__ == "__main__":
    asyncio.run(main())
