r"""The main tables of a report as LaTeX, with booktabs: `\input` the file, or take one table of it."""

import re

from matinee.destinations import MARK
from matinee.report.comparison.document import Cell, Document, Table

TABLES = ("main", "accuracy", "beyond", "cost")
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "–": "--",
    "<": r"$<$",
    ">": r"$>$",
    "±": r"$\pm$",
}
_PATTERN = re.compile("|".join(map(re.escape, SPECIAL)))
_NEGATIVE = re.compile(r"(?<![\w.])-(?=\d)")


def to_latex(document: Document) -> str:
    r"""The tables as LaTeX `table` environments, with the labels tab:main, tab:accuracy, tab:beyond and tab:cost."""
    tables = [
        block
        for section in document.sections
        for block in section.blocks
        if isinstance(block, Table) and block.key in TABLES
    ]
    head = f"% {MARK.decode()}\n% In the preamble: \\usepackage{{booktabs}}\n"
    where = f"{document.title}. {document.subtitle}"
    return head + "\n".join(_environment(table, where) for table in tables)


def escape(text: str) -> str:
    """Text in which no character means anything to LaTeX."""
    return _PATTERN.sub(lambda match: SPECIAL[match[0]], " ".join(text.split()))


def _environment(table: Table, where: str) -> str:
    rows = "\n".join(f"{' & '.join(map(_cell, row))} \\\\" for row in table.rows)
    columns = "l" + "r" * (len(table.columns) - 1)
    return (
        "\\begin{table}\n\\centering\n\\small\n"
        f"\\caption{{{escape(f'{table.caption}. {where}')}}}\n\\label{{tab:{table.key}}}\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{' & '.join(map(escape, table.columns))} \\\\\n\\midrule\n"
        f"{rows}\n\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def _cell(cell: Cell) -> str:
    text = _NEGATIVE.sub(r"$-$", escape(cell.text))
    text = f"\\textbf{{{text}}}" if cell.strong else text
    note = _NEGATIVE.sub(r"$-$", escape(cell.note))
    return f"{text} {{\\scriptsize({note})}}" if note and cell.text else text
