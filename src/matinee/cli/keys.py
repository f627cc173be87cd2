"""The command keys: API keys of a site, in its database."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from matinee.cli.options import Json
from matinee.cli.output import print_json, say, table, warn
from matinee.cli.server_options import Database, SecurityLog, require_database

if TYPE_CHECKING:
    from matinee.serve.accounts.api_keys import ApiKeys
    from matinee.serve.logs import SecurityEvent
    from matinee.store.api_keys import ApiKey

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the API keys of a site.")


@app.command()
def create(
    name: str = typer.Argument(..., metavar="NAME", help="Which program uses the key."),
    scopes: str = typer.Option(
        ..., "--scopes", metavar="A,B,...", help="read (lists of any user), write (events of any user), admin (all)."
    ),
    days: int = typer.Option(None, "--days", metavar="N", help="Until the key expires; never by default."),
    db: str = Database,
    security_log: Path = SecurityLog,
    json: bool = Json,
) -> None:
    """Make an API key and print it, once: only its hash is stored."""
    from matinee.serve.accounts.api_keys import read_scopes

    chosen = read_scopes(scopes)
    with _keys(db) as keys:
        key, text = keys.create(name, chosen, days)
    _note(security_log, "key_created", key.key_id)
    if json:
        print_json(_values(key) | {"key": text})
    else:
        warn(f"key {key.key_id} for {key.name}, {', '.join(key.scopes)}; keep it now, it is not stored:")
        say(text)


@app.command("list")
def list_(db: str = Database, json: bool = Json) -> None:
    """List the API keys, revoked and expired ones too."""
    with _keys(db, must_exist=True) as keys:
        found = keys.all()
    if json:
        print_json({"keys": [_values(key) for key in found]})
        return
    columns = ["key", "name", "scopes", "created", "expires", "state"]
    rows = [
        (key.key_id, key.name, ",".join(key.scopes), _day(key.created), _day(key.expires) or "never", _state(key))
        for key in found
    ]
    say(table(None, columns, rows) if rows else "no keys; make one with `matinee keys create NAME --scopes read`")


@app.command()
def revoke(
    key_id: str = typer.Argument(..., metavar="KEY", help="The key's id, from `matinee keys list`."),
    db: str = Database,
    security_log: Path = SecurityLog,
    json: bool = Json,
) -> None:
    """End an API key; the next request with it is refused."""
    with _keys(db, must_exist=True) as keys:
        keys.revoke(key_id)
    _note(security_log, "key_revoked", key_id)
    if json:
        print_json({"key_id": key_id, "state": "revoked"})
    else:
        say(f"key {key_id} is revoked")


@contextmanager
def _keys(db: str, *, must_exist: bool = False) -> "Iterator[ApiKeys]":
    """The keys in a database, which is made if it may be. Raises MatineeError if it cannot be opened."""
    from matinee.serve.accounts.api_keys import ApiKeys
    from matinee.store.api_keys import SqlApiKeys
    from matinee.store.database import SqlDatabase

    if must_exist:
        require_database(db)
    database = SqlDatabase(db)
    try:
        yield ApiKeys(SqlApiKeys(database), time.time)
    finally:
        database.close()


def _note(path: Path | None, event: "SecurityEvent", key_id: str) -> None:
    from matinee.serve.logs import note, open_log

    open_log("security", path)
    note(event, key=key_id)


def _values(key: "ApiKey") -> dict[str, Any]:
    kept = {name: value for name, value in asdict(key).items() if name != "secret_hash"}
    return kept | {"scopes": list(key.scopes), "state": _state(key)}


def _state(key: "ApiKey") -> str:
    return "revoked" if key.revoked is not None else "valid" if key.is_valid_at(int(time.time())) else "expired"


def _day(at: int | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).date().isoformat()
