"""When a reply ends other than by itself: at a stop string, or because it goes round in a circle."""

import re
from collections.abc import Sequence

import numpy as np

LONGEST_PERIOD = 256
"""Circles of up to so many tokens are noticed."""

MIN_REPEATED = 240
"""So many tokens in a row must have repeated what stood before them: tables, code and lists repeat themselves too."""

MIN_ROUNDS = 2
"""And the circle must have been gone round so often after its first time."""


class StopStrings:
    """Looks for stop strings in text that arrives in pieces, and holds back what may be the beginning of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""

    def push(self, text: str) -> tuple[str, bool]:
        """Take more text; return what may be shown, and whether a stop string was found (it is not shown)."""
        if not self._stops:
            return text, False
        self._held += text
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            shown, self._held = self._held[: min(found)], ""
            return shown, True
        held = max(self._beginning_at_end(stop) for stop in self._stops)
        shown = self._held[: len(self._held) - held]
        self._held = self._held[len(self._held) - held :]
        return shown, False

    def finish(self) -> str:
        """What was held back and turned out to be no stop string."""
        held, self._held = self._held, ""
        return held

    def _beginning_at_end(self, stop: str) -> int:
        """How many characters at the end of the text may be the beginning of ``stop``."""
        longest = min(len(stop) - 1, len(self._held))
        return next((length for length in range(longest, 0, -1) if self._held.endswith(stop[:length])), 0)


class LoopGuard:
    """Notices a reply that repeats itself token by token without end."""

    def __init__(self) -> None:
        self._recent = np.full(LONGEST_PERIOD, -1)  # the newest token first
        self._repeated = np.zeros(LONGEST_PERIOD, dtype=np.int64)  # by period: how many tokens in a row
        periods = np.arange(1, LONGEST_PERIOD + 1)
        self._limits = np.maximum(MIN_REPEATED, MIN_ROUNDS * periods)

    def push(self, token: int) -> int | None:
        """Take the next token; return the length of the circle, in tokens, once there is one."""
        self._repeated = np.where(self._recent == token, self._repeated + 1, 0)
        self._recent[1:] = self._recent[:-1]
        self._recent[0] = token
        over = np.nonzero(self._repeated >= self._limits)[0]
        return int(over[0]) + 1 if len(over) else None


class TextLoopGuard:
    """The same for text whose tokens are not known: cut into words, rules and single characters, which comes close.

    How it arrives in pieces makes no difference.
    """

    _UNIT = re.compile(r" ?[^\W_\u2e80-\U0010ffff]+|(?P<rule>[\W_])(?P=rule)*|.", re.DOTALL)

    def __init__(self) -> None:
        self._guard = LoopGuard()
        self._numbers: dict[str, int] = {}
        self._unfinished = ""

    def push(self, text: str) -> bool:
        """Take more text; return whether it goes round in a circle."""
        *units, self._unfinished = [match[0] for match in self._UNIT.finditer(self._unfinished + text)] or [""]
        # No generator within any(): every unit must reach the guard.
        circles = [self._guard.push(self._numbers.setdefault(unit, len(self._numbers))) for unit in units]
        return any(circle is not None for circle in circles)
