"""The command experiment: what came of a split or an interleaving of a site's visitors."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from matinee.cli.options import Json
from matinee.cli.output import print_json, say, table, warn
from matinee.cli.server_options import Database, require_database, seconds_of

if TYPE_CHECKING:
    from matinee.experiments.report import InterleavedReport, Metric, SplitReport
    from matinee.experiments.sequential import ArmSample, Difference

app = typer.Typer(no_args_is_help=True, help="Compare models on the visitors of a site.")


@app.callback()
def _experiment() -> None:
    """Compare models on the visitors of a site (`matinee serve --split`, `--interleave`)."""


@app.command()
def report(
    name: str = typer.Argument(None, metavar="[NAME]", help="Default: the last experiment.", show_default=False),
    db: str = Database,
    within: str = typer.Option("1d", "--within", metavar="TIME", help="What counts of a visitor, from the first list."),
    json: bool = Json,
) -> None:
    """What visitors did in each arm, and whether the experiment may stop. Look as often as you like."""
    from matinee.experiments.report import SplitReport, as_json, report_of
    from matinee.store.database import SqlDatabase

    seconds = seconds_of(within, "--within")
    require_database(db)
    database = SqlDatabase(db)
    try:
        found = report_of(database, int(time.time()), name, seconds)
    finally:
        database.close()
    if json:
        print_json({"experiment": None if found is None else as_json(found)})
    elif found is None:
        say("no experiment: the log has no list of one; `matinee serve --split A=0.5,B=0.5` begins one")
    elif isinstance(found, SplitReport):
        _say_split(found)
    else:
        _say_interleaved(found)


def _say_split(found: "SplitReport") -> None:
    columns = ["arm", "visitors", "waiting", "lists", "took something", "of a visitor's lists", "stars"]
    rows = [
        (arm.model, f"{arm.visitors:,}", f"{arm.waiting:,}", f"{arm.lists:,}", *map(_mean, arm.metrics.values()))
        for arm in found.arms
    ]
    say(table(f"experiment {found.name}", columns, rows, right="123"))
    for line in _differences(found):
        say(line)
    if found.crossed:
        warn(f"{found.crossed:,} visitors saw lists of two arms, for they signed up or in; they count in the first one")
    if found.is_mismatched:
        warn(
            f"the arms do not have their shares of visitors (p {found.ratio_p:.2g}): something sends or loses them "
            "unequally, so nothing is called; find out what before you believe any difference"
        )
    say("it may stop" if found.may_stop else "it goes on: nothing is decided yet")


def _differences(found: "SplitReport") -> Iterator[str]:
    names: dict[Metric, str] = {"took": "took something", "click_through": "of a visitor's lists", "rating": "stars"}
    for one in found.versus:
        for metric, difference in one.differences.items():
            yield f"{one.model} - {found.arms[0].model}, {names[metric]}: {_difference(difference)}"


def _say_interleaved(found: "InterleavedReport") -> None:
    first, second = found.models
    test = found.test
    rows = [
        (first, f"{found.picks[0]:,}", f"{test.wins_first:,}"),
        (second, f"{found.picks[1]:,}", f"{test.wins_second:,}"),
    ]
    title = f"experiment {found.name}: {found.visitors:,} visitors, {found.waiting:,} waiting"
    say(table(title, ["model", "items taken", "visitors who took more of its items"], rows, right="12"))
    preferred = {"first": first, "second": second}.get(test.verdict)
    say(
        f"{preferred} is preferred (p {test.p:.3g}): it may stop"
        if preferred
        else f"undecided (p {test.p:.3g}): it goes on"
    )


def _mean(sample: "ArmSample") -> str:
    return f"{sample.mean:.4f} ({sample.n:,})" if sample.n else "-"


def _difference(difference: "Difference") -> str:
    words = {"too few": "too few to say", "undecided": "undecided", "first": "fewer", "second": "more"}
    low, high = (f"{end:+.4f}" if abs(end) < float("inf") else "?" for end in (difference.low, difference.high))
    return f"{difference.estimate:+.4f} ({low} to {high}), {words[difference.verdict]}"
