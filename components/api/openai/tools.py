"""Tools: functions that the client offers and the model may call, by writing JSON that the grammar keeps in form.

Baichuan 2 was not trained for it. What is called follows the function's JSON schema, so it can always be read; whether
it is a sensible call, and with ``auto`` whether the model calls at all, is up to the model.

How calls are written depends on what else the reply may be. One that must be made is an object by itself, and several
are an array of such objects: JSON schemas, which other servers know, too. Where the reply may also be a text, each call
stands between marks.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Discriminator, Field, JsonValue, Tag

from components.api.openai.json_schemas import Schema, moved
from components.api.openai.schema_base import RequestPart, ignored, refused
from components.api.openai.structured_outputs import ANY_OBJECT, Constraint, of_schema
from components.api.problems import UNNAMED
from components.sampling.forms import JSON_OPTIONS

OPEN, CLOSE = "<tool_call>", "</tool_call>"
"""Around a call where the reply may also be a text; the marks of Hermes and Qwen, which many models know."""

MOST_CALLS = 8
"""So many calls a reply makes at most: a small model does not always know when it has called enough."""

_PROMPT = """Functions, one in a line:
{functions}
{how}"""

_CALL = '{"name": …, "arguments": {…}}'
_MUST_ONE = f"Answer with nothing but a call of one: {_CALL}"
_MUST = f"Answer with nothing but a list of calls, often of one only: [{_CALL}]"
_MAY_ONE = f"If one helps, answer with nothing but a call of it, else in words. A call: {OPEN}{_CALL}{CLOSE}"
_MAY = f"If some help, answer with nothing but calls, each in a line, else in words. A call: {OPEN}{_CALL}{CLOSE}"


class Function(RequestPart):
    """What can be called. Without parameters it takes any object."""

    name: Annotated[str, Field(pattern=r"^[\w.-]{1,64}$")]
    description: str | None = None
    parameters: Schema | None = None
    strict: bool | None = ignored("the schema always holds, but for what X-Notes names")


class Tool(RequestPart):
    """A tool that is a function; there are no others."""

    type: Literal["function"]
    function: Function


class FunctionName(RequestPart):
    """Which function."""

    name: str


class NamedTool(RequestPart):
    """A tool by its name: one that must be called, or one of those that may be."""

    type: Literal["function"]
    function: FunctionName


class SomeTools(RequestPart):
    """Some of the tools, and whether one of them must be called."""

    mode: Literal["auto", "required"]
    tools: list[NamedTool] = Field(min_length=1)


class AllowedTools(RequestPart):
    """Only some of the tools may be called in this reply."""

    type: Literal["allowed_tools"]
    allowed_tools: SomeTools


def kind_of_choice(value: object) -> str | None:
    """Which of the forms of ``tool_choice`` a value is, as a tag."""
    match value:
        case str():
            return UNNAMED + "mode"
        case {"type": "allowed_tools"}:
            return UNNAMED + "some"
        case {"type": "function"}:
            return UNNAMED + "named"
    return None


Mode = Annotated[Literal["none", "auto", "required"], Tag(UNNAMED + "mode")]

NO_CHOICE = 'Input should be "none", "auto", "required", a function or allowed_tools'

ToolChoice = Annotated[
    Mode | Annotated[NamedTool, Tag(UNNAMED + "named")] | Annotated[AllowedTools, Tag(UNNAMED + "some")],
    Discriminator(kind_of_choice, custom_error_type="tool_choice", custom_error_message=NO_CHOICE),
]


@dataclass(frozen=True)
class Choice:
    """What a request says of the calls in its reply.

    Attributes:
        must_call: whether the reply has to be a call.
        names: the functions that may be called; None for all.
        most: how many calls there may be.
    """

    must_call: bool
    names: tuple[str, ...] | None
    most: int


def chosen_tools(choice: Literal["none", "auto", "required"] | NamedTool | AllowedTools | None, most: int) -> Choice:
    """What a request's ``tool_choice`` means; ``most`` is how many calls it wants where it leaves that open."""
    match choice:
        case NamedTool():
            return Choice(must_call=True, names=(choice.function.name,), most=1)
        case AllowedTools(allowed_tools=some):
            names = tuple(one.function.name for one in some.tools)
            return Choice(must_call=some.mode == "required", names=names, most=most)
        case "none":
            return Choice(must_call=False, names=(), most=most)
    return Choice(must_call=choice == "required", names=None, most=most)


