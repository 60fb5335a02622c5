"""Says in words what is wrong with the body of a request, field by field."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

LONGEST_VALUE = 80
"""So many characters of a wrong value are repeated."""

UNNAMED = "="
"""Tags of a union begin with it where they would otherwise appear in the names of fields."""


_MESSAGES = {
    "model_type": "Input should be an object",
    "model_attributes_type": "Input should be an object",
    "dict_type": "Input should be an object",
    "list_type": "Input should be an array",
    "tuple_type": "Input should be an array",
}
"""JSON's words, where pydantic has Python's."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: which field, dotted, or None for the body as a whole; and a sentence without a stop."""

    field: str | None
    text: str


def problems_of(error: ValidationError) -> list[Problem]:
    """What is wrong with a body."""
    return [_problem_of(item) for item in error.errors(include_url=False)]


def _problem_of(item: Any) -> Problem:
    path = [str(part) for part in item["loc"] if not str(part).startswith(UNNAMED)]
    about = item.get("ctx", {}).get("field")
    field = ".".join([*path, *([about] if about else [])]) or None
    name = field or "The body"
    match item["type"]:
        case "missing":
            return Problem(field, f"{name}: {item['msg']}")
        case "refused":
            return Problem(field, f"{name}: {item['msg']}")
    value = repr(item["input"])
    value = value if len(value) <= LONGEST_VALUE else value[:LONGEST_VALUE] + "…"
    message = _MESSAGES.get(item["type"], item["msg"])
    return Problem(field, f"{name}: {message}, not {value}")
