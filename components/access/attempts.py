"""How often codes may be tried: the more were wrong, the longer the wait until the next.

Only those who try a code are asked to wait. Whoever has a cookie or an API key never meets this.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from components.access.address import network_of

FORGET_SECONDS = 3600.0
"""Wrong codes count for this long after the last one."""

MAX_ADDRESSES = 10_000
"""Of more addresses than these, those that have been quiet longest are forgotten."""


@dataclass
class _Count:
    wrong: int = 0
    last: float = 0.0


@dataclass(frozen=True)
class _Rule:
    """``free`` wrong codes cost nothing; each further one doubles the wait, from a second up to ``longest``."""

    free: int
    longest: float

    def wait(self, count: _Count, now: float) -> float:
        if count.wrong < self.free or now - count.last > FORGET_SECONDS:
            return 0.0
        delay = min(self.longest, 2.0 ** min(count.wrong - self.free, 30))
        return max(0.0, count.last + delay - now)


PER_ADDRESS = _Rule(free=10, longest=300.0)
OVERALL = _Rule(free=100, longest=10.0)
"""Against tries from many addresses at once. Short, because it also meets the honest who come in meanwhile."""


class Attempts:
    """Counts wrong codes, per network address and together. In memory: a restart forgets."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all = _Count()
        self._wrong: OrderedDict[str, _Count] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until a code from this address is looked at; 0 when it is now."""
        network, now = network_of(address), self._clock()
        own = PER_ADDRESS.wait(self._wrong.get(network, _Count()), now)
        # From where a right code came before, strangers' tries elsewhere do not matter.
        return own if network in self._known else max(own, OVERALL.wait(self._all, now))

    def failed(self, address: str) -> None:
        """A code was wrong."""
        network, now = network_of(address), self._clock()
        for count in (self._wrong.setdefault(network, _Count()), self._all):
            if now - count.last > FORGET_SECONDS:
                count.wrong = 0
            count.wrong += 1
            count.last = now
        _touch(self._wrong, network)

    def succeeded(self, address: str) -> None:
        """A code was right: the address starts afresh."""
        network = network_of(address)
        self._wrong.pop(network, None)
        self._known[network] = None
        _touch(self._known, network)


def _touch(addresses: "OrderedDict[str, _Count] | OrderedDict[str, None]", network: str) -> None:
    addresses.move_to_end(network)
    if len(addresses) > MAX_ADDRESSES:
        addresses.popitem(last=False)
