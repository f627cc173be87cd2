"""Reasons and starters of the engine, on tables small enough to compute by hand."""

import pytest

from matinee.catalogue import Catalogue
from matinee.histories import Histories
from matinee.recommender import MAX_REASONS, REASON_SHARE
from toy_models import SumOfRows, artefact_of, engine_of


def films(n_items: int) -> Catalogue:
    return Catalogue.of([f"Film {n} (2000)" for n in range(n_items)], [["Drama"]] * n_items)


def reasons_for_the_last_item(*contributions: float) -> list[tuple[int, float]]:
    """The reasons for item n of a user with items 0 to n - 1, whose contributions to its score are given."""
    n_items = len(contributions) + 1
    table = [[0.0] * (n_items - 1) + [contribution] for contribution in (*contributions, 0.0)]
    engine = engine_of(artefact_of(SumOfRows(table), films(n_items), [1] * n_items))
    found = engine.recommend_for(Histories.of([list(range(len(contributions)))]), 1)
    assert [item.item_row for item in found] == [n_items - 1]
    return [(reason.item_row, round(reason.contribution, 6)) for reason in found[0].reasons]


def test_a_second_reason_counts_at_least_40_percent_of_the_first() -> None:
    assert (REASON_SHARE, MAX_REASONS) == (0.4, 2)
    assert reasons_for_the_last_item(1.0, 0.5) == [(0, 1.0), (1, 0.5)]
    assert reasons_for_the_last_item(1.0, 0.41) == [(0, 1.0), (1, 0.41)]
    assert reasons_for_the_last_item(1.0, 0.39) == [(0, 1.0)]
    assert reasons_for_the_last_item(0.39, 1.0) == [(1, 1.0)]


def test_exactly_40_percent_is_enough() -> None:
    assert reasons_for_the_last_item(5.0, 2.0) == [(0, 5.0), (1, 2.0)]


def test_reasons_are_at_most_two_strongest_first_and_add_something() -> None:
    assert reasons_for_the_last_item(0.8, 1.0, 0.9) == [(1, 1.0), (2, 0.9)]
    assert reasons_for_the_last_item(1.0, -1.0) == [(0, 1.0)]
    assert reasons_for_the_last_item(-1.0, -0.5) == []
    assert reasons_for_the_last_item(0.0, 0.0) == []


def test_equal_reasons_come_in_the_order_of_the_history() -> None:
    assert reasons_for_the_last_item(0.5, 0.5, 0.5) == [(0, 0.5), (1, 0.5)]


def starters(titles: list[str], genres: list[list[str]], popularity: list[int], k: int) -> list[int]:
    catalogue = Catalogue.of(titles, genres)
    table = [[0.0] * len(titles)] * len(titles)
    return engine_of(artefact_of(SumOfRows(table), catalogue, popularity)).starters(k)


@pytest.mark.parametrize("genres", [["Drama"], []])
def test_starters_of_equal_popularity_and_genre_come_from_different_decades(genres: list[str]) -> None:
    titles = ["Film 0 (1991)", "Film 1 (1999)", "Film 2 (1985)", "Film 3 (1990)", "Film 4 (1989)"]
    assert starters(titles, [genres] * 5, [100] * 5, 5) == [0, 2, 1, 3, 4]


def test_starters_of_one_decade_come_from_different_genres() -> None:
    titles = [f"Film {n} (1990)" for n in range(4)]
    genres = [["Drama"], ["Drama"], ["Comedy"], ["Drama", "Comedy"]]
    assert starters(titles, genres, [100] * 4, 4) == [0, 2, 3, 1]


def test_starters_begin_with_the_most_watched_and_leave_out_what_nobody_watched() -> None:
    titles = ["Film 0 (1990)", "Film 1 (1980)", "Film 2 (1970)", "Film 3 (1960)"]
    assert starters(titles, [["Drama"]] * 4, [5, 500, 0, 50], 10) == [1, 3, 0]


def test_a_little_less_popularity_weighs_less_than_another_decade() -> None:
    titles = ["Film 0 (1990)", "Film 1 (1991)", "Film 2 (1980)"]
    assert starters(titles, [["Drama"]] * 3, [1000, 1000, 800], 2) == [0, 2]
    assert starters(titles, [["Drama"]] * 3, [1000, 1000, 10], 2) == [0, 1]
