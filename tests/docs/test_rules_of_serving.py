"""What docs/serving.md states as a rule, where no other test holds it."""

import numpy as np
import pytest

from matinee.catalogue import Catalogue
from matinee.config import Rerank
from matinee.histories import Histories
from matinee.ranking.rerank import POOL, Reranker
from toy_models import SumWithSimilarity


def reranked(similarities: list[list[float]], diversity: float) -> list[int]:
    """The list of a visitor with the last item; relevance falls from item 0 on."""
    n_items = len(similarities)
    table = np.zeros((n_items, n_items))
    table[-1] = np.arange(n_items, 0, -1)
    catalogue = Catalogue.of([f"Film {n} (2000)" for n in range(n_items)], [["Drama"]] * n_items)
    reranker = Reranker(catalogue, np.ones(n_items, dtype=np.int64))
    model = SumWithSimilarity(table.tolist(), similarities)
    history = Histories.of([[n_items - 1]])
    return reranker.rank(model, history, n_items - 1, Rerank(diversity=diversity)).items[0].tolist()


def pairs(n_items: int, **values: float) -> list[list[float]]:
    """Similarities in pairs: p01=0.5 for items 0 and 1; 0 elsewhere, 1 with itself."""
    table = np.eye(n_items)
    for name, value in values.items():
        one, other = int(name[1]), int(name[2])
        table[one, other] = table[other, one] = value
    return table.tolist()


def test_similarity_is_scaled_over_the_pool() -> None:
    """Half as similar is as bad as fully similar where nothing in the pool is more so."""
    for diversity in (0.4, 0.6):
        assert reranked(pairs(4, p01=0.5), diversity) == reranked(pairs(4, p01=1.0), diversity) == [0, 2, 1]
    assert reranked(pairs(4, p01=0.2, p12=1.0), 0.3) == [0, 1, 2]


def test_similarities_above_1_count_as_1() -> None:
    """Item 1 is 3 times as similar to item 0 as item 2 is, by the model's own scale; clipped they are equal."""
    table = pairs(4, p01=3.0, p02=1.0)
    assert reranked(table, 0.6) == [0, 1, 2]
    assert reranked(pairs(4, p01=0.9, p02=0.3), 0.6) == [0, 2, 1]


def test_similarities_below_0_count_as_0() -> None:
    table = pairs(4, p01=-1.0, p02=-0.1, p12=0.5)
    assert reranked(table, 0.9) == reranked(pairs(4, p12=0.5), 0.9) == [0, 1, 2]


def test_the_pool_is_the_200_best() -> None:
    """At full novelty the rarest of the pool comes first: the 200th best is in it, the 201st is not."""
    assert POOL == 200
    n_items = 260
    table = np.zeros((n_items, n_items))
    table[-1] = np.arange(n_items, 0, -1)
    catalogue = Catalogue.of([f"Film {n} (2000)" for n in range(n_items)])
    popularity = np.full(n_items, 50)
    popularity[199], popularity[200], popularity[230] = 10, 1, 1
    model = SumWithSimilarity(table.tolist(), np.eye(n_items).tolist())
    history = Histories.of([[n_items - 1]])
    for k in (1, 5):
        found = Reranker(catalogue, popularity).rank(model, history, k, Rerank(novelty=1)).items[0]
        assert found.tolist() == [199, 0, 1, 2, 3][:k]
    longer = Reranker(catalogue, popularity).rank(model, history, 231, Rerank(novelty=1)).items[0]
    assert longer[:2].tolist() == [200, 230]


def test_equal_scores_and_equal_popularity_keep_the_order_of_rows() -> None:
    n_items = 6
    catalogue = Catalogue.of([f"Film {n} (2000)" for n in range(n_items)])
    model = SumWithSimilarity(np.zeros((n_items, n_items)).tolist(), np.eye(n_items).tolist())
    for strengths in ({"novelty": 0.5}, {"novelty": -1.0}, {"diversity": 0.5}, {"novelty": 0.5, "diversity": 1.0}):
        reranker = Reranker(catalogue, np.full(n_items, 3))
        found = reranker.rank(model, Histories.of([[5], [0]]), 5, Rerank(**strengths))
        assert found.items.tolist() == [[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]]


def test_a_list_longer_than_the_pool_ends_in_missing_items() -> None:
    n_items = 4
    catalogue = Catalogue.of([f"Film {n} (2000)" for n in range(n_items)])
    model = SumWithSimilarity(np.eye(n_items).tolist(), np.eye(n_items).tolist())
    for strengths in ({"novelty": 0.5}, {"diversity": 0.5}):
        found = Reranker(catalogue, np.arange(n_items)).rank(model, Histories.of([[1]]), 6, Rerank(**strengths))
        assert sorted(found.items[0, :3].tolist()) == [0, 2, 3]
        assert found.items[0, 3:].tolist() == [-1]  # of the four items one is masked
        assert np.isneginf(found.scores[0, 3:]).all()


def test_years_are_from_and_to_inclusive() -> None:
    catalogue = Catalogue.of(["A (1989)", "B (1990)", "C (1991)", "D"])
    reranker = Reranker(catalogue, np.ones(4, dtype=np.int64))
    for rerank, expected in (
        (Rerank(from_year=1990), [False, True, True, False]),
        (Rerank(to_year=1990), [True, True, False, False]),
        (Rerank(from_year=1990, to_year=1990), [False, True, False, False]),
    ):
        passes = reranker.allowed(rerank)
        assert passes is not None
        assert passes.tolist() == expected


def test_a_pool_with_one_missing_item_is_listed_whole() -> None:
    n_items = 200
    catalogue = Catalogue.of([f"Film {n} (2000)" for n in range(n_items)])
    table = np.zeros((n_items, n_items))
    table[0] = np.arange(n_items, 0, -1)
    model = SumWithSimilarity(table.tolist(), np.eye(n_items).tolist())
    found = Reranker(catalogue, np.ones(n_items)).rank(model, Histories.of([[0]]), n_items, Rerank(diversity=0.5))
    assert found.items[0].tolist() == [*range(1, n_items), -1]


@pytest.mark.parametrize(
    ("n_items", "k", "n_users", "n_tables"),
    [
        (8, 4, 60, 3),  # all 8 items fit in one table of 100 pairs; users come by 25, whose 4 candidates are 100
        (40, 4, 6, 3),  # 10 candidates at most: two users with 4 each
        (40, 12, 6, 6),  # more candidates than a table has rows: a user at a time
    ],
)
def test_tables_of_similarities_are_bounded_and_shared(
    n_items: int, k: int, n_users: int, n_tables: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matinee.ranking.rerank.BLOCK_PAIRS", 100)
    monkeypatch.setattr("matinee.ranking.rerank.POOL", k)
    calls: list[int] = []
    model = SumWithSimilarity(np.zeros((n_items, n_items)).tolist(), np.eye(n_items).tolist())
    similarity = model.similarity
    monkeypatch.setattr(model, "similarity", lambda rows: calls.append(len(rows)) or similarity(rows))
    catalogue = Catalogue.of([f"Film {n} (2000)" for n in range(n_items)])
    histories = Histories.of([[n % n_items] for n in range(n_users)])
    Reranker(catalogue, np.ones(n_items)).rank(model, histories, k, Rerank(diversity=0.5))
    assert len(calls) == n_tables
