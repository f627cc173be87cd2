"""The visitor's own data: importing from other sites, and downloading all of it."""

import csv
import io
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response, StreamingResponse
from starlette.datastructures import UploadFile

from matinee.serve.accounts.rate_limit import network_of
from matinee.serve.dependencies import CurrentSite
from matinee.serve.pages.account import CurrentCaller
from matinee.serve.pages.context import Page, PageContext
from matinee.serve.pages.errors import PageError
from matinee.serve.pages.i18n import Texts
from matinee.serve.site import Site
from matinee.serve.transfer.export import VisitorExport, as_csv, as_json, in_pieces
from matinee.serve.transfer.importer import ImportPlan, Outcome
from matinee.serve.transfer.read import ImportRow, UnreadableError, read_rows

REPORTED_ROWS = 300
"""Rows of each kind in the report's page; its CSV has all of them."""
HINTS = 20
"""Unknown titles for which the report suggests the closest movie."""
PATIENCE = 5.0
"""Seconds that an import waits for the one before it."""
FILES = 5

router = APIRouter()


async def get_files(request: Request) -> list[UploadFile]:
    """The files of a form; a browser sends an empty text if none was chosen."""
    sent = (await request.form()).getlist("files")
    return [file for file in sent if isinstance(file, UploadFile) and file.filename][:FILES]


def get_export(request: Request, site: CurrentSite) -> VisitorExport:
    """Everything that the site stores of the visitor."""
    identity = site.visitors.identity(request)

    def title(item_id: str) -> str:
        row = site.engine.items.row(item_id)
        return site.catalogue.titles[row] if row >= 0 else ""

    if identity is None:
        return VisitorExport("", None, [], [], [], title)
    accounts, user_id = site.accounts, identity.user_id
    member = accounts.member(identity) if identity.session_id else None
    events, lists = accounts.everything(user_id), accounts.lists(user_id)
    return VisitorExport(user_id, member, accounts.sessions(identity), events, lists, title)


Files = Annotated[list[UploadFile], Depends(get_files)]
Export = Annotated[VisitorExport, Depends(get_export)]


@router.get("/my/import")
def import_form(page: Page) -> Response:
    """Which files the site reads, and where to get them."""
    return page.respond("import.html", refused="", report=None)


@router.post("/my/import")
def import_files(
    page: Page, caller: CurrentCaller, files: Files, report: Annotated[str, Form(max_length=10)] = "page"
) -> Response:
    """Write the events of the files, and report the outcome of each row. Sending a file twice writes it once."""
    rows: list[ImportRow] = []
    try:
        seconds = page.resources.import_limit.take(network_of(caller.address))
        if seconds:
            raise PageError("account.refused.too_often", 429, n=-(-seconds // 60))
        for file in files:
            rows += _read(file)
        if not rows:
            raise PageError("transfer.refused.nothing")
    except PageError as error:
        return page.respond("import.html", error.status, refused=page.texts(error.key, **error.values), report=None)
    cookie = Response()
    plan = _import(page, cookie, rows)
    answer = _csv_report(page.site, plan, page.texts) if report == "csv" else _report_page(page, plan)
    answer.raw_headers += [header for header in cookie.raw_headers if header[0] == b"set-cookie"]
    return answer


@router.get("/my/data.json")
def download_json(export: Export) -> Response:
    """Everything that the site stores of the visitor, as JSON."""
    return _download(as_json(export), "application/json", "matinee.json")


@router.get("/my/data.csv")
def download_csv(export: Export) -> Response:
    """Everything that the site stores of the visitor, as CSV."""
    return _download(as_csv(export), "text/csv", "matinee.csv")


def _read(file: UploadFile) -> list[ImportRow]:
    try:
        return read_rows(file.file.read())
    except UnreadableError as error:
        raise PageError(f"transfer.refused.{error.key}", name=str(file.filename)[:100], n=error.n) from None


def _import(page: PageContext, cookie: Response, rows: list[ImportRow]) -> ImportPlan:
    """Write the events of rows. cookie: gets the cookie of a new guest. Raises PageError if the site is busy."""
    site = page.site
    if not site.importer.lock.acquire(timeout=PATIENCE):
        raise PageError("transfer.refused.busy", 429)
    try:
        now = site.now()
        user_id = site.visitors.open(page.request, cookie, now)
        plan = site.importer.plan(user_id, rows, site.accounts.everything(user_id), now)
        site.log.append(plan.events)
        return plan
    finally:
        site.importer.lock.release()


def _report_page(page: PageContext, plan: ImportPlan) -> Response:
    kept = [outcome for outcome in plan.outcomes if outcome.is_kept]
    lost = [outcome for outcome in plan.outcomes if not outcome.is_kept]
    report = {
        "n_new": len(plan.events),
        "counts": plan.counts().most_common(),
        "parts": [
            (name, len(part), _lines(page, part[:REPORTED_ROWS]), max(0, len(part) - REPORTED_ROWS))
            for name, part in (("left_out", lost), ("all_in", kept))
            if part
        ],
    }
    return page.respond("import.html", refused="", report=report)


def _lines(page: PageContext, outcomes: list[Outcome]) -> list[dict[str, object]]:
    """Rows of the report, with the movie of each, or the closest to an unknown title."""
    lines: list[dict[str, object]] = []
    n_hints = 0
    for outcome in outcomes:
        movie = outcome.item_row
        if outcome.reason == "unknown" and outcome.row.title and n_hints < HINTS:
            n_hints += 1
            movie = next(iter(page.site.search.find(outcome.row.title[:100], 1)), None)
        card = None if movie is None else page.cards.plain([movie], {})[0]
        lines.append({"row": outcome.row, "reason": outcome.reason, "card": card})
    return lines


def _csv_report(site: Site, plan: ImportPlan, texts: Texts) -> Response:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["row", "said", "kept", "outcome", "item_id"])
    for outcome in plan.outcomes:
        item_id = "" if outcome.item_row is None else site.engine.items.id(outcome.item_row)
        reason = texts(f"transfer.reason.{outcome.reason}")
        kept = "yes" if outcome.is_kept else "no"
        writer.writerow([outcome.row.line, "'" + outcome.row.summary, kept, reason, item_id])
    return _attached(Response(out.getvalue(), media_type="text/csv; charset=utf-8"), "matinee-import.csv")


def _download(parts: Iterator[str], media_type: str, name: str) -> Response:
    return _attached(StreamingResponse(in_pieces(parts), media_type=f"{media_type}; charset=utf-8"), name)


def _attached(response: Response, name: str) -> Response:
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
