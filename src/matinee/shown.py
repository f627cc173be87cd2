"""What an object shows of itself in a terminal and in a notebook: what it is, how large, and what to call next."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from matinee.errors import MatineeError

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

MOST_ROWS = 10
MOST_HTML_ROWS = 60
"""Of a notebook, as pandas has it."""
MOST_NOTES = 4
MOST_TEXT = 2_000
"""Characters of a whole representation."""
_WIDEST_CELL = 40
_WIDEST_LINE = 240


@dataclass(frozen=True, slots=True)
class Overview:
    """What is shown of an object. headline: what it is and how large; rows: a table, its head first; next: a call.

    notes: sentences that readers should know of; rest: what the rows that are not shown are, such as `metrics`.
    """

    headline: str
    rows: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    next: str = ""
    rest: str = "rows"

    def text(self) -> str:
        """In lines: at most 10 rows, 4 notes and 2,000 characters."""
        rows = [[_cut(cell, _WIDEST_CELL) for cell in row] for row in self.rows[: MOST_ROWS + 1]]
        notes = [f"  {_cut(note, _WIDEST_LINE)}" for note in self._notes_shown()]
        after = [f"next: {self.next}"] if self.next else []
        lines = [_cut(self.headline, _WIDEST_LINE), *_aligned(rows)]
        if left := len(self.rows) - len(rows):
            lines.append(f"  and {left:,} more {self.rest}")
        return _cut("\n".join([*lines, *notes, *after]), MOST_TEXT)

    def html(self) -> str:
        """The same as a paragraph and a table, at most 60 of its rows, escaped."""
        table = ""
        if self.rows:
            head, *rows = self.rows[: MOST_HTML_ROWS + 1]
            table = f"<table>{_html_row(head, 'th')}{''.join(map(_html_row, rows))}</table>"
        if left := len(self.rows) - len(self.rows[: MOST_HTML_ROWS + 1]):
            table += f"<p>and {left:,} more {self.rest}</p>"
        notes = "".join(f"<p>{escape(note)}</p>" for note in self._notes_shown())
        after = f"<p>next: <code>{escape(self.next)}</code></p>" if self.next else ""
        return f"<p><strong>{escape(self.headline)}</strong></p>{table}{notes}{after}"

    def _notes_shown(self) -> list[str]:
        left = len(self.notes) - MOST_NOTES
        return [*self.notes[:MOST_NOTES], *([f"and {left:,} more notes"] if left > 0 else [])]


class Shown(ABC):
    """An object that a terminal and a notebook show by an overview."""

    __slots__ = ()
    other_names: ClassVar[Mapping[str, str]] = {}
    """Attributes that such an object has in other libraries, and the call that works here."""

    @abstractmethod
    def overview(self) -> Overview:
        """What to show."""

    if not TYPE_CHECKING:  # types know which attributes there are

        def __getattr__(self, name: str) -> object:
            """Raises AttributeError with the call that works, if it is known."""
            call = None if name.startswith("_") else self._call_for(name)
            write = "" if call is None else f"; write {call}"
            problem = f"{type(self).__name__!r} object has no attribute {name!r}{write}"
            raise AttributeError(problem, name=name, obj=self)

    def _call_for(self, name: str) -> str | None:
        """The call that works for an attribute of other libraries, None if none is known."""
        if name in self.other_names or not isinstance(self, Framed):
            return self.other_names.get(name)
        if hasattr(import_module("polars").DataFrame, name):
            return f".to_frame().{name}"
        pandas = sys.modules.get("pandas")  # for those who use it
        return f".to_pandas().{name}" if hasattr(getattr(pandas, "DataFrame", None), name) else None

    def __repr__(self) -> str:
        return self.overview().text()

    def _repr_html_(self) -> str:
        return self.overview().html()


class Framed(ABC):
    """An object that is a table."""

    __slots__ = ()

    @abstractmethod
    def to_frame(self) -> "pl.DataFrame":
        """The table, of polars."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The table as Arrow's stream, which polars, pyarrow, DuckDB and others read: `pl.DataFrame(data)`."""
        return self.to_frame().__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> Any:  # noqa: ANN401 - a type of pandas, which need not be installed
        """The same as a data frame of pandas, by way of numpy. Raises MatineeError if pandas is not installed."""
        try:
            pandas = import_module("pandas")
        except ModuleNotFoundError:
            raise MatineeError("to_pandas needs pandas, which is not installed: pip install pandas") from None
        columns = {column.name: column for column in self.to_frame()}
        return pandas.DataFrame(
            {name: each.to_numpy() if each.dtype.is_numeric() else each.to_list() for name, each in columns.items()}
        )


class Plotted:
    """An object that has a figure."""

    __slots__ = ()

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Its figure, which a notebook shows. path: where to save it, .png, .svg or .pdf.

        A figure of Matplotlib: `.savefig` and `.axes` are there to change it. Raises MatineeError, one line, if
        Matplotlib is not installed, if the path cannot be written, or if there is nothing to draw.
        """
        figure: Figure = import_module("matinee.report.plotting").plot(self, path)
        return figure


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _html_row(cells: Sequence[str], tag: str = "td") -> str:
    begin = f'<{tag} style="text-align:left">'
    return f"<tr>{''.join(f'{begin}{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
