"""A document as Markdown: its sentences, tables and code. Figures are files beside it, where they are saved."""

import re
from collections.abc import Iterator

from matinee.destinations import MARK
from matinee.report.comparison.document import Block, Cell, Code, Document, Picture, Table

SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")


def to_markdown(document: Document, figures: str | None = None) -> str:
    """The document as Markdown. figures: the folder of its figures, relative to the file; None leaves them out."""
    lines = [f"# {escape(document.title)}", "", escape(document.subtitle), ""]
    lines += [f"- {escape(label)}: **{escape(value)}**" for label, value in document.facts]
    for section in document.sections:
        lines += ["", f"## {section.title}"]
        for block in section.blocks:
            lines += _lines(block, figures)
    return "\n".join([*lines, "", f"<!-- {MARK.decode()} -->", ""])


def escape(text: str) -> str:
    """Text in which no character means anything to Markdown."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _lines(block: Block, figures: str | None) -> Iterator[str]:
    if isinstance(block, str):
        yield from ("", escape(block))
    elif isinstance(block, Table):
        yield from ("", f"**{escape(block.caption)}**", "")
        yield from _table(block)
    elif isinstance(block, Code):
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", block.text)), default=0))
        yield from ("", f"{escape(block.caption)}:", "", fence, block.text.rstrip("\n"), fence)
    elif isinstance(block, Picture) and figures is not None:
        yield from ("", f"![{escape(block.title)}]({figures}/{block.name}.svg)", "", f"*{escape(block.caption)}*")


def _table(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(map(escape, table.columns))} |"
    yield f"|---|{'---:|' * (len(table.columns) - 1)}"
    for row in table.rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _cell(cell: Cell) -> str:
    text = f"**{escape(cell.text)}**" if cell.strong else escape(cell.text)
    return f"{text} ({escape(cell.note)})" if cell.note and cell.text else text
