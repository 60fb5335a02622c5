"""What ``/openapi.json`` and ``/docs`` say of the APIs is so."""

import re
import shlex
import subprocess
from html import unescape
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
)

from components.api.application import build_api
from components.api.openai.schema_base import USE

PATHS = {
    ("POST", "/"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model}"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/responses"),
    ("POST", "/tokenize"),
    ("POST", "/detokenize"),
}


@pytest.fixture(scope="session")
def description(server: str) -> dict[str, Any]:
    content: dict[str, Any] = requests.get(f"{server}/openapi.json", timeout=60).json()
    return content


@pytest.fixture(scope="session")
def page(server: str) -> str:
    return requests.get(f"{server}/docs", timeout=60).text


def without_unused_fields(description: Any) -> Any:
    """The description without what is ignored or refused whatever it holds: test_fields tries each of those.

    They may hold anything, so they are most of what schemathesis would try, thousands of requests.
    """
    if isinstance(description, list):
        return [without_unused_fields(item) for item in description]
    if isinstance(description, dict):
        return {name: without_unused_fields(item) for name, item in description.items() if not is_unused(item)}
    return description


def is_unused(field: Any) -> bool:
    return isinstance(field, dict) and field.get(USE) in ("ignored", "refused")


schema = schemathesis.openapi.from_dict(without_unused_fields(build_api().openapi()))


LENGTHS = ("max_new_tokens", "max_tokens", "max_completion_tokens", "max_output_tokens", "min_tokens")


def keep_short(body: Any, path: str) -> None:
    """Ask for two tokens of two replies at most: their number says nothing about the form of the answer."""
    if not isinstance(body, dict):
        return
    for name in (*LENGTHS, "n", "best_of"):
        if isinstance(body.get(name), int | float) and (body[name] > 2 or body[name] == -1):
            body[name] = 2
    if path == "/":
        body.setdefault("max_new_tokens", 2)
    elif path.startswith("/v1") and all(body.get(name) is None for name in LENGTHS[1:4]):
        body["max_tokens"] = 2


@schema.parametrize()
@settings(max_examples=10, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_described_and_none_is_a_crash(server: str, case: Any) -> None:
    # What fits the schema may still be refused, for what a schema cannot say: a model that does not run, a prompt that
    # is too long, two fields that exclude each other.
    # And what does not fit may be understood: null, 4.0 for an integer, fields that are ignored; see test_fields.
    excluded: list[Any] = [positive_data_acceptance, negative_data_rejection]
    if case.path == "/":
        excluded += [unsupported_method, allow_header_conformance]  # GET / is the page
    keep_short(case.body, case.path)
    case.call_and_validate(base_url=server, excluded_checks=excluded, timeout=60)


def test_everything_that_can_be_asked_for_is_described(description: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, methods in description["paths"].items() for method in methods}

    assert described == PATHS
    for methods in description["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            assert operation["description"]
            assert operation["responses"]["200"]["content"]["application/json"]["schema"]


def test_every_example_of_the_description_works(server: str, description: dict[str, Any]) -> None:
    examples = [
        (path, example["value"])
        for path, methods in description["paths"].items()
        for operation in methods.values()
        if "requestBody" in operation
        for example in operation["requestBody"]["content"]["application/json"]["examples"].values()
    ]

    assert len(examples) >= 7
    for path, body in examples:
        answer = requests.post(server + path, json=body, timeout=60)
        assert answer.status_code == 200, (path, answer.text)
        assert '"error":{' not in answer.text  # in a stream


def test_every_command_on_the_page_works_as_printed(page: str) -> None:
    commands = [unescape(command) for command in re.findall(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL)]

    assert len(commands) >= len(PATHS)
    for command in commands:
        if "{model}" not in command:
            subprocess.run(
                [*shlex.split(command.replace("\\\n", "")), "--fail", "-s"], check=True, stdout=subprocess.DEVNULL
            )


def test_the_page_needs_no_script_and_no_other_server(server: str, page: str) -> None:
    assert "<script" not in page
    assert " style=" not in page
    assert "<style" not in page
    references = re.findall(r'(?:href|src)="([^"#]+)"', page)
    assert references == ["docs/style.css", "openapi.json"]
    for reference in references:
        assert requests.get(f"{server}/{reference}", timeout=60).status_code == 200


def test_the_page_names_every_operation_and_every_field(description: dict[str, Any], page: str) -> None:
    for method, path in PATHS:
        assert f"<code>{method} {path}</code></h2>" in page


def test_the_page_lists_what_is_implemented_ignored_and_refused(description: dict[str, Any], page: str) -> None:
    section = page.partition('<section id="POST/v1/chat/completions">')[2].partition("</section>")[0]
    headings = ["<h3>Takes</h3>", "<h3>Takes and ignores", "<h3>Refuses", "<h3>Answers</h3>"]
    tables = re.split("|".join(headings), section)[1:]
    groups: dict[str, set[str]] = {}
    for name, field in description["components"]["schemas"]["ChatCompletionRequest"]["properties"].items():
        groups.setdefault(field.get("x-use", "implemented"), set()).add(name)

    listed = [set(re.findall(r"<tr>\s*<td><code>(.*?)</code>", table)) for table in tables]
    assert listed[:3] == [groups["implemented"], groups["ignored"], groups["refused"]]