@dataclass(frozen=True)
class Offer:
    """The functions that a reply may call, and how it is made to.

    Attributes:
        functions: by their fields in the request.
        must_call: whether the reply has to be a call.
        most: how many calls there may be.
    """

    functions: Mapping[str, Function]
    must_call: bool
    most: int

    @property
    def prompt(self) -> str:
        """What tells the model of the functions."""
        described = [
            {"name": one.name, "description": one.description or "", "parameters": one.parameters or {}}
            for one in self.functions.values()
        ]
        lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in described)
        how = {(True, True): _MUST, (True, False): _MUST_ONE, (False, True): _MAY, (False, False): _MAY_ONE}
        return _PROMPT.format(functions=lines, how=how[self.must_call, self.most > 1])

    def constraint(self, text: Constraint | None) -> Constraint:
        """What the reply follows: calls or, where none must be made, a text of the given form if there is one."""
        forms = [
            of_schema(one.parameters or ANY_OBJECT, f"{field}.parameters") for field, one in self.functions.items()
        ]
        schemas = {field: schema for form in forms for field, schema in form.schemas.items()}
        names = [one.name for one in self.functions.values()]
        calls = _call_schema(dict(zip(names, schemas.values(), strict=True)))
        left_out = tuple(pointer for form in [*forms, *([text] if text else [])] for pointer in form.left_out)
        if self.must_call:
            if self.most > 1:
                call: JsonValue = {"anyOf": calls.pop("anyOf")}
                calls |= {"type": "array", "items": call, "minItems": 1, "maxItems": self.most}
            return Constraint("tools", schemas, json_schema=json.dumps(calls), left_out=left_out)
        # Written with "&", the text is none of xgrammar's language: of a schema that stands in a grammar, xgrammar
        # would quietly leave out what it does not know. vLLM goes on to llguidance then, which says so.
        words = f"(TEXT)?\nTEXT: /(?s:.+)/ & ~/(?s:{OPEN}.*)/"
        if text is not None:
            assert text.json_schema is not None
            words = _embedded(json.loads(text.json_schema))
        more = f' ("\\n" call){{0,{self.most - 1}}}' if self.most > 1 else ""
        return Constraint(
            "tools",
            {**schemas, **(text.schemas if text else {})},
            grammar=f"start: calls | words\ncalls: call{more}\n"
            f'call: "{OPEN}" {_embedded(calls)} "{CLOSE}"\nwords: {words}\n',
            left_out=left_out,
        )


def make_offer(functions: Mapping[str, Function], choice: Choice, forms: Sequence[Constraint]) -> Offer | None:
    """The functions that a reply may call; None where it may not.

    Args:
        functions: all that the request has, by their fields.
        choice: which of them, and how many times.
        forms: what else the request says of the reply's form.

    Raises:
        PydanticCustomError: what is asked for cannot be done.
    """
    known = [one.name for one in functions.values()]
    if missing := set(choice.names or ()) - set(known):
        raise refused("tool_choice", f"there is no function {min(missing)} in tools")
    offered = {field: one for field, one in functions.items() if choice.names is None or one.name in choice.names}
    if choice.must_call and not offered:
        raise refused("tool_choice", "there are no tools to call")
    if not offered:
        return None
    if len(set(known)) < len(known):
        raise refused("tools", "two functions have the same name")
    if not choice.must_call and any(form.json_schema is None for form in forms):
        raise refused("tools", "a reply that may call them can follow a JSON schema else, and no other form")
    return Offer(offered, choice.must_call, choice.most)


def offer_of(
    tools: Sequence[Tool] | None, choice: ToolChoice | None, parallel: bool | None, forms: Sequence[Constraint] = ()
) -> Offer | None:
    """The functions that a reply in a chat may call, as ``make_offer`` does."""
    functions = {f"tools.{i}.function": tool.function for i, tool in enumerate(tools or ())}
    return make_offer(functions, chosen_tools(choice, 1 if parallel is False else MOST_CALLS), forms)


def forms_with_calls(offer: Offer | None, forms: list[Constraint]) -> list[Constraint]:
    """What a request says of the reply's form, the calls that it may make among it; ``forms`` is what else it says.

    Several forms stay as they are: that there are several is what is wrong then.
    """
    return [offer.constraint(forms[0] if forms else None)] if offer and len(forms) < 2 else forms


def _embedded(schema: Schema) -> str:
    return f"%json {json.dumps({**schema, 'x-guidance': JSON_OPTIONS})}"


def _call_schema(parameters: Mapping[str, Schema]) -> Schema:
    """A call of one of the functions, whose parameters are given by their names."""
    # Each function's parameters are kept whole, so that references within them need only a longer beginning. They are
    # numbered, because names may have characters that a reference cannot.
    calls: list[JsonValue] = [
        {
            "type": "object",
            "properties": {"name": {"const": name}, "arguments": {"$ref": f"#/$defs/{number}"}},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for number, name in enumerate(parameters)
    ]
    definitions: Schema = {
        str(number): moved({"type": "object", **schema}, f"#/$defs/{number}")
        for number, schema in enumerate(parameters.values())
    }
    return {"anyOf": calls, "$defs": definitions}
