"""The command line: `matinee --help`."""

import os
import sys

import typer

from matinee.cli import data, lists, models, site
from matinee.cli.output import fail
from matinee.errors import MatineeError

app = typer.Typer(
    name="matinee",
    help="Train recommenders on a log of ratings or clicks, compare them, and serve them as a movie site.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(site.demo)
app.add_typer(data.app, name="data")
app.command()(models.train)
app.command()(models.evaluate)
app.command()(models.compare)
app.command()(models.models)
app.command()(lists.recommend)
app.command()(lists.similar)
app.command("map")(lists.map_)
app.command()(site.serve)
app.command()(site.doctor)


@app.callback(invoke_without_command=True)
def _top(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        from matinee.version import __version__

        typer.echo(f"matinee {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line. An error is one line on standard error and exit code 1, without a traceback."""
    try:
        app()
    except MatineeError as error:
        fail(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        fail("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        os._exit(141)  # the reader of our output is gone, so skip flushing
