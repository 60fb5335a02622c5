"""Everything that a browser can ask of the installed Streamlit, and what of it this server lets through.

A message, a widget's value or a route that is in no table here is new: decide whether the page uses it.
"""

from collections.abc import Iterator
from unittest.mock import MagicMock
from uuid import uuid4

import pytest
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from streamlit import config
from streamlit.proto.BackMsg_pb2 import BackendOperationRequest, BackMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.web.server.starlette.starlette_app import create_streamlit_routes

from components.access.streamlit_protocol import (
    MAX_ADDRESS_BYTES,
    MAX_CACHED_MESSAGES,
    MAX_ITEMS,
    MAX_NAME_BYTES,
    MAX_TRIGGER_BYTES,
    MAX_WIDGETS,
    STREAM_PATH,
    Violation,
    max_message_bytes,
    may_request,
    may_send,
)
from components.paths import FOCUS, TOKEN_VIEW

CHARS = 1000

ALLOWED_MESSAGES = {
    "rerun_script": "a widget has changed, or a fragment's time has come",
    "stop_script": "the browser's own Stop; it ends this reader's run alone",
    "file_urls_request": "where a file of conversations may be sent to",
}
REFUSED_MESSAGES = {
    "clear_cache": "empties caches that all readers share",
    "set_run_on_save": "for development; files are not watched",
    "load_git_info": "runs git, and tells paths of the server's disk",
    "debug_disconnect_websocket": "for Streamlit's own tests",
    "debug_shutdown_runtime": "for Streamlit's own tests; ends the server",
    "app_heartbeat": "for sites that have the page in a frame, which the page's headers forbid",
    "backend_operation_request": "without anything to do; see OPERATIONS",
}

OPERATIONS = {
    "deferred_file": True,  # a download that is made when it is asked for
    "dataframe_chunk": False,  # large tables, which the page has none of
    "install_skills": False,  # writes files into the project
    "dismiss_skills_nudge": False,
}

ALLOWED_VALUES = {
    "trigger_value": "buttons",
    "string_trigger_value": "menus",
    "bool_value": "popovers and switches",
    "double_value": "number fields",
    "int_value": "number fields",
    "string_value": "text fields",
    "double_array_value": "sliders",
    "int_array_value": "selections",
    "string_array_value": "the language",
    "chat_input_value": "the question",
    "file_uploader_state_value": "a file of conversations",
    "json_trigger_value": "what the view of a reply's tokens asks for",
}
REFUSED_VALUES = {
    "json_value": "components that keep a state, which the page has none of",
    "arrow_value": "tables that a reader edits",
    "bytes_value": "components",
}

CORE = "/_stcore"
ALLOWED_ROUTES = {
    ("GET", f"{CORE}/health"): "the page asks before it connects again",
    ("GET", f"{CORE}/host-config"): "the page's first question",
    ("GET", "/media/{file_id:path}"): "the page's icon and the receipt's download",
    ("GET", f"{CORE}/bidi-components/{{path:path}}"): "scripts and style of the view of tokens, and nothing else there",
    ("GET", "/"): "the page, its scripts, and every path that is not Streamlit's own",
    ("PUT", f"{CORE}/upload_file/{{session_id}}/{{file_id}}"): "a file of conversations, see test_uploads.py",
    ("DELETE", f"{CORE}/upload_file/{{session_id}}/{{file_id}}"): "the same file, by whoever knows its id",
}
ROUTES_TO_SIGN_IN = {
    ("GET", "/auth/login"): "to the OpenID provider",
    ("GET", "/auth/logout"): "and out",
    ("GET", "/oauth2callback"): "and back",
}
EVERY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
REFUSED_ROUTES = {
    ("GET", f"{CORE}/metrics"): "counts what is in the process; ours are at /metrics",
    ("GET", f"{CORE}/script-health-check"): "runs the page for everybody who asks; off unless configured",
    ("GET", "/component/{path:path}"): "files of components, which the page has none of",
    ("GET", "/app/static/{path:path}"): "files of the project; off unless configured",
    **{
        (method, f"{CORE}/agent/{name}"): "drives the page without a browser; off unless configured"
        for method in EVERY_METHOD
        for name in ("interact", "openapi.json", "mcp")
    },
    **{
        ("OPTIONS", path): "another site's page asks whether it may; it may not"
        for path in (
            f"{CORE}/health",
            f"{CORE}/metrics",
            f"{CORE}/script-health-check",
            f"{CORE}/upload_file/{{session_id}}/{{file_id}}",
            f"{CORE}/bidi-components/{{path:path}}",
            "/media/{file_id:path}",
            "/component/{path:path}",
            "/app/static/{path:path}",
        )
    },
}


