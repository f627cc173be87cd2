"""Reasons in words and as a drawing, in English and Korean."""

import re
from itertools import pairwise

import pytest
from fastapi import FastAPI
from markupsafe import Markup
from starlette.testclient import TestClient

from matinee.ranking.shared import KINDS, Shared
from matinee.serve.pages.cards import Card
from matinee.serve.pages.i18n import TEXTS
from matinee.serve.pages.path_drawing import LONGEST_LINE, WIDTH, draw_path
from matinee.serve.pages.sentences import kind_of, sentence, with_shared
from matinee.serve.site import Site
from matinee.titles import MovieTitle

ALIEN, BLADE_RUNNER = "Alien (1979)", "Blade Runner (1982)"
BOTH = "both directed by Ridley Scott"
BECAUSE = "Because you liked"
BONG = Shared("director", "봉준호")
FANS = Shared("liked", "")
SCOTT = Shared("directed_by", "Ridley Scott")


@pytest.mark.parametrize(
    ("language", "titles", "shared", "liked", "wanted"),
    [
        ("en", [ALIEN, BLADE_RUNNER], SCOTT, True, f"{BECAUSE} {ALIEN} and {BLADE_RUNNER}, {BOTH}"),
        ("en", [ALIEN], SCOTT, True, f"Because you liked {ALIEN}, also directed by Ridley Scott"),
        ("en", [ALIEN], Shared("starring", "Holm"), False, f"Because you watched {ALIEN}, also with Holm"),
        ("en", [ALIEN], None, True, f"Because you liked {ALIEN}"),
        ("en", [ALIEN, BLADE_RUNNER], Shared("genres", "War"), True, f"{BECAUSE} {ALIEN} and {BLADE_RUNNER}, both War"),
        ("en", [ALIEN], Shared("Tags", "dark"), True, f"Because you liked {ALIEN}, also tagged “dark”"),
        ("en", [ALIEN], Shared("frame_rate", "24"), True, f"Because you liked {ALIEN}, of the same frame rate: 24"),
        ("en", [ALIEN], FANS, True, f"{BECAUSE} {ALIEN}, and people who liked it also liked this"),
        ("en", [ALIEN, BLADE_RUNNER], Shared("rated", ""), False,
         f"Because you watched {ALIEN} and {BLADE_RUNNER}, and people who watched them also watched this"),
        ("ko", [ALIEN], FANS, True, f"이 영화를 좋아한 사람들이 함께 좋아한 {ALIEN}를 좋아하셔서 추천해요"),
        ("ko", ["마더"], Shared("rated", ""), True, "이 영화를 본 사람들이 함께 본 마더를 좋아하셔서 추천해요"),
        ("en", [], SCOTT, True, ""),
        ("ko", ["마더 (2009)", "괴물"], BONG, True, "같은 봉준호 감독 작품인 마더 (2009), 괴물을 좋아하셔서 추천해요"),
        ("ko", ["마더"], Shared("people", "김혜자"), False, "김혜자가 똑같이 참여한 마더를 보셔서 추천해요"),
        ("ko", ["마더"], Shared("people", "원빈"), True, "원빈이 똑같이 참여한 마더를 좋아하셔서 추천해요"),
        ("ko", [ALIEN], Shared("genres", "Sci-Fi"), True, f"같은 SF 장르인 {ALIEN}를 좋아하셔서 추천해요"),
    ],
)  # fmt: skip
def test_the_sentence(language: str, titles: list[str], shared: Shared | None, liked: bool, wanted: str) -> None:
    assert sentence(TEXTS[language], titles, shared, liked=liked) == wanted


def test_every_kind_has_its_texts_in_both_languages() -> None:
    for language in TEXTS:
        for kind in (*KINDS, "other"):
            name = KINDS[kind][0] if kind in KINDS else "colour"
            assert kind_of(Shared(name, "x")) == kind
            assert "Blue" in sentence(TEXTS[language], ["A", "B"], Shared(name, "Blue"), liked=True)
            assert TEXTS[language].has(f"shared.as.{kind}")
        for relation, kind in (("liked", "fans"), ("rated", "audience")):
            assert kind_of(Shared(relation, "")) == kind
            assert TEXTS[language].has(f"shared.as.{kind}")


