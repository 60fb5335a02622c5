"""What a reader shared, as a page: at ``/s/{id}`` for whoever has the address, and as a file."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from components.chats.sharing import shared_as
from components.store.database import get_database
from components.store.errors import NotFoundError, StoreError
from components.store.shares import Share
from components.web.pages import not_found, page, store_away
from components.web.rendering import to_html
from components.web.sheet import show_sheet
from components.web.texts import PageTexts, date_of, texts_for

COPY_NAME = "copy"
"""In the chat page's address: the share that a reader wants to go on with. The page asks before it copies anything."""


@dataclass(frozen=True)
class ShownMessage:
    """A message on the page; ``html`` for a reply."""

    role: str
    text: str
    html: str | None
    model: str
    end: str | None


def show_shared(request: Request) -> Response:
    """The branch as it was, and nothing of whose it was or where it was written."""
    try:
        shared = shared_as(get_database(), request.path_params["share"])
    except NotFoundError:
        return _show_sheet(request)
    except StoreError:
        return store_away(request)
    return page(
        request,
        "shared.html",
        title=shared.title,
        about=about(shared, texts_for(request.headers)),
        messages=shown_messages(shared),
        copy=f"../?{COPY_NAME}={shared.id}",
    )


def _show_sheet(request: Request) -> Response:
    """A sheet of the lab has the same kind of address."""
    try:
        return show_sheet(request)
    except NotFoundError:
        return not_found(request)
    except StoreError:
        return store_away(request)


def shown_messages(shared: Share) -> list[ShownMessage]:
    """What the template shows of a branch."""
    return [
        ShownMessage(
            one.role,
            one.text,
            to_html(one.text, f"{number}-") if one.role == "assistant" else None,
            one.model,
            one.end,
        )
        for number, one in enumerate(shared.content)
    ]


def about(shared: Share, texts: PageTexts) -> str:
    """When it was shared, and until when."""
    said = texts.shared_on.format(date=date_of(shared.created))
    return said if shared.expires is None else said + texts.expires_on.format(date=date_of(shared.expires))
