"""What people who liked a movie liked too, counted in the data."""

import numpy as np
from scipy.sparse import csr_array

from matinee.recommender import Recommendation
from matinee.serve.pages.cards import LIKED
from matinee.serve.site import Site

LIKED_RATING = 4.0
"""From this rating on a movie was liked; where the data has no ratings, having watched it is enough."""
DOUBT = 20
"""People added to those who like a movie, so that one whom nobody else knows does not stand first."""
LEAST = 3
"""People who must have liked both."""


class LikedToo:
    """Counts people who liked two movies, over the histories that the models were fitted on."""

    def __init__(self, site: Site) -> None:
        self._site = site
        known = next(iter(site.engine.artefacts.values()))
        events = known.known.events
        least = LIKED_RATING if len(events.values) and events.values.max() > LIKED else events.values.min(initial=0)
        liked = events.values >= least
        shape = (len(known.users), len(known.items))
        pairs = (events.user_rows[liked], events.item_rows[liked])
        self._by_user = csr_array((np.ones(int(liked.sum()), dtype=np.int32), pairs), shape=shape)
        self._by_item = self._by_user.T.tocsr()
        self._people = np.diff(self._by_item.indptr)

    def people(self, item_row: int) -> int:
        """How many people liked an item."""
        return int(self._people[item_row])

    def listed(self, item_row: int, k: int, out: set[int]) -> list[Recommendation]:
        """The k items whose own people liked this one too in the largest share, less those of `out`."""
        starts = self._by_item.indptr
        users = self._by_item.indices[starts[item_row] : starts[item_row + 1]]
        both = np.bincount(self._by_user[users].indices, minlength=len(self._people))  # [I]
        both[[item_row, *out]] = 0
        share = np.where(both >= LEAST, both / (self._people + DOUBT), 0)
        rows = np.argsort(-share, kind="stable")[:k]
        ids = self._site.engine.items
        return [Recommendation(int(row), ids.id(int(row)), float(share[row]), "") for row in rows if share[row] > 0]
