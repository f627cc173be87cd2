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

    ticks: seconds of a clock that is never set back; limit: tries within `seconds`. A try counts before its outcome is
    known, so that simultaneous tries gain nothing.
    """

    def __init__(self, ticks: Callable[[], float], limit: int, seconds: int) -> None:
        self._ticks, self._limit, self._seconds = ticks, limit, seconds
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> int:
        """Count a try and return 0; over the limit, return the seconds to wait and count nothing."""
        now = self._ticks()
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


class RequestRate:
    """At most `per_minute` requests at once for each key, and then as many a minute; 0 for no limit.

    ticks: as in RateLimit. A bucket of tokens for each key, so that memory does not grow with the limit.
    """

    def __init__(self, ticks: Callable[[], float], per_minute: int) -> None:
        self._ticks, self._most, self._per_second = ticks, float(per_minute), per_minute / 60
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, tokens: float = 1) -> int:
        """Take tokens for a request and return 0; if there are too few, return the seconds to wait."""
        if not self._most:
            return 0
        now = self._ticks()
        with self._lock:
            left, at = self._buckets.get(key, (self._most, now))
            left = min(self._most, left + (now - at) * self._per_second)
            enough = left >= min(tokens, self._most)
            self._buckets[key] = (left - tokens if enough else left, now)
            self._buckets.move_to_end(key)
            if len(self._buckets) > CAPACITY:
                self._buckets.popitem(last=False)
        return 0 if enough else max(1, ceil((tokens - left) / self._per_second))


def network_of(address: str) -> str:
    """The key of a limit by address: an IPv4 address, or the /64 network of an IPv6 address, usually one household."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or found.exploded[:19])
    return str(found)
