"""Reports as files: the format follows the name."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from matinee.destinations import require_file
from matinee.errors import UsageError
from matinee.report.comparison.content import document_of
from matinee.report.comparison.html import to_html
from matinee.report.comparison.latex import to_latex
from matinee.report.comparison.markdown import to_markdown
from matinee.report.comparison.result import Result
from matinee.report.comparison.theme import themed
from matinee.report.files import FIGURES, save_figure
from matinee.writing import new_file

FORMATS = (".html", ".md", ".json", ".tex")


def require_reports(paths: Sequence[Path], option: str = "--report") -> None:
    """Raises MatineeError unless a report can be saved at each path, and UsageError for a path given twice.

    JSON has no mark: a result is written over.
    """
    saved: set[str] = set()
    for path in paths:
        require_file(path, option, FORMATS, any_file=path.suffix.lower() == ".json" and _is_result(path))
        place = os.path.realpath(path)
        if place in saved:
            raise UsageError(f"{option} {path} is given twice; give it once")
        saved.add(place)


def save_report(result: Result, path: Path, figures: Path | None = None) -> None:
    """Save a report as .html, .md, .json or .tex. figures: the folder that Markdown finds its figures in."""
    require_reports([path])
    suffix = path.suffix.lower()
    if suffix == ".json":
        text = json.dumps(result.raw, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    else:
        beside = None if figures is None else _relative(figures, path.parent)
        document = document_of(result, pictures=suffix == ".html" or (beside is not None and suffix == ".md"))
        text = {".html": to_html, ".md": lambda of: to_markdown(of, beside), ".tex": to_latex}[suffix](document)
    with new_file(path, "report") as part:
        part.write_text(text, encoding="utf-8", errors="replace")


def save_figures(result: Result, folder: Path, suffix: str = ".svg") -> list[Path]:
    """Save each figure of a report as a file of its own: .svg, .pdf or .png. Returns their paths."""
    paths = []
    for picture in document_of(result).pictures:
        path = folder / f"{picture.name}{suffix}"
        with themed():
            save_figure(picture.figure, path, dpi=200)
        paths.append(path)
    return paths


def figure_suffix(name: str) -> str:
    """`pdf` or `.pdf` -> `.pdf`. Raises UsageError for another format."""
    suffix = f".{name.lstrip('.').lower()}"
    if suffix not in FIGURES:
        known = ", ".join(each.lstrip(".") for each in FIGURES)
        raise UsageError(f"--figure-format {name} is none of {known}")
    return suffix


def _is_result(path: Path) -> bool:
    """Whether a file that exists is the JSON of a comparison."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"metric", "models", "reports"} <= found.keys()


def _relative(folder: Path, start: Path) -> str:
    return Path(os.path.relpath(folder, start)).as_posix()
