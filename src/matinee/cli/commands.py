"""The commands, and the switches that all of them have."""

from collections.abc import Callable, Iterator
from typing import Any

import typer

from matinee.cli import (
    advise,
    backup,
    compare,
    data,
    experiment,
    keys,
    lists,
    load,
    models,
    replay,
    retrain,
    site,
    stream,
    tune,
    versions,
)
from matinee.cli.output import VOICE
from matinee.cli.stack import print_version
from matinee.errors import UsageError

app = typer.Typer(
    name="matinee",
    help="Train recommenders on a log of ratings or clicks, compare them, and serve them as a movie site.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(site.demo)
app.add_typer(data.app, name="data")
app.command()(advise.advise)
app.command()(models.train)
app.command()(tune.tune)
app.command()(models.evaluate)
app.command()(compare.compare)
app.command()(compare.report)
app.command()(replay.replay)
app.add_typer(versions.app, name="models")
app.command()(lists.recommend)
app.command()(lists.similar)
app.command("map")(lists.map_)
app.command()(site.serve)
app.command()(retrain.retrain)
app.add_typer(experiment.app, name="experiment")
app.command()(load.load)
app.command()(site.doctor)
app.add_typer(keys.app, name="keys")
app.add_typer(stream.app, name="stream")
app.command()(backup.backup)
app.command()(backup.restore)


@app.callback(invoke_without_command=True)
def _top(
    version: bool = typer.Option(False, "--version", help="Print the versions of Matinee and of what it runs on."),
    json: bool = typer.Option(False, "--json", help="With --version: print only one JSON object."),
) -> None:
    if version:
        print_version(json)
        raise typer.Exit
    if json:
        raise UsageError("--json stands behind a command, or beside --version")


def build() -> Any:  # noqa: ANN401 - typer does not export the class of its commands
    """The command line as typer runs it, with the switches behind every command."""
    top = typer.main.get_command(app)
    switches = [option for option in typer.main.get_command(_switches).params if option.name in SWITCHES]
    for command in _tree(top):
        command.params += switches
    return top


def _tree(command: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from _tree(below)


def _on_verbose(given: bool) -> None:
    VOICE.level = 1 if given else VOICE.level


def _on_quiet(given: bool) -> None:
    VOICE.level = -1 if given else VOICE.level


def _on_debug(given: bool) -> None:
    VOICE.debug = given or VOICE.debug


def _switch(flags: tuple[str, ...], callback: Callable[[bool], None], help: str) -> Any:  # noqa: ANN401 - an option
    return typer.Option(
        False, *flags, callback=callback, help=help, expose_value=False, is_eager=True, rich_help_panel="Output"
    )


SWITCHES = ("verbose", "quiet", "debug")
_switches = typer.Typer(add_completion=False)


@_switches.command()
def _takes_switches(
    verbose: bool = _switch(("--verbose", "-v"), _on_verbose, "Print each step and epoch with its time."),
    quiet: bool = _switch(("--quiet", "-q"), _on_quiet, "Print only results and errors: no notes, no progress."),
    debug: bool = _switch(("--debug",), _on_debug, "Show the trace of an error; or set MATINEE_DEBUG=1."),
) -> None:
    """Only its options are used."""
