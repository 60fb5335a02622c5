"""A sheet of the lab that a reader shared: whoever has the address reads it, and votes without seeing what is what."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from components.access.address import base_path
from components.access.cookies import NAME_MAX_AGE_SECONDS, new_name
from components.access.origin import is_forged
from components.lab.grid import PARAMETERS
from components.lab.jobs import as_told
from components.lab.sharing import TooManyVotesError, ballot, read_shared, shuffled, vote_on
from components.store.database import get_database
from components.store.errors import NotFoundError, StoreError
from components.store.sheets import Cell, Sheet
from components.web.pages import not_found, page, problem_page, store_away
from components.web.rendering import to_html
from components.web.texts import PageTexts, date_of, texts_for

VOTER_COOKIE = "baichuan_voter"
"""Says nothing but that it is the same browser."""

MOST_FORM_BYTES = 256


@dataclass(frozen=True)
class ShownSample:
    """A reply on the page, and how it ended."""

    html: str
    end: str | None


@dataclass(frozen=True)
class ShownCell:
    """A cell on the page: ``letter`` is its name for this voter, ``ballot`` what a vote for it says.

    The settings and the votes are told after the vote.
    """

    ballot: str
    letter: str
    samples: list[ShownSample]
    settings: str
    votes: int
    is_mine: bool


def show_sheet(request: Request) -> Response:
    """The replies in an order of the voter's own.

    Raises:
        NotFoundError: nobody shares a sheet under this id.
    """
    voter = _voter(request) or new_name()
    link, sheet, mine, votes = read_shared(get_database(), request.path_params["share"], voter)
    texts = texts_for(request.headers)
    about = texts.shared_on.format(date=date_of(link.created))
    answer = page(
        request,
        "sheet.html",
        forms=True,
        title=sheet.question,
        about=about if link.expires is None else about + texts.expires_on.format(date=date_of(link.expires)),
        cells=_shown(sheet, voter, mine, votes, texts),
        has_voted=mine is not None,
        action=f"{link.id}/vote",
    )
    answer.set_cookie(
        VOTER_COOKIE,
        voter,
        max_age=NAME_MAX_AGE_SECONDS,
        path=f"{base_path()}/s/",
        secure=request.scope["scheme"] == "https",
        httponly=True,
        samesite="lax",
    )
    return answer


async def take_vote(request: Request) -> Response:
    """A browser's vote, and back to the sheet."""
    if is_forged(request, ()) or (voter := _voter(request)) is None:
        return problem_page(request, "no_vote", HTTPStatus.FORBIDDEN)
    length = request.headers.get("content-length", "")
    if not (length.isdecimal() and int(length) <= MOST_FORM_BYTES):
        return problem_page(request, "no_vote", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    form = dict(parse_qsl((await request.body()).decode(errors="replace")))
    share = request.path_params["share"]
    try:
        await run_in_threadpool(vote_on, get_database(), share, voter, form.get("reply", ""))
    except NotFoundError:
        return not_found(request)
    except TooManyVotesError:
        return problem_page(request, "enough_votes", HTTPStatus.CONFLICT)
    except StoreError:
        return store_away(request)
    return RedirectResponse(f"../{share}", HTTPStatus.SEE_OTHER, {"Cache-Control": "no-store"})


def _voter(request: Request) -> str | None:
    name = request.cookies.get(VOTER_COOKIE, "")
    return name if 8 <= len(name) <= 64 else None


def _shown(sheet: Sheet, voter: str, mine: int | None, votes: Mapping[int, int], texts: PageTexts) -> list[ShownCell]:
    unfinished = as_told(sheet).end  # of a sheet that was cut, this is all that says so of its replies
    return [
        ShownCell(
            ballot(sheet, number),
            chr(ord("A") + place),
            [
                ShownSample(to_html(sample.text, f"{place}-{count}-"), sample.end or unfinished)
                for count, sample in enumerate(sheet.cells[number].samples)
                if sample.text
            ],
            _settings(sheet.cells[number], sheet, texts),
            votes.get(number, 0),
            number == mine,
        )
        for place, number in enumerate(shuffled(sheet, voter))
    ]


def _settings(cell: Cell, sheet: Sheet, texts: PageTexts) -> str:
    """What this cell was asked with, as far as others were asked with something else."""
    names = [name for name in PARAMETERS if len({one.sampling[name] for one in sheet.cells}) > 1] or PARAMETERS
    return " · ".join(f"{texts.parameters[name]} {cell.sampling[name]:g}" for name in names)
