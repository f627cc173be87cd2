"""The report of an import: what was read of each file, and the outcome of each row, as a page or as CSV."""

import csv
import io
from collections.abc import Iterator, Sequence

from fastapi.responses import Response

from matinee.serve.pages.context import PageContext
from matinee.serve.transfer.export import as_cell
from matinee.serve.transfer.importer import ImportPlan, Outcome
from matinee.serve.transfer.rows import ImportFile, Upload

REPORTED_ROWS = 300
"""Rows of each kind in the report's page; its CSV has all of them."""
REPORTED_NAMES = 40
"""Columns, or files of a zip, that the report names."""
HINTS = 20
"""Unknown titles for which the report suggests the closest movie."""


class ImportReport:
    """What became of an upload, in the visitor's language."""

    def __init__(self, page: PageContext, upload: Upload, plan: ImportPlan) -> None:
        self._page, self._upload, self._plan = page, upload, plan
        self._n_hints = 0

    def page(self) -> Response:
        """The report as a page, with the first rows of each kind."""
        outcomes = list(self._with_files())
        kept = [(file, outcome) for file, outcome in outcomes if outcome.is_kept]
        lost = [(file, outcome) for file, outcome in outcomes if not outcome.is_kept]
        return self._page.respond(
            "import_report.html",
            n_new=len(self._plan.events),
            import_id=self._plan.import_id if self._plan.events else "",
            counts=self._plan.counts().most_common(),
            files=[(file.name, len(file.rows), self._notes(file)) for file in self._upload.files],
            left_out=self._left_out_by_reason(),
            has_files=len(self._upload.files) > 1,
            parts=[
                (name, len(part), [self._line(*row) for row in part[:REPORTED_ROWS]], max(0, len(part) - REPORTED_ROWS))
                for name, part in (("left_out", lost), ("all_in", kept))
                if part
            ],
        )

    def csv(self) -> Response:
        """The report as CSV: every row, and before them what was read of each file, in rows without a number."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["file", "row", "said", "kept", "outcome", "item_id"])
        for file in self._upload.files:
            writer.writerows([as_cell(file.name), "", "", "", as_cell(note), ""] for note in self._notes(file))
        for name, reason in self._upload.left_out:
            writer.writerow([as_cell(name), "", "", "no", self._page.texts(f"transfer.left.{reason}"), ""])
        ids, texts = self._page.site.engine.items.ids.tolist(), self._page.texts
        reasons = {reason: texts(f"transfer.reason.{reason}") for reason in self._plan.counts()}
        for file, outcome in self._with_files():
            item_id = "" if outcome.item_row is None else ids[outcome.item_row]
            said = f"{reasons[outcome.reason]}{self._choice(outcome)}"
            kept = "yes" if outcome.is_kept else "no"
            writer.writerow([as_cell(file.name), outcome.row.line, "'" + outcome.row.summary, kept, said, item_id])
        return Response(out.getvalue(), media_type="text/csv; charset=utf-8")

    def _with_files(self) -> Iterator[tuple[ImportFile, Outcome]]:
        outcomes = iter(self._plan.outcomes)
        for file in self._upload.files:
            for _ in file.rows:
                yield file, next(outcomes)

    def _line(self, file: ImportFile, outcome: Outcome) -> dict[str, object]:
        """A row of the page, with its movie, or the closest one to an unknown title."""
        movie = outcome.item_row
        if outcome.reason == "unknown" and outcome.row.title and self._n_hints < HINTS:
            self._n_hints += 1
            movie = next(iter(self._page.site.search.find(outcome.row.title[:100], 1)), None)
        card = None if movie is None else self._page.cards.plain([movie], {})[0]
        choice = self._choice(outcome)
        return {"file": file.name, "row": outcome.row, "reason": outcome.reason, "card": card, "choice": choice}

    def _choice(self, outcome: Outcome) -> str:
        return f" ({self._page.texts('transfer.better_known')})" if outcome.is_better_known else ""

    def _site(self, file: ImportFile) -> str:
        site = file.site if file.site == "matinee" or self._page.site.wording.is_movies else "table"
        return self._page.texts(f"transfer.site.{site}")

    def _notes(self, file: ImportFile) -> list[str]:
        """What was read of a file: its columns, those that are not used, and the scale of its ratings."""
        texts = self._page.texts
        columns_of: dict[str, list[str]] = {}
        for column, field in file.columns.items():
            columns_of.setdefault(texts(f"transfer.field.{field}"), []).append(column)
        read = ", ".join(f"{field} ({', '.join(columns)})" for field, columns in columns_of.items())
        key = "columns_by_name" if file.site == "table" else "columns"
        notes = [texts(f"transfer.{key}", site=self._site(file), columns=read)]
        if file.unused:
            notes.append(texts("transfer.unused", n=len(file.unused), columns=_joined(file.unused)))
        if (scale := file.scale) is not None:
            key = "five" if scale.out_of == 5 else scale.by
            values = {"site": self._site(file), "out_of": scale.out_of, "highest": f"{scale.highest:g}"}
            notes.append(texts(f"transfer.scale.{key}", **values, row=scale.line))
        return notes

    def _left_out_by_reason(self) -> list[tuple[str, str]]:
        """The files of zips that were not read, those with one reason together."""
        names: dict[str, list[str]] = {}
        for name, reason in self._upload.left_out:
            names.setdefault(reason, []).append(name)
        return [(_joined(found), self._page.texts(f"transfer.left.{reason}")) for reason, found in names.items()]


def _joined(names: Sequence[str]) -> str:
    shown = ", ".join(name[:60] for name in names[:REPORTED_NAMES])
    return f"{shown}, …" if len(names) > REPORTED_NAMES else shown
