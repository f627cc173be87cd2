"""Moving events from a stream to a sink: read, write, then commit, so that nothing is lost, whatever is killed when."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from matinee.store.streams.protocols import EventSink, EventStream, Offsets, StreamEvent, Unavailable, next_offsets

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds between tries while something is down: doubled each time, with a random part, so that a server which comes
back is not met by all at once."""
READ_SECONDS = 0.5
"""How long one read waits, so that a stop is soon noticed."""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What is moved, and in which steps.

    batch: events in one write, at most; gather_seconds: how long
    events are gathered for one write; until_empty: end when nothing is left, instead of waiting for more.
    """

    batch: int = 1000
    gather_seconds: float = 0.0
    until_empty: bool = False


@dataclass(slots=True)
class Moved:
    """How many events were read and how many of them were new to the sink; retries: how often something was down."""

    n_read: int = 0
    n_new: int = 0
    retries: int = 0


def forward(
    stream: EventStream,
    sink: EventSink,
    how: Forwarding,
    stop: threading.Event,
    on_trouble: Callable[[str, float], None] = lambda why, seconds: None,
) -> Moved:
    """Move events until `stop` is set, or until nothing is left. The batch under way is written and committed.

    on_trouble: called with why a try failed and the seconds until the next one. Other errors than Unavailable, which
    waiting does not cure, end it; so does the first Unavailable after some tries, if it is to end when nothing is left.
    """
    moved, wait = Moved(), FIRST_WAIT
    offsets: Offsets | None = None
    while not stop.is_set():
        try:
            if offsets is None:
                offsets = stream.committed()
            events = _gather(stream, offsets, how, stop)
            if not events and how.until_empty:
                break
            if events:
                moved.n_new += sink.write(events)
                after = next_offsets(offsets, events)
                stream.commit(after)
                offsets, moved.n_read = after, moved.n_read + len(events)
            wait = FIRST_WAIT
        except Unavailable as trouble:
            if how.until_empty and wait >= LONGEST_WAIT / 4:
                raise
            moved.retries += 1
            seconds = wait * random.uniform(0.7, 1.3)
            on_trouble(str(trouble), seconds)
            stop.wait(seconds)
            wait = min(2 * wait, LONGEST_WAIT)
    return moved


def _gather(stream: EventStream, offsets: Offsets, how: Forwarding, stop: threading.Event) -> list[StreamEvent]:
    """The next batch: what is there at once, or what comes while events are gathered."""
    events = stream.read(offsets, how.batch, READ_SECONDS)
    left = how.gather_seconds
    while events and left > 0 and len(events) < how.batch and not (stop.is_set() or how.until_empty):
        stop.wait(min(left, READ_SECONDS))
        left -= READ_SECONDS
        more = stream.read(next_offsets(offsets, events), how.batch - len(events), 0)
        events += more
    return events
