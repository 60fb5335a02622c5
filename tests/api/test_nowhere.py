"""Wrong paths and methods are answered in the API's own form, and careless spellings of right ones are understood."""

from typing import Any

import pytest
import requests

HI: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}

JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
"""What Java's own client sends of itself."""

BROWSED = [
    {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"},
    {"Accept": "*/*", "Sec-Fetch-Mode": "navigate"},
]

FINDING_OUT = [
    "/version",
    "/api/version",
    "/api/tags",
    "/api/show",
    "/props",
    "/slots",
    "/info",
    "/models",
    "/api/v1/model",
    "/sdapi/v1/options",
    "/get_model_info",
    "/healthz",
    "/nothing/at/all",
]


@pytest.mark.parametrize("path", FINDING_OUT)
@pytest.mark.parametrize("accept", ["*/*", "application/json", JAVA])
def test_what_programs_ask_to_find_out_what_a_server_is_is_not_found(server: str, path: str, accept: str) -> None:
    answer = requests.get(server + path, headers={"Accept": accept}, timeout=60)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    assert f"There is no GET {path}" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate", "/chat/completions", "/completion", "/embeddings"])
def test_another_servers_api_is_not_found(server: str, path: str) -> None:
    answer = requests.post(server + path, json=HI, timeout=60)

    assert answer.status_code == 404
    assert ("ends in /v1" in answer.json()["error"]["message"]) == (path == "/chat/completions")


@pytest.mark.parametrize("path", ["/", "/operations", "/favicon.png", "/manifest.json", "/_stcore/health"])
def test_what_the_page_is_made_of_is_there_for_everybody(server: str, path: str) -> None:
    assert requests.get(server + path, timeout=60).status_code == 200
    assert requests.head(server + path, timeout=60).status_code == 200


@pytest.mark.parametrize("headers", BROWSED, ids=str)
def test_a_person_with_a_wrong_address_gets_the_page(server: str, headers: dict[str, str]) -> None:
    answer = requests.get(f"{server}/nothing", headers=headers, timeout=60)

    assert "static/js" in answer.text


@pytest.mark.parametrize(("method", "path"), [("PUT", "/"), ("DELETE", "/"), ("POST", "/metrics"), ("PATCH", "/")])
def test_a_wrong_method_is_refused_and_the_right_ones_named(server: str, method: str, path: str) -> None:
    answer = requests.request(method, server + path, timeout=60)

    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert ("status" in answer.json()) == (path == "/")


@pytest.mark.parametrize(
    "path", ["//v1/chat/completions", "/v1//chat/completions", "/v1/chat/completions/", "///v1/chat//completions//"]
)
def test_slashes_too_many_do_no_harm(server: str, path: str) -> None:
    answer = requests.Session().send(requests.Request("POST", server + path, json=HI).prepare(), timeout=60)

    assert answer.status_code == 200, answer.text
    assert answer.json()["object"] == "chat.completion"


@pytest.mark.parametrize("path", ["/v1/models/", "//v1/models", "/v1//models", "/v1/models/baichuan2-7b-tiny/"])
def test_slashes_too_many_do_no_harm_to_the_list_of_models(server: str, path: str) -> None:
    assert requests.get(server + path, timeout=60).status_code == 200


@pytest.mark.parametrize("path", ["//tokenize", "/tokenize/"])
def test_slashes_too_many_do_no_harm_to_tokens(server: str, path: str) -> None:
    assert requests.post(server + path, json={"prompt": "hi"}, timeout=60).status_code == 200


@pytest.mark.parametrize("path", ["//v1/nothing", "/v1/nothing/", "/v1/"])
def test_a_careless_spelling_of_nothing_is_not_found_in_openais_form(server: str, path: str) -> None:
    answer = requests.get(server + path, timeout=60)

    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"


def as_it_is(method: str, url: str, **fields: Any) -> requests.Response:
    """An answer to a path that no client tidied."""
    prepared = requests.Request(method, url, **fields).prepare()
    prepared.url = url
    return requests.Session().send(prepared, timeout=60)


@pytest.mark.parametrize(
    "path",
    [
        "//version",
        "///api//tags",
        "//health/x",
        "//chat/completions",
        "/chat//completions/",
        "//api/chat/",
        "//a%2F%2Fb",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_careless_spelling_of_nothing_is_answered_like_a_careful_one(server: str, method: str, path: str) -> None:
    answer = as_it_is(method, server + path)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    assert f"There is no {method} /" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["//health", "/health/", "//ready//", "//openapi.json", "//docs/"])
def test_slashes_too_many_do_no_harm_to_what_watchers_and_readers_ask(server: str, path: str) -> None:
    assert as_it_is("GET", server + path).status_code == 200


@pytest.mark.parametrize("path", ["//", "///"])
def test_slashes_too_many_do_no_harm_to_the_tutorial(server: str, path: str) -> None:
    answer = as_it_is("POST", server + path, json={"prompt": "hi", "max_new_tokens": 2})

    assert answer.status_code == 200, answer.text
    assert as_it_is("GET", server + path).status_code == 200
