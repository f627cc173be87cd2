"""What other programs read of the site: the picture of one's nine, the manifest, and what crawlers may fetch."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from matinee.serve.art.nine import draw_nine
from matinee.serve.pages.context import Page, Visitor
from matinee.serve.pages.errors import PageError

NINE = 9
PRIVATE = ("/my", "/account", "/language", "/why/", "/search", "/compare", "/lab/", "/api/")
"""What a crawler has no use for: pages of one visitor, and pages without end."""

router = APIRouter()


@router.get("/my/nine.svg")
def nine(page: Page, visitor: Visitor) -> Response:
    """The visitor's taste in nine items: what they rated highest, the newest first among equals."""
    watched = visitor.watched
    if not watched:
        raise PageError("share.nothing", 404)
    best = sorted(watched, key=lambda row: -float(watched[row].value or 0.0))[:NINE]  # stable: the newest come first
    texts, catalogue = page.texts, page.site.catalogue
    covers = [page.site.covers.draw(row, tuple(map(texts.genre, catalogue.genres[row]))) for row in best]
    headers = {"Content-Disposition": 'inline; filename="matinee-nine.svg"', "Cache-Control": "private, no-store"}
    drawn = draw_nine(covers, texts("share.title", n=len(best)), "Matinee")
    return Response(drawn, media_type="image/svg+xml", headers=headers)


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
