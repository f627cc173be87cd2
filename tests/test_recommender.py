"""Reasons and starters of the engine, on tables small enough to compute by hand."""

import numpy as np
import pytest

from matinee.catalogue import Catalogue
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.models.base import Path, PathNode
from matinee.ranking.reasons import MAX_REASONS, REASON_SHARE
from matinee.ranking.shared import Shared
from toy_models import SumOfRows, SumWithSimilarity, artefact_of, engine_of


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
    assert reasons_for_the_last_item(1.0, -0.9) == [(0, 1.0)]  # a score of 0 is that of a history that says nothing
    assert reasons_for_the_last_item(-1.0, -0.5) == []
    assert reasons_for_the_last_item(0.0, 0.0) == []


def test_equal_reasons_come_in_the_order_of_the_history() -> None:
    assert reasons_for_the_last_item(0.5, 0.5, 0.5) == [(0, 0.5), (1, 0.5)]


def test_an_event_that_adds_less_than_the_others_on_average_is_no_reason() -> None:
    assert reasons_for_the_last_item(1.0, 0.9, 0.9, 0.95) == [(0, 1.0), (3, 0.95)]
    assert reasons_for_the_last_item(1.0, 0.9, 0.9, 0.9) == [(0, 1.0), (1, 0.9)]
    assert reasons_for_the_last_item(1.0, -3.0, 0.9) == [(0, 1.0), (2, 0.9)]


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


def test_popularity_of_few_events_is_scaled_by_the_largest() -> None:
    """ln 5 and ln 2 over ln 5: the second drama at 2 - 1 comes before the comedy at 0.86."""
    titles = ["Film 0 (1990)", "Film 1 (1980)", "Film 2 (1970)"]
    assert starters(titles, [["Drama"], ["Drama"], ["Comedy"]], [4, 4, 1], 2) == [0, 1]


def test_starters_come_from_the_120_best_known() -> None:
    titles = [f"Film {n} (1990)" for n in range(122)]
    genres = [["Drama"]] * 119 + [["Comedy"], ["War"], ["Horror"]]
    popularity = [1000] * 119 + [999, 998, 997]
    found = starters(titles, genres, popularity, 122)
    assert len(found) == 120
    assert found[:2] == [0, 119]  # the comedy is the last of the pool


def similar_items(similarities: list[list[float]], **more: object) -> list[tuple[int, float]]:
    n_items = len(similarities)
    model = SumWithSimilarity([[0.0] * n_items] * n_items, similarities)
    engine = engine_of(artefact_of(model, films(n_items), [1] * n_items))
    return [(item.item_row, item.score) for item in engine.similar(0, 3, **more)]  # type: ignore[arg-type]


def test_similar_items_have_some_similarity() -> None:
    table = [[1.0, -0.5, 0.0, 0.25, 0.5], *[[0.0] * 5] * 4]
    assert similar_items(table) == [(4, 0.5), (3, 0.25)]
    assert similar_items(table, out=[4]) == [(3, 0.25)]
    assert similar_items([[1.0, 0.1, 0.2, 0.3, 0.4], *[[0.0] * 5] * 4], out={4, 2}) == [
        (3, pytest.approx(0.3)),
        (1, pytest.approx(0.1)),
    ]


def test_many_items_left_out_leave_as_many_similar_ones() -> None:
    """More than the 250 similar items that are kept for each: the rest is found all the same."""
    n_items = 400
    row = [1.0] + [1 - n / 1000 for n in range(1, n_items)]
    table = [row, *[[0.0] * n_items] * (n_items - 1)]
    assert [item for item, _ in similar_items(table, out=range(1, 300))] == [300, 301, 302]


def test_the_default_model_is_the_first_preferred_one() -> None:
    class EASE(SumOfRows):
        name = "ease"

    class ItemKNN(SumOfRows):
        name = "item-knn"

    table = [[0.0, 1.0], [1.0, 0.0]]
    other, ease, knn = (artefact_of(model(table), films(2), [1, 1]) for model in (SumOfRows, EASE, ItemKNN))
    assert engine_of(other, knn, ease).default == "ease"
    assert engine_of(other, knn).default == "item-knn"
    assert engine_of(other).default == other.name
    assert engine_of(other, ease, default=other.name).default == other.name
    assert engine_of(ease, knn).similar_default == "item-knn"
    assert engine_of(other, ease).similar_default == other.name
    with pytest.raises(MatineeError, match="no model 'eas' is served; did you mean 'ease'"):
        engine_of(other, ease, default="eas")


