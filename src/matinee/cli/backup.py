"""The commands backup and restore: the database of a site."""

from pathlib import Path
from shlex import quote

import typer

from matinee.cli.options import Json
from matinee.cli.output import print_json, say
from matinee.cli.server_options import Database

Force = typer.Option(False, "--force", help="Replace what is there.")


def backup(
    out: Path = typer.Argument(..., metavar="FILE", help="The file to write."),
    db: str = Database,
    force: bool = Force,
    json: bool = Json,
) -> None:
    """Back up the SQLite database of a site, which may run meanwhile, to one checked file."""
    from matinee.store.backup import backup as copy

    _report(out, copy(db, out, force=force), json, f"`{_restore_command(out, db)}` puts it back")


def restore(
    file: Path = typer.Argument(..., metavar="FILE", help="A file that `matinee backup` wrote."),
    db: str = Database,
    force: bool = Force,
    json: bool = Json,
) -> None:
    """Put a backup in the place of the SQLite database of a site, which must not run."""
    from matinee.store.backup import database_file
    from matinee.store.backup import restore as put_back

    n_bytes = put_back(db, file, force=force)
    _report(database_file(db), n_bytes, json, "the site can be started")


def _restore_command(out: Path, db: str) -> str:
    return f"matinee restore {quote(str(out))} --db {quote(db)} --force"


def _report(path: Path, n_bytes: int, json: bool, next_step: str) -> None:
    if json:
        print_json({"path": str(path), "bytes": n_bytes})
    else:
        say(f"{path}: {n_bytes:,} bytes, checked; {next_step}")
