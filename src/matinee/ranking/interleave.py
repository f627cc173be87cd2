"""Team-draft interleaving: two models' lists as one, in which clicks say whose items are preferred.

Source: Radlinski, Kurup and Joachims (2008), algorithm 2; Chapelle, Joachims, Radlinski and Yue (2012).
"""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np

Item = TypeVar("Item", bound=Hashable)
Team = Literal["first", "second"]


@dataclass(frozen=True, slots=True)
class Interleaved(Generic[Item]):
    """A list of two models. teams: whose pick each item is."""

    items: tuple[Item, ...]
    teams: tuple[Team, ...]

    def credit(self, clicked: Collection[Item]) -> int:
        """1 if more of the second team's items were clicked, -1 if more of the first's, 0 for as many."""
        balance = sum(
            (1 if team == "second" else -1)
            for item, team in zip(self.items, self.teams, strict=True)
            if item in clicked
        )
        return (balance > 0) - (balance < 0)


def team_draft(first: Sequence[Item], second: Sequence[Item], k: int, rng: np.random.Generator) -> Interleaved[Item]:
    """The k best of two lists, drafted in rounds: a coin says who picks first, and each takes its best item left.

    Where one list has no item left, the other goes on; an item of both is listed once.
    """
    sources: dict[Team, Sequence[Item]] = {"first": first, "second": second}
    picked: dict[Item, Team] = {}
    while len(picked) < k:
        order: list[Team] = ["first", "second"] if rng.random() < 0.5 else ["second", "first"]
        n_before = len(picked)
        for team in order:
            best = next((item for item in sources[team] if item not in picked), None)
            if best is not None and len(picked) < k:
                picked[best] = team
        if len(picked) == n_before:
            break
    return Interleaved(tuple(picked), tuple(picked.values()))
