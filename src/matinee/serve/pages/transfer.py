"""The visitor's own data: importing from other sites, and downloading all of it."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from starlette.datastructures import UploadFile

from matinee.serve.accounts.rate_limit import network_of
from matinee.serve.dependencies import CurrentSite
from matinee.serve.pages.account import CurrentCaller
from matinee.serve.pages.context import Page, PageContext
from matinee.serve.pages.errors import PageError
from matinee.serve.pages.import_report import ImportReport
from matinee.serve.transfer.export import VisitorExport, as_csv, as_json, in_pieces
from matinee.serve.transfer.importer import ImportPlan
from matinee.serve.transfer.read import read_upload
from matinee.serve.transfer.rows import UnreadableError, Upload
from matinee.store.protocols import Import

PATIENCE = 5.0
"""Seconds that an import waits for the one before it."""
FILES = 5
LONGEST_NAME = 100
"""Letters of a file's name in reports."""
SITES = ("imdb", "letterboxd", "trakt", "simkl", "movielens", "table")
"""Where an import may come from, as the form explains it."""

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
        return VisitorExport("", None, [], [], [], [], title)
    accounts, user_id = site.accounts, identity.user_id
    member = accounts.member(identity) if identity.session_id else None
    events, lists = accounts.everything(user_id), accounts.lists(user_id)
    imports = site.imports.recent(user_id, site.now())
    return VisitorExport(user_id, member, accounts.sessions(identity), imports, events, lists, title)


Files = Annotated[list[UploadFile], Depends(get_files)]
Export = Annotated[VisitorExport, Depends(get_export)]


@router.get("/my/import")
def import_form(page: Page) -> Response:
    """Which files the site reads, and where to get them."""
    return _form(page)


@router.post("/my/import")
def import_files(
    page: Page, caller: CurrentCaller, files: Files, report: Annotated[str, Form(max_length=10)] = "page"
) -> Response:
    """Write the events of the files, and report the outcome of each row. Sending a file twice writes it once."""
    try:
        seconds = page.resources.import_limit.take(network_of(caller.address))
        if seconds:
            raise PageError("account.refused.too_often", 429, n=-(-seconds // 60))
        upload = read_upload((str(file.filename)[:LONGEST_NAME], file.file.read()) for file in files)
        if not upload.n_rows:
            raise PageError("transfer.refused.nothing" if not files else "transfer.refused.no_rows")
        cookie = Response()
        plan = _import(page, cookie, upload)
    except UnreadableError as error:
        return _form(page, 422, page.texts(f"transfer.refused.{error.key}", **error.values))
    except PageError as error:
        return _form(page, error.status, page.texts(error.key, **error.values))
    report_of = ImportReport(page, upload, plan)
    answer = _attached(report_of.csv(), "matinee-import.csv") if report == "csv" else report_of.page()
    answer.raw_headers += [header for header in cookie.raw_headers if header[0] == b"set-cookie"]
    return answer


@router.post("/my/import/undo")
def undo(page: Page, import_id: Annotated[str, Form(max_length=100)]) -> Response:
    """Take back an import of the last day, of this visitor; a second click changes nothing."""
    site = page.site
    user_id = site.visitors.user_id(page.request)
    n_events = None if user_id is None else site.imports.undo(user_id, import_id, site.now())
    return RedirectResponse(f"/my?done={'not_undone' if n_events is None else 'undone'}", status_code=303)


@router.get("/my/data.json")
def download_json(export: Export) -> Response:
    """Everything that the site stores of the visitor, as JSON."""
    return _download(as_json(export), "application/json", "matinee.json")


@router.get("/my/data.csv")
def download_csv(export: Export) -> Response:
    """Everything that the site stores of the visitor, as CSV."""
    return _download(as_csv(export), "text/csv", "matinee.csv")


def _form(page: PageContext, status: int = 200, refused: str = "") -> Response:
    sites = SITES if page.site.wording.is_movies else ("matinee", "table")
    return page.respond("import.html", status, refused=refused, sites=sites)


def _import(page: PageContext, cookie: Response, upload: Upload) -> ImportPlan:
    """Write the events of an upload. cookie: gets the cookie of a new guest. Raises PageError if the site is busy."""
    site = page.site
    if not site.importer.lock.acquire(timeout=PATIENCE):
        raise PageError("transfer.refused.busy", 429)
    try:
        now = site.now()
        user_id = site.visitors.open(page.request, cookie, now)
        rows = [row for file in upload.files for row in file.rows]
        plan = site.importer.plan(user_id, rows, site.accounts.everything(user_id), now)
        site.imports.write(Import(plan.import_id, user_id, now, tuple(upload.names)), plan.events, plan.known)
        return plan
    finally:
        site.importer.lock.release()


def _download(parts: Iterator[str], media_type: str, name: str) -> Response:
    return _attached(StreamingResponse(in_pieces(parts), media_type=f"{media_type}; charset=utf-8"), name)


def _attached(response: Response, name: str) -> Response:
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
