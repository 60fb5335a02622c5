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
MANY_ACCOUNTS = 1000
"""With more, those in which nothing is left are forgotten, once a minute."""

AT_ONCE_RETRY_SECONDS = 5.0
"""A reply that is being written ends some time; nobody knows when."""


@dataclass
class _Account:
    asked: deque[float] = field(default_factory=deque)  # when, in the last minute
    spent: deque[tuple[float, int]] = field(default_factory=deque)  # when and how many tokens, in the last day
    at_once: int = 0


class Limits:
    """Counts for everybody who has limits, and for the network addresses they come from. For any thread."""

    def __init__(
        self,
        requests_per_minute: int | None = None,
        replies_at_once: int | None = None,
        tokens_per_day: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        address_shares: int | None = None,
    ) -> None:
        """None sets no limit. A day is the last 24 hours, a minute the last 60 seconds.

        ``address_shares`` is how many shares an address has, whoever comes from there: a visitor may sign in again and
        be somebody new, and a family behind one router is more than one.
        """
        self._requests_per_minute = requests_per_minute
        self._replies_at_once = replies_at_once
        self._tokens_per_day = tokens_per_day
        self._clock = clock
        self._address_shares = address_shares
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}
        self._forgot_at = clock()

    @property
    def most_at_once(self) -> int | None:
        """So many replies can be asked for together by somebody who has none under way; None: any number."""
        return min(filter(None, (self._requests_per_minute, self._replies_at_once)), default=None)

    def begin(self, who: str, address: str = "") -> None:
        """Somebody asks for a reply. Every ``begin`` that does not raise has its ``end``.

        Args:
            who: whose share it is.
            address: where many can come from, and one under many names; empty counts for nobody.

        Raises:
            LimitError: it would be more than allowed; nothing is counted then.
        """
        with self._lock:
            now = self._clock()
            shared = self._shared(who, address, now)
            for account, shares, whose in shared:
                self._check(account, shares, whose, now)
            for account, _, _ in shared:
                account.asked.append(now)
                account.at_once += 1

    def end(self, who: str, tokens: int, address: str = "") -> None:
        """The reply has ended; ``tokens`` are the prompt's and its own. ``who`` and ``address`` as they began."""
        with self._lock:
            now = self._clock()
            for account, _, _ in self._shared(who, address, now):
                account.at_once -= 1
                if tokens:
                    account.spent.append((now, tokens))

    def _shared(self, who: str, address: str, now: float) -> list[tuple[_Account, int, str]]:
        """The accounts that a reply counts for, each with how many shares it has, and words for whose it is."""
        if len(self._accounts) > MANY_ACCOUNTS and now - self._forgot_at >= MINUTE:
            self._forget(now)
            self._forgot_at = now
        shared = [(self._account(who, now), 1, "")]
        if address and self._address_shares is not None:
            account = self._account(f"address:{address}", now)
            shared.append((account, self._address_shares, "from your network address "))
        return shared

    def _check(self, account: _Account, shares: int, whose: str, now: float) -> None:
        """See ``begin``."""
        asked = len(account.asked)
        if self._requests_per_minute is not None and asked >= (limit := shares * self._requests_per_minute):
            wait = account.asked[-limit] + MINUTE - now
            raise LimitError(f"That were {limit} requests {whose}within a minute. Try again in {wait:.0f} s.", wait)
        if self._replies_at_once is not None and account.at_once >= (limit := shares * self._replies_at_once):
            replies = f"{limit} replies {whose}" if whose else f"{limit} of your replies "
            message = f"{replies}are being written already. Wait for one of them to end."
            raise LimitError(message, AT_ONCE_RETRY_SECONDS)
        total = sum(tokens for _, tokens in account.spent)
        if self._tokens_per_day is not None and total >= (limit := shares * self._tokens_per_day):
            wait = self._until_below(account, total - limit) - now
            message = f"The {limit} tokens of a day {whose}are used up. Try again in {wait / 60:.0f} minutes."
            raise LimitError(message, wait)

    def _account(self, name: str, now: float) -> _Account:
        """The account with nothing old in it."""
        account = self._accounts.setdefault(name, _Account())
        while account.asked and account.asked[0] <= now - MINUTE:
            account.asked.popleft()
        while account.spent and account.spent[0][0] <= now - DAY:
            account.spent.popleft()
        return account

    def _forget(self, now: float) -> None:
        """Drop the accounts in which nothing is left."""
        for name in list(self._accounts):
            account = self._account(name, now)
            if not account.asked and not account.spent and not account.at_once:
                del self._accounts[name]

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
        settings.requests_per_minute or None,
        settings.replies_at_once or None,
        settings.tokens_per_day or None,
        address_shares=settings.address_shares or None,
    )
