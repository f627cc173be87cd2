"""The English of Korean words: particles, endings, compounds, and what is no word of the list."""

import re
import tomllib
import unicodedata
from pathlib import Path

import pytest

import matinee.serve.korean
from matinee.serve.korean import gloss

SECTIONS = tomllib.loads(Path(matinee.serve.korean.__file__).with_name("korean.toml").read_text("utf-8"))


@pytest.mark.parametrize(
    ("korean", "english"),
    [
        ("우주에서 괴물과 싸우는 공포 영화", "space monster fight horror"),
        ("괴물 괴물이 괴물을 괴물들에게", "monster"),
        ("쫓는 쫓기는 쫓던", "chase"),
        ("달리는 달린 달립니다", "run"),
        ("무서운 무섭게", "horror"),
        ("아름다운 아름답다", "beautiful"),
        ("공포영화", "horror"),
        ("연쇄살인범의", "serial killer"),
        ("로맨틱코미디", "romance love comedy"),
        ("19세기 영국", "nineteenth century england"),
        ("SF 액션, 로봇!", "action robot"),
    ],
)
def test_words_are_found_with_their_particles_and_endings(korean: str, english: str) -> None:
    assert gloss(korean) == english


@pytest.mark.parametrize(
    ("korean", "english"),
    [
        ("개가", "dog"),
        ("개봉", ""),
        ("배에서", "ship"),
        ("뱀이", "snake"),
        ("달에", "moon"),
        ("새로", "bird"),
        ("양말", ""),
    ],
)
def test_a_noun_of_one_syllable_takes_particles_only(korean: str, english: str) -> None:
    assert gloss(korean) == english


@pytest.mark.parametrize(
    "text", ["", "   ", "a boxer", "ㅋㅋㅋㅋ", "愛", "宇宙の怪物", "😀", "\ud800", "123", "우" * 200_000]
)
def test_what_is_no_korean_word_of_the_list_has_no_gloss(text: str) -> None:
    assert gloss(text) == ""


def test_letters_that_are_typed_apart_are_the_same_word() -> None:
    assert gloss(unicodedata.normalize("NFD", "괴물과")) == "monster"


def test_the_list_is_english_by_korean_each_pair_once() -> None:
    pairs = [
        (english, word) for section in SECTIONS.values() for english, words in section.items() for word in words.split()
    ]
    assert len(pairs) > 1300
    assert all(re.fullmatch("[a-z-]+( [a-z-]+)*", english) for english, _ in pairs)
    assert all(re.fullmatch("[0-9가-힣]*[가-힣]-?", word) for _, word in pairs)
    assert len({*pairs}) == len(pairs)


def test_every_word_of_the_list_is_found_by_itself() -> None:
    for section in SECTIONS.values():
        for english, words in section.items():
            for word in words.split():
                assert set(english.split()) <= set(gloss(word.removesuffix("-")).split()), word
