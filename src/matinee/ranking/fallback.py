"""Lists for users whose history has nothing that they like: popularity, the genres that they dislike last."""

from dataclasses import dataclass

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.histories import Histories


@dataclass(frozen=True, slots=True, eq=False)
class Fallback:
    """popularity: [I], training events of each item; genres: [I, G], of the catalogue."""

    popularity: IntArray
    genres: BoolArray

    def scores(self, histories: Histories) -> FloatArray:
        """An item's popularity, less for each genre that it shares with the items of the history. [B, I].

        Each genre costs more than any popularity, so items that share none come first. Items without events come last.
        """
        popularity = self.popularity.astype(np.float32)
        scores = np.tile(popularity, (len(histories), 1))
        disliking = np.flatnonzero(histories.lengths)
        if len(disliking):
            genres = self.genres.astype(np.float32)
            has_genre = histories.take(disliking).matrix(len(popularity)) @ genres > 0  # [b, G]
            n_shared = has_genre.astype(np.float32) @ genres.T  # [b, I]
            n_shared[:, popularity == 0] = genres.shape[1] + 1
            scores[disliking] -= n_shared * (popularity.max(initial=0) + 1)
        return scores


def likes_nothing(histories: Histories) -> BoolArray:
    """Whether no event of a history has a weight above 0. [B]."""
    n_liked = histories.lengths
    if histories.mapped is not None:
        n_liked = np.bincount(histories.owners[histories.mapped > 0], minlength=len(histories))
    return np.equal(n_liked, 0)
