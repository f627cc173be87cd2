"""Texts: every language has the same ones, and no text is written elsewhere."""

import ast
import re
import tomllib
from pathlib import Path
from string import Formatter

import pytest
from starlette.testclient import TestClient

from matinee.serve.pages.i18n import COOKIE, FOLDER, LANGUAGES, TEXTS, preferred
from matinee.serve.pages.rendering import HERE
from matinee.serve.stylesheet import STATIC

NAMES = {
    "Matinee",
    "MovieLens",
    "F",
    "Maxwell",
    "Harper",
    "and",
    "Joseph",
    "A",
    "Konstan",
    "The",
    "Datasets",
    "History",
}
NAMES |= {"Context", "ACM", "Transactions", "on", "Interactive", "Intelligent", "Systems"}
"""The name of the site, and the citation that the licence of the data requires."""
FOR_DEVELOPERS = {"i18n.py", "mathml.py", "model_cards.py"}
"""Their messages are about files of the project and never reach a page."""


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def forms(entry: str | dict[str, str]) -> list[str]:
    return [entry] if isinstance(entry, str) else list(entry.values())


def fields(entry: str | dict[str, str]) -> set[str]:
    """The placeholders of a text; one of two plural forms may do without the number."""
    return set().union(*map(placeholders, forms(entry)))


def test_every_language_has_the_same_texts() -> None:
    assert set(LANGUAGES) == {"en", "ko"}
    english, korean = TEXTS["en"].entries, TEXTS["ko"].entries
    assert set(english) == set(korean)
    assert {key for key in english if fields(english[key]) != fields(korean[key])} == set()
    tags = {key: [sorted(re.findall(r"<[^>]+>", text)) for text in forms(english[key])[:1]] for key in english}
    for key, entry in korean.items():
        for text in forms(entry):
            assert [sorted(re.findall(r"<[^>]+>", text))] == tags[key], key
            assert text.strip(), key


def test_korean_is_translated_and_english_has_no_korean() -> None:
    hangul = re.compile(r"[가-힣]")
    same = {key for key, entry in TEXTS["ko"].entries.items() if TEXTS["en"].entries[key] == entry}
    assert {
        key
        for key in same
        if len(re.findall(r"[A-Za-z]{3,}", re.sub(r"<[^>]+>", "", str(TEXTS["en"].entries[key])))) > 3
    } == set()
    assert [key for key, entry in TEXTS["en"].entries.items() if hangul.search(str(entry))] == []


def test_no_text_is_defined_twice() -> None:
    for path in FOLDER.glob("*/*.toml"):
        tomllib.loads(path.read_text("utf-8"))  # the parser refuses a key that stands twice in one file


