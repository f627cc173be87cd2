"""Reranking against plain loops and answers known by construction."""

import numpy as np
import pytest

from matinee.catalogue import Catalogue
from matinee.config import Config, EvaluationConfig, Rerank, configure, parse_rerank
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.base import Recommender
from matinee.ranking.rank import Ranking, rank
from matinee.ranking.rerank import POOL, Reranker, reorder
from matinee.training.run import Run

GENRES = ("Action", "Comedy", "Drama", "Horror")


class Table(Recommender[np.ndarray]):
    """Scores by the first item of the history."""

    name = "table"
    Config = Config
    learned = ("scores",)

    def __init__(self, scores: np.ndarray) -> None:
        super().__init__()
        self.scores = scores

    def fit(self, train: TrainingData, run: Run) -> "Table":
        return self

    def fold_in(self, histories: Histories) -> np.ndarray:
        return histories.items[histories.starts[:-1]]

    def score(self, state: np.ndarray) -> np.ndarray:
        return self.scores[state].copy()


class Vectors(Table):
    """The same with item vectors."""

    def item_vectors(self) -> np.ndarray:
        return np.random.default_rng(3).normal(size=(self.scores.shape[1], 6)).astype(np.float32)

    def user_vectors(self, state: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def world(n_items: int = 300, n_users: int = 7, seed: int = 0) -> tuple[np.ndarray, Reranker, Histories]:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n_items, n_items)).astype(np.float32).round(1)  # rounded, so that there are ties
    genres = [tuple(g for g in GENRES if rng.random() < 0.4) for _ in range(n_items)]
    titles = [f"Film {n} ({1950 + n % 60})" if n % 11 else f"Film {n}" for n in range(n_items)]
    popularity = rng.integers(0, 500, n_items)
    return (
        scores,
        Reranker(Catalogue.of(titles, genres), popularity),
        Histories.of([[n, n + 9] for n in range(n_users)]),
    )


def scaled(values: list[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]


def plain(
    pool: list[int], scores: list[float], log_popularity: list[float], similarity: np.ndarray, rerank: Rerank, k: int
) -> list[int]:
    """One user's list by the formulas of the module, one item at a time."""
    value = scaled(scores)
    novelty, diversity = rerank.novelty, rerank.diversity
    if novelty:
        popularity = scaled(log_popularity)
        strength = abs(novelty)
        value = [
            (1 - strength) * v + strength * (1 - p if novelty > 0 else p)
            for v, p in zip(value, popularity, strict=True)
        ]
    order = sorted(range(len(pool)), key=lambda n: (-value[n], n))
    if not diversity:
        return [pool[n] for n in order[:k]]
    value = scaled(value)
    clipped = np.clip(similarity, 0, 1)
    largest = max((clipped[i, j] for i in pool for j in pool if i != j), default=0) or 1
    listed: list[int] = []
    while order and len(listed) < k:
        marginal = [
            (1 - diversity) * value[n]
            - diversity * max((clipped[pool[n], pool[m]] / largest for m in listed), default=0)
            for n in order
        ]
        listed.append(order.pop(marginal.index(max(marginal))))
    return [pool[n] for n in listed]


def cosine(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors / np.where(lengths > 0, lengths, 1)
    return directions @ directions.T


@pytest.mark.parametrize("model", [Table, Vectors])
@pytest.mark.parametrize("novelty", [-1.0, -0.4, 0.0, 0.5, 1.0])
@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.8, 1.0])
def test_a_batch_equals_the_plain_loop(model: type[Table], novelty: float, diversity: float) -> None:
    scores, reranker, histories = world()
    chosen = model(scores)
    rerank = Rerank(novelty=novelty, diversity=diversity)
    found = reranker.rank(chosen, histories, 12, rerank)
    pool = rank(chosen, histories, POOL)
    vectors = chosen.item_vectors() if isinstance(chosen, Vectors) else reranker.catalogue.genre_matrix.astype(float)
    similarity, log_popularity = cosine(vectors), np.log1p(reranker.popularity)
    for user in range(len(histories)):
        items = pool.items[user].tolist()
        expected = plain(items, pool.scores[user].tolist(), log_popularity[items].tolist(), similarity, rerank, 12)
        assert found.items[user].tolist() == expected
        own = scores[histories.items[histories.starts[user]]]
        np.testing.assert_array_equal(found.scores[user], own[found.items[user]])


