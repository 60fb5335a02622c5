"""A reader's conversations as files: ``GET /conversations/{id}.md``, ``/conversations/{id}.json``, all in one."""

import re
from collections.abc import Callable, Iterable
from functools import wraps
from itertools import chain
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from components.chats.exporting import json_of, markdown_of, read_entry, read_everything
from components.store.conversations import Conversations
from components.store.database import get_database
from components.store.errors import NotFoundError, StoreError
from components.store.messages import Messages
from components.web.pages import not_found, store_away
from components.web.readers import reader_of

MOST_NAME_CHARACTERS = 80

_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufffd\\/:*?"<>|]+')
"""What some system takes for something else in a file's name, and what turns its direction around."""

_Endpoint = Callable[[Request], Response]


def of_a_reader(answer: Callable[[Request, str], Response]) -> _Endpoint:
    """An endpoint for one who is known; nobody's and nothing's is the same 404."""

    @wraps(answer)
    def endpoint(request: Request) -> Response:
        reader = reader_of(request)
        try:
            return not_found(request) if reader is None else answer(request, reader)
        except NotFoundError:
            return not_found(request)
        except StoreError:
            return store_away(request)

    return endpoint


@of_a_reader
def download_markdown(request: Request, reader: str) -> Response:
    """The branch that is shown, for people."""
    with get_database().reading() as connection:
        conversation = Conversations(connection, reader).get(request.path_params["conversation"])
        branch = Messages(connection, conversation.id).branch(conversation.leaf, None)
    return _file(markdown_of(conversation, branch), conversation.title, "md", "text/markdown")


@of_a_reader
def download_json(request: Request, reader: str) -> Response:
    """The whole tree, to keep."""
    with get_database().reading() as connection:
        entry = read_entry(connection, reader, request.path_params["conversation"])
    return _file(json_of([entry]), entry.title, "json", "application/json")


@of_a_reader
def download_everything(_: Request, reader: str) -> Response:
    """All of a reader's conversations, one after the other while they are sent."""
    entries = read_everything(get_database(), reader)
    first = [entry for entry in [next(entries, None)] if entry]  # what cannot be read should fail before the answer
    return _file(json_of(chain(first, entries)), "conversations", "json", "application/json")


def file_name(title: str, ending: str) -> str:
    """A name that every system takes."""
    name = " ".join(_NOT_IN_NAMES.sub(" ", title).split())[:MOST_NAME_CHARACTERS].strip(" .")
    return f"{name or 'conversation'}.{ending}"


def _file(parts: Iterable[str], title: str, ending: str, kind: str) -> Response:
    encoded = quote(file_name(title, ending), safe="", errors="replace")
    disposition = f"attachment; filename=\"conversation.{ending}\"; filename*=UTF-8''{encoded}"
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
    return StreamingResponse(parts, headers=headers, media_type=f"{kind}; charset=utf-8")
