"""The live engine: lists for one user at a time from several models. No HTTP, no SQL, the same rank() as evaluation."""

from collections.abc import Callable, Collection, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from time import monotonic, perf_counter
from typing import Any

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.config import Rerank
from matinee.errors import MatineeError, did_you_mean
from matinee.histories import END_OF_TIME, Histories, HistorySource, Instant, UserId, last_of_each
from matinee.models.base import HasItemVectors, PredictsValues, Recommender
from matinee.models.vectors import unit
from matinee.ranking.allowed import both
from matinee.ranking.counterfactual import Counterfactual, Question, find_counterfactual
from matinee.ranking.explain import Explanation, explain
from matinee.ranking.fallback import Fallback
from matinee.ranking.indexes import Indexes, TestedIndex
from matinee.ranking.item_index import ItemIndex
from matinee.ranking.new_items import NewItems
from matinee.ranking.rank import Ranking, similar
from matinee.ranking.recommendation import ReasonFinder, Recommendation
from matinee.ranking.rerank import Reranker
from matinee.ranking.shared import SharedWords
from matinee.store.artefact import Artefact
from matinee.store.compatible import require_same_items
from matinee.values import UNARY
from matinee.vocab import UNKNOWN

NEWEST = "newest"
"""The model name of items that came since training, in the order in which they came."""
POPULAR = "popularity"
"""The model name of lists for users without a history, whichever models are served."""
PREFERRED = ("ease", "item-knn")
"""The default model is the first of these that is served."""
WHY_EVENTS = 200
"""For models that cannot explain: number of last events left out in turn for one movie."""
COUNTERFACTUAL_SECONDS = 1.0
"""Of the search for what would change a list."""
N_SIMILAR, MAX_CACHED = 250, 2048
"""Similar items cached per item, and items in the cache: 4 MB. They do not depend on the user."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """The value that a user would give an item, and how far such predictions were off when measured (RMSE)."""

    value: float
    rmse: float


class Engine:
    """Several models over one source of histories.

    on_stage: called with each stage of a list, its model and the seconds that it took.

    artefacts: at least one, all fitted on the same data; default: the model to use if none is named; now: the catalogue
    as it is since, if it changed after training; indexes: those of the models, for lists that an approximate index of
    many items makes; None for exact lists.
    """

    def __init__(
        self,
        artefacts: Sequence[Artefact],
        source: HistorySource,
        default: str | None = None,
        now: NewItems | None = None,
        indexes: Indexes | None = None,
    ) -> None:
        require_same_items(artefacts)
        self.artefacts = {artefact.name: artefact for artefact in artefacts}
        first = artefacts[0]
        self.now = now = now or NewItems(first.items, first.catalogue)
        self.items, self.catalogue, self.n_trained = now.items, now.catalogue, len(first.items)
        self.popularity = np.pad(first.popularity, (0, len(now.items) - len(first.items)))
        listing = tuple(name for name, found in self.artefacts.items() if found.model.makes_lists)
        self.models = listing or tuple(self.artefacts)
        preferred = next((name for name in PREFERRED if name in self.models), self.models[0])
        self.default = self._known(default) if default else preferred
        self.similar_models = tuple(name for name in self.models if self.artefacts[name].model.reads_history)
        self._source = source
        self.on_stage: Callable[[str, str, float], None] = lambda stage, model, seconds: None
        self._cached_similar = lru_cache(maxsize=MAX_CACHED)(self._find_similar)
        self._reranker = Reranker(now.catalogue, self.popularity)
        self._fallback = Fallback(self.popularity, now.catalogue.genre_matrix)
        self._versions = {POPULAR: first.version} | {name: found.version for name, found in self.artefacts.items()}
        order = np.lexsort((np.arange(len(self.popularity)), -self.popularity))
        order = order[self.popularity[order] > 0]
        self._by_popularity = order if now.listed is None else order[now.listed[order]]
        self.indexes = indexes
        self._indexed = {name: self._index_of(found) for name, found in self.artefacts.items()} if indexes else {}

    def recommend(
        self,
        user_id: UserId,
        k: int,
        model: str | None = None,
        *,
        before: Instant = END_OF_TIME,
        rerank: Rerank | None = None,
        dismissed: IntArray | None = None,
    ) -> list[Recommendation]:
        """The k best items for a user's history before a moment; popular items if it is empty.

        rerank: filters, novelty and diversity; dismissed: rows of items to leave out.
        Raises MatineeError for a model that is not served, or a genre that the catalogue does not have.
        """
        history = self._source.histories([user_id], before=before)
        return self.recommend_for(history, k, model, rerank=rerank, dismissed=dismissed)

    def recommend_for(  # noqa: PLR0913 - one for each option
        self,
        history: Histories,
        k: int,
        model: str | None = None,
        *,
        rerank: Rerank | None = None,
        dismissed: IntArray | None = None,
        allowed: BoolArray | None = None,
        repeat: bool = False,
        explain: bool = True,
    ) -> list[Recommendation]:
        """As `recommend`, for a given history (B = 1).

        allowed: [I], whether an item may be listed; repeat: also list items of the history; explain: find the reasons,
        which takes longer than the list. A reason is an event that is liked, contributes to the score, and whose
        deletion lowers it (`ranking.reasons`).
        """
        name = self._known(model or self.default)
        if len(history.items) == 0:
            return self.popular(k, allowed=both(self.allowed(rerank, dismissed), allowed))
        chosen, allowed = self._lister(name), both(self.now.listed, allowed)
        history = chosen.weigh(history)  # once for the list and its reasons
        masked = Histories.of([dismissed.tolist()]) if dismissed is not None and len(dismissed) else None
        begun = perf_counter()
        ranking = self._reranker.rank(
            chosen,
            history,
            k,
            rerank,
            allowed,
            masked=masked,
            repeat=repeat,
            cold=self._fallback,
            index=self._indexed.get(name),
        )
        ranked = perf_counter()
        self.on_stage("rank", name, ranked - begun)
        if ranking.unknown is not None or not (self.weights(history, name) > 0).any():
            return self._listed(ranking, POPULAR)
        found = self._listed(ranking, name)
        if found and explain:
            found = self._reasons(name, found).add(found, history)
            self.on_stage("reasons", name, perf_counter() - ranked)
        return found

    def newest(
        self, history: Histories, k: int, model: str | None = None, *, allowed: BoolArray | None = None
    ) -> list[Recommendation]:
        """At most k items that came since training: by score for a history (B = 1), the others the newest first.

        allowed: [I]. The model of an item without a score is NEWEST. Raises MatineeError as `recommend`.
        """
        is_new = np.arange(len(self.items)) >= self.n_trained
        mask = is_new if allowed is None else is_new & allowed
        if self.now.listed is not None:
            mask = mask & self.now.listed
        if not mask.any():
            return []
        ranked = self.recommend_for(history, k, model, allowed=mask) if len(history.items) else []
        found = [item for item in ranked if item.score != 0]
        mask[[item.item_row for item in found]] = False
        rest = np.flatnonzero(mask)[::-1][: k - len(found)].tolist()
        return found + [Recommendation(row, self.items.id(row), 0.0, NEWEST) for row in rest]

    def predicted_value(self, history: Histories, item_row: int) -> Predicted | None:
        """The value that a user (B = 1) would give an item; None if it would be no better than an average.

        By the served model of the lowest error at the user's number of ratings, of those that beat the averages there
        when they were trained (`evaluation.history_lengths`).
        """
        n_ratings = int(np.isfinite(last_of_each(history).values).sum())
        able: list[tuple[float, str]] = []
        for name, artefact in self.artefacts.items():
            measured = [row for row in artefact.manifest.get("predicted_values", ()) if row["ratings"] <= n_ratings]
            if measured and measured[-1]["better"]:
                able.append((measured[-1]["rmse"], name))
        if not able or item_row >= self.n_trained:
            return None
        rmse, name = min(able)
        model = self.artefacts[name].model
        values = model.predict_values(history) if isinstance(model, PredictsValues) else None
        value = (model.score(model.state_of(history)) if values is None else values)[0, item_row]
        return Predicted(float(value), rmse)

    def dislikes_all(self, history: Histories, model: str | None = None) -> bool:
        """Whether a history (B = 1) has events and none with a weight above 0, so that its list is by popularity."""
        return len(history.items) > 0 and not (self.weights(history, model) > 0).any()

    def weights(self, history: Histories, model: str | None = None) -> FloatArray:
        """How much each event of a history (B = 1) counts, below 0 against its item. [N]."""
        return self.artefacts[self._known(model or self.default)].model.weigh(history).weights

    def n_changed(
        self, history: Histories, listed: Sequence[Recommendation], dismissed: IntArray, rerank: Rerank | None = None
    ) -> int | None:
        """How many of a list's items would not be in it if every event of the history (B = 1) weighed 1.

        None where that cannot be said: of popular items, or of a model whose map weighs all events equally.
        """
        artefact = self.artefacts.get(listed[0].model) if listed else None
        if artefact is None or artefact.model.value_map.unary or not artefact.model.reads_history:
            return None
        unweighed = copy(self._lister(artefact.name))
        unweighed.value_map = UNARY
        masked = Histories.of([dismissed.tolist()])
        ranking = self._reranker.rank(unweighed, history, len(listed), rerank, self.now.listed, masked=masked)
        found = ranking.items[0]
        return len({item.item_row for item in listed} - set(found.tolist()))

    def allowed(self, rerank: Rerank | None, dismissed: IntArray | None = None) -> BoolArray | None:
        """Which items pass the filters and are not dismissed, None if all do. [I], with new items."""
        passes = self._reranker.allowed(rerank) if rerank else None
        if dismissed is not None and len(dismissed):
            passes = np.ones(len(self.items), dtype=bool) if passes is None else passes
            passes[dismissed] = False
        return passes

    def why(self, history: Histories, item_row: int, model: str | None = None) -> Explanation:
        """Contribution of each event of a history (B = 1) to one item's score. Raises MatineeError as `recommend`."""
        name = self._known(model or self.default)
        chosen = self._lister(name) if item_row >= self.n_trained else self.artefacts[name].model
        return explain(chosen, history, np.array([[item_row]], dtype=np.int32), max_events=WHY_EVENTS)

    def counterfactual(
        self,
        history: Histories,
        item_row: int,
        k: int,
        model: str | None = None,
        *,
        dismissed: IntArray | None = None,
        seconds: float = COUNTERFACTUAL_SECONDS,
    ) -> Counterfactual:
        """What would move an item out of the first k of a user's list, or into them. history: B = 1.

        The search begins no further round of lists after so many seconds. Raises MatineeError as `recommend`.
        """
        allowed = both(self.allowed(None, dismissed), self.now.listed)
        question = Question(history, item_row, k, allowed, self._fallback)
        end = monotonic() + seconds
        chosen = self._lister(self._known(model or self.default))
        return find_counterfactual(chosen, question, lambda: monotonic() > end)

    def reasons_of(self, history: Histories, item_row: int, score: float, model: str | None = None) -> Recommendation:
        """An item with its score and the reasons that hold for it, as in a list. history: B = 1."""
        name = self._known(model or self.default)
        item = Recommendation(item_row, self.items.id(item_row), score, name)
        return self._reasons(name, [item]).add([item], history)[0] if len(history.items) else item

    def similar(
        self, item_row: int, k: int, model: str | None = None, out: Collection[int] = ()
    ) -> list[Recommendation]:
        """At most k items of positive similarity to an item, without those in `out`.

        Raises MatineeError for a model that is not served or has no similar items.
        """
        name = self._known(model or self.similar_default)
        ranking = self._cached_similar(name, item_row, max(N_SIMILAR, k + len(out)))
        listed = self.now.listed
        rows = enumerate(ranking.items[0].tolist())
        kept = [index for index, row in rows if row not in out and (listed is None or listed[row])][:k]
        found = Ranking(ranking.items[:, kept], ranking.scores[:, kept])
        return [item for item in self._listed(found, name) if item.score > 0]

    def popular(self, k: int, *, allowed: BoolArray | None = None) -> list[Recommendation]:
        """The k items with most training events; ties are ordered by row."""
        rows = self._by_popularity if allowed is None else self._by_popularity[allowed[self._by_popularity]]
        rows = rows[:k]
        return self._listed(Ranking(rows[None], self.popularity[None, rows].astype(np.float64)), POPULAR)

    def starters(self, k: int) -> list[int]:
        """Popular items that differ: each maximises 2 popularity - similarity of genres and decade to those picked."""
        pool = self._by_popularity[:120]
        genres = unit(self.catalogue.genre_matrix[pool].astype(np.float32))  # [P, G]
        decades = np.array(self.catalogue.years)[pool] // 10
        similarity = genres @ genres.T + 0.3 * (decades[:, None] == decades)  # [P, P]
        log_popularity = np.log1p(self.popularity[pool].astype(np.float64))
        popularity = log_popularity / log_popularity.max(initial=1.0)
        picked: list[int] = []
        closest = np.zeros(len(pool))
        for _ in range(min(k, len(pool))):
            best = int(np.argmax(np.where(np.isin(np.arange(len(pool)), picked), -np.inf, 2 * popularity - closest)))
            picked.append(best)
            closest = np.maximum(closest, similarity[best])
        return [int(pool[index]) for index in picked]

    def is_predicted(self, item_row: int) -> bool:
        """Whether models predict an item that came after training from its features."""
        return self.now.parents is not None and bool(self.now.parents[1][:, item_row - self.n_trained].any())

    def version(self, name: str) -> str:
        """The version of the artefact behind a model's lists; popularity, if not served, has that of the first one."""
        return self._versions.get(name, "")

    def history(self, user_id: UserId, *, before: Instant = END_OF_TIME) -> Histories:
        """A user's history before a moment, B = 1."""
        return self._source.histories([user_id], before=before)

    @cached_property
    def shared_words(self) -> SharedWords:
        """What items have in common, by the table of the first artefact."""
        return SharedWords(next(iter(self.artefacts.values())).item_table)

    @property
    def similar_default(self) -> str:
        """The model for similar items if none is named: item-knn if it is served."""
        if not self.similar_models and len(self.models) == 1:
            raise MatineeError(f"{self.models[0]} has no similar items; use a model that has, such as item-knn")
        if not self.similar_models:
            raise MatineeError(
                f"none of {', '.join(self.models)} has similar items; add a model that has, such as item-knn"
            )
        return "item-knn" if "item-knn" in self.similar_models else self.similar_models[0]

    @property
    def tested_indexes(self) -> list[TestedIndex]:
        """How the lists of each model are made, where indexes were asked for."""
        if self.indexes is None:
            return []
        return [self.indexes.of(found.model, found.known) for found in self.artefacts.values()]

    def _index_of(self, artefact: Artefact) -> ItemIndex | None:
        """The index of the model that lists, with items that came or changed since training."""
        assert self.indexes is not None
        index = self.indexes.of(artefact.model, artefact.known).index
        lister = self._lister(artefact.name)
        if index is None or lister is artefact.model or not isinstance(lister, HasItemVectors):
            return index
        return index.with_vectors(lister.item_vectors())

    def _find_similar(self, name: str, item_row: int, k: int) -> Ranking:
        if item_row >= self.n_trained:
            return self.now.similar_to(item_row - self.n_trained, k)
        return similar(self._lister(name), np.array([item_row], dtype=np.int32), k)

    def _lister(self, name: str) -> Recommender[Any]:
        """The model that scores new items too."""
        return self.now.models.get(name) or self.artefacts[name].model

    def _known(self, name: str) -> str:
        if name not in self.artefacts:
            raise MatineeError(f"no model {name!r} is served{did_you_mean(name, self.artefacts)}")
        return name

    def _listed(self, ranking: Ranking, name: str) -> list[Recommendation]:
        is_listed = ranking.items[0] != UNKNOWN
        rows, scores = ranking.items[0, is_listed], ranking.scores[0, is_listed]
        columns = rows.tolist(), self.items.ids_of(rows), scores.tolist()
        return [Recommendation(row, item_id, score, name) for row, item_id, score in zip(*columns, strict=True)]

    def _reasons(self, name: str, listed: list[Recommendation]) -> ReasonFinder:
        """The finder of a model's reasons; one that reads new items only where some are listed."""
        model = self.artefacts[name].model
        with_new = any(item.item_row >= self.n_trained for item in listed)
        return ReasonFinder(
            model, self._lister(name) if with_new else model, self.n_trained, self.items, self.shared_words
        )
