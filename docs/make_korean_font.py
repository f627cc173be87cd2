"""Makes the Korean font of the site: parts of Pretendard in `serve/static/fonts/`, and their rules in `fonts.css`.

    python docs/make_korean_font.py PretendardVariable.ttf

The file is of the npm package pretendard 1.3.9; fontTools reads and brotli packs it. A browser loads a part when a page
has one of its letters: 0 for the link to this language on English pages, 1 for what every Korean page says, 2 for names
of films, 3 for the other pages; the rest are the 2,350 most common syllables (KS X 1001) in their order. The name
differs, because the licence reserves the font's own for whole copies.
"""

import re
import sys
import tomllib
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

from matinee.serve.pages.i18n import TEXTS

SOURCE = Path(__file__).parents[1] / "src/matinee"
PAGES = SOURCE / "serve/pages"
STATIC = SOURCE / "serve/static"
FAMILY = "Matinee Hangul"
LINK = "한국어"
COMMON_TEXTS = ("base", "date", "genre", "lab", "mark", "more", "reason", "said", "search")
PAGE_TEXTS = ("hide", "home", "later", "like_this", "movie", "shared", "tonight")
ON_EVERY_PAGE = (*COMMON_TEXTS, *PAGE_TEXTS)
"""Tables of the texts that nearly every page has."""
OF_OTHER_TABLES = ("mine.title", "rerank.title", "why.link")
"""Texts of other tables on nearly every page."""
PUNCTUATION = " ‘’“”…·"
"""From this font too: a space of a narrow Latin face would all but vanish between Korean words."""
PER_PART = 330
"""Syllables, about 45 kB."""
WEIGHTS = (400, 800)


def letters(text: str) -> set[str]:
    """The Korean syllables of a text."""
    return set(re.findall("[가-힣]", text))


def texts_of(table: dict[str, object]) -> str:
    """All texts of a table, with those of its tables."""
    return "".join(texts_of(value) if isinstance(value, dict) else str(value) for value in table.values())


def parts() -> list[list[str]]:
    """The letters of each part, in order of their numbers."""
    files = [*sorted((PAGES / "languages/ko").rglob("*.toml")), PAGES / "words/ko.toml"]
    tables = [tomllib.loads(path.read_text("utf-8")) for path in files]
    first = {
        letter for table in tables for name in ON_EVERY_PAGE for letter in letters(texts_of({"": table.get(name, {})}))
    }
    for key, text in TEXTS["ko"].entries.items():  # with the words of movies in their places
        if key.partition(".")[0] in ON_EVERY_PAGE or key in OF_OTHER_TABLES:
            first |= letters(str(text))
    cards = "".join(path.read_text("utf-8") for path in sorted((SOURCE / "models").rglob("*.toml")))
    films = letters((SOURCE / "serve/korean_titles.toml").read_text("utf-8")) - first
    others = letters("".join(map(texts_of, tables)) + cards) - first - films
    common = {bytes((a, b)).decode("euc-kr") for a in range(0xB0, 0xC9) for b in range(0xA1, 0xFF)}
    rest = sorted(common - first - films - others)
    size = -(-len(rest) // -(-len(rest) // PER_PART))
    link = set(LINK)
    return [
        sorted(link),
        sorted((first | set(PUNCTUATION)) - link),
        sorted(films - link),
        sorted(others - link),
        *(rest[at : at + size] for at in range(0, len(rest), size)),
    ]


def unicode_range(number: int, chosen: list[str]) -> str:
    """The letters as CSS has them. Of the standard's parts as one range, of which later rules take theirs."""
    codes = [ord(letter) for letter in chosen]
    if number > 3:
        return f"U+{codes[0]:X}-{codes[-1]:X}"
    starts = [code for code in codes if code - 1 not in codes]
    ends = [code for code in codes if code + 1 not in codes]
    return ", ".join(f"U+{a:X}" if a == b else f"U+{a:X}-{b:X}" for a, b in zip(starts, ends, strict=True))


def subset(source: Path, chosen: list[str], path: Path) -> None:
    """Write these letters of the font, under its other name."""
    font = TTFont(source)
    options = Options(
        layout_features=["kern"], hinting=False, name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14], notdef_outline=True
    )
    subsetter = Subsetter(options)
    subsetter.populate(text="".join(chosen))
    subsetter.subset(font)
    font = instantiateVariableFont(font, {"wght": WEIGHTS}, inplace=True)
    for name, text in {1: FAMILY, 3: FAMILY, 4: FAMILY, 6: FAMILY.replace(" ", "")}.items():
        font["name"].setName(text, name, 3, 1, 0x409)
    font.flavor = "woff2"
    font.save(path)


def main() -> None:
    """Write the parts and the rules."""
    rules: list[str] = []
    head = "/* By docs/make_korean_font.py: Pretendard by Kil Hyung-jin (SIL Open Font License), under another name. */"
    for old in (STATIC / "fonts").glob("hangul-*.woff2"):
        old.unlink()
    for number, chosen in reversed(list(enumerate(parts()))):
        path = STATIC / f"fonts/hangul-{number}.woff2"
        subset(Path(sys.argv[1]), chosen, path)
        rules.append(
            f'@font-face {{ font-family: "{FAMILY}"; src: url(fonts/{path.name}) format("woff2"); '
            f"font-weight: {WEIGHTS[0]} {WEIGHTS[1]}; font-display: swap; "
            f"unicode-range: {unicode_range(number, chosen)}; }}"
        )
    others = (STATIC / "fonts.css").read_text("utf-8").partition(head)[0]
    (STATIC / "fonts.css").write_text(others + "\n".join([head, *rules]) + "\n", "utf-8")


if __name__ == "__main__":
    main()