@pytest.fixture
def routes() -> Iterator[list[BaseRoute]]:
    """All of Streamlit's routes, those that are off by default included."""
    options = ("server.enableStaticServing", "server.scriptHealthCheckEnabled")
    before = {option: config.get_option(option) for option in options}
    for option in options:
        config.set_option(option, True)
    yield create_streamlit_routes(MagicMock())
    for option, value in before.items():
        config.set_option(option, value)


def test_every_route_of_streamlit_is_decided_on(routes: list[BaseRoute]) -> None:
    known = {*ALLOWED_ROUTES, *ROUTES_TO_SIGN_IN, *REFUSED_ROUTES}
    found: set[tuple[str, str]] = set()
    for route in routes:
        match route:
            case Mount():
                found.add(("GET", route.path or "/"))
            case Route():
                found.update((method, route.path) for method in (route.methods or ()) if method != "HEAD")
            case WebSocketRoute():
                assert route.path == STREAM_PATH
            case _:
                pytest.fail(f"a route of a new kind: {route}")
    assert found == known


@pytest.mark.parametrize(("method", "route"), [*ALLOWED_ROUTES, *ROUTES_TO_SIGN_IN, *REFUSED_ROUTES])
@pytest.mark.parametrize("sign_in", [False, True])
def test_what_the_page_uses_of_streamlits_routes_is_served(method: str, route: str, sign_in: bool) -> None:
    path = (
        route.replace("{session_id}", str(uuid4()))
        .replace("{file_id}", str(uuid4()))
        .replace("{file_id:path}", "c.png")
    )
    path = path.replace(f"{CORE}/bidi-components/{{path:path}}", f"{CORE}/bidi-components/{TOKEN_VIEW}/view.js")
    path = path.replace("{path:path}", "name/index.html")
    key = (method, route)
    assert may_request(method, path, sign_in=sign_in) is (
        key in ALLOWED_ROUTES or (sign_in and key in ROUTES_TO_SIGN_IN)
    )


@pytest.mark.parametrize(
    "path",
    ["/_stcore", "/_stcore/", "/_stcore/stream", "/_stcore/new-in-the-next-version", "/_stcore/health/", "/media"],
)
def test_what_streamlit_may_add_there_is_refused(path: str) -> None:
    assert not may_request("GET", path, sign_in=True)


@pytest.mark.parametrize(
    "name",
    [
        "another.component/view.js",
        *(
            f"{component}/{name}"
            for component in (TOKEN_VIEW, FOCUS)
            for name in ("view.py", "../view.js", "a/view.js", "")
        ),
        "",
    ],
)
def test_of_components_the_files_of_this_pages_own_are_served_alone(name: str) -> None:
    assert not may_request("GET", f"{CORE}/bidi-components/{name}", sign_in=False)
    assert not may_request("OPTIONS", f"{CORE}/bidi-components/{TOKEN_VIEW}/view.js", sign_in=False)


@pytest.mark.parametrize("name", [f"{TOKEN_VIEW}/view.js", f"{TOKEN_VIEW}/style.css", f"{FOCUS}/keep.js"])
def test_the_files_of_this_pages_own_components_are_served(name: str) -> None:
    assert may_request("GET", f"{CORE}/bidi-components/{name}", sign_in=False)


@pytest.mark.parametrize("path", ["/", "/operations", "/v1/chat/completions", "/static/js/index.js", "/authors"])
def test_other_paths_are_none_of_streamlits(path: str) -> None:
    assert may_request("GET", path, sign_in=False)


def test_every_message_of_streamlit_is_decided_on() -> None:
    kinds = {field.name for field in BackMsg.DESCRIPTOR.oneofs_by_name["type"].fields}
    assert kinds == {*ALLOWED_MESSAGES, *REFUSED_MESSAGES}
    assert {field.name for field in BackMsg.DESCRIPTOR.fields} == kinds


@pytest.mark.parametrize("kind", [*ALLOWED_MESSAGES, *REFUSED_MESSAGES])
def test_what_the_page_uses_of_streamlits_messages_is_passed_on(kind: str) -> None:
    message = BackMsg()
    if BackMsg.DESCRIPTOR.fields_by_name[kind].message_type is None:
        setattr(message, kind, True)
    else:
        getattr(message, kind).SetInParent()
    assert message.WhichOneof("type") == kind
    assert may_send(message.SerializeToString(), CHARS) is (kind in ALLOWED_MESSAGES)


