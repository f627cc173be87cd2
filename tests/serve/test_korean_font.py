"""The Korean font of the site: its parts and which letters each holds."""

import re

from matinee.serve.pages.i18n import TEXTS
from matinee.serve.stylesheet import STATIC

RULES = re.findall(r"url\((fonts/hangul\S+?)\).*?unicode-range: ([^;]+);", (STATIC / "fonts.css").read_text("utf-8"))


def letters_of(ranges: str) -> set[str]:
    """The letters of a unicode-range."""
    ends = [part.strip().removeprefix("U+").split("-") for part in ranges.split(",")]
    return {chr(code) for end in ends for code in range(int(end[0], 16), int(end[-1], 16) + 1)}


def test_every_korean_letter_of_the_texts_and_of_the_standard_is_in_a_part() -> None:
    held = set().union(*(letters_of(ranges) for _, ranges in RULES))
    texts = "".join(str(entry) for entry in TEXTS["ko"].entries.values())
    common = bytes(byte for a in range(0xB0, 0xC9) for b in range(0xA1, 0xFF) for byte in (a, b)).decode("euc-kr")
    assert len(common) == 2350
    assert set(re.findall("[가-힣]", texts)) | set(common) <= held


def test_a_home_page_in_korean_needs_two_parts_and_an_english_one_the_smallest() -> None:
    def parts_for(text: str) -> set[str]:
        found = (next((path for path, ranges in reversed(RULES) if one in letters_of(ranges)), "") for one in text)
        return set(filter(None, found))

    tables = (
        "home.",
        "base.",
        "mark.",
        "search.",
        "reason.",
        "genre.",
        "hide.",
        "tonight.",
        "later.",
        "lab.",
        "why.link",
        "mine.title",
        "rerank.title",
        "movie.",
    )
    home = "".join(str(text) for key, text in TEXTS["ko"].entries.items() if key.startswith(tables))
    assert parts_for("한국어") == {"fonts/hangul-0.woff2"}
    assert parts_for(home) <= {"fonts/hangul-0.woff2", "fonts/hangul-1.woff2", ""}


def test_the_parts_are_small_and_come_with_their_licence() -> None:
    sizes = {path: (STATIC / path).stat().st_size for path, _ in RULES}
    assert sizes["fonts/hangul-0.woff2"] < 2_000
    assert sizes["fonts/hangul-1.woff2"] + sizes["fonts/hangul-2.woff2"] < 70_000
    assert max(sizes.values()) < 60_000
    assert "Pretendard" in (STATIC / "fonts/LICENSE-Pretendard.txt").read_text("utf-8")


def test_spaces_of_korean_pages_come_from_the_korean_font() -> None:
    rule = re.search(r":lang\(ko\) \{([^}]*)", (STATIC / "site.css").read_text("utf-8"))
    assert rule is not None
    assert '--sans: "Matinee Hangul", Archivo' in rule[1]
    assert " " in letters_of(dict(RULES)["fonts/hangul-1.woff2"])
