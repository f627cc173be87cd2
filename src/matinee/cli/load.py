"""The command load: a log into the database of a site."""

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from matinee.cli.options import Json, experiment_options
from matinee.cli.output import print_json, progress, say, warn
from matinee.cli.server_options import Database
from matinee.errors import UsageError
from matinee.experiment import Experiment

if TYPE_CHECKING:
    from matinee.dataset import Dataset
    from matinee.store.log_loading import Loaded
    from matinee.workflow.site_log import SiteLog, Unknown

UNKNOWN = ("keep", "skip", "refuse")


@experiment_options("columns", "filters", models=False)
def load(
    experiment: Experiment,
    chosen: frozenset[str],
    source: str = typer.Argument(..., metavar="LOG", help="A data set's name, a folder, archive or table; as --data."),
    db: str = Database,
    artefact: Path | None = typer.Option(
        None, "--artefact", metavar="DIR", help="One that the site serves: its items are the known ones."
    ),
    unknown: str = typer.Option(
        "keep", "--unknown", metavar="|".join(UNKNOWN), help="Events with items that the artefact does not have."
    ),
    json: bool = Json,
) -> None:
    """Write a log into a site's database, each event once: its users become users of the API."""
    from matinee import workflow
    from matinee.store.artefact import load as load_artefact
    from matinee.store.database import SqlDatabase
    from matinee.store.log_loading import PART, load_log
    from matinee.workflow.site_log import site_log

    if "data" in chosen:
        raise UsageError("the log was given twice, as LOG and as --data; give it once")
    if unknown not in UNKNOWN:
        raise UsageError(f"--unknown {unknown!r} is none of {', '.join(UNKNOWN)}")
    if artefact is None and unknown != "keep":
        raise UsageError(f"--unknown {unknown} takes --artefact DIR, which says what is known")
    served = load_artefact(artefact) if artefact is not None else None
    with progress() as (on_step, _):
        data = workflow.read(experiment.model_copy(update={"data": source}), on_step)
        log = site_log(data, served, cast("Unknown", unknown))
    n_events = len(log.events)
    with closing(SqlDatabase(db)) as database, progress(-(-n_events // PART)) as (on_step, _):
        on_step("looking for events of an earlier load")
        found = load_log(database, log.events, lambda done: on_step(f"{done:,} of {n_events:,} events written"))
    _report(data, log, found, json)


def _report(data: "Dataset", log: "SiteLog", found: "Loaded", json: bool) -> None:
    n_users = log.events["user_id"].n_unique()
    if json:
        unknown = {"unknown_items": log.unknown_items, "unknown_events": log.unknown_events, "left_out": log.left_out}
        print_json({"users": n_users, **asdict(found), **unknown, "notes": [*data.notes, *log.notes]})
        return
    for note in (*data.notes, *log.notes):
        warn(note)
    if log.unknown_items:
        became = "left out" if log.left_out else "kept: they count from the training on that knows their items"
        warn(f"{log.unknown_events:,} events are of {log.unknown_items:,} items that the artefact lacks, {became}")
    there = f", {found.present:,} were there" if found.present else ""
    say(f"{found.written:,} events of {n_users:,} users written{there}")
