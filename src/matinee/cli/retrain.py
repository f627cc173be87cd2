"""The command retrain: learning from a site's log."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from matinee.cli.options import Json, On, Workers, chosen_workers
from matinee.cli.output import print_json, say, warn
from matinee.cli.server_options import Database, require_database, seconds_of
from matinee.cli.versions import Folder, Keep, say_removed
from matinee.errors import MatineeError, UsageError

if TYPE_CHECKING:
    from matinee.workflow.retraining import Retrained, Verdict


def retrain(  # noqa: PLR0913 - one for each option
    registry: Path = Folder,
    db: str = Database,
    every: str = typer.Option("", "--every", metavar="TIME", help="Go on, once in such a time: 30m, 1h, 1d."),
    after: int = typer.Option(1, "--after", metavar="N", min=1, help="Only if there are so many new events."),
    warm: bool = typer.Option(False, "--warm", help="Models that can start training from the running version do."),
    keep: int = Keep,
    workers: int | None = Workers,
    on: str | None = On,
    json: bool = Json,
) -> None:
    """Fit the models that serve with the site's new events, and let them serve unless they are worse."""
    from matinee.store.database import SqlDatabase
    from matinee.store.versions import Registry
    from matinee.workflow.retraining import retrain as learn

    several = chosen_workers(workers, on)
    seconds = seconds_of(every, "--every") if every else 0
    versions = Registry(registry)
    require_database(db)
    database = SqlDatabase(db)
    try:
        while True:
            try:
                _report(learn(versions, database, keep=keep, least=after, warm=warm, workers=several), json)
            except UsageError:
                raise
            except MatineeError as error:
                if not seconds:
                    raise
                warn(str(error))
            if not seconds:
                return
            time.sleep(seconds)
    finally:
        database.close()


def _report(found: "Retrained", json: bool) -> None:
    if json:
        print_json(asdict(found))
        return
    if found.version is None:
        say(f"nothing to learn: {found.new_events:,} new events")
        return
    came = f"{found.new_events:,} new events, {found.new_users:,} new users, {found.new_items:,} new items"
    state = "serves" if found.promoted else "does not serve, for it is worse"
    say(f"version {found.version} {state}: {came}")
    for verdict in found.verdicts:
        say(f"  {verdict.model}: {_words(verdict)}")
    say_removed(found.removed)


def _words(verdict: "Verdict") -> str:
    if verdict.running is None or verdict.new is None:
        return f"the newest events are of {verdict.users:,} users, too few to compare"
    which = "worse" if verdict.is_worse else "not worse"
    return f"NDCG@10 {verdict.running:.4f} → {verdict.new:.4f} for {verdict.users:,} users, {which} (p {verdict.p:.3f})"
