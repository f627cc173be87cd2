"""Output of commands: results on standard output, progress and errors on standard error."""

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
    """Print a line or table for people."""
    Console(highlight=False).print(text, soft_wrap=isinstance(text, str))


def warn(text: str) -> None:
    """Print a warning on standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[yellow]{escape(text)}[/]")


def fail(text: str) -> None:
    """Print a one-line error on standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]error:[/] {escape(text)}")


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


def table(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: str = "") -> Table:
    """A table. right: the digits of the right-aligned columns, such as "034"."""
    result = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for index, column in enumerate(columns):
        result.add_column(column, justify="right" if str(index) in right else "left", overflow="fold")
    for row in rows:
        result.add_row(*(escape(str(cell)) for cell in row))
    return result


@contextmanager
def progress(steps: int | None = None) -> Iterator[tuple[OnStep, OnEpoch]]:
    """Show progress on standard error: the current step, a bar and the time left.

    The bar counts steps if their number is known; a second bar counts epochs during training.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        overall = bars.add_task("", total=steps)
        epochs = bars.add_task("epochs", total=None, visible=False)
        done = -1

        def on_step(name: str) -> None:
            nonlocal done
            done += 1
            bars.update(overall, description=escape(name), completed=done)
            bars.update(epochs, visible=False)

        def on_epoch(epoch: int, total: int, values: dict[str, float]) -> None:
            text = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
            bars.update(epochs, description=text, completed=epoch, total=total, visible=True)

        yield on_step, on_epoch


@contextmanager
def transfer(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show the progress of a download on standard error: bytes, speed and time left."""
    columns = (
        TextColumn(escape(name)),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("", total=None)

        def on_progress(done: int, total: int | None) -> None:
            bars.update(task, completed=done, total=total)

        yield on_progress