TEMPLATES = sorted((HERE / "templates").glob("*.html"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_contain_no_words(path: Path) -> None:
    source = path.read_text("utf-8")
    plain = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", source, flags=re.DOTALL)
    shown = re.findall(r'(?:aria-label|title|placeholder|alt|data-said)="([^"]*)"', plain)
    text = re.sub(r"<(script|math|code)\b.*?</\1>", "", plain, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>|&\w+;", " ", text)
    words = set(re.findall(r"[A-Za-z]+", text + " " + " ".join(shown)))
    assert words - NAMES == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_text_used_in_a_template_exists(path: Path) -> None:
    source = path.read_text("utf-8")
    calls = re.findall(r"\b[th]\((.*?)\)", source)
    named = {key for call in calls for key in re.findall(r"""["']([a-z_]+(?:\.[a-z0-9_-]+)+)["']""", call)}
    assert {key for key in named if not key.endswith("_") and not TEXTS["en"].has(key)} == set()


def test_every_text_is_used() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in HERE.parent.rglob("*") if path.suffix in {".py", ".html"})
    chosen_by_value = (
        "account.refused.",
        "date.month_",
        "erasing.",
        "error.heading_",
        "genre.",
        "like_this.",
        "model.curve_",
        "model.measured_",
        "operate.",
        "own.ended_",
        "own.refused.",
        "own.stage_",
        "rerank.",
        "shared.",
        "why.change.",
        "transfer.",
    )
    doors = {"account.log_in_why", "account.sign_up_why"}
    unused = {key for key in TEXTS["en"].entries if key not in sources and not key.startswith(chosen_by_value)}
    assert unused - doors == set()


def test_every_form_that_posts_has_the_token() -> None:
    for path in TEMPLATES:
        for form in re.findall(r"<form\b.*?</form>", path.read_text("utf-8"), re.DOTALL):
            assert 'method="post"' not in form or "token()" in form, path.name


def test_script_and_page_code_contain_no_sentences() -> None:
    script = re.sub(r"//.*", "", (STATIC / "site.js").read_text("utf-8"))
    assert re.findall(r"""["'`][A-Z][a-z]+ [^"'`]*["'`]""", script) == []
    for path in sorted(set(HERE.glob("*.py")) - {HERE / name for name in FOR_DEVELOPERS}):
        tree = ast.parse(path.read_text("utf-8"))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
        ]
        assert [text for text in texts if re.search(r"[a-z]{3,} [a-z]{2,}", text)] == [], path.name


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("ko", "ko"),
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("en;q=0.8,ko;q=0.9", "ko"),
        ("de, fr;q=0.5", "en"),
        ("de,ko;q=0.2", "ko"),
        ("ko;q=0,en;q=0.1", "en"),
        ("ko;q=x", "en"),
        (";;;,,,", "en"),
        ("x" * 10_000, "en"),
    ],
)
def test_the_language_follows_the_accept_language_header(header: str, language: str) -> None:
    assert preferred(header) == language


def test_numbers_dates_and_plurals_are_formatted_and_tags_escaped() -> None:
    english, korean = TEXTS["en"], TEXTS["ko"]
    assert (english("search.found", n=1), english("search.found", n=1234)) == ("1 movie", "1,234 movies")
    assert korean("search.found", n=1234) == "영화 1,234편"
    assert (english.date(1_750_000_000), korean.date(1_750_000_000)) == ("15 June 2025", "2025년 6월 15일")
    assert english.html("reason.liked", movies="<b>") == "Because you liked &lt;b&gt;"
    assert english.genre("Sci-Fi") == "Sci-Fi"
    assert (korean.genre("Sci-Fi"), korean.genre("Gialli")) == ("SF", "Gialli")
    with pytest.raises(KeyError):
        english("home.none")


def test_the_browser_decides_the_language_until_the_visitor_does(client: TestClient) -> None:
    assert '<html lang="en">' in client.get("/").text
    korean = client.get("/", headers={"accept-language": "ko-KR"})
    assert '<html lang="ko">' in korean.text
    assert "아는 영화 세 편만" in korean.text
    assert "Accept-Language" in korean.headers["vary"]
    answer = client.get("/language", params={"to": "ko", "next": "/about"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/about")
    assert client.cookies[COOKIE] == "ko"
    page = client.get("/movie/2571").text
    assert '<html lang="ko">' in page
    assert "액션 · SF · 스릴러" in page
    assert "<h1>매트릭스</h1>" in page
    assert "찾을 수 없어요" in client.get("/movie/none").text
    assert '<html lang="en">' in client.get("/language", params={"to": "en"}, headers={"accept-language": "ko"}).text


@pytest.mark.parametrize("language", ["", "xx", "../en", "<script>"])
def test_an_unknown_language_is_refused_or_ignored(client: TestClient, language: str) -> None:
    assert client.get("/language", params={"to": language}).status_code == 422
    client.cookies.set(COOKIE, language)
    assert '<html lang="en">' in client.get("/").text


def test_choosing_a_language_never_redirects_to_another_site(client: TestClient) -> None:
    answer = client.get("/language", params={"to": "ko", "next": "//evil.example"}, follow_redirects=False)
    assert answer.headers["location"] == "/"
