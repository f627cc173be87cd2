"""Makes the Latin fonts of the site smaller: of Archivo, the weights and widths that its pages use.

    python docs/make_latin_font.py FOLDER

FOLDER holds archivo-latin.woff2 and archivo-latin-ext.woff2 as Google Fonts serve them (weights 100 to 900, widths 62
to 125), two parts of one variable font. fontTools cuts and brotli packs them. Of 90 and 86 kB remain 60 and 57.
"""

import sys
from pathlib import Path

from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

FONTS = Path(__file__).parents[1] / "src/matinee/serve/static/fonts"
LIMITS = {"wght": (400, 800), "wdth": (62, 100)}
"""What the styles ask for: regular to extra bold, normal to extra condensed."""


def main() -> None:
    """Write both parts."""
    for name in ("archivo-latin.woff2", "archivo-latin-ext.woff2"):
        font = instantiateVariableFont(TTFont(Path(sys.argv[1]) / name), LIMITS)
        font.flavor = "woff2"
        font.save(FONTS / name)


if __name__ == "__main__":
    main()
