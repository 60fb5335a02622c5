"""Whose conversations a request is about."""

from starlette.requests import Request

from components.access.identity import browser_reader
from components.access.policy import get_access_policy


def reader_of(request: Request) -> str | None:
    """The reader's key in the store, as the page has it; None for who is no browser with a name of its own.

    Without one, the network address would stand for the reader, and with it everybody who comes from there.
    """
    name = get_access_policy().name_of(request.cookies)
    return browser_reader(name) if name else None
