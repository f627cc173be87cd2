"""Everything that the site stores of one visitor, as JSON or CSV, streamed while it is read."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matinee.store.protocols import Import, Member, Session
from matinee.times import format_time

CSV_COLUMNS = (
    "record", "at", "kind", "item_id", "title", "value",
    "model", "version", "list_id", "position", "event_id", "detail",
)  # fmt: skip
"""record: event, list (an impression), account, password (when it was set), session or import (of the last day)."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet would compute a cell that begins with one of these."""
PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class VisitorExport:
    """What the site stores of a visitor.

    member: None for a guest; imports: of the last day; events, lists: from `AccountBook`; title: of an item id, empty
    if unknown.
    """

    user_id: str
    member: Member | None
    sessions: Sequence[Session]
    imports: Sequence[Import]
    events: Iterable[Mapping[str, Any]]
    lists: Iterable[Mapping[str, Any]]
    title: Callable[[str], str]


def as_json(export: VisitorExport) -> Iterator[str]:
    """One JSON object; times are UTC in ISO 8601."""
    member = export.member
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
        for one in export.sessions
    ]
    imports = [
        {"import_id": one.import_id, "at": format_time(one.at), "files": list(one.names)} for one in export.imports
    ]
    about = {"user_id": export.user_id, "account": account, "sessions": sessions, "imports": imports}
    yield json.dumps(about, ensure_ascii=False, indent=1).removesuffix("\n}") + ',\n "events": ['
    events = (
        {**event, "at": format_time(event["at"]), "title": export.title(event["item_id"])} for event in export.events
    )
    yield from _joined(events)
    yield '\n ],\n "lists": ['
    yield from _joined({**one, "at": format_time(one["at"])} for one in export.lists)
    yield "\n ]\n}\n"


def as_csv(export: VisitorExport) -> Iterator[str]:
    """One table; its column `record` says what a row is. Importing it restores ratings and watches."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in _rows(export):
        writer.writerow({name: as_cell(value) for name, value in row.items()})
        yield out.getvalue()
        out.seek(0)
        out.truncate()


def in_pieces(parts: Iterable[str]) -> Iterator[bytes]:
    """The parts joined to pieces of at least PIECE characters."""
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


def _rows(export: VisitorExport) -> Iterator[dict[str, Any]]:
    if export.member is not None:
        yield {"record": "account", "at": format_time(export.member.created), "detail": export.member.name}
        yield {"record": "password", "at": format_time(export.member.changed)}
    for session in export.sessions:
        used = f"{session.device}, last used {format_time(session.seen)}"
        yield {"record": "session", "at": format_time(session.created), "detail": used, "event_id": session.session_id}
    for one in export.imports:
        yield {"record": "import", "at": format_time(one.at), "detail": ", ".join(one.names), "event_id": one.import_id}
    for event in export.events:
        yield {**event, "record": "event", "at": format_time(event["at"]), "title": export.title(event["item_id"])}
    for shown in export.lists:
        items = " ".join(str(item_id) for item_id in shown["items"])
        known = {name: shown[name] for name in ("list_id", "model", "version")}
        yield {**known, "record": "list", "at": format_time(shown["at"]), "kind": shown["name"], "detail": items}


def as_cell(value: object) -> object:
    """A cell of a table that a spreadsheet shows as it is."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else "" if value is None else value
