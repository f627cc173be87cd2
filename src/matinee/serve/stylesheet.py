"""The site's styles as pages hold them, so that the first paint waits for no second answer."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

STATIC = Path(__file__).parent / "static"


def shortened(css: str) -> str:
    """The same rules without comments, and without the blanks around braces and semicolons."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    return re.sub(r"\s*([{};])\s*", r"\1", re.sub(r"\s+", " ", css)).strip()


def source_of(style: str) -> str:
    """What `style-src` of a Content-Security-Policy calls a style that stands in a page."""
    return f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"


INLINED = {
    name: shortened((STATIC / f"{name}.css").read_text("utf-8")) for name in ("site", "text", "lab", "map", "operate")
}
"""By the name of its file: of every page, of pages to read or fill in, of models and reasons, the map, the operator's.

They name no file, whose path would depend on where the site is mounted; fonts are in fonts.css, loaded beside the page.
"""
STYLE_SOURCES = " ".join(map(source_of, INLINED.values()))
