"""Limits of connections: how many there are, from one address too, and how long one may wait for its request.

uvicorn has a limit of requests and a time for idle connections, but none for a request that arrives slowly or never,
nor for an answer that is not read; nor, with httptools, of the size of headers. `GuardedProtocol` adds them to its
protocol.
"""

import asyncio
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10
"""For the headers of a request, from the first byte on a connection in use, from its opening on a new one."""
MOST_HEADER_BYTES = 64 * 1024
"""Of the first line and the headers of a request."""
MOST_PIPELINED = 16
"""Requests of one connection that wait for the answer to the one before."""
READ_SECONDS = 30
"""For a client to read more of an answer; then the connection is cut."""
REFUSAL_SECONDS, MOST_REFUSALS = 1, 200
"""How long a refused connection may take to send its request and get the answer, and how many may at a time."""
REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 22\r\n\r\ntoo many connections.\n"
)
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@dataclass(eq=False)
class ConnectionGate:
    """Counts the connections of a server. most: in all; most_per_address: but for those in `unlimited`.

    At the limit, the connection that has been idle the longest makes room for a new one, so that connections on which
    nothing happens, however many, keep nobody out. One with a request under way is never cut for another.
    """

    most: int
    most_per_address: int
    unlimited: frozenset[str] = frozenset()
    addresses: Counter[str] = field(default_factory=Counter)
    idle: "OrderedDict[GuardedProtocol, None]" = field(default_factory=OrderedDict)
    n_open: int = 0
    n_refusals: int = 0

    def admit(self, address: str) -> bool:
        """Whether a new connection may stay; perhaps in the place of an idle one."""
        if address not in self.unlimited and self.addresses[address] >= self.most_per_address:
            return False
        if self.n_open >= self.most:
            if not self.idle:
                return False
            oldest, _ = self.idle.popitem(last=False)
            oldest.cut()
        return True


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with the limits of a gate, which `guarded_by` gives to a class of its own."""

    gate: ClassVar[ConnectionGate]

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*arguments, **options)
        self._address = ""
        self._is_counted = self._is_refused = False
        self._header_bytes: int | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """See asyncio.Protocol."""
        super().connection_made(transport)
        gate, self._address = self.gate, self.client[0] if self.client else ""
        if gate.admit(self._address):
            self._is_counted = True
            gate.n_open += 1
            gate.addresses[self._address] += 1
            gate.idle[self] = None
            self._waiting = self.loop.call_later(HEADER_SECONDS, self._give_up)
        elif gate.n_refusals < MOST_REFUSALS:
            self._is_refused = True
            gate.n_refusals += 1
            self._waiting = self.loop.call_later(REFUSAL_SECONDS, self.cut)
        else:
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        for timer in (self._waiting, self._unread):
            if timer is not None:
                timer.cancel()
        self.gate.idle.pop(self, None)
        self.gate.n_refusals -= self._is_refused
        if self._is_counted:
            self.gate.n_open -= 1
            self.gate.addresses[self._address] -= 1
            if not self.gate.addresses[self._address]:
                del self.gate.addresses[self._address]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self.transport.is_closing():
            return
        if self._is_refused:  # answered after its request, because closing with unread bytes resets the connection
            self._end_with(REFUSAL)
            return
        super().data_received(data)
        if self._header_bytes is not None:
            self._header_bytes += len(data)
            if self._header_bytes > MOST_HEADER_BYTES:
                self._end_with(TOO_LARGE)
                return
        if self._is_busy():
            self._stop_waiting()
            self.gate.idle.pop(self, None)
        elif self._waiting is None and not self.transport.is_closing():
            self._waiting = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def on_message_begin(self) -> None:
        """See HttpToolsProtocol: the first byte of a request."""
        super().on_message_begin()
        self._header_bytes = 0

    def on_headers_complete(self) -> None:
        """See HttpToolsProtocol. Raises ValueError, which it answers with a 400, for too many requests at once."""
        self._header_bytes = None
        if len(self.pipeline) >= MOST_PIPELINED:
            raise ValueError("too many pipelined requests")
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """See HttpToolsProtocol."""
        super().on_response_complete()
        if not self._is_busy() and not self.transport.is_closing():
            self.gate.idle[self] = None

    def pause_writing(self) -> None:
        """See asyncio.Protocol: the client does not read."""
        super().pause_writing()
        self._unread = self._unread or self.loop.call_later(READ_SECONDS, self.cut)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def timeout_keep_alive_handler(self) -> None:
        """See HttpToolsProtocol; the rest of an answer that is not read is dropped."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(READ_SECONDS, self.cut)

    def cut(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def _is_busy(self) -> bool:
        cycle = cast(Any, self.cycle)  # None before the first request, whatever uvicorn's annotation says
        return cycle is not None and not cycle.response_complete

    def _give_up(self) -> None:
        self._waiting = None
        if not self._is_busy():
            self._end_with(TOO_SLOW)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _end_with(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()
            self.loop.call_later(REFUSAL_SECONDS, self.cut)


def guarded_by(limit: ConnectionGate) -> type[GuardedProtocol]:
    """The protocol whose connections this gate counts."""

    class Guarded(GuardedProtocol):
        gate = limit

    return Guarded
