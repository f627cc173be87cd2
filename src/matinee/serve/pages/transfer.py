"""One's own data in and out: importing from other sites, downloading everything."""

import csv
import io
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response, StreamingResponse
from starlette.datastructures import UploadFile

from matinee.serve.accounts.rate_limit import Throttle, network_of
from matinee.serve.pages.account import caller_of
from matinee.serve.pages.base import Frame, PageError
from matinee.serve.pages.cards import Card
from matinee.serve.pages.i18n import Texts, texts_for
from matinee.serve.transfer.export import Kept, as_csv, as_json, in_pieces
from matinee.serve.transfer.importer import Outcome, Plan
from matinee.serve.transfer.read import Row, UnreadableError, read_rows

SHOWN_ROWS = 300
"""Rows of each kind on the page of the report; the report as CSV has all of them."""
HINTS = 20
"""Titles without a match for which the nearest one is looked for."""
PATIENCE = 5.0
"""Seconds that an import waits for the one before it."""
IMPORTS, IMPORTS_SECONDS = 30, 3600
"""Imports from an address in an hour: the largest keeps a core busy for seconds."""
FILES = 5


async def uploaded(request: Request) -> list[UploadFile]:
    """The files of a form; a browser sends an empty text where none was chosen."""
    sent = (await request.form()).getlist("files")
    return [file for file in sent if isinstance(file, UploadFile) and file.filename][:FILES]


Files = Annotated[list[UploadFile], Depends(uploaded)]


class TransferPages:
    """Import and download."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._site = frame.site
        self._tries = Throttle(frame.site.clock, IMPORTS, IMPORTS_SECONDS)

    def add_to(self, router: APIRouter) -> None:
        """Add its routes."""
        router.get("/my/import")(self.form)
        router.post("/my/import")(self.import_files)
        router.get("/my/data.json")(self.json)
        router.get("/my/data.csv")(self.csv)

    def form(self, request: Request) -> Response:
        """Which files, and from where."""
        return self._frame.page(request, "import.html", refused="", report=None)

    def import_files(
        self, request: Request, files: Files, report: Annotated[str, Form(max_length=10)] = "page"
    ) -> Response:
        """Write what the files say, and tell of each row what became of it; sent twice, it is written once."""
        texts = texts_for(request)
        rows: list[Row] = []
        try:
            self._require_turn(request)
            for file in files:
                rows += self._read(file, texts)
            if not rows:
                raise PageError("transfer.refused.nothing")
        except PageError as error:
            said = texts(error.key, **error.values)
            return self._frame.page(request, "import.html", error.status, refused=said, report=None)
        cookie = Response()
        plan = self._import(request, cookie, rows)
        answer = self._table(plan, texts) if report == "csv" else self._page(request, plan, texts)
        answer.raw_headers += [header for header in cookie.raw_headers if header[0] == b"set-cookie"]
        return answer

    def json(self, request: Request) -> Response:
        """Everything that is kept, as JSON."""
        return _download(as_json(self._kept(request)), "application/json", "matinee.json")

    def csv(self, request: Request) -> Response:
        """Everything that is kept, as CSV."""
        return _download(as_csv(self._kept(request)), "text/csv", "matinee.csv")

    def _require_turn(self, request: Request) -> None:
        seconds = self._tries.take(network_of(caller_of(request).address))
        if seconds:
            raise PageError("account.refused.too_often", 429, n=-(-seconds // 60))

    def _read(self, file: UploadFile, texts: Texts) -> list[Row]:
        try:
            return read_rows(file.file.read())
        except UnreadableError as error:
            raise PageError(f"transfer.refused.{error.key}", name=str(file.filename)[:100], n=error.n) from None

    def _import(self, request: Request, cookie: Response, rows: list[Row]) -> Plan:
        site = self._site
        if not site.importer.turn.acquire(timeout=PATIENCE):
            raise PageError("transfer.refused.busy", 429)
        try:
            now = site.now()
            user_id = site.visitors.open(request, cookie, now)
            plan = site.importer.plan(user_id, rows, site.accounts.everything(user_id), now)
            site.log.append(plan.events)
            return plan
        finally:
            site.importer.turn.release()

    def _page(self, request: Request, plan: Plan, texts: Texts) -> Response:
        kept = [outcome for outcome in plan.outcomes if outcome.is_kept]
        lost = [outcome for outcome in plan.outcomes if not outcome.is_kept]
        report = {
            "n_new": len(plan.events),
            "counts": plan.counts().most_common(),
            "parts": [
                (name, len(part), self._lines(part[:SHOWN_ROWS], texts), max(0, len(part) - SHOWN_ROWS))
                for name, part in (("left_out", lost), ("all_in", kept))
                if part
            ],
        }
        return self._frame.page(request, "import.html", refused="", report=report)

    def _lines(self, outcomes: list[Outcome], texts: Texts) -> list[dict[str, Any]]:
        lines, hints = [], 0
        for outcome in outcomes:
            movie = outcome.item_row
            if outcome.reason == "unknown" and outcome.row.title and hints < HINTS:
                hints += 1
                movie = next(iter(self._site.search.find(outcome.row.title[:100], 1)), None)
            card: Card | None = None if movie is None else self._frame.cards.plain([movie], {})[0]
            lines.append({"row": outcome.row, "reason": outcome.reason, "card": card})
        return lines

    def _table(self, plan: Plan, texts: Texts) -> Response:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["row", "said", "kept", "outcome", "item_id"])
        for outcome in plan.outcomes:
            item_id = "" if outcome.item_row is None else self._site.engine.items.id(outcome.item_row)
            said = [texts(f"transfer.reason.{outcome.reason}"), item_id]
            writer.writerow([outcome.row.line, "'" + outcome.row.shown, "yes" if outcome.is_kept else "no", *said])
        return _attached(Response(out.getvalue(), media_type="text/csv; charset=utf-8"), "matinee-import.csv")

    def _kept(self, request: Request) -> Kept:
        site, who = self._site, self._site.visitors.who(request)
        if who is None:
            return Kept("", None, [], [], [], self._title)
        accounts, user_id = site.accounts, who.user_id
        member = accounts.member(who) if who.session_id else None
        events, lists = accounts.everything(user_id), accounts.lists(user_id)
        return Kept(user_id, member, accounts.sessions(who), events, lists, self._title)

    def _title(self, item_id: str) -> str:
        row = self._site.engine.items.row(item_id)
        return self._site.catalogue.titles[row] if row >= 0 else ""


def _download(parts: Any, media_type: str, name: str) -> Response:  # noqa: ANN401 - an iterator of text
    return _attached(StreamingResponse(in_pieces(parts), media_type=f"{media_type}; charset=utf-8"), name)


def _attached(response: Response, name: str) -> Response:
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
