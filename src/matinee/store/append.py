"""Writing events: in a transaction, each event_id of a user once."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, tuple_

from matinee.store.protocols import FLAGS, LiveEvent
from matinee.store.tables import MAX_KEYS_PER_QUERY, events_table

_event = events_table.c


def append_events(connection: Connection, events: Sequence[LiveEvent], repeat_after: int = 0) -> int:
    """Write events in a transaction, as `EventLog.append` does. Returns the number written."""
    by_key = {(str(item.user_id), item.event_id or ("", n)): item for n, item in enumerate(events)}
    keys = [key for key in by_key if isinstance(key[1], str)]
    existing = set()
    for start in range(0, len(keys), MAX_KEYS_PER_QUERY):
        is_in_part = tuple_(_event.user_id, _event.event_id).in_(keys[start : start + MAX_KEYS_PER_QUERY])
        query = select(_event.user_id, _event.event_id).where(is_in_part)
        existing |= {tuple(row) for row in connection.execute(query)}
    new = (item for key, item in by_key.items() if key not in existing)
    rows = [_values(item) for item in new if not (repeat_after and _is_repeat(connection, item, repeat_after))]
    if rows:
        connection.execute(insert(events_table), rows)
    return len(rows)


def _is_repeat(connection: Connection, item: LiveEvent, within: int) -> bool:
    """Whether the user's last event of the same group on the item has the same kind and value and is recent."""
    is_in_group = _event.kind.in_(FLAGS) if item.kind in FLAGS else _event.kind.not_in((*FLAGS, "click"))
    query = select(_event.kind, _event.value, _event.at).where(
        _event.user_id == str(item.user_id), _event.item_id == str(item.item_id), is_in_group
    )
    last = connection.execute(query.order_by(_event.at.desc(), _event.seq.desc()).limit(1)).first()
    return last is not None and (last.kind, last.value) == (item.kind, item.value) and abs(item.at - last.at) <= within


def _values(item: LiveEvent) -> dict[str, Any]:
    return {
        "event_id": item.event_id,
        "user_id": str(item.user_id),
        "item_id": str(item.item_id),
        "kind": item.kind,
        "value": float(item.value),
        "at": int(item.at),
        "model": item.model,
        "list_id": item.list_id,
        "position": item.position,
        "version": item.version,
    }
