"""What commands say: results on standard output, progress and errors on standard error."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

OnStep = Callable[[str], None]
OnEpoch = Callable[[int, int, dict[str, float]], None]


def say(text: object) -> None:
    """A line, table or picture of text, for people."""
    Console(highlight=False).print(text, soft_wrap=isinstance(text, str))


def warn(text: str) -> None:
    """A line on standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[yellow]{escape(text)}[/]")


def fail(text: str) -> None:
    """An error on standard error, one line."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]error:[/] {escape(text)}")


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


def table(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: str = "") -> Table:
    """A table; `right` holds the numbers (as digits) of the columns set flush right."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for place, column in enumerate(columns):
        made.add_column(column, justify="right" if str(place) in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(escape(str(cell)) for cell in row))
    return made


@contextmanager
def progress(steps: int | None = None) -> Iterator[tuple[OnStep, OnEpoch]]:
    """A line of progress on standard error: the step under way, and a bar with the time left.

    The bar counts steps if their number is known, and epochs while a model trains by them.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        overall = shown.add_task("", total=steps)
        epochs = shown.add_task("epochs", total=None, visible=False)
        done = -1

        def on_step(name: str) -> None:
            nonlocal done
            done += 1
            shown.update(overall, description=escape(name), completed=done)
            shown.update(epochs, visible=False)

        def on_epoch(epoch: int, total: int, figures: dict[str, float]) -> None:
            text = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
            shown.update(epochs, description=text, completed=epoch, total=total, visible=True)

        yield on_step, on_epoch


@contextmanager
def transfer(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar for a download, on standard error: bytes, speed and the time left."""
    columns = (
        TextColumn(escape(name)),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=None)

        def on_progress(done: int, total: int | None) -> None:
            shown.update(task, completed=done, total=total)

        yield on_progress
