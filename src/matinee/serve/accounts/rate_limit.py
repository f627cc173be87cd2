"""Rate limits: at most so many tries in so many seconds, for each key."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from math import ceil

CAPACITY = 20_000
"""Keys in memory at most; the least recently tried are dropped."""


class RateLimit:
    """Counts tries in memory: nothing about visitors is stored, and a restart begins at zero.

    clock: UTC seconds; limit: tries within `seconds`. A try counts before its outcome is known, so that simultaneous
    tries gain nothing.
    """

    def __init__(self, clock: Callable[[], float], limit: int, seconds: int) -> None:
        self._clock, self._limit, self._seconds = clock, limit, seconds
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> int:
        """Count a try and return 0; over the limit, return the seconds to wait and count nothing."""
        now = self._clock()
        with self._lock:
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

    def reset(self, key: str) -> None:
        """Forget the tries of a key."""
        with self._lock:
            self._tries.pop(key, None)

    def refund(self, key: str) -> None:
        """Take back the last try of a key."""
        with self._lock:
            tries = self._tries.get(key)
            if tries:
                tries.pop()


def network_of(address: str) -> str:
    """The key of a limit by address: an IPv4 address, or the /64 network of an IPv6 address, usually one household."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or found.exploded[:19])
    return str(found)
