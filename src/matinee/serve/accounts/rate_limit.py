"""How often something may be tried: at most so many times in so many seconds, for each key."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from math import ceil

CAPACITY = 20_000
"""Keys that are remembered; beyond it the one that was tried longest ago is let go."""


class Throttle:
    """Counts tries in memory: nothing about who tried is written down, and a restart forgets it.

    clock: UTC seconds; limit: tries within `seconds`. Each try counts before its outcome is known, so that many at the
    same moment gain nothing.
    """

    def __init__(self, clock: Callable[[], float], limit: int, seconds: int) -> None:
        self._clock, self._limit, self._seconds = clock, limit, seconds
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()
        self._turn = threading.Lock()

    def take(self, key: str) -> int:
        """0 if it may be tried, which then counts as one; else the seconds to wait, and nothing counts."""
        now = self._clock()
        with self._turn:
            tries = self._tries.setdefault(key, deque())
            self._tries.move_to_end(key)
            while tries and tries[0] <= now - self._seconds:
                tries.popleft()
            if len(tries) >= self._limit:
                return max(1, ceil(tries[0] + self._seconds - now))
            tries.append(now)
            if len(self._tries) > CAPACITY:
                self._tries.popitem(last=False)
        return 0

    def forgive(self, key: str) -> None:
        """Forget the tries of a key: the last of them was right."""
        with self._turn:
            self._tries.pop(key, None)

    def give_back(self, key: str) -> None:
        """Take back the last try of a key."""
        with self._turn:
            tries = self._tries.get(key)
            if tries:
                tries.pop()


def network_of(address: str) -> str:
    """What counts as one address: all of a IPv6 /64 is one household's."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or found.exploded[:19])
    return str(found)
