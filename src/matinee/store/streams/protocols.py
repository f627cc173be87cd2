"""Interfaces of event streams: read from an offset, commit, and write to where the events go.

A stream has one or more partitions. Within one, events have offsets that grow; a consumer keeps the next offset of each
partition under its name. Reading, writing and then committing delivers each event at least once. Who writes drops what
comes twice by `seq`, which belongs to one event for ever. It mostly grows within a partition, but an event that a
broker lost comes for the first time after later ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from matinee.errors import MatineeError
from matinee.store.protocols import LiveEvent

Offsets = Mapping[int, int]
"""By partition, the offset of the next event to read; a partition that is missing is read from its beginning."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event of a stream. seq: its number in the site's database; partition and offset: its place in the stream."""

    seq: int
    event: LiveEvent
    partition: int = 0
    offset: int = 0


class Unavailable(MatineeError):
    """What waiting may cure: a server that is down, busy or unreachable. Nothing is known to be written."""


class EventStream(Protocol):
    """Events as one consumer reads them, by name. `EventLog.append`, or an EventSink, is what writes them."""

    def read(self, offsets: Offsets, limit: int, seconds: float) -> list[StreamEvent]:
        """At most `limit` of the next events, ascending in each partition. Waits up to `seconds` for the first.

        Raises Unavailable if the stream cannot be read now.
        """
        ...

    def committed(self) -> Offsets:
        """Where the consumer goes on. Raises Unavailable."""
        ...

    def commit(self, offsets: Offsets) -> None:
        """Keep where the consumer goes on; for good when this returns. Raises Unavailable."""
        ...

    def lag(self, offsets: Offsets) -> int:
        """How many events are in the stream from these offsets on. Raises Unavailable."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class EventSink(Protocol):
    """Where the events of a stream go."""

    def write(self, events: Sequence[StreamEvent]) -> int:
        """Write events for good, those that were written before not again. Returns the number of new ones.

        A sink that cannot tell counts all. Raises Unavailable if nothing can be written now; part of the events may be
        written then, and writing all of them again is safe.
        """
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


def next_offsets(offsets: Offsets, events: Sequence[StreamEvent]) -> Offsets:
    """Where to go on after these events."""
    return {**offsets, **{event.partition: event.offset + 1 for event in events}}
