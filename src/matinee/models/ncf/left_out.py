"""What a user vector would be without one event: a few steps from the whole history's, with its Hessian."""

from dataclasses import dataclass, replace

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.models.ncf.config import NCFConfig
from matinee.models.ncf.fold_in import AtStart, Objective, Setting, minimise
from matinee.models.ncf.inference import NCFWeights

LEAST_REST = 0.8
"""Where a history loses more than a fifth of its likes with one event, its Hessian is not that of the rest."""
STEPS = 3
"""Each divides what is left to go by about the number of events."""


def users_without_each(
    weights: NCFWeights,
    history: tuple[IntArray, FloatArray],
    events: IntArray,
    items: FloatArray,
    setting: Setting,
    config: NCFConfig,
) -> FloatArray | None:
    """The user vectors that minimise a history's softmax loss without each of E of its events. [E, D].

    Of a model without a tower, whose scores are linear in the user vector. (Through a tower five Newton steps do not
    end at the minimum, so that the scores without an event are not those near the whole history's.)

    history: item rows and weights, [n] each; events: [E], indices into them; the others as in `solve_users`. None where
    an event is more than a fifth of the history. The whole history's solution is the start, and its Hessian that of all
    steps (a chord method), so that nothing is factored again.
    """
    represented = np.zeros(len(items), dtype=np.float32)
    represented[setting.rows] = setting.weights
    objective = Objective.of(history, setting, config)
    items = items[objective.rows]
    rest = _Rest.of(objective, events, represented[history[0][events]])
    if (rest.mass < LEAST_REST * objective.mass).any():
        return None
    whole = minimise(weights, items, objective, setting.start, config.fold_in_steps)
    scores, outputs = weights.activations(weights.project_users(whole[None])[0], items)
    _, _, curvature = objective.evaluate(scores, whole)
    by_projected = weights.gradients(items, outputs)
    inverse = np.linalg.inv(objective.hessian(weights, by_projected, curvature))
    gradients = weights.by_user(by_projected)  # [m, D]
    left: FloatArray = np.repeat(whole[None], len(events), axis=0)
    for _ in range(STEPS):
        by_user = rest.by_score(left @ gradients.T) @ gradients + objective.l2 * left
        left = left - by_user @ inverse
    return left.astype(np.float32)


def towers_without_each(
    weights: NCFWeights,
    history: tuple[IntArray, FloatArray],
    events: IntArray,
    items: FloatArray,
    setting: Setting,
    config: NCFConfig,
    at_start: AtStart,
) -> FloatArray:
    """As `users_without_each`, with a tower: each shorter history is solved as `solve_users` does. [E, D + E].

    What the solves share is computed once: their first steps, which differ by one item, and the rows of all others. An
    event that is left out stays among them as a candidate, with its weight in the catalogue's sample.
    """
    objective = Objective.of(history, setting, config)
    rest = _Rest.of(objective, events, at_start.represented[history[0][events]])
    values, steps = at_start.steps_without_each(weights, history, items, setting, events)
    rows, users = items[objective.rows], np.empty((len(events), len(setting.start)), dtype=np.float32)
    for place, (value, step) in enumerate(zip(values.tolist(), steps, strict=True)):
        own = replace(objective, likes=rest.likes[place], weights=rest.weights[place], mass=float(rest.mass[place, 0]))
        users[place] = minimise(weights, rows, own, setting.start, config.fold_in_steps, (value, step))
    return users


@dataclass(frozen=True, slots=True, eq=False)
class _Rest:
    """E softmax losses of a history without one event, over the same m rows. See Objective.

    likes: [E, n], 0 for the event that is left out; mass: [E, 1]; weights: [E, m].
    """

    likes: FloatArray
    mass: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, objective: Objective, events: IntArray, candidates: FloatArray) -> "_Rest":
        """candidates: [E], the weight of each event's item as a candidate, once it is not of the history."""
        each = np.arange(len(events))
        likes = np.repeat(objective.likes[None], len(events), axis=0)
        likes[each, events] = 0
        weights = np.repeat(objective.weights[None], len(events), axis=0)
        weights[each, events] = candidates
        return cls(likes, np.maximum(likes, 0).sum(axis=1, keepdims=True), weights)

    def by_score(self, scores: FloatArray) -> FloatArray:
        """The derivative of each loss by its scores. [E, m] -> [E, m]."""
        found: FloatArray = self.weights * np.exp(scores - scores.max(axis=1, keepdims=True))
        found *= self.mass / found.sum(axis=1, keepdims=True)
        found[:, : self.likes.shape[1]] -= self.likes
        return found
