"""``/s/{id}``: what a reader shared, for whoever has the address, and an own copy for who is let in."""

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from components.access.origin import is_forged
from components.access.policy import address_of, get_access_policy
from components.chats.importing import keep
from components.chats.sharing import copy_of
from components.store.database import get_database
from components.store.errors import ConflictError, NotFoundError, StoreError
from components.store.shares import Share, Shares
from components.web.imports import to_conversation
from components.web.pages import not_found, page, problem_page, store_away
from components.web.readers import reader_of
from components.web.rendering import to_html
from components.web.texts import PageTexts, texts_for


@dataclass(frozen=True)
class _Shown:
    """A message on the page; ``html`` for a reply."""

    role: str
    text: str
    html: str | None
    model: str
    end: str | None


def show_shared(request: Request) -> Response:
    """The branch as it was, and nothing of whose it was or where it was written."""
    try:
        shared = _find(request)
    except NotFoundError:
        return not_found(request)
    except StoreError:
        return store_away(request)
    policy = get_access_policy()
    is_let_in = policy.recognise(request.headers, request.cookies, address_of(request)) is not None
    return page(
        request,
        "shared.html",
        title=shared.title,
        about=_about(shared, texts_for(request.headers)),
        messages=[
            _Shown(one.role, one.text, to_html(one.text) if one.role == "assistant" else None, one.model, one.end)
            for one in shared.content
        ],
        may_copy=is_let_in and reader_of(request) is not None,
        copy=f"{shared.id}/copy",
    )


def copy_shared(request: Request) -> Response:
    """Make it a conversation of the reader's own, and lead there."""
    if is_forged(request, ()):
        return problem_page(request, "forged", HTTPStatus.FORBIDDEN)
    reader = reader_of(request)
    if reader is None:
        return problem_page(request, "no_browser", HTTPStatus.BAD_REQUEST)
    try:
        draft = copy_of(_find(request))
        keep(get_database(), reader, [draft])
    except NotFoundError:
        return not_found(request)
    except (StoreError, ConflictError):
        return store_away(request)
    return to_conversation(draft.conversation.id, "../../")


def _find(request: Request) -> Share:
    with get_database().reading() as connection:
        return Shares(connection, "").get(request.path_params["share"])


def _about(shared: Share, texts: PageTexts) -> str:
    about = texts.shared_on.format(date=_date(shared.created))
    return about if shared.expires is None else f"{about} {texts.expires_on.format(date=_date(shared.expires))}"


def _date(when: float) -> str:
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M} UTC"
