"""What other programs read of the site: pictures to share, the manifest, and what crawlers may fetch."""

from subprocess import SubprocessError

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from matinee.serve.art.png import draw_png
from matinee.serve.art.shared import PREVIEW_WIDTH, SHOWN, draw_item_preview, draw_nine, draw_site_preview
from matinee.serve.pages.context import Page, PageContext, Visitor
from matinee.serve.pages.dependencies import MovieRow
from matinee.serve.pages.errors import PageError
from matinee.serve.pages.rendering import cover_of
from matinee.serve.visitor_state import VisitorState

NINE = 9
NINE_WIDTH = 832
"""Pixels of the picture of nine."""
A_DAY = {"Cache-Control": "public, max-age=86400"}
PRIVATE = ("/my", "/account", "/language", "/why/", "/search", "/compare", "/lab/", "/api/")
"""What a crawler has no use for: pages of one visitor, and pages without end."""

router = APIRouter()


@router.get("/my/nine.svg")
def nine(page: Page, visitor: Visitor) -> Response:
    """The visitor's taste in nine items: what they rated highest, the newest first among equals."""
    return Response(_nine(page, visitor), media_type="image/svg+xml", headers=_own("matinee-nine.svg"))


@router.get("/my/nine.png")
def nine_as_png(page: Page, visitor: Visitor) -> Response:
    """The same for programs that show no SVG."""
    return _png(_nine(page, visitor), NINE_WIDTH, _own("matinee-nine.png"))


def _nine(page: PageContext, visitor: VisitorState) -> str:
    watched = visitor.watched
    if not watched:
        raise PageError("share.nothing", 404)
    best = sorted(watched, key=lambda row: -float(watched[row].value or 0.0))[:NINE]  # stable: the newest come first
    return draw_nine(_covers(page, best), page.texts("share.title", n=len(best)), "Matinee")


@router.get("/preview.png")
def site_preview(page: Page) -> Response:
    """What programs show that preview a link to the site."""
    covers = _covers(page, [item.item_row for item in page.site.engine.popular(SHOWN)])
    return _png(draw_site_preview(covers, "Matinee", page.texts("base.description")), PREVIEW_WIDTH, A_DAY)


@router.get("/preview/{item_id:path}")
def item_preview(page: Page, row: MovieRow) -> Response:
    """The same of an item's page."""
    card = page.plain_cards.facts(row)
    words = " · ".join([*([str(card.year)] if card.year else []), *map(page.texts.genre, card.genres[:3])])
    drawn = draw_item_preview(_covers(page, [row])[0], card.title.name, words, "Matinee")
    return _png(drawn, PREVIEW_WIDTH, A_DAY)


def _covers(page: PageContext, rows: list[int]) -> list[str]:
    seconds = page.site.covers.seconds(rows)
    cards = [page.plain_cards.card(row, {}, second=second) for row, second in zip(rows, seconds, strict=True)]
    return [cover_of(page.site, card, page.texts) for card in cards]


def _own(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": "private, no-store"}


def _png(svg: str, width: int, headers: dict[str, str]) -> Response:
    try:
        return Response(draw_png(svg, width), media_type="image/png", headers=headers)
    except SubprocessError as error:
        raise PageError("share.failed", 503) from error


@router.get("/manifest.webmanifest")
def manifest(page: Page) -> Response:
    """The web application manifest: with it a phone can keep the site among its applications."""
    root = page.request.scope.get("root_path", "")
    icon = {"src": f"{root}/static/favicon.svg", "sizes": "any", "type": "image/svg+xml"}
    content = {
        "name": "Matinee",
        "short_name": "Matinee",
        "description": page.texts("base.description"),
        "lang": page.texts.language,
        "start_url": f"{root}/",
        "scope": f"{root}/",
        "display": "minimal-ui",
        "background_color": "#f7f2e9",
        "theme_color": "#f7f2e9",
        "icons": [icon],
    }
    return JSONResponse(content, media_type="application/manifest+json")


@router.get("/robots.txt")
def robots(page: Page) -> Response:
    """Which pages crawlers may fetch."""
    root = page.request.scope.get("root_path", "")
    return PlainTextResponse("User-agent: *\n" + "".join(f"Disallow: {root}{path}\n" for path in PRIVATE))
