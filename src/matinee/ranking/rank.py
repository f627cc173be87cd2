"""From scores to lists: the one function that makes every list, offline and live."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray, top_k
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.models.base import HasItemVectors, HasSimilarity, Recommender
from matinee.models.vectors import cosines
from matinee.nn.row_sums import load_torch_for
from matinee.ranking.by_index import lists_by_index
from matinee.ranking.fallback import Fallback, likes_nothing
from matinee.ranking.item_index import ItemIndex
from matinee.vocab import UNKNOWN

BLOCK_BYTES = 16 * 2**20
"""Memory for the scores of one block of users, sized for the processor's cache (8 to 16 MB measured fastest)."""
MANY_LISTS = 256
"""From so many on, the lists of a model with the same scores for everyone are made from one order of the items."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The k best items of B users, or all I where k is larger.

    items: [B, min(k, I)] int32 item rows, best first, UNKNOWN where a list is short; scores: the same, -inf there;
    unknown: [B], whether the model knows nothing of the history, so that the scores are those of `cold`; None if of no
    history, or if that was not asked.
    """

    items: IntArray
    scores: FloatArray
    unknown: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.items)


def rank(  # noqa: PLR0913 - each narrows what a list may have
    model: Recommender[Any],
    histories: Histories,
    k: int,
    *,
    masked: Histories | None = None,
    allowed: BoolArray | None = None,
    cold: FloatArray | IntArray | Fallback | None = None,
    repeat: bool = False,
    candidates: Histories | None = None,
    index: ItemIndex | None = None,
) -> Ranking:
    """The k best items for each history, by score; ties are ordered by item row.

    Lists exclude the items of the history (unless `repeat`), those of `masked` (B rows of items), and those outside
    `allowed` ([I]) or `candidates` (B rows of items). A user whose history has no event that counts for its item (an
    empty one, or dislikes only) gets the scores of `cold` ([I], such as popularity, or a Fallback) if given, else the
    model's; so does one of whose history the model knows nothing: the best score of the list is exactly 0. Users are
    scored by length of history, in blocks whose scores fit in BLOCK_BYTES. A list has min(k, I) entries, so time and
    memory do not grow with a k beyond the catalogue.
    index: of the model's item vectors, which then finds about these items, as far as it can: never others than may be
    listed; lists that it cannot fill, and those by `cold`, are exact.
    Raises ValueError if k < 1 or a shape is wrong, MatineeError if the model has not been fitted.
    """
    model.require_fitted()
    if k < 1:
        raise ValueError(f"k = {k}; a list has at least one item")
    for name, given in (("masked", masked), ("candidates", candidates)):
        if given is not None and len(given) != len(histories):
            raise ValueError(f"{name} has {len(given)} rows for {len(histories)} histories")
    if not model.reads_history and candidates is None and len(histories) >= MANY_LISTS:
        return _rank_alike(model, histories, k, masked, allowed, cold, repeat)
    if index is not None and candidates is None:
        return _rank_by_index(model, index, histories, k, masked, allowed, cold, repeat)
    items, scores = _empty(0, k)
    unknown = np.zeros(len(histories), dtype=bool)
    order = np.argsort(histories.lengths, kind="stable")  # what the users of one block share is computed once
    start, size = 0, 1  # one user first, since the number of items is known only after scoring
    while start < len(order):
        rows = order[start : start + size]
        block, of_masked, among = (_take(given, rows) for given in (histories, masked, candidates))
        assert block is not None
        block = model.weigh(block)
        block_scores = model.score(model.state_of(block))  # [b, I]
        if start == 0:
            items, scores = _empty(len(histories), min(k, block_scores.shape[1]))
            size = max(1, BLOCK_BYTES // max(1, block_scores[0].nbytes))
            load_torch_for(len(histories.items) * block_scores.shape[1])
        if cold is not None and (without := np.flatnonzero(likes_nothing(block))).size:
            block_scores[without] = cold.scores(block.take(without)) if isinstance(cold, Fallback) else cold
        hidden = [of_masked] if repeat else [block, of_masked]
        _mask(block_scores, allowed, hidden, among)
        items[rows], scores[rows] = _best(block_scores, items.shape[1], model.name)
        if cold is not None and (found := np.flatnonzero(_knows_nothing(block, scores[rows]))).size:
            popular = cold.popularity if isinstance(cold, Fallback) else cold
            popular_scores = np.tile(popular.astype(np.float32), (len(found), 1))
            _mask(popular_scores, allowed, [each and each.take(found) for each in hidden], among and among.take(found))
            unknown[rows[found]] = True
            items[rows[found]], scores[rows[found]] = _best(popular_scores, items.shape[1], model.name)
        start += len(rows)
        del block_scores  # so that the next ones take the same memory
    return Ranking(items, scores, unknown if unknown.any() else None)


def _rank_alike(
    model: Recommender[Any],
    histories: Histories,
    k: int,
    masked: Histories | None,
    allowed: BoolArray | None,
    cold: FloatArray | IntArray | Fallback | None,
    repeat: bool,
) -> Ranking:
    """As `rank`, of a model that gives every history the same scores: the first k of one order that a user lacks."""
    scores = model.score(model.state_of(histories.take(np.zeros(1, dtype=np.int64))))[0]  # [I]
    if allowed is not None:
        scores[~allowed] = -np.inf
    order, best = (each[0] for each in _best(scores[None], len(scores), model.name))
    position_of = np.empty(len(order), dtype=np.int64)
    position_of[np.argsort(-scores, kind="stable")] = np.arange(len(order))
    hidden = _hidden(histories, masked, repeat)
    found = Ranking(*_empty(len(histories), min(k, len(order))))
    n_hidden = sum((each.lengths for each in hidden), np.zeros(len(histories), dtype=np.int64))
    for rows in _by_length(n_hidden, k):
        free = np.ones((len(rows), min(len(order), k + int(n_hidden[rows[-1]]))), dtype=bool)  # [b, W]
        for each in hidden:
            taken = each.take(rows)
            positions = position_of[taken.items]
            near = positions < free.shape[1]
            free[taken.owners[near], positions[near]] = False
        ranks = np.cumsum(free, axis=1, dtype=np.int32)
        owners, columns = np.nonzero(free & (ranks <= k))
        at = rows[owners], ranks[owners, columns] - 1
        found.items[at], found.scores[at] = order[columns], best[columns]
    if cold is None or not len(order):
        return found
    apart = np.flatnonzero(likes_nothing(histories) | (found.scores[:, 0] == 0))  # those whose scores are `cold`'s
    unknown = np.zeros(len(histories), dtype=bool)
    for start in range(0, len(apart), MANY_LISTS - 1):
        rows = apart[start : start + MANY_LISTS - 1]
        of_masked = None if masked is None else masked.take(rows)
        own = rank(model, histories.take(rows), k, masked=of_masked, allowed=allowed, cold=cold, repeat=repeat)
        found.items[rows], found.scores[rows] = own.items, own.scores
        unknown[rows] = False if own.unknown is None else own.unknown
    return Ranking(found.items, found.scores, unknown if unknown.any() else None)


def _rank_by_index(  # noqa: PLR0913 - those of `rank`
    model: Recommender[Any],
    index: ItemIndex,
    histories: Histories,
    k: int,
    masked: Histories | None,
    allowed: BoolArray | None,
    cold: FloatArray | IntArray | Fallback | None,
    repeat: bool,
) -> Ranking:
    """As `rank`, through an index of the model's items; exact where that does not fill a list, and where `cold` may."""
    k = min(k, index.n_items)
    weighed = model.weigh(histories)
    hidden = _hidden(histories, masked, repeat)
    items, scores, whole = lists_by_index(model, index, weighed, k, hidden, allowed)
    if cold is not None and k:
        whole &= ~likes_nothing(weighed) & (scores[:, 0] != 0)
    rest = np.flatnonzero(~whole)
    if not len(rest):
        return Ranking(items, scores)
    of_masked = None if masked is None else masked.take(rest)
    exact = rank(model, histories.take(rest), k, masked=of_masked, allowed=allowed, cold=cold, repeat=repeat)
    items[rest], scores[rest] = exact.items, exact.scores
    if exact.unknown is None:
        return Ranking(items, scores)
    unknown = np.zeros(len(histories), dtype=bool)
    unknown[rest] = exact.unknown
    return Ranking(items, scores, unknown)


def _hidden(histories: Histories, masked: Histories | None, repeat: bool) -> list[Histories]:
    """The histories whose items are in no list."""
    return [each for each in (None if repeat else histories, masked) if each is not None]


def _by_length(lengths: IntArray, k: int) -> Iterator[IntArray]:
    """Rows by ascending length, in blocks whose `k` + longest columns of ranks fit in BLOCK_BYTES."""
    order, start = np.argsort(lengths, kind="stable"), 0
    while start < len(order):
        size = max(1, BLOCK_BYTES // (8 * (k + int(lengths[order[start]]))))
        stop = min(start + size, len(order))
        size = max(1, BLOCK_BYTES // (8 * (k + int(lengths[order[stop - 1]]))))
        yield order[start : min(start + size, stop)]
        start = min(start + size, stop)


def _take(histories: Histories | None, rows: IntArray) -> Histories | None:
    """Some of the histories; a single one as it is, since a live list takes it each time."""
    return histories if histories is None or len(histories) == 1 else histories.take(rows)


def similar(model: Recommender[Any], item_rows: IntArray, k: int) -> Ranking:
    """The k items most similar to each of n items, without the item itself. item_rows [n] -> [n, min(k, I)].

    By the model's own similarity, else the cosine of its item vectors, else the list for a history of that one item.
    Raises MatineeError for a model whose lists do not depend on the history.
    """
    model.require_fitted()
    if not model.reads_history:
        raise MatineeError(f"model {model.name} gives everyone the same list, so it has no similar items; use item-knn")
    if isinstance(model, HasSimilarity):
        scores = model.similarity(item_rows)  # [n, I]
    elif isinstance(model, HasItemVectors):
        scores = cosines(model.item_vectors(), item_rows)
    else:
        return rank(model, Histories.of([[int(row)] for row in item_rows]), k)
    scores[np.arange(len(item_rows)), item_rows] = -np.inf
    return Ranking(*_best(scores, min(k, scores.shape[1]), model.name))


def _mask(
    scores: FloatArray, allowed: BoolArray | None, hidden: Sequence[Histories | None], among: Histories | None
) -> None:
    """Take items out of b users' scores: those outside `allowed` or `among`, and those hidden. [b, I], in place."""
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    if among is not None:
        outside = np.ones(scores.shape, dtype=bool)
        outside[among.owners, among.items] = False
        scores[outside] = -np.inf
    for rows in hidden:
        if rows is not None:
            scores[rows.owners, rows.items] = -np.inf


def _knows_nothing(weighed: Histories, scores: FloatArray) -> BoolArray:
    """Whether a history counts and yet no item of its list has a score other than 0. scores: [b, k] -> [b]."""
    if scores.shape[1] == 0:
        return np.zeros(len(scores), dtype=bool)
    found: BoolArray = scores[:, 0] == 0
    return found & ~likes_nothing(weighed) if found.any() else found


def _empty(n_lists: int, k: int) -> tuple[IntArray, FloatArray]:
    return np.full((n_lists, k), UNKNOWN, dtype=np.int32), np.full((n_lists, k), -np.inf, dtype=np.float32)


def _best(scores: FloatArray, k: int, name: str) -> tuple[IntArray, FloatArray]:
    """Items and scores of the k best of b users, UNKNOWN for what is masked. scores: [b, I], k <= I -> [b, k] each."""
    if k == 0:
        return _empty(len(scores), 0)
    columns, best = top_k(scores, k)
    if np.isnan(best).any():
        raise MatineeError(f"model {name} gave NaN scores; refit it with a smaller learning rate")
    return np.where(np.isneginf(best), np.int32(UNKNOWN), columns), best
