"""What a site calls its items and what people do with them, against forms written down by hand."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.nouns import Noun
from matinee.serve.pages.i18n import texts_of
from matinee.serve.pages.particles import FORMS
from matinee.serve.wording import Wording, wording_of
from matinee.store.artefact import Artefact
from matinee.training.run import Run
from shop_fixtures import shop_data


@pytest.mark.parametrize(
    ("kind", "noun", "english", "korean"),
    [
        ("purchase", "product", "Because you bought Oak pan", "Oak pan을 구매하셔서 추천해요"),
        ("play", "song", "Because you played Oak pan", "Oak pan을 들으셔서 추천해요"),
        ("play", "game", "Because you played Oak pan", "Oak pan을 플레이하셔서 추천해요"),
        ("tried", "book", "Because you read Oak pan", "Oak pan을 읽으셔서 추천해요"),
        ("view", "article", "Because you viewed Oak pan", "Oak pan을 보셔서 추천해요"),
        ("checkin", "restaurant", "Because you visited Oak pan", "Oak pan을 방문하셔서 추천해요"),
        ("use", "gadget", "Because you tried Oak pan", "Oak pan을 이용하셔서 추천해요"),
    ],
)
def test_reasons_say_what_people_did(kind: str, noun: str, english: str, korean: str) -> None:
    texts = texts_of(Wording(Noun.parse(noun), kind, has_ratings=False, is_movielens=False))
    assert texts["en"]("reason.watched", movies="Oak pan") == english
    assert texts["ko"]("reason.watched", movies="Oak pan") == korean


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("kind", ["watched", "purchase", "play", "read", "view", "visit", "use"])
@pytest.mark.parametrize("noun", ["movie", "product", "book", "song", "gadget"])
@pytest.mark.parametrize("has_ratings", [True, False])
def test_every_text_has_words_for_every_wording(language: str, kind: str, noun: str, has_ratings: bool) -> None:
    texts = texts_of(Wording(Noun.parse(noun), kind, has_ratings, is_movielens=False))[language]
    assert [key for key, entry in texts.entries.items() if re.search(r"\[(?!train\])[A-Za-z_ ]+\]", str(entry))] == []
    undecided = re.compile(rf"(?<![}}>])({'|'.join(map(re.escape, FORMS))})")
    assert [key for key, entry in texts.entries.items() if undecided.search(str(entry))] == []
    english, korean = (texts_of(Wording(Noun.parse(noun), kind, has_ratings))[each].entries for each in ("en", "ko"))
    assert set(english) == set(korean)


def test_korean_particles_follow_the_noun() -> None:
    book, product = (
        texts_of(Wording(Noun.parse(noun), "view", has_ratings=True, is_movielens=False))["ko"]
        for noun in ("recipe", "book")
    )
    assert book("search.placeholder", n=5000) == "레시피 5,000개 검색"
    assert book("home.others") == "아는 레시피가 없어요. 다른 레시피 보기"
    assert product("home.others") == "아는 책이 없어요. 다른 책 보기"
    assert product("mine.count", n=3) == "보거나 평가한 책 3권, 최신순"


@pytest.mark.parametrize(
    ("manifest", "noun", "expected"),
    [
        ({"data": {"name": "bundled"}}, None, ("movie", "watched", True, True)),
        ({"data": {"name": "bundled"}}, "show", ("show", "watched", True, False)),
        (
            {"data": {"name": "x"}, "noun": {"singular": "item", "plural": "items"}},
            None,
            ("item", "tried", True, False),
        ),
        ({"kind": "click"}, "product", ("product", "click", False, False)),
        ({"kind": "click"}, "movie", ("movie", "watched", False, False)),
        (
            {"kind": "click", "event_kinds": {"view": {"events": 9}, "buy": {"events": 1}}},
            "product",
            ("product", "view", False, False),
        ),
        (
            {"kind": "click", "event_kinds": {"view": {"events": 9, "value": 1}, "buy": {"events": 1, "value": 5}}},
            "product",
            ("product", "buy", False, False),
        ),
        ({"event_kinds": {"rating": {"events": 9}, "read": {"events": 4}}}, "book", ("book", "read", True, False)),
        ({"kind": "click", "event_kinds": {"a" * 30: {"events": 9}}}, "product", ("product", "a" * 20, False, False)),
    ],
)
def test_the_wording_follows_the_data(manifest: dict[str, Any], noun: str | None, expected: tuple[object, ...]) -> None:
    wording = wording_of(replace(toy_artefact(), manifest={"data": {"name": "x"}} | manifest), noun)
    assert (wording.noun.singular, wording.kind, wording.has_ratings, wording.is_movielens) == expected
    assert all(len(kind) <= 20 for kind in wording.kinds)


def toy_artefact() -> Artefact:
    """A fitted model of two users and three items."""
    data = shop_data(n_users=3)
    training = TrainingData(Histories.from_events(data.events, np.arange(len(data.users))), len(data.items))
    return Artefact.of(create("popularity").fit(training, Run.seeded(1)), data, training)