def test_markup_stays_markup_and_words_are_escaped() -> None:
    found = with_shared(TEXTS["en"], Markup('<a href="/movie/1">Alien</a>'), 1, Shared("tags", "<b>"))
    assert isinstance(found, Markup)
    assert found == '<a href="/movie/1">Alien</a>, also tagged “&lt;b&gt;”'


def card(name: str, year: int = 1979, reasons: tuple[Card, ...] = (), shared: Shared | None = None) -> Card:
    return Card(0, 1, MovieTitle(name), name, year, (), "/movie/1", reasons=reasons, liked=True, shared=shared)


LONG = "Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb"
NAMES = [
    "Alien",
    LONG,
    "Supercalifragilisticexpialidocious",
    "좋은 놈, 나쁜 놈, 이상한 놈 그리고 또 다른 놈들",
    "",
]


@pytest.mark.parametrize("shared", [None, SCOTT, FANS, Shared("tags", "based on a book that nobody has ever read")])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 2])
def test_boxes_do_not_overlap_and_lines_fit(name: str, n: int, shared: Shared | None) -> None:
    found = draw_path(TEXTS["en"], card(name, reasons=(card(name),) * n, shared=shared))
    assert found is not None
    assert len(found.boxes) == n + (shared is not None) + 1
    assert len(found.lines) == n + (shared is not None)
    for box in found.boxes:
        assert 0 <= box.x <= box.x + box.width <= WIDTH
        assert box.y + box.height <= found.height
        assert 1 <= len(box.lines) <= 2
        for line in box.lines:
            assert sum(2 if letter >= "\u1100" else 1 for letter in line.replace("…", "")) <= LONGEST_LINE
    rows = {}
    for box in found.boxes:
        rows.setdefault(box.y, []).append(box)
    for row in rows.values():
        assert all(one.x + one.width <= other.x for one, other in pairwise(row))


def test_without_a_reason_there_is_no_drawing() -> None:
    assert draw_path(TEXTS["en"], card("Alien")) is None


def test_the_api_gives_the_reasons_as_data_and_in_the_language_of_the_request(client: TestClient) -> None:
    asked = {"history": "1214,1200,541", "explain": "true", "k": 20, "model": "ease"}
    english = client.get("/api/v1/recommendations", params=asked, headers={"accept-language": "en"}).json()["items"]
    korean = client.get("/api/v1/recommendations", params=asked, headers={"accept-language": "ko"}).json()["items"]
    assert any("shared" in item for item in english)
    for item, other in zip(english, korean, strict=True):
        assert bool(item["because"]) == ("sentence" in item)
        if item["because"]:
            assert item["sentence"].startswith("Because you watched ")
            assert re.search("[가-힣]", other["sentence"])
        if "shared" in item:
            assert set(item["shared"]) == {"attribute", "value"}
    plain = client.get("/api/v1/recommendations", params=asked | {"explain": "false"}).json()["items"]
    assert not {"because", "shared", "sentence"} & set().union(*plain)


def test_the_page_draws_the_path_and_says_it_in_words(client: TestClient, app: FastAPI) -> None:
    client.post("/mark", data={"item_id": "1214", "mark": "5"})
    site: Site = app.state.site
    listed = site.engine.recommend_for(site.state_of(None).history, 5, "ease")
    assert not listed or listed[0].model == "popularity"
    page = client.get("/why/1200?model=ease").text  # Aliens, for who likes Alien
    assert "Because you liked" in page
    drawn = re.search(r'<svg class="path".*?</svg>', page, re.DOTALL)
    assert drawn is not None
    assert 'role="img"' in drawn[0]
    assert '<title id="path-text">Because you liked Alien (1979)' in drawn[0]
    assert "Aliens (1986)" in drawn[0]
    client.post("/mark", data={"item_id": "1214", "mark": "less"})
    disliked = client.get("/why/1200?model=ease").text
    assert '<svg class="path"' not in disliked
    assert "Because you liked" not in disliked
