"""Jinja as transformers sets it up for chat templates, without transformers: it takes seconds to import.

The names are those of ``transformers.utils.chat_template_utils``. Templates come from other people, so they run in
Jinja's sandbox, and cannot get out of it through what is added here.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, Never

from jinja2 import Template, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace


@lru_cache(8)
def compiled(template: str) -> Template:
    """A chat template that can be rendered.

    Raises:
        jinja2.TemplateError: it is none.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
    )
    environment.filters["tojson"] = _to_json
    environment.globals |= {
        "raise_exception": _refuse,
        "strftime_now": _now,
        "dict": _Dictionaries(),
        "namespace": _Namespace,
    }
    return environment.from_string(template)


class _Generation(Extension):
    """``{% generation %}`` marks what the model is trained to write; nothing comes of it here."""

    tags = {"generation"}  # noqa: RUF012 as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Dictionaries:
    """``dict`` without its attributes, through which a template could reach other classes."""

    def __call__(self, *arguments: Any, **values: Any) -> dict[Any, Any]:
        return dict(*arguments, **values)

    def fromkeys(self, keys: Iterable[Any], value: Any = None) -> dict[Any, Any]:
        return dict.fromkeys(keys, value)


class _Namespace(Namespace):
    """Takes no names with which Python's own attributes begin."""

    def __init__(*all_: Any, **values: Any) -> None:  # noqa: N805, RUF100 a template may name one self
        own, *arguments = all_
        attributes = dict(*arguments, **values)
        for name in attributes:
            _check_name(name)
        Namespace.__init__(own, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"Chat templates cannot keep anything under {name!r}: rename it.")


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As it is: Jinja's own filter writes for HTML, and leaves no ``<`` as it was."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _now(pattern: str) -> str:
    return datetime.now().strftime(pattern)


def _refuse(message: str) -> Never:
    raise TemplateError(message)
