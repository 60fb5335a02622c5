"""Calls in a reply, found while it grows; and those of earlier replies, as the model wrote them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

from components.api.openai.schema_base import RequestPart
from components.api.openai.tools import CLOSE, OPEN

_BEGINNING = re.compile(r'\{\s*"name"\s*:\s*"([^"]*)"\s*,\s*"arguments"\s*:\s*(?=\S)')


class EarlierFunction(RequestPart):
    """A call in a conversation. ``arguments`` is JSON."""

    name: str
    arguments: str = "{}"


class EarlierCall(RequestPart):
    """A call that the model made in an earlier reply."""

    id: str | None = None
    type: str | None = None
    function: EarlierFunction

    @property
    def text(self) -> str:
        """As the model wrote it."""
        name = json.dumps(self.function.name, ensure_ascii=False)
        return f'{OPEN}{{"name": {name}, "arguments": {self.function.arguments or "{}"}}}{CLOSE}'


@dataclass(frozen=True)
class CallPiece:
    """What a piece of a reply adds to one of its calls.

    Attributes:
        index: which call, counted from 0.
        id: the call's.
        name: the function's, with the call's first piece; None with the others.
        arguments: the next characters of them, which are JSON.
        is_last: whether the arguments are whole now.
    """

    index: int
    id: str
    name: str | None
    arguments: str
    is_last: bool


class ToolCallReader:
    """Finds in a growing reply what is text and what are calls, and holds back what may still become the other."""

    def __init__(self, *, must_call: bool) -> None:
        self._is_call: bool | None = True if must_call else None
        self._text = ""
        self._read = 0  # characters of the text
        self._calls = 0
        self._id = ""
        self._arguments: _JsonEnd | None = None

    @property
    def has_call(self) -> bool:
        """Whether a call has begun, as far as its name."""
        return self._calls > 0

    def push(self, text: str) -> tuple[str, list[CallPiece]]:
        """The next piece of the reply: what of it is text, and what it adds to each call."""
        self._text += text
        if self._is_call is None and not OPEN.startswith(self._text[: len(OPEN)]):
            self._is_call = False
        elif self._is_call is None and self._text.startswith(OPEN):
            self._is_call = True
        if self._is_call is None:
            return "", []
        return ("", list(self._pieces())) if self._is_call else (self._rest(), [])

    def finish(self) -> str:
        """The text that was held back, now that nothing follows."""
        return "" if self._is_call else self._rest()

    def _rest(self) -> str:
        start, self._read = self._read, len(self._text)
        return self._text[start:]

    def _pieces(self) -> Iterator[CallPiece]:
        while self._read < len(self._text):
            name = None
            if self._arguments is None:
                found = _BEGINNING.search(self._text, self._read)
                if found is None:
                    return
                name, self._read = found[1], found.end()
                self._arguments, self._id = _JsonEnd(), f"call_{uuid4().hex}"
                self._calls += 1
            start = self._read
            self._read, is_last = self._arguments.find(self._text, start)
            yield CallPiece(self._calls - 1, self._id, name, self._text[start : self._read], is_last)
            if is_last:
                self._arguments = None


class _JsonEnd:
    """Finds the end of one JSON value that comes in pieces."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = self._escaped = False

    def find(self, text: str, start: int) -> tuple[int, bool]:
        """Up to where the text from ``start`` on belongs to the value, and whether that is its end."""
        for place in range(start, len(text)):
            character = text[place]
            if self._in_string:
                self._in_string = self._escaped or character != '"'
                self._escaped = character == "\\" and not self._escaped
            elif character == '"':
                self._in_string = True
                continue
            elif self._depth == 0 and character in ",}] \n":  # what ends a number
                return place, True
            else:
                self._depth += (character in "{[") - (character in "}]")
                if character not in "}]":
                    continue
            if self._depth == 0 and not self._in_string:
                return place + 1, True
        return len(text), False