def test_every_operation_of_streamlit_is_decided_on() -> None:
    assert {field.name for field in BackendOperationRequest.DESCRIPTOR.oneofs_by_name["payload"].fields} == {
        *OPERATIONS
    }


@pytest.mark.parametrize("operation", OPERATIONS)
def test_of_operations_the_page_asks_for_downloads_alone(operation: str) -> None:
    message = BackMsg()
    getattr(message.backend_operation_request, operation).SetInParent()
    assert may_send(message.SerializeToString(), CHARS) is OPERATIONS[operation]


@pytest.mark.parametrize(("files", "name"), [(2, "a.json"), (1, "x" * (MAX_NAME_BYTES + 1))])
def test_one_file_with_a_usual_name_is_brought_in_at_once(files: int, name: str) -> None:
    asked, chosen = BackMsg(), rerun()
    asked.file_urls_request.file_names.extend([name] * files)
    widget = chosen.rerun_script.widget_states.widgets.add(id="file")
    for _ in range(files):
        widget.file_uploader_state_value.uploaded_file_info.add(name=name)
    for message in (asked, chosen):
        with pytest.raises(Violation) as violation:
            may_send(message.SerializeToString(), CHARS)
        assert violation.value.code == 1009


@pytest.mark.parametrize("path", ["", "/a/b", "/{id}", "/{id}/{id}/", "/{id}/../{id}", "/{id}/{id}/{id}"])
def test_a_file_is_sent_to_a_tab_of_which_one_knows_the_id(path: str) -> None:
    for method in ("PUT", "DELETE"):
        assert not may_request(method, f"{CORE}/upload_file{path.format(id=uuid4())}", sign_in=True)


def test_an_empty_message_is_left_out() -> None:
    assert not may_send(b"", CHARS)


@pytest.mark.parametrize("data", [b"\xff", b"hello", b"\x5a\xff\xff\xff\xff\x0f"])
def test_what_is_no_message_breaks_the_protocol(data: bytes) -> None:
    with pytest.raises(Violation) as violation:
        may_send(data, CHARS)
    assert violation.value.code == 1002


def rerun() -> BackMsg:
    message = BackMsg()
    message.rerun_script.SetInParent()
    return message


def test_every_value_of_a_widget_is_decided_on() -> None:
    kinds = {field.name for field in WidgetState.DESCRIPTOR.oneofs_by_name["value"].fields}
    assert kinds == {*ALLOWED_VALUES, *REFUSED_VALUES}


@pytest.mark.parametrize("kind", [*ALLOWED_VALUES, *REFUSED_VALUES])
def test_a_widget_may_have_the_values_that_the_pages_widgets_have(kind: str) -> None:
    message = rerun()
    widget = message.rerun_script.widget_states.widgets.add(id="widget")
    if WidgetState.DESCRIPTOR.fields_by_name[kind].message_type is not None:
        getattr(widget, kind).SetInParent()
    else:
        setattr(widget, kind, {"string_value": "a", "bytes_value": b"a"}.get(kind, "{}" if "json" in kind else 1))
    if kind in ALLOWED_VALUES:
        assert may_send(message.SerializeToString(), CHARS)
    else:
        with pytest.raises(Violation, match=kind):
            may_send(message.SerializeToString(), CHARS)


def test_a_question_has_no_files() -> None:
    message = rerun()
    question = message.rerun_script.widget_states.widgets.add(id="question").chat_input_value
    question.data = "hello"
    question.file_uploader_state.SetInParent()  # as browsers send it
    assert may_send(message.SerializeToString(), CHARS)
    recorded, uploaded = BackMsg(), BackMsg()
    for refused in (recorded, uploaded):
        refused.CopyFrom(message)
    recorded.rerun_script.widget_states.widgets[0].chat_input_value.audio_file_info.file_id = "1"
    uploaded.rerun_script.widget_states.widgets[0].chat_input_value.file_uploader_state.uploaded_file_info.add()
    for refused in (recorded, uploaded):
        with pytest.raises(Violation, match="no files"):
            may_send(refused.SerializeToString(), CHARS)


