"""Everything that is kept of one visitor, as JSON or CSV, piece by piece while it is read."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matinee.store.protocols import Member, Session
from matinee.times import format_time

CSV_COLUMNS = (
    "record", "at", "kind", "item_id", "title", "value",
    "model", "version", "list_id", "position", "event_id", "detail",
)  # fmt: skip
"""record: event, list (that was shown), account, password (when it was set) or session."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would compute if a cell began with it."""
PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a visitor.

    member: None for a guest; events, lists: as `AccountBook` gives them; title: of an item id, empty if unknown.
    """

    user_id: str
    member: Member | None
    sessions: Sequence[Session]
    events: Iterable[Mapping[str, Any]]
    lists: Iterable[Mapping[str, Any]]
    title: Callable[[str], str]


def as_json(kept: Kept) -> Iterator[str]:
    """One JSON object; times are UTC in ISO 8601."""
    member = kept.member
    account = member and {
        "name": member.name,
        "created": format_time(member.created),
        "password_set": format_time(member.changed),
    }
    sessions = [
        {
            "session_id": one.session_id,
            "device": one.device,
            "created": format_time(one.created),
            "last_used": format_time(one.seen),
        }
        for one in kept.sessions
    ]
    about = {"user_id": kept.user_id, "account": account, "sessions": sessions}
    yield json.dumps(about, ensure_ascii=False, indent=1).removesuffix("\n}") + ',\n "events": ['
    events = ({**event, "at": format_time(event["at"]), "title": kept.title(event["item_id"])} for event in kept.events)
    yield from _joined(events)
    yield '\n ],\n "lists": ['
    yield from _joined({**shown, "at": format_time(shown["at"])} for shown in kept.lists)
    yield "\n ]\n}\n"


def as_csv(kept: Kept) -> Iterator[str]:
    """One table with a column that says what each row is; importing it again brings back what was watched and rated."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in _rows(kept):
        writer.writerow({name: _cell(value) for name, value in row.items()})
        yield out.getvalue()
        out.seek(0)
        out.truncate()


def in_pieces(parts: Iterable[str]) -> Iterator[bytes]:
    """Joined to pieces worth sending."""
    waiting: list[str] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= PIECE:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()


def _joined(parts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for n, part in enumerate(parts):
        yield (",\n  " if n else "\n  ") + json.dumps(part, ensure_ascii=False)


def _rows(kept: Kept) -> Iterator[dict[str, Any]]:
    if kept.member is not None:
        yield {"record": "account", "at": format_time(kept.member.created), "detail": kept.member.name}
        yield {"record": "password", "at": format_time(kept.member.changed)}
    for session in kept.sessions:
        used = f"{session.device}, last used {format_time(session.seen)}"
        yield {"record": "session", "at": format_time(session.created), "detail": used, "event_id": session.session_id}
    for event in kept.events:
        yield {**event, "record": "event", "at": format_time(event["at"]), "title": kept.title(event["item_id"])}
    for shown in kept.lists:
        items = " ".join(str(item_id) for item_id in shown["items"])
        known = {name: shown[name] for name in ("list_id", "model", "version")}
        yield {**known, "record": "list", "at": format_time(shown["at"]), "kind": shown["name"], "detail": items}


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else "" if value is None else value
