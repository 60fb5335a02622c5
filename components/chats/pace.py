"""When the tokens of a reply came: a few points, evenly spread, whatever its length."""

MOST = 64
"""Points that are kept: less than a kilobyte in the store."""


class Pace:
    """Takes the time of every piece of a reply, and keeps some.

    Attributes:
        points: milliseconds since the request, and how many tokens there were by then; in order.
    """

    def __init__(self) -> None:
        self.points: list[tuple[int, int]] = []
        self._tokens = 0
        self._every = 1
        self._pieces = 0

    def note(self, seconds: float, tokens: int) -> None:
        """So many more tokens have come, so long after the request."""
        self._tokens += tokens
        if self._pieces % self._every == 0:
            self.points.append((round(1000 * seconds), self._tokens))
        self._pieces += 1
        if len(self.points) > MOST:
            self.points = self.points[::2]
            self._every *= 2
