"""What a browser may ask of Streamlit: what this page uses, and nothing else.

Streamlit's protocol was made for one developer before an app of their own. Any browser that is let in can empty the
process's caches, have git run, hold files in its memory and, on a developer's machine, write into the project. So what
is not listed here is refused. ``tests/access/test_streamlit_protocol.py`` lists everything that the installed version
knows, and why it is refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from streamlit.proto.BackMsg_pb2 import BackendOperationRequest, BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Common_pb2 import FileURLsRequest
from streamlit.proto.WidgetStates_pb2 import WidgetState

from components.paths import FOCUS, TOKEN_VIEW

STREAM_PATH = "/_stcore/stream"
"""The WebSocket. Paths are given without the base path."""

SIGN_IN_PATHS = frozenset({"/auth/login", "/auth/logout", "/oauth2callback"})
"""The way to an OpenID provider and back, where ``sign_in`` is set."""

_CORE_PATHS = frozenset({"/_stcore/health", "/_stcore/host-config"})
_FILE_FOLDERS = ("/static/", "/media/")
"""The page's scripts; and its pictures and downloads, which Streamlit holds while a page shows them."""

_COMPONENT_FILE = re.compile(rf"/_stcore/bidi-components/({re.escape(TOKEN_VIEW)}|{re.escape(FOCUS)})/[a-z]+\.(js|css)")
"""The scripts and the styles of the components that this page has; nothing else that Streamlit would serve there."""

_UPLOAD_PATH = re.compile(r"/_stcore/upload_file/(?P<session>[0-9a-f-]{36})/[0-9a-f-]{36}")
"""A file that a tab brings in: the tab's id and the file's, which nobody else knows."""

_STREAMLIT_FOLDERS = ("/_stcore", "/static", "/media", "/component", "/app/static", "/auth", "/oauth2callback")

_MESSAGES = frozenset({"rerun_script", "stop_script", "file_urls_request"})
"""Of the kind ``backend_operation_request``, downloads alone (``_is_download``)."""

_WIDGET_VALUES = frozenset(
    {
        "trigger_value",
        "bool_value",
        "double_value",
        "int_value",
        "string_value",
        "string_trigger_value",
        "double_array_value",
        "int_array_value",
        "string_array_value",
        "chat_input_value",
        "file_uploader_state_value",
        "json_trigger_value",
    }
)
"""What a button, a menu, a switch, a slider, a field, the input, a file and the view of tokens send. No tables."""

MAX_WIDGETS = 256
MAX_ITEMS = 64
"""Of a widget that has several values."""
MAX_FILES = 1
"""Which a tab brings in at once."""
MAX_TRIGGER_BYTES = 65_536
"""Of what the view of tokens asks for: settings, and places in a reply of up to 8,192 tokens."""
MAX_CACHED_MESSAGES = 2048
MAX_NAME_BYTES = 512
"""Of a widget, a page, a fragment, a time zone."""
MAX_ADDRESS_BYTES = 8192
"""Of the page, with its query: what browsers and proxies pass on at the most."""
_OVERHEAD_BYTES = 64 * 1024
"""What a message holds besides the question and the system prompt."""
_BYTES_PER_CHARACTER = 4


@dataclass(frozen=True)
class Violation(Exception):  # noqa: N818 - a verdict more than an error
    """A message that no copy of this page sends, with WebSocket's code for closing the connection and the reason."""

    code: int
    reason: str


def max_message_bytes(max_question_chars: int) -> int:
    """The largest message of a page whose question and system prompt have at most so many characters each."""
    return 2 * max_question_chars * _BYTES_PER_CHARACTER + _OVERHEAD_BYTES


def is_streamlits(path: str) -> bool:
    """Whether Streamlit answers there itself, whatever the page is."""
    return any(path == folder or path.startswith(f"{folder}/") for folder in _STREAMLIT_FOLDERS)


def uploading_tab(method: str, path: str) -> str | None:
    """The id of the tab that brings a file in, or takes it back, with this request; None for any other request."""
    found = _UPLOAD_PATH.fullmatch(path) if method in ("PUT", "DELETE") else None
    return found["session"] if found else None


