"""A visitor's list by the model of their arm, or by two models that take turns, and what the list log says of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from matinee.experiments.plan import SIDES, Plan, position_of
from matinee.ranking.interleave import team_draft
from matinee.ranking.recommendation import Recommendation
from matinee.serve.visitor_state import VisitorState
from matinee.store.protocols import BOTH

Make = Callable[[str], list[Recommendation]]
"""The list of a model for a visitor."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """The experiment that a list is part of, and its arm as in the list log."""

    experiment: str
    arm: str


@dataclass(frozen=True, slots=True)
class MadeList:
    """A list for a visitor. model: that made it, or both of an interleaved list; exposure: None outside experiments."""

    items: list[Recommendation]
    model: str
    exposure: Exposure | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """The model, or both."""
        return tuple(self.model.split(BOTH)) if self.exposure and BOTH in self.model else (self.model,)


def default_for(plan: Plan | None, user_id: str | None, default: str) -> str:
    """The model of lists for which none is named. user_id: None for a visitor without a session."""
    if plan is None or plan.is_interleaved or plan.is_of_versions or user_id is None:
        return default
    return plan.arm_of(user_id) or default


def make_list(
    plan: Plan | None, visitor: VisitorState, k: int, default: str, make: Make, *, serving: str = ""
) -> MadeList:
    """A visitor's list for which no model is named. serving: the arm whose version makes it, empty for none.

    A visitor without a session or a history is in no experiment: everyone without a history gets the same list.
    """
    user_id = visitor.user_id
    if plan is None or user_id is None or not len(visitor.history.items):
        return _by_one(make(default), default)
    if plan.is_interleaved:
        return _by_two(plan, visitor, k, make)
    arm = plan.arm_of(user_id)
    if plan.is_of_versions:
        return _by_one(make(default), default, Exposure(plan.name, arm) if arm and arm == serving else None)
    return _by_one(make(arm or default), arm or default, Exposure(plan.name, arm) if arm else None)


def _by_one(items: list[Recommendation], model: str, exposure: Exposure | None = None) -> MadeList:
    return MadeList(items, items[0].model if items else model, exposure)


def _by_two(plan: Plan, visitor: VisitorState, k: int, make: Make) -> MadeList:
    """A draft of both models' lists, the same one until the visitor does something."""
    by_row = [{item.item_row: item for item in make(model)} for model in plan.arms]
    draw = position_of(plan.name, f"{visitor.user_id}\0{len(visitor.watched)}\0{len(visitor.dismissed)}")
    drafted = team_draft([*by_row[0]], [*by_row[1]], k, np.random.default_rng(int(draw * 2**48)))
    sides = [0 if team == "first" else 1 for team in drafted.teams]
    items = [by_row[side][row] for row, side in zip(drafted.items, sides, strict=True)]
    return MadeList(items, BOTH.join(plan.arms), Exposure(plan.name, "".join(SIDES[side] for side in sides)))
