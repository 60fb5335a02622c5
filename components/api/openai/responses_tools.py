"""Tools as ``POST /v1/responses`` writes them: what a function has stands beside its type."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from components.api.openai.schema_base import RequestPart, refused
from components.api.openai.tools import NO_CHOICE, Choice, Function, Mode, chosen_tools, kind_of_choice
from components.api.problems import UNNAMED


class FunctionTool(Function):
    """A function of the client's."""

    type: Literal["function"]


class HostedTool(RequestPart):
    """A tool that OpenAI runs, or that has another form than a function. There are none here."""

    type: str


def _kind_of_tool(value: object) -> str:
    is_function = isinstance(value, dict) and value.get("type") == "function"
    return UNNAMED + ("function" if is_function else "hosted")


AnyTool = Annotated[
    Annotated[FunctionTool, Tag(UNNAMED + "function")] | Annotated[HostedTool, Tag(UNNAMED + "hosted")],
    Discriminator(_kind_of_tool),
]


class NamedFunction(RequestPart):
    """A function by its name: one that must be called, or one of those that may be."""

    type: Literal["function"]
    name: str


class AllowedFunctions(RequestPart):
    """Only some of the functions may be called in this response."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[NamedFunction] = Field(min_length=1)


ResponsesToolChoice = Annotated[
    Mode | Annotated[NamedFunction, Tag(UNNAMED + "named")] | Annotated[AllowedFunctions, Tag(UNNAMED + "some")],
    Discriminator(kind_of_choice, custom_error_type="tool_choice", custom_error_message=NO_CHOICE),
]


def chosen_function(
    choice: Literal["none", "auto", "required"] | NamedFunction | AllowedFunctions | None, most: int
) -> Choice:
    """What a request's ``tool_choice`` means, as ``chosen_tools`` does."""
    match choice:
        case NamedFunction():
            return Choice(must_call=True, names=(choice.name,), most=1)
        case AllowedFunctions():
            return Choice(choice.mode == "required", tuple(one.name for one in choice.tools), most)
    return chosen_tools(choice, most)


def functions_of(tools: Sequence[FunctionTool | HostedTool], choice: Choice) -> dict[str, Function]:
    """The functions among the tools, by their fields.

    Raises:
        PydanticCustomError: there are others, which the response might need.
    """
    for tool in tools:
        if isinstance(tool, HostedTool) and choice.names is None:
            why = f'there is no {tool.type[:40]} here, only functions: leave it out, or send "tool_choice": "none"'
            raise refused("tools", why)
    return {f"tools.{i}": tool for i, tool in enumerate(tools) if isinstance(tool, Function)}