def may_request(method: str, path: str, *, sign_in: bool) -> bool:
    """Whether a request is none of Streamlit's own, or one that this page makes."""
    if not is_streamlits(path):
        return True
    if method not in ("GET", "HEAD"):
        return uploading_tab(method, path) is not None
    if _COMPONENT_FILE.fullmatch(path):
        return True
    return path in _CORE_PATHS or path.startswith(_FILE_FOLDERS) or (sign_in and path in SIGN_IN_PATHS)


def may_send(data: bytes, max_question_chars: int) -> bool:
    """Whether a message is one that this page sends; if not, it may be left out and the page works on.

    Raises:
        Violation: it is too large, or not a message at all.
    """
    limit = max_message_bytes(max_question_chars)
    if len(data) > limit:
        raise Violation(1009, f"A message may have {limit} bytes.")
    message = BackMsg()
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise Violation(1002, "This is not a message of Streamlit's protocol.") from None
    kind = message.WhichOneof("type")
    if kind == "rerun_script":
        _check_client_state(message.rerun_script, max_question_chars * _BYTES_PER_CHARACTER)
    elif kind == "file_urls_request":
        _check_file(message.file_urls_request)
    elif kind == "backend_operation_request":
        return _is_download(message.backend_operation_request)
    return kind in _MESSAGES


def _check_file(request: FileURLsRequest) -> None:
    _check_texts((request.request_id, request.session_id, *request.file_names), MAX_NAME_BYTES)
    _check_count(len(request.file_names), MAX_FILES)


def _is_download(request: BackendOperationRequest) -> bool:
    """Whether it asks for a file that the page offers; what else there is reads tables and writes into the project."""
    _check_texts((request.request_id, request.session_id, request.deferred_file.file_id), MAX_NAME_BYTES)
    return request.WhichOneof("payload") == "deferred_file"


def _check_client_state(state: ClientState, max_text_bytes: int) -> None:
    context = state.context_info
    _check_texts((state.query_string, context.url), MAX_ADDRESS_BYTES)
    _check_texts((state.page_script_hash, state.page_name, state.fragment_id), MAX_NAME_BYTES)
    _check_texts((context.timezone, context.locale, context.color_scheme), MAX_NAME_BYTES)
    _check_count(len(state.cached_message_hashes), MAX_CACHED_MESSAGES)
    _check_texts(state.cached_message_hashes, MAX_NAME_BYTES)
    _check_count(len(state.widget_states.widgets), MAX_WIDGETS)
    for widget in state.widget_states.widgets:
        _check_widget(widget, max_text_bytes)


def _check_widget(widget: WidgetState, max_text_bytes: int) -> None:
    _check_texts((widget.id,), MAX_NAME_BYTES)
    kind = widget.WhichOneof("value")
    if kind is not None and kind not in _WIDGET_VALUES:
        raise Violation(1008, f"This page has no widget with a {kind}.")
    if kind == "chat_input_value":
        question = widget.chat_input_value  # it has a list of files, always, which is empty here
        if question.file_uploader_state.uploaded_file_info or question.HasField("audio_file_info"):
            raise Violation(1008, "This page takes no files.")
        _check_texts((question.data,), max_text_bytes)
    elif kind == "file_uploader_state_value":
        files = widget.file_uploader_state_value.uploaded_file_info
        _check_count(len(files), MAX_FILES)
        _check_texts((text for file in files for text in (file.file_id, file.name)), MAX_NAME_BYTES)
    elif kind == "json_trigger_value":
        _check_texts((widget.json_trigger_value,), MAX_TRIGGER_BYTES)
    elif kind == "string_trigger_value":
        _check_texts((widget.string_trigger_value.data,), MAX_NAME_BYTES)
    elif kind == "string_value":
        _check_texts((widget.string_value,), max_text_bytes)
    elif kind is not None and kind.endswith("_array_value"):
        items = getattr(widget, kind).data
        _check_count(len(items), MAX_ITEMS)
        if kind == "string_array_value":
            _check_texts(items, MAX_NAME_BYTES)


def _check_texts(texts: Iterable[str], max_bytes: int) -> None:
    for text in texts:
        if len(text) > max_bytes or len(text.encode()) > max_bytes:
            raise Violation(1009, f"One of the page's texts is longer than {max_bytes} bytes.")


def _check_count(count: int, limit: int) -> None:
    if count > limit:
        raise Violation(1009, f"This page has no more than {limit} of what came {count} times.")
