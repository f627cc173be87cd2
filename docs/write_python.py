"""Write docs/python.md: every public function and class, by its docstring.

A test fails when a public name has no heading there.
"""

import inspect
from pathlib import Path

import matinee
from matinee.models import MODELS, model_class

PAGE = Path(__file__).with_name("python.md")
HEAD = """\
# Python

`import matinee as mt` gives these names; an editor completes all of them with their settings. An error that a caller
can fix is a `mt.MatineeError`, one line that says what to write; a `mt.DataError` is one about data. What a call
answers with has `.to_frame()` where it is a table, and `.plot()` where it has a figure.
"""
RETURNED = {
    "Dataset": "matinee.dataset.Dataset",
    "Split": "matinee.data.splits.Split",
    "Audit": "matinee.data.audit.Audit",
    "Artefact": "matinee.store.artefact.Artefact",
    "Report": "matinee.evaluation.report.Report",
    "Comparison": "matinee.evaluation.comparison.Comparison",
    "MovieList": "matinee.workflow.movie_lists.MovieList",
    "TuningResult": "matinee.workflow.tuning.TuningResult",
    "ItemMap": "matinee.report.item_map.ItemMap",
}
"""What the functions answer with."""


def page() -> str:
    """The whole page: mkdocstrings writes what stands at each `:::`."""
    functions = {name: getattr(matinee, name) for name in matinee.FUNCTIONS}
    lines = [HEAD, "## Functions\n"]
    for name, found in sorted(functions.items()):
        if not inspect.isclass(found):
            lines.append(_entry(f"mt.{name}", f"{found.__module__}.{found.__qualname__}"))
    lines.append("## What they answer with\n")
    lines += [_entry(name, path, members=True) for name, path in RETURNED.items()]
    lines.append("## Models\n")
    for name in MODELS:
        kind = model_class(name)
        lines.append(_entry(f"mt.{kind.__name__}", f"{kind.__module__}.{kind.__name__}"))
    return "\n".join(lines).rstrip() + "\n"


def _entry(title: str, path: str, *, members: bool = False) -> str:
    shown = "true" if members else "false"
    options = f"    options: {{heading: {title}, toc_label: {title}, members: {shown}, show_bases: false}}"
    return f"::: {path}\n{options}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
