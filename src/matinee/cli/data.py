"""The commands data list, fetch, import, audit, show and synthesize."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from matinee.cli.options import Json, experiment_options
from matinee.cli.output import print_json, say, table, transfer, warn
from matinee.cli.synthesize import synthesize
from matinee.errors import MatineeError, UsageError
from matinee.experiment import Experiment

if TYPE_CHECKING:
    from matinee.dataset import Dataset

Rows = tuple[list[str], list[tuple[object, ...]]]
"""Column headings and rows."""

MIN_PAIR_EVENTS = 10
"""Minimum number of events of a movie in --pairs: two movies with the same single user are perfectly similar."""

app = typer.Typer(help="List, download, import, audit, show and synthesize data sets.", no_args_is_help=True)
app.command()(synthesize)


@app.command("list")
def list_(json: bool = Json) -> None:
    """List the available data sets, and those that can be downloaded."""
    from matinee.data.fetch import SETS
    from matinee.data.loading import available

    here = available()
    missing = sorted(set(SETS) - {name for name, _, _ in here})
    if json:
        rows = [{"name": name, "where": where, "path": str(path)} for name, where, path in here]
        print_json({"here": rows, "to_fetch": missing})
        return
    say(table(None, ["name", "where", "path"], here))
    if missing:
        say(f"\nto download: {', '.join(missing)}   (matinee data fetch NAME)")


@app.command()
def fetch(
    name: str = typer.Argument(..., help="ml-latest-small, ml-1m, ml-10m, ml-20m, ml-25m or ml-32m."),
    json: bool = Json,
) -> None:
    """Download a MovieLens archive from GroupLens into the cache; an interrupted download is resumed."""
    from matinee.data.fetch import fetch as get

    with transfer(name) as on_progress:
        path = get(name, on_progress=on_progress)
    if json:
        print_json({"name": name, "path": str(path), "bytes": path.stat().st_size})
    else:
        say(f"{name} is at {path}; use it with --data {name}")


@app.command("import")
@experiment_options("columns", "filters", models=False)
def import_(
    experiment: Experiment,
    chosen: frozenset[str],
    source: str = typer.Argument(..., help="A folder, archive or table; - is standard input."),
    name: str | None = typer.Option(None, "--name", help="Store it under this name for --data."),
    out: Path | None = typer.Option(None, "--out", help="Write it to this .parquet file."),
    force: bool = typer.Option(False, "--force", help="Replace the file of --out."),
    json: bool = Json,
) -> None:
    """Read and optionally filter a log once, and store it as Parquet, which loads fast and without guesses."""
    from matinee.data.parquet import write_parquet
    from matinee.workflow import read

    if "data" in chosen:
        raise UsageError(f"{source} is imported, so --data {experiment.data} has no effect; leave it out")
    path, use = _import_place(name, out, force)
    data = read(experiment.model_copy(update={"data": source}))
    write_parquet(data, path)
    _warn(data)
    if json:
        stored = {"path": str(path), "bytes": path.stat().st_size, "notes": list(data.notes), "read": list(data.read)}
        print_json(stored | data.describe() | {"name": use})
        return
    say(f"{_counts(data)}, at {path}; use it with --data {shlex.quote(use)}")


def _import_place(name: str | None, out: Path | None, force: bool) -> tuple[Path, str]:
    """The file to write, and what `--data` calls it. Raises MatineeError before the log is read."""
    from matinee.destinations import require_file
    from matinee.folders import cache_folder

    if (name is None) == (out is None):
        raise UsageError("say where the data set goes: --out FILE.parquet, or --name NAME for --data NAME")
    if out is not None:
        require_file(out, "--out", (".parquet",), any_file=True)
        if out.exists() and not force:
            raise MatineeError(f"--out {out} exists; choose another file, or replace it with --force")
        return out, str(out)
    if force:
        raise UsageError("--force belongs to --out; a data set with a --name is never replaced")
    if name != Path(str(name)).name or name in ("bundled", "", "-"):
        raise MatineeError(f"--name {name!r} is not a valid folder name; use letters, digits and dashes")
    folder = cache_folder() / str(name)
    if folder.exists():
        raise MatineeError(f"data set {name} already exists at {folder}; remove it or choose another --name")
    require_file(folder / "events.parquet", "--name")
    return folder / "events.parquet", str(name)


@app.command()
@experiment_options("columns", "items", "filters", "split", models=False)
def audit(  # noqa: PLR0913 - one for each option
    experiment: Experiment,
    chosen: frozenset[str],
    source: str | None = typer.Argument(None, metavar="[DATA]", help="As --data."),
    figure: Path | None = typer.Option(None, "--figure", help="Save a figure (png, svg, pdf)."),
    strict: bool = typer.Option(False, "--strict", help="Fail if the split leaks."),
    sessions: bool = typer.Option(False, "--sessions", help="Audit only the sessions, cut by --gap and --min-length."),
    graph: str | None = typer.Option(
        None,
        "--graph",
        metavar="FILE|catalogue",
        help="Audit only the knowledge graph of these triples and the data's genres, tags and decades.",
    ),
    json: bool = Json,
) -> None:
    """Audit a log and its split: sizes, distributions, sessions, drift, cold users and items, leaks."""
    from matinee.report.files import require_figure

    require_figure(figure)
    if graph is not None:
        _require_no_split(chosen, sessions or strict)
        _audit_graph(_of(experiment, source), graph, figure, json)
        return
    if sessions:
        _require_session_settings(experiment, chosen)
        _audit_sessions(_of(experiment, source), figure, json)
        return
    from matinee.data.audit import audit as inspect
    from matinee.data.audit import require_no_leaks, strict_problems
    from matinee.workflow import prepare

    split = prepare(_of(experiment, source))
    found = inspect(split.data, split)
    if figure is not None:
        from matinee.report.audit_plot import draw_audit  # matplotlib is slow to import

        draw_audit(found, figure)
    problems = strict_problems(split) if strict else []
    for note in found.notes:
        warn(note)
    if json:
        print_json(found.to_json() | {"problems": problems})
    else:
        say(table(f"{split.data.name}, split {experiment.split.split}", ["", ""], found.rows()))
        for leak in found.leaks:
            warn(f"leak: {leak}")
        if figure is not None:
            say(f"figure saved to {figure}")
    if problems:
        require_no_leaks(split)


def _require_no_split(chosen: frozenset[str], other: bool) -> None:
    """Raises UsageError for options that a graph has no use for."""
    settings = sorted(field.removeprefix("split.") for field in chosen if field.startswith("split."))
    if settings or other:
        what = settings[0] if settings else "--sessions or --strict"
        raise UsageError(f"--graph audits the graph of the whole log, so {what} has no effect; leave it out")


def _audit_graph(experiment: Experiment, graph: str, figure: Path | None, json: bool) -> None:
    from matinee.data.graph_audit import audit_graph
    from matinee.workflow import graph_of, read

    data = read(experiment)
    found = audit_graph(data, graph_of(data, triples=None if graph == "catalogue" else graph))
    if figure is not None:
        from matinee.report.graph_plot import draw_graph  # matplotlib is slow to import

        draw_graph(found, figure)
    for note in (*data.notes, *found.notes):
        warn(note)
    if json:
        print_json(found.to_json())
        return
    say(table(f"{found.name}, knowledge graph", ["", ""], found.rows()))
    if figure is not None:
        say(f"figure saved to {figure}")


def _require_session_settings(experiment: Experiment, chosen: frozenset[str]) -> None:
    """Raises UsageError for a setting that cuts no sessions; those of a split by sessions are taken as they are."""
    if experiment.split.split == "session":
        return
    settings = {field.removeprefix("split.") for field in chosen if field.startswith("split.")}
    for name in sorted(settings - {"gap", "min_length", "seed"}):
        raise UsageError(f"{name} = {getattr(experiment.split, name)} has no effect on --sessions; leave it out")


def _audit_sessions(experiment: Experiment, figure: Path | None, json: bool) -> None:
    from matinee.data.session_audit import audit_sessions
    from matinee.workflow import read

    found = audit_sessions(read(experiment), experiment.split)
    if figure is not None:
        from matinee.report.session_plot import draw_sessions  # matplotlib is slow to import

        draw_sessions(found, figure)
    for note in found.notes:
        warn(note)
    if json:
        print_json(found.to_json())
        return
    say(table(f"{found.name}, sessions", ["", ""], found.rows()))
    if figure is not None:
        say(f"figure saved to {figure}")


@app.command()
@experiment_options("columns", "items", "filters", models=False)
def show(
    experiment: Experiment,
    chosen: frozenset[str],
    source: str | None = typer.Argument(None, metavar="[DATA]", help="As --data."),
    user: str | None = typer.Option(None, "--of", metavar="ID", help="Show a user's history, newest first."),
    pairs: Path | None = typer.Option(
        None,
        "--pairs",
        metavar="ARTEFACT",
        help="Show a model's most similar pairs; --min-item-events sets their minimum of events.",
    ),
    k: int = typer.Option(10, "-k", min=1, help="Number of rows."),
    json: bool = Json,
) -> None:
    """Show the most popular movies of a log, a user's history, or a model's most similar pairs."""
    if pairs is not None:
        if source is not None or user is not None or "data" in chosen:
            raise UsageError("--pairs shows what a model learned; leave out the data and --of")
        least = experiment.filters.min_item_events if "filters.min_item_events" in chosen else MIN_PAIR_EVENTS
        _show_pairs(pairs, k, least, json)
        return
    from matinee.workflow import read

    data = read(_of(experiment, source))
    columns, rows = _history(data, user, k) if user is not None else _most_popular(data, k)
    _warn(data)
    if json:
        rows_by_name = [dict(zip(columns, row, strict=True)) for row in rows]
        print_json(data.describe() | {"rows": rows_by_name, "notes": list(data.notes)})
        return
    say(table(f"{data.name}: {_counts(data)}", columns, rows, right="" if user else "034"))


def _show_pairs(artefact: Path, k: int, min_events: int, json: bool) -> None:
    from matinee.report.pairs import closest_pairs
    from matinee.store.artefact import load

    model = load(artefact)
    found = closest_pairs(model, k, min_events)
    if json:
        pairs = [pair.to_json() for pair in found]
        print_json({"model": model.name, "data": model.manifest["data"], "min_item_events": min_events, "pairs": pairs})
        return
    rows = [
        (pair.one, pair.other, f"{pair.similarity:.3f}", pair.one_events, pair.other_events, pair.shared_users)
        for pair in found
    ]
    title = f"{model.name}, most similar pairs among movies with at least {min_events} events"
    say(table(title, ["movie", "and", "similarity", "events", "events", "users of both"], rows, right="2345"))


def _most_popular(data: "Dataset", k: int) -> "Rows":
    import numpy as np

    items = data.events.item_rows
    counts = np.bincount(items, minlength=len(data.items))
    means = np.bincount(items, data.events.values, minlength=len(data.items)) / np.maximum(counts, 1)
    titles, genres = data.catalogue.titles, data.catalogue.genres
    rows = np.lexsort((np.arange(len(counts)), -counts))[:k].tolist()
    return ["id", "title", "genres", "events", "mean value"], [
        (data.items.id(row), titles[row], ", ".join(genres[row]), int(counts[row]), round(float(means[row]), 2))
        for row in rows
    ]


def _history(data: "Dataset", user: str, k: int) -> "Rows":
    from matinee.vocab import UNKNOWN

    row = data.users.row(user)
    if row == UNKNOWN:
        first, last = data.users.id(0), data.users.id(len(data.users) - 1)
        raise MatineeError(f"no user {user!r} in {data.name}; ids run from {first} to {last}")
    past = data.events.take(slice(data.user_starts[row], data.user_starts[row + 1]))
    newest = list(zip(past.times.tolist(), past.item_rows.tolist(), past.values.tolist(), strict=True))[::-1][:k]
    return ["at", "id", "title", "value"], [
        (_minute(at) if data.timed else "", data.items.id(item), data.catalogue.titles[item], value)
        for at, item, value in newest
    ]


def _of(experiment: Experiment, source: str | None) -> Experiment:
    return experiment.model_copy(update={"data": source}) if source else experiment


def _warn(data: "Dataset") -> None:
    for note in data.notes:
        warn(note)


def _counts(data: "Dataset") -> str:
    return f"{len(data.users):,} users, {len(data.items):,} items, {len(data.events):,} events"


def _minute(at: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
