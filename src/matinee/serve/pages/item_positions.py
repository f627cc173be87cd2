"""Where the items of each served model are on its map."""

from functools import cached_property, lru_cache

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.models.base import HasItemVectors
from matinee.models.projection import most_popular, project
from matinee.recommender import Engine

N_ITEMS = 700
"""Drawn: about 110 bytes each, with the page 100 kB."""
PREFERRED = ("ials", "bpr", "lightgcn")


class ItemMaps:
    """Where the items of each served model are. Trained items only: those that came since have no vectors."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.positions = lru_cache(maxsize=8)(self._positions)

    @cached_property
    def models(self) -> list[str]:
        """The served models that have vectors, the clearest maps first."""
        able = [name for name, each in self._engine.artefacts.items() if isinstance(each.model, HasItemVectors)]
        return sorted(able, key=lambda name: PREFERRED.index(name) if name in PREFERRED else len(PREFERRED))

    @cached_property
    def shown(self) -> IntArray:
        """The items that are always drawn, the most popular first. [M]."""
        return most_popular(self._popularity, N_ITEMS)

    @property
    def _popularity(self) -> IntArray:
        return self._engine.popularity[: self._engine.n_trained]

    def _positions(self, model: str) -> FloatArray:
        """The positions of all trained items that have events, NaN for the others. [I, 2] within -1..1."""
        rest = np.setdiff1d(np.flatnonzero(self._popularity > 0), self.shown)
        found = project(self._engine.artefacts[model].model, self._popularity, self.shown, rest)
        positions = np.full((self._engine.n_trained, 2), np.nan)
        positions[np.concatenate([self.shown, rest])] = found
        return positions
