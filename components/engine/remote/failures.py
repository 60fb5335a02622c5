"""What can go wrong with another server: what to tell people, and whether asking again may help."""

import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from http import HTTPStatus

from httpx2 import ConnectError, ConnectTimeout
from openai import APIConnectionError, APIError, APIStatusError

from components.engine.errors import EngineError, EngineNotReadyError, PromptError, QueueFullError
from components.engine.line.fair_queue import RETRY_SECONDS
from components.engine.remote.server import Server

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 8.0
"""Of our own choice; each delay is twice as long as the one before."""

LONGEST_RETRY_AFTER_SECONDS = 120.0
"""Nobody waits longer than this before a page because a server asks for it."""

_CONTEXT = re.compile(r"context|too long|maximum (allowed )?length|too large", re.IGNORECASE)


class DroppedError(Exception):
    """A stream ended before the reply did."""


@dataclass(frozen=True)
class Failure:
    """A request that came to nothing.

    Attributes:
        error: for whoever asked.
        temporary: whether it may go well when asked again.
        after: the seconds that the server wants to be left alone.
    """

    error: EngineError
    temporary: bool = False
    after: float | None = None


def describe(error: APIError | DroppedError, server: Server, model: str) -> Failure:
    """What went wrong before anything of the reply had come."""
    where = server.who
    if isinstance(error, DroppedError):
        return Failure(EngineError(f"{where} ended the reply before it began. Its log says why; ask again."), True)
    if isinstance(error, APIConnectionError):
        return Failure(_away(server, error), True)
    after = _retry_after(error.response.headers) if isinstance(error, APIStatusError) else None
    soon = after is None or after <= LONGEST_RETRY_AFTER_SECONDS
    message = message_of(error, server)
    match _status_of(error):
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Failure(EngineError(f"{where} refuses the key. Set BAICHUAN_OPENAI_API_KEY to one that it accepts."))
        case HTTPStatus.NOT_FOUND:
            return Failure(EngineError(f"{where} does not know the model {model}, or is no OpenAI-compatible server."))
        case HTTPStatus.TOO_MANY_REQUESTS:
            when = f"in {after:.0f} seconds" if after else "in a minute"
            full = QueueFullError(f"{where} takes no more requests for now. Ask again {when}.", after or RETRY_SECONDS)
            return Failure(full, soon, after)
        case HTTPStatus.SERVICE_UNAVAILABLE:
            busy = EngineNotReadyError(f"{where} is not ready ({message}). Ask again in a minute.")
            return Failure(busy, soon, after)
        case status if 400 <= status < 500 and status not in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT):
            if _CONTEXT.search(message):
                message += " Shorten the message, ask for a shorter reply, or start a new conversation."
            return Failure(PromptError(f"{where} refuses the request: {message}"))
        case status:
            failed = EngineError(f"{where} failed ({status}: {message}). Its log says why; ask again later.")
            return Failure(failed, soon, after)


def _away(server: Server, error: APIConnectionError) -> EngineNotReadyError:
    """For a server that does not answer."""
    reason = f" ({error.__cause__})" if error.__cause__ and str(error.__cause__) else ""
    if server.own:
        later = f"{server.who} does not answer{reason}. After a crash it is started again: ask again in a moment."
        return EngineNotReadyError(server.own.keeper.trouble or later)
    return EngineNotReadyError(
        f"{server.who} does not answer{reason}. Check that it runs and can be reached from here, and "
        "that BAICHUAN_OPENAI_BASE_URL is its address; then try again."
    )


def was_read(error: APIError | DroppedError) -> bool:
    """Whether the server may have read the request that it did not answer to the end."""
    if isinstance(error, DroppedError):
        return True
    return isinstance(error, APIConnectionError) and not isinstance(error.__cause__, ConnectError | ConnectTimeout)


def unknown_model(server: Server, model: str, known: Sequence[str]) -> EngineError:
    """For a model that the server does not list."""
    return EngineError(
        f"{server.who} has no model {model}. It has: {', '.join(known) or 'none'}. "
        "Set BAICHUAN_OPENAI_MODEL to one of them."
    )


def broken_off(server: Server, reason: str) -> EngineError:
    """For a reply that ends in the middle."""
    reason = reason.rstrip(".")
    return EngineError(f"{server.who} broke off: {reason}. What was written is kept; go on from there, or ask again.")


def lost_again(server: Server, times: int) -> EngineError:
    """For a request with which a server of our own has ended so many times."""
    return EngineError(
        f"{server.who} has ended {times} times before it began this reply, and is not asked for it any more. "
        "Its log says why; ask otherwise, or with a shorter conversation."
    )


def delay_before(attempt: int, after: float | None) -> float:
    """How many seconds to wait before asking again for the ``attempt``-th time, counted from 0.

    It is random within bounds, so that those who were refused together do not come back together.
    """
    spread = random.uniform(0.5, 1.0)
    delay = spread * min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0**attempt)
    return delay if after is None else max(delay, after + spread * min(1.0, after / 4))


def _status_of(error: APIError) -> int:
    if isinstance(error, APIStatusError):
        return error.status_code
    # An error within a stream has the status as its code, if anywhere.
    return int(error.code) if error.code and error.code.isdecimal() else HTTPStatus.INTERNAL_SERVER_ERROR


def message_of(error: APIError, server: Server) -> str:
    """What the server or the client said, in a line and without the key."""
    body = error.body
    message = body.get("message") or body.get("detail") if isinstance(body, Mapping) else None
    said = str(message or body or error.message).encode(errors="replace").decode()  # JSON may hold half characters
    text = server.without_key(" ".join(said.split()))
    return text if len(text) <= 300 else text[:300] + "…"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds in a ``Retry-After`` header, which holds a number or a date."""
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        date = parsedate_tz(value)
        return max(0.0, mktime_tz(date) - time.time()) if date else None
