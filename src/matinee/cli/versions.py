"""The command models: the models of Matinee, and the versions of a registry that a site serves."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from matinee.cli.models import models
from matinee.cli.options import Json
from matinee.cli.output import print_json, say, table, warn
from matinee.errors import MatineeError

if TYPE_CHECKING:
    from matinee.store.versions import Pointer, Registry

app = typer.Typer(invoke_without_command=True)
Folder = typer.Option(..., "--registry", metavar="DIR", help="Folder of the versions.")
Keep = typer.Option(5, "--keep", min=1, help="Newest versions to keep; the current one and that before it always stay.")


@app.callback()
def _models(context: typer.Context, json: bool = Json) -> None:
    """List the models of Matinee and of installed packages; or with a command, the versions of a registry."""
    if context.invoked_subcommand is None:
        models(json)


@app.command()
def add(
    artefacts: list[Path] = typer.Argument(..., metavar="ARTEFACT...", help="Folders that `matinee train` wrote."),
    registry: Path = Folder,
    note: str = typer.Option("", "--note", help="A line about the version, for the list."),
    promote: bool = typer.Option(False, "--promote", help="Let it serve at once. The first version always does."),
    keep: int = Keep,
    json: bool = Json,
) -> None:
    """Copy artefacts, fitted on the same data, into a registry as one new version; a missing registry is made."""
    from matinee.store.artefact import load
    from matinee.store.versions import Registry

    found = [load(path) for path in artefacts]
    versions = Registry.create(registry)
    is_first = not versions.numbers()
    made = versions.add(found, note)
    pointer = versions.promote(made.number) if promote or is_first else versions.pointer()
    removed = versions.prune(keep)
    if json:
        print_json(_values(versions, made.number, pointer) | {"removed": removed})
        return
    state = "serves" if pointer.current == made.number else f"does not serve yet; {pointer.current} does"
    say(f"version {made.number} of {', '.join(made.models)} {state}")
    say_removed(removed)


@app.command("list")
def list_(registry: Path = Folder, json: bool = Json) -> None:
    """List the versions of a registry: what they hold, how they were made, and which one serves."""
    from matinee.store.versions import Registry

    versions = Registry(registry)
    pointer = None
    try:
        pointer = versions.pointer()
    except MatineeError as error:
        warn(str(error))
    rows = [_values(versions, number, pointer) for number in versions.numbers()]
    if json:
        print_json({"registry": str(versions.path), "versions": rows})
        return
    columns = ["version", "state", "made", "models", ""]
    say(table(None, columns, list(_cells(rows))))


@app.command()
def promote(
    version: int = typer.Argument(..., metavar="VERSION", help="Its number, from `matinee models list`.", min=1),
    registry: Path = Folder,
    json: bool = Json,
) -> None:
    """Let a version serve, once it is checked; sites that serve the registry take it over within seconds."""
    from matinee.store.versions import Registry

    _say_pointer(Registry(registry).promote(version), json)


@app.command()
def rollback(registry: Path = Folder, json: bool = Json) -> None:
    """Let the version serve again that did before; a second rollback undoes the first."""
    from matinee.store.versions import Registry

    _say_pointer(Registry(registry).rollback(), json)


def say_removed(numbers: Sequence[int]) -> None:
    """Say which versions were removed."""
    if numbers:
        say(f"removed: {', '.join(map(str, numbers))}")


def _say_pointer(pointer: "Pointer", json: bool) -> None:
    if json:
        print_json({"current": pointer.current, "previous": pointer.previous})
    else:
        before = f"; before it {pointer.previous} did" if pointer.previous else ""
        say(f"version {pointer.current} serves{before}")


def _values(versions: "Registry", number: int, pointer: "Pointer | None") -> dict[str, Any]:
    """What is known of a version, ready for JSON; of a damaged one, what is wrong with it."""
    named = {} if pointer is None else {pointer.previous: "previous", pointer.current: "serves"}
    values: dict[str, Any] = {"version": number, "state": named.get(number, "")}
    try:
        found = versions.version(number)
    except MatineeError as error:
        return values | {"problem": str(error)}
    return values | {"created": found.created, "models": dict(found.models), "note": found.note, "log": dict(found.log)}


def _cells(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        if "problem" in row:
            yield row["version"], row["state"], "", "", row["problem"]
            continue
        made = datetime.fromtimestamp(row["created"], UTC).strftime("%Y-%m-%d %H:%M")
        models = ", ".join(f"{name} {version}" for name, version in row["models"].items())
        yield row["version"], row["state"], made, models, row["note"]
