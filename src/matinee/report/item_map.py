"""A map of the items: their vectors in two dimensions."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from matinee.arrays import FloatArray
from matinee.models.projection import most_popular, project
from matinee.shown import Framed, Overview, Plotted, Shown
from matinee.workflow.given import Fittable, artefact_of

COLOURS = (
    "#2f6f9f", "#c2542d", "#3f8f4f", "#8a5aa8", "#b8860b", "#c04f7a", "#3a9a9a", "#7a6a55", "#6b7fd0", "#8c9440",
)  # fmt: skip
OTHER = "#9aa3ab"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ItemMap(Shown, Framed, Plotted):
    """M items, the most popular first. positions: [M, 2] within -1..1; titles, first genres and events: [M].

    plural: what the items are called.
    """

    positions: FloatArray
    titles: list[str]
    genres: list[str]
    events: list[int]
    model: str
    plural: str = "movies"

    @property
    def title(self) -> str:
        """What is drawn."""
        return f"{len(self.titles):,} {self.plural} by {self.model}"

    def overview(self) -> Overview:
        """See Shown."""
        rows = [
            (title, genre, f"{x:+.2f}", f"{y:+.2f}")
            for title, genre, (x, y) in zip(self.titles, self.genres, self.positions, strict=True)
        ]
        return Overview(f"map of {self.title}", [("", "", "x", "y"), *rows], next='.plot("map.png")', rest=self.plural)

    def to_frame(self) -> pl.DataFrame:
        """One row an item, the most popular first: title, genre, events, x, y."""
        return pl.DataFrame(
            {
                "title": self.titles,
                "genre": self.genres,
                "events": self.events,
                "x": self.positions[:, 0],
                "y": self.positions[:, 1],
            }
        )

    @property
    def colours(self) -> dict[str, str]:
        """Colours of the most frequent genres; all others share OTHER."""
        names, counts = np.unique(np.array(self.genres), return_counts=True)
        most_frequent = names[np.argsort(-counts, kind="stable")][: len(COLOURS)].tolist()
        return dict(zip(most_frequent, COLOURS, strict=False))


def item_map(model: Fittable, n_items: int = 1500) -> ItemMap:
    """Map the most popular items by the first two principal components of their normalised vectors.

    Each coordinate is replaced by its rank, so that a dense centre stays legible.
    model: fitted, or the folder of an artefact. Raises MatineeError for a model without item vectors.
    """
    artefact = artefact_of(model, "mt.item_map({})")
    known = most_popular(artefact.popularity, n_items)
    positions = project(artefact.model, artefact.popularity, known)
    catalogue = artefact.catalogue
    genres = [(catalogue.genres[row] or ("no genre",))[0] for row in known.tolist()]
    titles = [catalogue.titles[row] for row in known.tolist()]
    events = artefact.popularity[known].tolist()
    return ItemMap(positions, titles, genres, events, artefact.name, artefact.noun.plural)