def test_popular_items_have_events_and_go_by_number_then_row() -> None:
    engine = engine_of(artefact_of(SumOfRows([[0.0] * 5] * 5), films(5), [3, 0, 7, 3, 1], fit_seconds=1))
    assert [(item.item_row, item.item_id, item.score) for item in engine.popular(9)] == [
        (2, 30, 7.0), (0, 10, 3.0), (3, 40, 3.0), (4, 50, 1.0),
    ]  # fmt: skip
    assert [item.item_row for item in engine.popular(2, allowed=np.array([True, True, False, True, True]))] == [0, 3]
    assert engine.version("popularity") == engine.version("sum-of-rows") != ""
    assert engine.version("no such model") == ""


def test_dismissed_items_are_not_allowed() -> None:
    engine = engine_of(artefact_of(SumOfRows([[0.0] * 3] * 3), films(3), [1] * 3))
    assert engine.allowed(None) is None
    assert engine.allowed(None, np.zeros(0, dtype=np.int32)) is None
    passes = engine.allowed(None, np.array([1], dtype=np.int32))
    assert passes is not None
    assert passes.tolist() == [True, False, True]


def test_a_list_repeats_the_history_only_if_asked() -> None:
    engine = engine_of(artefact_of(SumOfRows(np.eye(3).tolist()), films(3), [1] * 3))
    history = Histories.of([[1]])
    assert [item.item_row for item in engine.recommend_for(history, 3)] == [0, 2]
    assert [item.item_row for item in engine.recommend_for(history, 3, repeat=True)] == [1, 0, 2]
    dismissed = np.array([0], dtype=np.int32)
    assert [item.item_row for item in engine.recommend_for(history, 3, dismissed=dismissed)] == [2]
    nothing = engine.recommend_for(Histories.of([[0, 1, 2]]), 3)
    assert nothing == []


class LeftOut(SumOfRows):
    """A model that does not say what its scores are made of."""

    name = "left-out"
    explain = None


def test_a_model_that_does_not_explain_leaves_out_the_last_10_or_200_events() -> None:
    n_items = 211
    table = np.zeros((n_items, n_items))
    table[:, -1] = np.arange(n_items, 0, -1)  # the oldest events add most
    model = LeftOut(table.tolist())
    engine = engine_of(artefact_of(model, films(n_items), [1] * n_items))
    history = Histories.of([list(range(n_items - 1))])
    (found,) = engine.recommend_for(history, 1)
    assert [reason.item_row for reason in found.reasons] == [200, 201]
    why = engine.why(history, n_items - 1)
    parts = np.flatnonzero(why.contributions[:, 0])
    assert (parts.min(), parts.max(), len(parts)) == (10, 209, 200)


class WithPaths(SumOfRows):
    """A model that says by which path each of two events leads to an item."""

    name = "with-paths"

    def paths_to(self, histories: Histories, item_rows: np.ndarray, k: int = 3) -> list[tuple[Path, ...]]:
        found = []
        for item_row in item_rows.tolist():
            nodes = [(PathNode("item", item_row=row), PathNode("person", name), PathNode("item", item_row=item_row))
                     for row, name in ((3, "Nobody"), (1, "Ridley Scott"))]  # fmt: skip
            found.append(tuple(Path(each, ("directed_by",) * 2, (True, False), 1.0, 0.5) for each in nodes))
        return found

    def have_paths(self, histories: Histories, item_rows: np.ndarray) -> np.ndarray:
        return np.ones(item_rows.shape, dtype=bool)


def test_the_strongest_path_from_the_strongest_reason_names_what_they_share() -> None:
    weaker = engine_of(artefact_of(WithPaths([[0, 0, 1.0], [0, 0, 0.9], [0, 0, 0]]), films(3), [1] * 3))
    (item,) = weaker.recommend_for(Histories.of([[0, 1]]), 3)
    assert ([reason.item_row for reason in item.reasons], item.shared) == ([0, 1], None)
    model = WithPaths([[0, 0, 0.9], [0, 0, 1.0], [0, 0, 0]])
    engine = engine_of(artefact_of(model, films(3), [1] * 3))
    found = engine.reasons_of(Histories.of([[0, 1]]), 2, 1.9)
    assert [reason.item_row for reason in found.reasons] == [1]
    assert found.shared == Shared("directed_by", "Ridley Scott")
    (listed,) = engine.recommend_for(Histories.of([[0, 1]]), 3)
    assert (listed.reasons, listed.shared) == (found.reasons, found.shared), "a list says what the page of Why says"
