"""A model's list for a visitor, with bars for its scores."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from matinee.config import Rerank
from matinee.ranking.recommendation import Recommendation
from matinee.serve.pages.cards import Card
from matinee.serve.site import Site
from matinee.serve.visitor_state import VisitorState


@dataclass(frozen=True, slots=True)
class RankedCard:
    """A position of a model's list.

    strength: its score from 0 (lowest of the list) to 1 (highest); n_lists: how many of the lists side by side hold it.
    """

    card: Card
    strength: float
    n_lists: int = 0


def model_list(
    site: Site,
    visitor: VisitorState,
    name: str,
    k: int,
    *,
    repeat: bool = False,
    rerank: Rerank | None = None,
    explain: bool = True,
) -> list[Recommendation]:
    """A model's list for a visitor. repeat: list what they watched too; explain: whether reasons are found."""
    engine = site.engine
    if name not in engine.models:
        excluded = visitor.dismissed if repeat else np.concatenate([visitor.history.items, visitor.unlisted])
        return engine.popular(k, allowed=engine.allowed(rerank, excluded))
    if repeat and visitor.watched:
        return engine.recommend_for(visitor.history, k, name, rerank=rerank, dismissed=visitor.dismissed, repeat=True)
    return site.for_you(visitor, k, name, rerank, explain=explain)


def rank_cards(
    items: list[Recommendation], cards: list[Card], n_lists: Mapping[int, int] | None = None
) -> list[RankedCard]:
    """The cards of a list with bars, from 0, or from the lowest score if some are negative, to the highest score.

    Popular items that replace others have no bar. n_lists: by item row.
    """
    own = [item.score for item in items if item.model == items[0].model]
    low = min(0.0, *own) if own else 0.0
    span = (max(own) - low if own else 0.0) or 1.0
    strengths = [(item.score - low) / span if item.model == items[0].model else 0.0 for item in items]
    counts = [n_lists.get(item.item_row, 0) if n_lists else 0 for item in items]
    return [RankedCard(*parts) for parts in zip(cards, strengths, counts, strict=True)]
