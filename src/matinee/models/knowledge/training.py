"""Training of KPRN: scores of pairs from their paths, with gradients, and the loss over a batch of users."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from matinee.arrays import FloatArray, IntArray, gather, starts_of
from matinee.models.knowledge.config import KPRNConfig
from matinee.models.knowledge.encoder import encode_tensors
from matinee.models.knowledge.examples import Examples, batches
from matinee.models.knowledge.patterns import Patterns, meet
from matinee.models.knowledge.pooling import pool_tensors
from matinee.training.transfers import to_rows, to_tensor

Parameters = Mapping[str, Tensor]
SAMPLE = 64
"""Users by whom the number of elements is estimated."""


class Pools(Protocol):
    """What the scores of pairs are pooled from: paths, or arrivals of patterns."""

    def pooled(self, parameters: Parameters, pairs: IntArray, temperature: float) -> Tensor:
        """The pooled score of some pairs, by their index, ascending. [n] -> [n]."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Elements:
    """All elements at once, [E] by pair.

    starts: [Q + 1] of each pair; which: [E] the path or the arrival; weights: [E], of the events they start from;
    scores: of some paths or arrivals.
    """

    starts: IntArray
    which: IntArray
    weights: FloatArray
    scores: Callable[[Parameters, IntArray], Tensor]

    def pooled(self, parameters: Parameters, pairs: IntArray, temperature: float) -> Tensor:
        """See Pools."""
        starts, indices = gather(self.starts, pairs)
        owners = np.repeat(np.arange(len(pairs)), np.diff(starts))
        scores = self.scores(parameters, self.which[indices])
        return _pooled(scores, self.weights[indices], owners, len(pairs), temperature)


@dataclass(frozen=True, slots=True, eq=False)
class Meetings:
    """The arrivals of patterns that the paths of pairs use, found again whenever they are asked for.

    histories: [B, I] weights; owners, items: [Q] of each pair; scores: of some arrivals.
    """

    histories: csr_array
    patterns: Patterns
    owners: IntArray
    items: IntArray
    scores: Callable[[Parameters, IntArray], Tensor]

    def pooled(self, parameters: Parameters, pairs: IntArray, temperature: float) -> Tensor:
        """See Pools."""
        of_pair, which, weights = self.met(pairs)
        return _pooled(self.scores(parameters, which), weights, of_pair, len(pairs), temperature)

    def met(self, pairs: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
        """See `meet`, of some pairs."""
        users, rows = np.unique(self.owners[pairs], return_inverse=True)
        arrivals = self.patterns.starts, self.patterns.ports
        return meet(self.histories[users], self.patterns.reach, arrivals, (rows, self.items[pairs]))

    def held(self, most: int) -> Pools:
        """All of them at once if they are at most so many, by those of some users, else these."""
        some = np.flatnonzero(self.owners < SAMPLE)
        share = len(some) / max(len(self.owners), 1)
        if len(self.met(some)[0]) > most * share:
            return self
        of_pair, which, weights = self.met(np.arange(len(self.owners)))
        return Elements(starts_of(of_pair, len(self.owners)), which.astype(np.int32), weights, self.scores)


def _pooled(scores: Tensor, weights: FloatArray, owners: IntArray, n: int, temperature: float) -> Tensor:
    owner_rows, event_weights = to_tensor(owners, scores.device), to_tensor(weights, scores.device)
    return pool_tensors(scores, event_weights, owner_rows, n, temperature)


def score_paths(types: IntArray, steps: IntArray, lengths: IntArray, nodes: IntArray) -> Callable[..., Tensor]:
    """Scores of whole paths, [E, M] each: readout · the LSTM's last state."""
    columns = types, steps, lengths, nodes

    def scores(parameters: Parameters, indices: IntArray) -> Tensor:
        readout = parameters["readout"]
        return encode_tensors(parameters, *(to_rows(each[indices], readout.device) for each in columns)) @ readout

    return scores


def score_patterns(
    sequences: tuple[IntArray, IntArray, IntArray], kinds: IntArray, mids: IntArray, items: IntArray
) -> Callable[..., Tensor]:
    """Scores of arrivals: a_p + q_p · e_m + r_p · e_i, where a, q and r are read from the LSTM's state of pattern p.

    sequences: types, steps and lengths of each pattern; kinds, mids, items: [E] pattern, middle node and item.
    There are far fewer patterns and nodes than arrivals, so every q_p · e_m is computed, and arrivals pick theirs.
    """

    def scores(parameters: Parameters, indices: IntArray) -> Tensor:
        embeddings = parameters["node_embeddings"]  # [M, D]
        device, n_nodes = embeddings.device, len(embeddings)
        states = encode_tensors(parameters, *(to_rows(each, device) for each in sequences))  # [P, D]
        by_middle = (states @ parameters["W_middle"]) @ embeddings.T  # [P, M]
        by_last = (states @ parameters["W_last"]) @ embeddings.T + (states @ parameters["readout"])[:, None]
        firsts = kinds[indices].astype(np.int64) * n_nodes
        middle, last = (to_rows(firsts + each[indices], device) for each in (mids, items))
        return by_middle.view(-1).index_select(0, middle) + by_last.view(-1).index_select(0, last)

    return scores


def losses(
    parameters: Parameters, examples: Examples, elements: Pools, config: KPRNConfig, rng: np.random.Generator
) -> Iterator[Tensor]:
    """One loss for each batch of users."""
    device = parameters["scales"].device
    first_scores = to_tensor(examples.candidates.scores, device)
    log_ranks = to_tensor(examples.candidates.log_ranks, device)
    is_target = to_tensor(examples.is_target, device)
    for pairs, owners in batches(examples, config.batch_size, config.n_negatives, rng):
        if not examples.is_target[pairs].any():
            continue
        rows = to_tensor(pairs, device)
        targets = is_target[rows]
        scale, path_scale, bias, rank_scale = parameters["scales"]
        pooled = elements.pooled(parameters, pairs, config.temperature)
        first = scale.exp() * first_scores[rows] - rank_scale.exp() * log_ranks[rows]
        logits = first + path_scale.exp() * pooled
        if config.loss == "bce":
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits + bias, targets.float())
        else:
            found, users = np.unique(owners, return_inverse=True)
            loss = softmax_loss(logits, to_tensor(users, device), targets, len(found))
        yield loss + config.l2 * parameters["node_embeddings"].square().sum()


def softmax_loss(logits: Tensor, users: Tensor, targets: Tensor, n_users: int) -> Tensor:
    """-log softmax of targets among the pairs of their user: mean over a user's targets, then over users. [n] each.

    users: from 0. The metrics are means over users too; a mean over targets would be one over a few heavy users.
    """
    largest = logits.new_full((n_users,), -torch.inf).scatter_reduce(0, users, logits.detach(), "amax")
    sums = logits.new_zeros(n_users).index_add(0, users, (logits - largest[users]).exp())
    n_targets = logits.new_zeros(n_users).index_add(0, users, targets.to(logits.dtype))
    terms = (sums.log()[users] + largest[users] - logits) * targets / n_targets.clamp(min=1)[users]
    return terms.sum() / (n_targets > 0).sum()
