"""The command data synthesize: a log of any size in the shape of a real one."""

import shlex
from pathlib import Path
from time import perf_counter

import typer

from matinee.cli.options import Json
from matinee.cli.output import print_json, progress, say, table


def synthesize(
    out: Path = typer.Argument(..., metavar="FOLDER", help="Where the Parquet files go; a run of the same goes on."),
    users: int | None = typer.Option(None, "--users", min=2, help="Number of users; by default as in --like."),
    items: int | None = typer.Option(None, "--items", min=2, help="Number of items."),
    events: int | None = typer.Option(None, "--events", min=2, help="Number of events."),
    like: str | None = typer.Option(
        None, "--like", metavar="DATA", help="A log to fit the shape to and to compare with; by default MovieLens."
    ),
    seed: int = typer.Option(42, "--seed", min=0, help="The random seed."),
    json: bool = Json,
) -> None:
    """Write a synthetic log: skewed activity and popularity, tastes, sessions, drift, ratings, as in a real log."""
    from matinee.data.synthesis.files import write_parts
    from matinee.workflow import compare_logs, load, population_of

    real = None if like is None else load(like)
    population = population_of(users, items, events, like=real, seed=seed)
    compared = None if real is None else compare_logs(real, population.shape, seed)
    started = perf_counter()
    with progress(len(population.parts())) as (on_step, _):
        n_files = write_parts(population, out, lambda done, total: on_step(f"part {done:,} of {total:,}"))
    seconds = perf_counter() - started
    found = {
        "path": str(out),
        "files": n_files,
        "users": len(population.n_events),
        "items": len(population.by_taste),
        "events": int(population.n_events.sum()),
        "seed": seed,
        "taste": population.shape.taste,
        "seconds": seconds,
    }
    if json:
        print_json(found | {"comparison": None if compared is None else compared.to_json()})
        return
    if compared is not None:
        rows = [(name, f"{one:,.4g}", f"{other:,.4g}") for name, one, other in compared.rows]
        say(table(f"{like} and a synthetic log of its size", ["", like or "", "synthetic"], rows, right="12"))
    sizes = f"{found['users']:,} users, {found['items']:,} items, {found['events']:,} events"
    say(f"{sizes} in {n_files:,} files at {out}, {seconds:,.1f} s; use it with --data {shlex.quote(str(out))}")
