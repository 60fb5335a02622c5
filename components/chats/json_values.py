"""The JSON values of a file, whatever it is written in: one value, or one a line."""

import codecs
import json
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

from components.chats.import_errors import ImportFileError, Place

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""What files begin with that say what they are written in. UTF-32's begins as UTF-16's does."""

_LINE_END = re.compile(r"\r\n|[\r\n]")
"""Not ``splitlines``: texts hold other line ends."""

_BOM = "\ufeff"
_BLANKS = f" \t\r\n{_BOM}"
_BLANK = re.compile(f"[{_BLANKS}]*")

MOST_WRONG_LINES = 100
"""Of a file's first lines. If none before is JSON, the file is none with a value in each line."""

MOST_LINES = 200_000
"""Of a document. Each takes some 20 microseconds, though it be a single number."""

Value = Any | ImportFileError
"""What a place holds, or why that cannot be read."""


def values_of(data: bytes, place: Place) -> Iterator[tuple[Place, Value]]:
    """The JSON value of a document, or those of its lines, each with its place.

    Raises:
        ImportFileError: there is no JSON in it.
    """
    text = _text(data, place).strip(_BOM)
    try:
        whole = _json(text, place)
    except json.JSONDecodeError as error:
        wrong = ImportFileError("no_json", place, line=error.lineno, column=error.colno)
    except ImportFileError as error:
        wrong = error
    else:
        yield place, whole
        return
    lines = _lines(text, place)
    before: list[tuple[Place, Value]] = []
    for line in lines:
        before.append(line)
        if isinstance(line[1], dict | list):
            yield from before
            yield from lines
            return
        if len(before) > MOST_WRONG_LINES:
            break
    if not (values := _in_a_row(text)):
        raise wrong
    for value in values:
        yield place, value


def _text(data: bytes, place: Place) -> str:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), json.detect_encoding(data))
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        wrong = ImportFileError("encoding", place, byte=error.start + 1)
    if encoding != "utf-8":
        raise wrong
    try:
        return data.decode("gb18030")  # as programs in China wrote, and some still do
    except UnicodeDecodeError:
        raise wrong from None


def _lines(text: str, place: Place) -> Iterator[tuple[Place, Value]]:
    start = 0
    for number in count(1):
        if number > MOST_LINES:
            raise ImportFileError("values", place)
        end = _LINE_END.search(text, start)
        line = text[start : end.start() if end else None].strip(_BLANKS)  # files put together have marks inside
        where = Place(place.file, number)
        if line:
            try:
                yield where, _json(line, where)
            except json.JSONDecodeError as error:
                yield where, ImportFileError("no_json", where, line=number, column=error.colno)
            except ImportFileError as error:
                yield where, error
        if end is None:
            return
        start = end.end()


def _in_a_row(text: str) -> list[Any]:
    """Values one behind the other, each on as many lines as it likes; none where something else stands between."""
    values, start = [], _blank_until(text, 0)
    while start < len(text):
        try:
            value, start = json.JSONDecoder(parse_constant=_no_constant).raw_decode(text, start)
        except (ValueError, RecursionError):
            return []
        if not isinstance(value, dict | list):
            return []
        values.append(value)
        start = _blank_until(text, start)
    return values


def _blank_until(text: str, start: int) -> int:
    found = _BLANK.match(text, start)
    return found.end() if found else start


def _json(text: str, place: Place) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ImportFileError("nested", place) from None
    except json.JSONDecodeError:
        raise
    except ValueError:  # a number of thousands of digits
        return json.loads(text, parse_constant=_no_constant, parse_int=float)


def _no_constant(_: str) -> None:
    """NaN and infinity, which are no JSON and which Python writes: as if nothing stood there."""
