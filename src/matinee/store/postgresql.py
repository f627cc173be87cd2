"""Connections to PostgreSQL that give up on a server which is silent; PyMySQL has this as its `read_timeout`.

A server that is paused, or a network that swallows what is sent, keeps a connection open: the kernel of the other side
goes on acknowledging, so that neither TCP's timeouts nor those that the server itself enforces end the wait.
"""

from collections.abc import Generator
from time import monotonic
from typing import Any

import psycopg


class ImpatientConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is closed, with an OperationalError, when the server sends nothing for `silence_seconds`."""

    silence_seconds = float("inf")

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **options: Any) -> Any:  # noqa: ANN401 - the driver's own
        """As the driver's, with an end."""
        return super().wait(self._unless_silent(gen), *args, **options)

    def _unless_silent(self, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """The steps of an operation; each is sent what the socket is ready for, 0 if it was silent for a moment."""
        try:
            needs, last = next(steps), monotonic()
            while True:
                ready = yield needs
                if ready:
                    last = monotonic()
                elif monotonic() - last > self.silence_seconds:
                    self.close()
                    raise psycopg.OperationalError(f"timeout: the server was silent for {self.silence_seconds} s")
                needs = steps.send(ready)
        except StopIteration as end:
            return end.value


def connect(silence_seconds: float, *arguments: Any, **options: Any) -> ImpatientConnection:  # noqa: ANN401 - the driver's own
    """A connection, whose options are those of psycopg."""
    connection = ImpatientConnection.connect(*arguments, **options)
    connection.silence_seconds = silence_seconds
    return connection
