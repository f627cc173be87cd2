"""Output of commands: results on standard output, progress and errors on standard error.

Whatever titles, names and paths hold, no control character of theirs reaches the terminal.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from time import perf_counter
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
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
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from matinee.errors import MatineeError

OnStep = Callable[[str], None]
OnEpoch = Callable[[int, int, dict[str, float]], None]

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that move a terminal's cursor, start its commands or turn its direction; not tab and newline."""
NARROWEST = 40
"""Columns that a table gets at least."""
EXACT_IN_JSON = 2**53
"""Integers from here on lose digits in readers that take JSON numbers for doubles, such as JavaScript."""


@dataclass(slots=True)
class Voice:
    """How much a command says. level: -1 only results and errors, 0 also notes and progress, 1 also steps and times."""

    level: int = 0
    debug: bool = False


VOICE = Voice()
"""Set once for each command, by the switches -q, -v and --debug."""


class SafeConsole(Console):
    """A console that prints text as it is: no markup, no emoji codes, control characters replaced."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)
        if self.width < NARROWEST:  # COLUMNS=0 would print nothing
            self.width = NARROWEST

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - passed on
        """See Console; controls are replaced before the width of a cell is measured."""
        return super().render_str(CONTROLS.sub("�", text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See Console."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=CONTROLS.sub("�", segment.text))

    def on_broken_pipe(self) -> None:
        """See Console: leave the exit code to the command line."""
        raise BrokenPipeError


def say(text: RenderableType) -> None:
    """Print a line or table for people."""
    _require_stdout()
    SafeConsole().print(text, soft_wrap=isinstance(text, str))


def warn(text: str) -> None:
    """Print a note or warning on standard error, as one line."""
    if VOICE.level >= 0:
        _on_stderr(text, "yellow")


def fail(text: str) -> None:
    """Print a one-line error on standard error."""
    _on_stderr(f"error: {text}", "bold red", len("error:"))


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output: UTF-8 in any locale, null for NaN, integers from 2^53 on as strings."""
    text = json.dumps(json_ready(value), ensure_ascii=False, allow_nan=False)
    text = CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"
    _require_stdout()
    raw = getattr(sys.stdout, "buffer", None)
    if raw is None:
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    raw.write(text.encode("utf-8", "backslashreplace"))  # a lone surrogate becomes \udcff, which is JSON
    raw.flush()


def table(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: str = "") -> Table:
    """A table. right: the digits of the right-aligned columns, such as "034"."""
    result = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for index, column in enumerate(columns):
        result.add_column(column, justify="right" if str(index) in right else "left", overflow="fold")
    for row in rows:
        result.add_row(*map(str, row))
    return result


@contextmanager
def progress(steps: int | None = None) -> Iterator[tuple[OnStep, OnEpoch]]:
    """Show progress on standard error: the current step, a bar and the time left; with -v a line for each step.

    The bar counts steps if their number is known; a second bar counts epochs during training.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with _bars(*columns) as bars:
        overall = bars.add_task("", total=steps)
        epochs = bars.add_task("epochs", total=None, visible=False)
        started, done = perf_counter(), -1

        def on_step(name: str) -> None:
            nonlocal done
            done += 1
            bars.update(overall, description=name, completed=done)
            bars.update(epochs, visible=False)
            detail(f"{perf_counter() - started:7.2f} s  {name}")

        def on_epoch(epoch: int, total: int, values: dict[str, float]) -> None:
            text = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
            bars.update(epochs, description=text, completed=epoch, total=total, visible=True)
            detail(f"{perf_counter() - started:7.2f} s  epoch {epoch} of {total}  {text}")

        yield on_step, on_epoch


@contextmanager
def transfer(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show the progress of a download on standard error: bytes, speed and time left."""
    columns = (
        TextColumn(name.replace("{", "{{").replace("}", "}}"), markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with _bars(*columns) as bars:
        task = bars.add_task("", total=None)

        def on_progress(done: int, total: int | None) -> None:
            bars.update(task, completed=done, total=total)

        yield on_progress


def _bars(*columns: Any) -> Progress:  # noqa: ANN401 - columns of any kind
    """Bars on standard error, none where it is not a terminal or should be quiet."""
    console = SafeConsole(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=VOICE.level != 0 or not console.is_terminal)


def detail(text: str) -> None:
    """Print a line with -v."""
    if VOICE.level > 0:
        _on_stderr(text, "dim")


def _on_stderr(text: str, style: str, styled: int | None = None) -> None:
    """Print one line on standard error, if it is open. styled: the length of the part that has the style."""
    if sys.stderr is None:
        return
    line = Text(" ".join(text.splitlines()))
    line.stylize(style, 0, styled)
    SafeConsole(stderr=True).print(line, soft_wrap=True)


def _require_stdout() -> None:
    if sys.stdout is None:
        raise MatineeError("standard output is closed, so the result has nowhere to go; redirect it with > FILE")


def json_ready(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A JSON value without numbers that JSON cannot hold exactly."""
    if isinstance(value, Mapping):
        return {str(key): json_ready(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(each) for each in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < EXACT_IN_JSON else str(value)
    return value
