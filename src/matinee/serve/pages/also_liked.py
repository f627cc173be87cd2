"""What people who liked a movie also liked, counted in the training data."""

from copy import copy

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import BoolArray
from matinee.ranking.allowed import both as both_allow
from matinee.ranking.recommendation import Recommendation
from matinee.serve.ratings import FAVOURITE, LIKED
from matinee.serve.site import Site

PRIOR_PEOPLE = 20
"""Added to the number of people who like a movie, so that movies with few of them do not come first."""
LEAST = 3
"""People who must have liked both movies."""


class AlsoLiked:
    """Counts the people who liked two movies, over the histories that the models were fitted on.

    Where the data have no ratings, having watched a movie counts as liking it.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        artefact = next(iter(site.engine.artefacts.values()))
        events = artefact.known.events
        stars = artefact.model.value_map.stars_of(events.values)
        has_ratings = len(stars) > 0 and stars.max() > LIKED
        liked = stars >= (FAVOURITE if has_ratings else stars.min(initial=0))
        shape = (len(artefact.users), len(artefact.items))
        pairs = (events.user_rows[liked], events.item_rows[liked])
        self._by_user = csr_array((np.ones(int(liked.sum()), dtype=np.int32), pairs), shape=shape)
        self._by_item = self._by_user.T.tocsr()
        self._n_people = np.diff(self._by_item.indptr)  # [I]

    def of_site(self, site: Site) -> "AlsoLiked":
        """The same for another catalogue."""
        other = copy(self)
        other._site = site
        return other

    def n_people(self, item_row: int) -> int:
        """How many people liked an item in training."""
        return int(self._n_people[item_row]) if item_row < len(self._n_people) else 0

    def recommend(
        self, item_row: int, k: int, excluded: set[int], mask: BoolArray | None = None
    ) -> list[Recommendation]:
        """The k items with the largest share of people who liked this one too. mask: [I], None for all.

        Score: people who liked both / (people who liked the item + PRIOR_PEOPLE).
        """
        listed = both_allow(self._site.engine.now.listed, mask)
        if not self.n_people(item_row):
            return []
        starts = self._by_item.indptr
        users = self._by_item.indices[starts[item_row] : starts[item_row + 1]]
        both = np.bincount(self._by_user[users].indices, minlength=len(self._n_people))  # [I]
        both[[item_row, *(row for row in excluded if row < len(both))]] = 0
        if listed is not None:
            both[~listed[: len(both)]] = 0
        share = np.where(both >= LEAST, both / (self._n_people + PRIOR_PEOPLE), 0)
        rows = np.argsort(-share, kind="stable")[:k]
        ids = self._site.engine.items
        return [Recommendation(int(row), ids.id(int(row)), float(share[row]), "") for row in rows if share[row] > 0]
