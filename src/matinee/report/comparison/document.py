"""What a document is made of, whatever its format: sections of sentences, tables, figures and text to copy."""

from dataclasses import dataclass
from typing import TypeAlias

from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table. strong: the best of its column; shade: 0 to 1, how dark its background is; note: below it."""

    text: str
    strong: bool = False
    shade: float | None = None
    note: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table. The first column names the row. columns: headings; rows: as many cells each; key: for a reference."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    key: str
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure. name: of its file; title: what it shows; caption: what to know to read it."""

    name: str
    title: str
    caption: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class Code:
    """Text to copy, such as a command or a configuration. caption: what it is."""

    caption: str
    text: str
    folded: bool = False


Block: TypeAlias = str | Table | Picture | Code


@dataclass(frozen=True, slots=True)
class Section:
    """A section. name: of its anchor."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report. facts: label and value, for the top of the page."""

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All figures, in their order."""
        return tuple(block for section in self.sections for block in section.blocks if isinstance(block, Picture))