@pytest.mark.parametrize("rerank", [None, Rerank(), Rerank(novelty=0, diversity=0)])
def test_without_novelty_and_diversity_it_equals_rank_bit_for_bit(rerank: Rerank | None) -> None:
    scores, reranker, histories = world()
    masked, cold = Histories.of([[n + 20] for n in range(7)]), reranker.popularity
    found = reranker.rank(Table(scores), histories, 30, rerank, masked=masked, cold=cold)
    expected = rank(Table(scores), histories, 30, masked=masked, cold=cold)
    assert found.items.tobytes() == expected.items.tobytes()
    assert found.scores.tobytes() == expected.scores.tobytes()


def test_full_novelty_orders_by_popularity_alone() -> None:
    scores, reranker, histories = world(150)
    seen = [set(histories.items[histories.starts[u] : histories.starts[u + 1]].tolist()) for u in range(7)]
    obscure = reranker.rank(Table(scores), histories, 20, Rerank(novelty=1))
    familiar = reranker.rank(Table(scores), histories, 20, Rerank(novelty=-1))
    for user in range(7):
        left = [row for row in range(150) if row not in seen[user]]
        by_popularity = sorted(reranker.popularity[left].tolist())
        assert reranker.popularity[obscure.items[user]].tolist() == by_popularity[:20]
        assert reranker.popularity[familiar.items[user]].tolist() == by_popularity[::-1][:20]


def test_full_diversity_takes_one_of_each_genre_first() -> None:
    catalogue = Catalogue.of([f"Film {n} (2000)" for n in range(40)], [(GENRES[n % 4],) for n in range(40)])
    scores = np.zeros((40, 40), dtype=np.float32)
    scores[0] = np.where(np.arange(40) % 4 == 1, 10, 0) - np.arange(40) / 100  # all comedies lead
    reranker = Reranker(catalogue, np.ones(40, dtype=np.int64))
    histories = Histories.of([[0]])
    plain_list = reranker.rank(Table(scores), histories, 4)
    diverse_list = reranker.rank(Table(scores), histories, 4, Rerank(diversity=1))
    assert {catalogue.genres[row] for row in plain_list.items[0]} == {("Comedy",)}
    assert diverse_list.items[0].tolist() == [1, 2, 3, 4]  # the best of each genre, comedy first


def test_filters_and_items_without_a_year() -> None:
    scores, reranker, histories = world()
    rerank = Rerank(genres=("Horror", "Comedy"), from_year=1960, to_year=1979, novelty=0.5, diversity=0.5)
    found = reranker.rank(Table(scores), histories, 40, rerank)
    listed = set(found.items[found.items >= 0].tolist())
    assert listed
    for row in listed:
        assert set(reranker.catalogue.genres[row]) & {"Horror", "Comedy"}
        assert 1960 <= reranker.catalogue.years[row] <= 1979
    allowed = reranker.allowed(Rerank(to_year=2050))
    assert allowed is not None
    assert not allowed[::11].any()
    assert reranker.allowed(Rerank(diversity=1)) is None


def test_masked_and_seen_items_stay_out_and_short_lists_are_well_formed() -> None:
    scores, reranker, histories = world(30)
    masked = Histories.of([list(range(10, 26))] * 7)
    found = reranker.rank(Table(scores), histories, 20, Rerank(novelty=0.7, diversity=0.7), masked=masked)
    for user, row in enumerate(found.items):
        left = set(range(30)) - set(range(10, 26)) - {user, user + 9}
        assert set(row[: len(left)].tolist()) == left
        assert (row[len(left) :] == -1).all()
        assert np.isneginf(found.scores[user][len(left) :]).all()
    everything = Histories.of([list(range(30))])
    nothing = reranker.rank(Table(scores), everything, 5, Rerank(diversity=1, novelty=1))
    assert nothing.items.tolist() == [[-1] * 5]


