"""Korean particles after words of any kind."""

import pytest

from matinee.serve.pages.i18n import TEXTS
from matinee.serve.pages.particles import with_particles


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("기생충을(를) 보셔서", "기생충을 보셔서"),
        ("괴물은(는) 2006년, 밀양이(가) 2007년", "괴물은 2006년, 밀양이 2007년"),
        ("박쥐을(를) 보셔서", "박쥐를 보셔서"),
        ("마더과(와) 시", "마더와 시"),
        ("Alien을(를)", "Alien을"),
        ("Home Alone을(를)", "Home Alone을"),
        ("The Matrix을(를)", "The Matrix를"),
        ("The Godfather을(를)", "The Godfather를"),
        ("Casablanca을(를)", "Casablanca를"),
        ("Toy Story 2을(를)", "Toy Story 2를"),
        ("Rocky 3을(를)", "Rocky 3을"),
        ("Airplane!을(를)", "Airplane!을"),
        ('<a href="/movie/1">기생충</a>을(를)', '<a href="/movie/1">기생충</a>을'),
        ("Heat을(를)", "Heat을(를)"),
        ("을(를)", "을(를)"),
        ("조사 없는 문장", "조사 없는 문장"),
    ],
)
def test_the_form_that_fits_the_word_before(text: str, wanted: str) -> None:
    assert with_particles(text) == wanted


def test_texts_choose_particles_and_still_escape_values() -> None:
    assert TEXTS["ko"]("home.because", title="Alien") == "Alien을 보셨다면"
    assert TEXTS["ko"].html("reason.watched", movies="<b>x") == "&lt;b&gt;x를 보셔서 추천해요"
