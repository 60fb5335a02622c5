"""Replies of a given form, as each kind of server wants them asked for.

A JSON schema is OpenAI's own business, so every server is asked for it alike. The rest each names in its own way, and
what a server does not know it leaves out without a word: only a server whose kind is known is asked.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from components.engine.errors import PromptError, UnsupportedError
from components.sampling.parameters import SamplingParams

NAMES = {
    "vllm": "vLLM",
    "llamacpp": "llama-server",
    "sglang": "SGLang",
    "baichuan-chat": "an application like this one",
}
"""Kinds of servers, by what they call the owner of their models."""


def form_fields(sampling: SamplingParams, kind: str | None) -> Mapping[str, Any]:
    """What a call says of the reply's form.

    Args:
        sampling: at most one of its forms is set.
        kind: the server's, one of ``NAMES``; anything else is not known.

    Raises:
        PromptError: the JSON schema is no JSON.
        UnsupportedError: the server cannot be asked for such a form.
    """
    if sampling.json_schema is not None:
        return {"response_format": _response_format(sampling.json_schema)}
    if sampling.regex is not None:
        match kind:
            case "vllm":
                return _vllm("regex", sampling.regex)
            case "baichuan-chat":
                return {"structured_outputs": {"regex": sampling.regex}}
            case "sglang":
                return {"regex": sampling.regex}
        raise _unsupported("a regular expression", kind)
    if sampling.choice is not None:
        match kind:
            case "vllm":
                return _vllm("choice", list(sampling.choice))
            case "baichuan-chat":
                return {"structured_outputs": {"choice": list(sampling.choice)}}
            case "sglang":
                return {"regex": "|".join(f"({re.escape(text)})" for text in sampling.choice)}
            case "llamacpp":
                return {"grammar": f"root ::= {' | '.join(map(_gbnf, dict.fromkeys(sampling.choice)))}"}
        raise _unsupported("a choice", kind)
    if sampling.grammar is not None:
        if kind == "vllm":
            return _vllm("grammar", sampling.grammar)
        raise _unsupported("tools that may be called or not", kind, 'or "tool_choice": "required"')
    return {}


def _vllm(name: str, value: Any) -> Mapping[str, Any]:
    # Before 0.12 the names were others, and servers ignore without a word those that they do not know.
    return {"structured_outputs": {name: value}, f"guided_{name}": value}


def _response_format(schema: str) -> dict[str, Any]:
    try:
        content = json.loads(schema)
    except ValueError as error:
        raise PromptError(f"The JSON schema cannot be read: {error}") from error
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": content, "strict": True}}


def _gbnf(text: str) -> str:
    """A text as llama.cpp's grammars write it."""
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in text) + '"'


def _unsupported(what: str, kind: str | None, instead: str = "") -> UnsupportedError:
    server = f"The server behind this one, {NAMES[kind]}," if kind in NAMES else "The server behind this one"
    return UnsupportedError(
        f"{server} cannot be asked for replies that follow {what}. Send a JSON schema {instead}".strip() + "."
    )
