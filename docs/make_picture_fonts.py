"""Makes the fonts of the site's PNG pictures from those of its pages: `python docs/make_picture_fonts.py`.

The library that draws PNG reads neither woff2 nor widths of variable fonts. So one TTF each is cut from the site's own:
Archivo as titles of covers have it and as small print has it, and one weight of the Korean letters. Needs fontTools and
brotli.
"""

import tempfile
from pathlib import Path

from fontTools.merge import Merger
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

SERVE = Path(__file__).parents[1] / "src/matinee/serve"
PAGES, PICTURES = SERVE / "static/fonts", SERVE / "art/fonts"
LATIN = {"Matinee Title": {"wght": 800, "wdth": 62}, "Matinee Text": {"wght": 600, "wdth": 100}}
HANGUL = "Matinee Hangul"
LAYOUT = ("GPOS", "GSUB", "GDEF", "STAT", "vhea", "vmtx", "HVAR")
"""Tables of features that pictures do without."""


def fixed(source: Path, place: dict[str, float], family: str) -> TTFont:
    """One point of a variable font, under a name of its own."""
    font = instantiateVariableFont(TTFont(source), place, inplace=True)
    for table in LAYOUT:
        if table in font:
            del font[table]
    for number, text in {1: family, 2: "Regular", 4: family, 6: family.replace(" ", ""), 16: family}.items():
        font["name"].setName(text, number, 3, 1, 0x409)
    font["OS/2"].usWeightClass, font["OS/2"].usWidthClass = 400, 5
    font.flavor = None
    return font


def main() -> None:
    """Write the fonts."""
    for family, place in LATIN.items():
        fixed(PAGES / "archivo-latin.woff2", place, family).save(PICTURES / f"{family.split()[1].lower()}.ttf")
    with tempfile.TemporaryDirectory() as folder:
        parts = [Path(folder) / f"{n}.ttf" for n, _ in enumerate(PAGES.glob("hangul-*.woff2"))]
        for n, part in enumerate(parts):
            fixed(PAGES / f"hangul-{n}.woff2", {"wght": 700}, HANGUL).save(part)
        Merger().merge([str(part) for part in parts]).save(PICTURES / "hangul.ttf")


if __name__ == "__main__":
    main()
