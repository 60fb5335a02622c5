"""The memory for keys and values: who has how much of it, and what of it can be used again.

When a reply ends, its cache stays as long as there is room. The next turn of that conversation, or anybody's prompt
that begins with the same tokens (a shared system prompt), reads only what is new.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from components.engine.local.decoder import Decoder, KVCache

MIN_REUSED = 16
"""Fewer tokens in common are read again: looking after a copy costs more."""


@dataclass(eq=False)
class Lease:
    """A sequence's share of the memory.

    Attributes:
        cache: what was read so far.
        tokens: the tokens in the cache, and after them the prompt's that are still to be read.
        reserved: for how many tokens there is room.
        reused: how many tokens were in the cache from the start.
    """

    cache: KVCache
    tokens: list[int]
    reserved: int
    reused: int = 0

    @property
    def known(self) -> Sequence[int]:
        """The tokens whose keys and values the cache holds."""
        return self.tokens[: self.cache.length]


@dataclass
class CachePool:
    """Hands out caches and takes them back. Not for several threads at once.

    ``capacity`` is how many tokens fit, in all caches together.
    """

    decoder: Decoder
    capacity: int
    _leases: list[Lease] = field(default_factory=list)
    _idle: list[Lease] = field(default_factory=list)  # the one used last stands last

    @property
    def used(self) -> int:
        """Tokens that are reserved for sequences being written."""
        return sum(lease.reserved for lease in self._leases)

    @property
    def idle(self) -> int:
        """Tokens that are kept for later."""
        return sum(lease.cache.length for lease in self._idle)

    def has_room(self, tokens: int) -> bool:
        """Whether so many tokens fit beside those that are reserved."""
        return self.used + tokens <= self.capacity

    def acquire(self, prompt: Sequence[int], room: int, reuse: bool = True) -> Lease:
        """Memory for a prompt and its reply, with as much of the prompt already read as can be found.

        At least the prompt's last token is left to read, for its logits.

        Args:
            prompt: token ids.
            room: tokens of the prompt and the reply together, for which there must be room.
            reuse: whether what others computed may be used.
        """
        cache, reused = self._find(prompt[:-1]) if reuse else (self.decoder.new_cache(), 0)
        self._evict(self.capacity - self.used - room)
        lease = Lease(cache, list(prompt), room, reused)
        self._leases.append(lease)
        return lease

    def release(self, lease: Lease, keep: bool = True) -> None:
        """Give the memory back. Its content can be used again until somebody needs the room."""
        self._leases.remove(lease)
        if keep and lease.cache.length >= MIN_REUSED:
            lease.tokens = list(lease.known)
            self._idle.append(lease)
            self._evict(self.capacity - self.used)

    def drop_idle(self) -> None:
        """Forget everything that nobody is using."""
        self._idle.clear()

    def _find(self, wanted: Sequence[int]) -> tuple[KVCache, int]:
        """A cache that begins as ``wanted`` does, and for how many tokens."""
        best, common = None, 0
        for lease in (*self._leases, *self._idle):
            if (length := _common_prefix(lease.known, wanted)) > common:
                best, common = lease, length
        if best is None or common < MIN_REUSED:
            return self.decoder.new_cache(), 0
        # A conversation that goes on takes its cache over. Who shares only the beginning gets a copy of it.
        if best in self._idle and 2 * common > best.cache.length:
            self._idle.remove(best)
            best.cache.truncate(common)
            return best.cache, common
        return best.cache.copy_prefix(common), common

    def _evict(self, room: int) -> None:
        """Forget the caches that were not used for the longest time, until the idle ones fit into ``room`` tokens."""
        while self._idle and self.idle > room:
            del self._idle[0]


def _common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    length = min(len(one), len(other))
    differ = np.nonzero(np.asarray(one[:length]) != np.asarray(other[:length]))[0]
    return int(differ[0]) if len(differ) else length
