"""``GET /docs``: the description of the APIs as a plain page.

Swagger UI, which FastAPI brings, fetches 1.5 MB of scripts from another server; whoever sits behind a firewall gets a
blank page. Packages that ship those scripts are as large. This page has no script at all, so it needs no other server
and no exception from a content security policy; ``/openapi.json`` is there for tools that send requests.
"""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from components.api.openai.schema_base import IGNORED_HEADER, USE

HERE = Path(__file__).parent

_GROUPS = {
    "implemented": "Takes",
    "ignored": f"Takes and ignores, like every field that is not listed: {IGNORED_HEADER} in the answer names them",
    "refused": "Refuses, unless it is empty, because the answer would be wrong without it",
}


@dataclass(frozen=True)
class Field:
    """A field of a body, as a row of a table. ``use`` is its group (see ``openai.schema_base``)."""

    name: str
    type: str
    required: bool
    about: str
    use: str


@dataclass(frozen=True)
class Operation:
    """One thing that can be asked for.

    Attributes:
        commands: the examples: a title and what to type.
        tables: a heading, then rows.
    """

    method: str
    path: str
    summary: str
    paragraphs: list[str]
    commands: list[tuple[str, str]]
    tables: list[tuple[str, list[Field]]]


async def docs_page(request: Request) -> Response:
    """Every operation, with what it takes, what it answers and how to try it."""
    description: dict[str, Any] = request.app.openapi()
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    base = str(request.base_url).rstrip("/")
    page = environment.get_template("docs.html").render(
        title=description["info"]["title"],
        about=description["info"]["description"],
        operations=[
            _operation(description, base, method, path, content)
            for path, methods in description["paths"].items()
            for method, content in methods.items()
        ],
    )
    return HTMLResponse(page)


async def docs_style(_: Request) -> Response:
    """The page's style, as a file of its own: a content security policy may refuse what is written into a page."""
    return FileResponse(HERE / "docs.css")


def _operation(description: dict[str, Any], base: str, method: str, path: str, content: dict[str, Any]) -> Operation:
    schemas = description["components"]["schemas"]
    body = content.get("requestBody", {}).get("content", {}).get("application/json", {"schema": {}, "examples": {}})
    answer = content["responses"]["200"]["content"]["application/json"]["schema"]
    commands = [
        (
            example["summary"],
            f"curl {base}{path} -H 'Content-Type: application/json' \\\n"
            f"  -d {shlex.quote(json.dumps(example['value'], ensure_ascii=False))}",
        )
        for example in body["examples"].values()
    ]
    fields = _fields(schemas, body["schema"])
    tables = [(heading, [field for field in fields if field.use == use]) for use, heading in _GROUPS.items()]
    return Operation(
        method=method.upper(),
        path=path,
        summary=content["summary"],
        paragraphs=content.get("description", "").split("\n\n"),
        commands=commands or [("", f"curl {base}{path}")],
        tables=[*tables, ("Answers", _fields(schemas, answer))],
    )


def _fields(schemas: dict[str, Any], schema: dict[str, Any]) -> list[Field]:
    schema = _resolved(schemas, schema)
    required = schema.get("required", [])
    rows = [
        Field(
            name, _type(schemas, field), name in required, field.get("description", ""), field.get(USE, "implemented")
        )
        for name, field in schema.get("properties", {}).items()
    ]
    return sorted(rows, key=lambda row: not row.required)


def _type(schemas: dict[str, Any], field: dict[str, Any]) -> str:
    """A schema in a few words; what may also be null is only what it is else."""
    if "$ref" in field:
        resolved = _resolved(schemas, field)
        if "properties" not in resolved:
            return _type(schemas, resolved)
        inner = ", ".join(f"{name}: {_type(schemas, part)}" for name, part in resolved["properties"].items())
        return f"{{{inner}}}"
    if kinds := field.get("anyOf") or field.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(schemas, kind) for kind in kinds if kind != {"type": "null"}))
    if values := field.get("enum", [field["const"]] if "const" in field else []):
        return " or ".join(json.dumps(value) for value in values)
    kind: str = field.get("type", "anything")
    if kind == "array":
        return f"list of {_type(schemas, field['items'])}"
    bounds = [
        f"{sign} {field[bound]:g}"
        for bound, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if bound in field and field[bound] < 2**53 - 1
    ]
    return ", ".join([kind, *bounds])


def _resolved(schemas: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    resolved: dict[str, Any] = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return resolved