def test_blocks_of_users_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, reranker, histories = world()
    whole = reranker.rank(Vectors(scores), histories, 15, Rerank(novelty=0.3, diversity=0.6))
    monkeypatch.setattr("matinee.ranking.rerank.BLOCK_PAIRS", 250**2)
    parts = reranker.rank(Vectors(scores), histories, 15, Rerank(novelty=0.3, diversity=0.6))
    np.testing.assert_array_equal(whole.items, parts.items)


def test_reorder_by_hand() -> None:
    """Scaled relevance 1, 0.5, 0 and popularity 1, 0, 0.5. With novelty 0.5 the values are 0.5, 0.75, 0.25."""
    pool = Ranking(np.array([[2, 0, 1]]), np.array([[3.0, 2.0, 1.0]], dtype=np.float32))
    log_popularity = np.array([0.0, 1.0, 2.0])
    order = reorder(pool, log_popularity, Rerank(novelty=0.5), 3)
    assert order.tolist() == [[1, 0, 2]]


def test_a_rerank_is_read_from_text_and_errors_name_the_fix() -> None:
    text = "novelty=0.5, diversity=0.3,genres=Comedy|Drama,from-year=1980"
    rerank = configure(Rerank, parse_rerank(text), "--rerank")
    assert rerank == Rerank(novelty=0.5, diversity=0.3, genres=("Comedy", "Drama"), from_year=1980)
    assert configure(Rerank, parse_rerank(str(rerank)), "x") == rerank
    assert EvaluationConfig(rerank=text).rerank == rerank  # type: ignore[arg-type]
    with pytest.raises(MatineeError, match=r"unknown key 'rerank\.diversty'; did you mean 'diversity'"):
        configure(EvaluationConfig, {"rerank": "diversty=1"}, "options")
    with pytest.raises(MatineeError, match="unknown key 'diversty'; did you mean 'diversity'"):
        configure(Rerank, parse_rerank("diversty=1"), "--rerank")
    with pytest.raises(MatineeError, match="diversity = '2'"):
        configure(Rerank, parse_rerank("diversity=2"), "--rerank")
    with pytest.raises(MatineeError, match="from_year 1990 is after to_year 1980"):
        configure(Rerank, parse_rerank("from_year=1990,to_year=1980"), "--rerank")
    with pytest.raises(MatineeError, match="no genre 'Comdy' in the catalogue; did you mean 'Comedy'"):
        world()[1].allowed(Rerank(genres=("Comdy",)))


def test_a_list_longer_than_the_longest_pool_goes_on_in_the_models_order(monkeypatch: pytest.MonkeyPatch) -> None:
    from matinee.ranking import rerank as module

    n_items = 12
    catalogue = Catalogue.of([f"Film {n} (2000)" for n in range(n_items)])
    popularity = np.arange(n_items)[::-1]
    histories = Histories.of([[0], [3, 5]])
    train = TrainingData(Histories.of([list(range(n)) for n in range(1, n_items + 1)]), n_items)
    model = create("popularity").fit(train, Run())
    monkeypatch.setattr(module, "POOL", 3)
    monkeypatch.setattr(module, "LONGEST_POOL", 4)
    for strengths in ({"novelty": 0.9}, {"diversity": 0.5}):
        plain = Reranker(catalogue, popularity).rank(model, histories, 50)
        found = Reranker(catalogue, popularity).rank(model, histories, 50, Rerank(**strengths))
        assert found.items.shape == plain.items.shape == (2, n_items)
        assert found.items[:, 4:].tolist() == plain.items[:, 4:].tolist()
        assert np.sort(found.items[:, :4]).tolist() == np.sort(plain.items[:, :4]).tolist()
        assert ("diversity" in strengths) or found.items.tolist() != plain.items.tolist()
