"""How much one visitor, or one key, may have: replies a minute, replies at once, tokens a day.

Kept in memory: a restart forgives. The owner of the server has no limits.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from components.engine.errors import LimitError
from components.settings import Settings

MINUTE = 60.0
DAY = 86_400.0
AT_ONCE_RETRY_SECONDS = 5.0
"""A reply that is being written ends some time; nobody knows when."""


@dataclass
class _Account:
    asked: deque[float] = field(default_factory=deque)  # when, in the last minute
    spent: deque[tuple[float, int]] = field(default_factory=deque)  # when and how many tokens, in the last day
    at_once: int = 0


class Limits:
    """Counts for everybody who has limits. For any thread."""

    def __init__(
        self,
        requests_per_minute: int | None = None,
        replies_at_once: int | None = None,
        tokens_per_day: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """None sets no limit. A day is the last 24 hours, a minute the last 60 seconds."""
        self._requests_per_minute = requests_per_minute
        self._replies_at_once = replies_at_once
        self._tokens_per_day = tokens_per_day
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}

    def begin(self, who: str) -> None:
        """Somebody asks for a reply. Every ``begin`` that does not raise has its ``end``.

        Raises:
            LimitError: it would be more than allowed; nothing is counted then.
        """
        with self._lock:
            now = self._clock()
            account = self._account(who, now)
            limit = self._requests_per_minute
            if limit is not None and len(account.asked) >= limit:
                wait = account.asked[-limit] + MINUTE - now
                raise LimitError(f"That were {limit} requests within a minute. Try again in {wait:.0f} s.", wait)
            limit = self._replies_at_once
            if limit is not None and account.at_once >= limit:
                message = f"{limit} of your replies are being written already. Wait for one of them to end."
                raise LimitError(message, AT_ONCE_RETRY_SECONDS)
            limit = self._tokens_per_day
            if limit is not None and (total := sum(tokens for _, tokens in account.spent)) >= limit:
                wait = self._until_below(account, total - limit) - now
                message = f"The {limit} tokens of a day are used up. Try again in {wait / 60:.0f} minutes."
                raise LimitError(message, wait)
            account.asked.append(now)
            account.at_once += 1

    def end(self, who: str, tokens: int) -> None:
        """The reply has ended; ``tokens`` are the prompt's and its own."""
        with self._lock:
            now = self._clock()
            account = self._account(who, now)
            account.at_once -= 1
            if tokens:
                account.spent.append((now, tokens))

    def _account(self, who: str, now: float) -> _Account:
        """The account with nothing old in it; those in which nothing is left are forgotten."""
        for name in list(self._accounts) if len(self._accounts) > 1000 else [who]:
            account = self._accounts.setdefault(name, _Account())
            while account.asked and account.asked[0] <= now - MINUTE:
                account.asked.popleft()
            while account.spent and account.spent[0][0] <= now - DAY:
                account.spent.popleft()
            if not account.asked and not account.spent and not account.at_once:
                del self._accounts[name]
        return self._accounts.setdefault(who, _Account())

    @staticmethod
    def _until_below(account: _Account, excess: int) -> float:
        """When so many tokens, and one more, will be older than a day."""
        for when, tokens in account.spent:
            excess -= tokens
            if excess < 0:
                return when + DAY
        raise AssertionError("the tokens of a day are more than the excess")


def limits_of(settings: Settings) -> Limits:
    """The limits that the settings name, where 0 stands for none."""
    return Limits(
        settings.requests_per_minute or None, settings.replies_at_once or None, settings.tokens_per_day or None
    )