FULL = CHARS * 4
TEXTS = {
    "query_string": MAX_ADDRESS_BYTES,
    "context_info.url": MAX_ADDRESS_BYTES,
    "context_info.timezone": MAX_NAME_BYTES,
    "context_info.locale": MAX_NAME_BYTES,
    "context_info.color_scheme": MAX_NAME_BYTES,
    "page_script_hash": MAX_NAME_BYTES,
    "page_name": MAX_NAME_BYTES,
    "fragment_id": MAX_NAME_BYTES,
    "cached_message_hashes": MAX_NAME_BYTES,
    "widget.id": MAX_NAME_BYTES,
    "widget.string_value": FULL,
    "widget.chat_input_value.data": FULL,
    "widget.string_array_value.data": MAX_NAME_BYTES,
    "widget.json_trigger_value": MAX_TRIGGER_BYTES,
}


def with_text(field: str, text: str) -> bytes:
    message = rerun()
    state = message.rerun_script
    target, _, name = field.rpartition(".")
    owner = state
    if target.startswith("widget"):
        owner = state.widget_states.widgets.add()
        target = target.removeprefix("widget").lstrip(".")
    if target:
        owner = getattr(owner, target)
    if name in ("cached_message_hashes", "data") and field != "widget.chat_input_value.data":
        getattr(owner, name).append(text)
    else:
        setattr(owner, name, text)
    data: bytes = message.SerializeToString()
    return data


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("letter", ["a", "百", "😀"])
def test_every_text_of_a_message_has_a_bound(field: str, letter: str) -> None:
    most = TEXTS[field] // len(letter.encode())
    assert may_send(with_text(field, letter * most), CHARS)
    with pytest.raises(Violation) as violation:
        may_send(with_text(field, letter * (most + 1)), CHARS)
    assert violation.value.code == 1009


def test_every_text_of_streamlits_message_is_in_the_table() -> None:
    """By the names of the fields, so that a new one is decided on, too."""
    state = BackMsg.DESCRIPTOR.fields_by_name["rerun_script"].message_type
    fields = {field.name for field in state.fields}
    context = {f"context_info.{field.name}" for field in state.fields_by_name["context_info"].message_type.fields}
    assert fields | context == {name for name in TEXTS if not name.startswith("widget")} | {
        "widget_states",
        "is_auto_rerun",
        "is_history_navigation",
        "context_info",
        "context_info.timezone_offset",
        "context_info.is_embedded",
    }


def test_there_are_not_more_widgets_than_the_page_has() -> None:
    message = rerun()
    for number in range(MAX_WIDGETS):
        message.rerun_script.widget_states.widgets.add(id=str(number), trigger_value=True)
    assert may_send(message.SerializeToString(), CHARS)
    message.rerun_script.widget_states.widgets.add(id="one more")
    with pytest.raises(Violation):
        may_send(message.SerializeToString(), CHARS)


@pytest.mark.parametrize("kind", ["double_array_value", "int_array_value", "string_array_value"])
def test_a_widget_has_not_more_values_than_one_of_the_page_has(kind: str) -> None:
    message = rerun()
    data = getattr(message.rerun_script.widget_states.widgets.add(id="widget"), kind).data
    data.extend(["a" if kind == "string_array_value" else 1] * MAX_ITEMS)
    assert may_send(message.SerializeToString(), CHARS)
    data.append("a" if kind == "string_array_value" else 1)
    with pytest.raises(Violation):
        may_send(message.SerializeToString(), CHARS)


def test_a_browser_names_not_more_messages_than_a_page_has() -> None:
    message = rerun()
    message.rerun_script.cached_message_hashes.extend(["a"] * MAX_CACHED_MESSAGES)
    assert may_send(message.SerializeToString(), CHARS)
    message.rerun_script.cached_message_hashes.append("a")
    with pytest.raises(Violation):
        may_send(message.SerializeToString(), CHARS)


@pytest.mark.parametrize("chars", [100, 100_000, 200_000])
def test_the_longest_question_and_system_prompt_fit_into_a_message(chars: int) -> None:
    message = rerun()
    message.rerun_script.widget_states.widgets.add(id="question").chat_input_value.data = "😀" * chars
    message.rerun_script.widget_states.widgets.add(id="system").string_value = "😀" * chars
    message.rerun_script.query_string = "a" * MAX_ADDRESS_BYTES
    data = message.SerializeToString()
    assert may_send(data, chars)
    assert max_message_bytes(chars) < config.get_option("server.maxMessageSize") * 1e6


def test_a_message_as_a_whole_has_a_bound() -> None:
    most = max_message_bytes(CHARS)
    with pytest.raises(Violation) as violation:
        may_send(b"\x00" * (most + 1), CHARS)
    assert violation.value.code == 1009
