"""Tools: functions that the client offers and the model may call, by writing JSON that the grammar keeps in form.

Baichuan 2 was not trained for it. A call that is required follows the function's JSON schema, so it can always be
read; whether it is a sensible one, and with ``auto`` whether the model calls at all, is up to the model. A reply makes
one call at most.
"""

import json
import re
from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import Field, JsonValue

from components.api.openai.response_schemas import ToolCall
from components.api.openai.schema_base import RequestPart, ignored
from components.api.openai.structured_outputs import Constraint, Schema

OPEN, CLOSE = "<tool_call>", "</tool_call>"
"""Around a call where the reply may also be a text; the marks of Hermes and Qwen, which many models know."""

_BEGINNING = re.compile(r'\s*\{\s*"name"\s*:\s*"([^"]*)"\s*,\s*"arguments"\s*:\s*(?=\S)')

_PROMPT = """Functions, one in a line:
{functions}
{how} {open}{{"name": …, "arguments": {{…}}}}{close}"""

_MUST = "Answer with nothing but a call of one:"
_MAY = "If one helps, answer with nothing but a call of it, else in words. A call:"


class Function(RequestPart):
    """What can be called. Without parameters it takes any object."""

    name: Annotated[str, Field(pattern=r"^[\w.-]{1,64}$")]
    description: str | None = None
    parameters: Schema | None = None
    strict: bool | None = ignored("the schema always holds")


class Tool(RequestPart):
    """A tool that is a function; there are no others."""

    type: Literal["function"]
    function: Function


class FunctionName(RequestPart):
    """Which function."""

    name: str


class NamedTool(RequestPart):
    """The tool that must be called."""

    type: Literal["function"]
    function: FunctionName


class EarlierFunction(RequestPart):
    """A call in a conversation. ``arguments`` is JSON."""

    name: str
    arguments: str = "{}"


class EarlierCall(RequestPart):
    """A call that the model made in an earlier reply."""

    id: str | None = None
    type: Literal["function"] | None = None
    function: EarlierFunction

    @property
    def text(self) -> str:
        """As the model wrote it."""
        name = json.dumps(self.function.name, ensure_ascii=False)
        return f'{OPEN}{{"name": {name}, "arguments": {self.function.arguments or "{}"}}}{CLOSE}'


def tools_prompt(functions: Sequence[Function], *, must_call: bool) -> str:
    """What tells the model of the functions."""
    described = [
        {"name": one.name, "description": one.description or "", "parameters": one.parameters or {}}
        for one in functions
    ]
    lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in described)
    marks = {"open": "", "close": ""} if must_call else {"open": OPEN, "close": CLOSE}
    return _PROMPT.format(functions=lines, how=_MUST if must_call else _MAY, **marks)


def must_call_constraint(functions: Sequence[Function]) -> Constraint:
    """The reply is a call, and nothing else."""
    return Constraint(json_schema=json.dumps(_call_schema(functions)))


def may_call_constraint(functions: Sequence[Function], text: Constraint | None) -> Constraint:
    """The reply is a call between its marks, or else a text, of the given form if there is one."""
    options = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    call = json.dumps({**_call_schema(functions), "x-guidance": options})
    free = f"(TEXT)?\nTEXT: /(?s:.+)/ & ~/(?s:{OPEN}.*)/"
    words = free if text is None else f"%json {text.json_schema}"
    return Constraint(grammar=f'start: call | words\ncall: "{OPEN}" %json {call} "{CLOSE}"\nwords: {words}\n')


def _call_schema(functions: Sequence[Function]) -> Schema:
    # Each function's parameters are kept whole, so that references within them need only a longer beginning.
    places = {f"function{i}": one for i, one in enumerate(functions)}
    calls: list[JsonValue] = [
        {
            "type": "object",
            "properties": {"name": {"const": one.name}, "arguments": {"$ref": f"#/$defs/{place}"}},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for place, one in places.items()
    ]
    parameters: Schema = {
        place: _moved({"type": "object", **(one.parameters or {})}, f"#/$defs/{place}") for place, one in places.items()
    }
    return {"anyOf": calls, "$defs": parameters}


def _moved(schema: JsonValue, root: str) -> JsonValue:
    """A schema as it is below ``root``."""
    if isinstance(schema, list):
        return [_moved(item, root) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: root + value[1:]
        if name == "$ref" and isinstance(value, str) and value.startswith("#")
        else _moved(value, root)
        for name, value in schema.items()
    }


class ToolCallReader:
    """Finds in a growing reply what is text and what is a call, and holds back what may still become the other."""

    def __init__(self, *, must_call: bool) -> None:
        self._is_call: bool | None = True if must_call else None
        self._id = f"call_{uuid4().hex}"
        self._text = ""
        self._told = 0  # characters of the text
        self._name: str | None = None

    @property
    def has_call(self) -> bool:
        """Whether a call has begun, as far as its name."""
        return self._name is not None

    def push(self, text: str) -> tuple[str, list[ToolCall]]:
        """The next piece of the reply: what of it is text, and what it adds to the call."""
        self._text += text
        if self._is_call is None and not OPEN.startswith(self._text[: len(OPEN)]):
            self._is_call = False
        elif self._is_call is None and self._text.startswith(OPEN):
            self._is_call, self._told = True, len(OPEN)
        if self._is_call is None:
            return "", []
        if not self._is_call:
            return self._tell(len(self._text)), []
        return "", self._read_call(is_last=False)

    def finish(self) -> tuple[str, list[ToolCall]]:
        """What was held back and, now that nothing follows, is text or belongs to the call."""
        if self._is_call:
            return "", self._read_call(is_last=True)
        return self._tell(len(self._text)), []

    def _read_call(self, *, is_last: bool) -> list[ToolCall]:
        beginning: list[ToolCall] = []
        if self._name is None:
            found = _BEGINNING.match(self._text, self._told)
            if found is None:
                return []
            self._name, self._told = found[1], found.end()
            beginning = [
                {"index": 0, "id": self._id, "type": "function", "function": {"name": found[1], "arguments": ""}}
            ]
        end = self._end_of_arguments(is_last=is_last)
        if end <= self._told:
            return beginning
        return [*beginning, {"index": 0, "function": {"arguments": self._tell(end)}}]

    def _end_of_arguments(self, *, is_last: bool) -> int:
        """Up to where the text is surely arguments: the last brace may be that of the call around them."""
        body = self._text.removesuffix(CLOSE).rstrip()
        if is_last:
            start = len(OPEN) if self._text.startswith(OPEN) else 0
            return len(body) - 1 if _is_json(body[start:]) else len(self._text)
        brace = self._text.rfind("}")
        rest = self._text[brace + 1 :].strip()
        return brace if brace >= 0 and CLOSE.startswith(rest) else len(self._text)

    def _tell(self, end: int) -> str:
        told, self._told = self._text[self._told : end], max(self._told, end)
        return told


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
