"""An event as a message: the JSON object of its columns and its number, keyed by its user."""

import json
from typing import Any

from matinee.errors import MatineeError
from matinee.store.protocols import LiveEvent
from matinee.store.streams.protocols import StreamEvent
from matinee.store.streams.sql import COLUMNS

_TYPES: dict[str, tuple[type, ...]] = {"user_id": (str,), "item_id": (str,), "kind": (str,), "value": (int, float)}


class ForeignMessage(MatineeError):
    """A message that is not an event of Matinee."""


def columns_of(event: StreamEvent) -> dict[str, Any]:
    """An event as its number and columns."""
    return {"seq": event.seq, **{name: getattr(event.event, name) for name in COLUMNS}}


def encode(event: StreamEvent) -> bytes:
    """An event as a message."""
    return json.dumps(columns_of(event), ensure_ascii=False, separators=(",", ":")).encode()


def decode(message: bytes | None, partition: int, offset: int) -> StreamEvent:
    """The event of a message. Fields that are not known are ignored. Raises ForeignMessage if it is none."""
    try:
        values = json.loads(message or b"")
        seq, event = values["seq"], {name: values[name] for name in COLUMNS}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ForeignMessage("it is not a JSON object with the columns of an event") from None
    wrong = [name for name, types in _TYPES.items() if not isinstance(event[name], types)]
    wrong += [name for name, value in (("seq", seq), ("at", event["at"])) if type(value) is not int]
    if wrong:
        raise ForeignMessage(f"{', '.join(wrong)}: of another type than an event's")
    return StreamEvent(seq, LiveEvent(**event), partition, offset)
