"""What docs/serving.md states as a rule, where no other test holds it."""

import numpy as np

from matinee.catalogue import Catalogue
from matinee.config import Rerank
from matinee.histories import Histories
from matinee.ranking.rerank import Reranker
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
    assert reranked(pairs(4, p01=0.5), 0.6) == reranked(pairs(4, p01=1.0), 0.6) == [0, 2, 1]
    assert reranked(pairs(4, p01=0.2, p12=1.0), 0.3) == [0, 1, 2]


def test_similarities_above_1_count_as_1() -> None:
    """Item 1 is 3 times as similar to item 0 as item 2 is, by the model's own scale; clipped they are equal."""
    table = pairs(4, p01=3.0, p02=1.0)
    assert reranked(table, 0.6) == [0, 1, 2]
    assert reranked(pairs(4, p01=0.9, p02=0.3), 0.6) == [0, 2, 1]


def test_similarities_below_0_count_as_0() -> None:
    table = pairs(4, p01=-1.0, p02=-0.1, p12=0.5)
    assert reranked(table, 0.9) == reranked(pairs(4, p12=0.5), 0.9) == [0, 1, 2]
