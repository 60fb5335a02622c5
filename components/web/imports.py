"""``/import``: a form for a file of conversations, and what becomes of it."""

from collections.abc import AsyncIterator
from http import HTTPStatus

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from components.access.origin import is_forged
from components.api.body import read_body
from components.api.errors import BodyTooLargeError
from components.chats.import_errors import ImportFileError
from components.chats.importing import keep, read_file
from components.settings import get_settings
from components.store.database import get_database
from components.store.errors import ConflictError, StoreError
from components.web.pages import largest_file_mb, page, problem_page, store_away
from components.web.readers import reader_of
from components.web.texts import texts_for

FORM_BYTES = 4096
"""What a form has around its file."""

_one_at_a_time = CapacityLimiter(1)
"""A file of the largest size takes several times as much memory while it is read."""


async def show_import(request: Request) -> Response:
    """The form."""
    return page(request, "import.html", lead=texts_for(request.headers).import_lead.format(size=largest_file_mb()))


async def import_file(request: Request) -> Response:
    """Keep what a file holds, and lead to the first of its conversations."""
    if is_forged(request, ()):  # trusted origins may use the APIs; conversations are none of theirs
        return problem_page(request, "forged", HTTPStatus.FORBIDDEN)
    reader = reader_of(request)
    if reader is None:
        return problem_page(request, "no_browser", HTTPStatus.BAD_REQUEST)
    try:
        data = await _read_upload(request)
        first = await to_thread.run_sync(_keep, reader, data, limiter=_one_at_a_time)
    except BodyTooLargeError:
        return problem_page(request, "too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    except ImportFileError as error:
        return problem_page(request, "wrong_file" if str(error) else "no_file", HTTPStatus.BAD_REQUEST, str(error))
    except (StoreError, ConflictError):
        return store_away(request)
    return to_conversation(first)


def to_conversation(conversation: str, up: str = "./") -> Response:
    """Leads to the page with a conversation open. Relative, so it leads right below any path of a proxy."""
    return RedirectResponse(f"{up}?c={conversation}", HTTPStatus.SEE_OTHER, {"Cache-Control": "no-store"})


def _keep(reader: str, data: bytes) -> str:
    drafts = read_file(data)
    keep(get_database(), reader, drafts)
    return drafts[0].conversation.id


async def _read_upload(request: Request) -> bytes:
    """The file of the form, never more of it than the settings allow.

    Raises:
        BodyTooLargeError: it is larger.
        ImportFileError: there is none; without a text.
    """
    largest = get_settings().max_import_bytes
    body = await read_body(request, largest + FORM_BYTES)

    async def whole() -> AsyncIterator[bytes]:
        yield body

    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise ImportFileError
    try:
        form = await MultiPartParser(request.headers, whole(), max_files=1, max_fields=1).parse()  # type: ignore[arg-type]
    except (MultiPartException, KeyError):
        raise ImportFileError from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.size:
            raise ImportFileError
        if file.size > largest:
            raise BodyTooLargeError
        return await file.read()
    finally:
        await form.close()
