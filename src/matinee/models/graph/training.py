"""Training of the graph models: their nodes and network, and every loss with every kind of negative."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.histories import TrainingData
from matinee.models.graph.config import GraphConfig
from matinee.models.graph.propagation import BipartiteGraph
from matinee.nn.candidates import Candidates
from matinee.nn.gradients import loss_with_gradients
from matinee.nn.initialisers import initialise_embeddings
from matinee.nn.ranking_losses import NegativeSampler, sampled_loss
from matinee.nn.sampled_softmax import Pairs, sampled_softmax
from matinee.nn.sparse_rows import batches, normalise_adjacency
from matinee.training.configs import ObjectiveConfig
from matinee.training.loop import TrainedModel, train_epochs
from matinee.training.run import Run
from matinee.training.share import ALONE, Share
from matinee.training.torch_trainer import TorchTrainer, torch_generator
from matinee.training.transfers import block_cells, to_rows, to_tensor

BLOCK_SCORES = 2**22
"""Number of scores held at once by the catalogue softmax on a CPU (16 MB)."""
Embed = Callable[[], tuple[Tensor, Tensor]]
"""Returns the current embeddings of all users [U, D] and items [I, D]."""


Penalised = tuple[float, Tensor, Tensor]
"""Strength of an L2 penalty, and the parameters of users [U, D] and items [I, D] that it is on."""


@dataclass(frozen=True, eq=False)
class Nodes:
    """A training log as matrix [U, I] and graph, layer 0 of its users [U, D] and items [I, D], and torch's RNG."""

    matrix: csr_array
    graph: BipartiteGraph
    users: Tensor
    items: Tensor
    generator: torch.Generator

    @classmethod
    def initialise(cls, config: GraphConfig, train: TrainingData, run: Run) -> Self:
        """Initial embeddings on the symmetrically normalised graph of `train`."""
        generator, matrix = torch_generator(run), train.matrix()
        edges = normalise_adjacency(matrix)
        initial = normalise_adjacency(matrix, config.initial_smoothing) if config.initial_smoothing else edges
        embeddings = initialise_embeddings(initial, config.dim, config.initialiser, config.initial_std, generator)
        return cls(matrix, BipartiteGraph(edges, generator.device), *embeddings, generator)


@dataclass(frozen=True)
class Network:
    """What a graph model trains beyond layer 0.

    weights: its parameters by name; embed: final embeddings of all users and items; learned: the arrays to save.
    """

    weights: Mapping[str, Tensor]
    embed: Embed
    learned: Callable[[], Mapping[str, FloatArray]]


def train_on_graph(
    model: TrainedModel, config: GraphConfig, nodes: Nodes, network: Network, train: TrainingData, run: Run
) -> None:
    """Train layer 0 and the network's weights; sets the learned arrays of the model."""
    parameters = {"users": nodes.users, "items": nodes.items, **network.weights}
    penalised = (config.l2, nodes.users, nodes.items) if config.l2 else None
    device = nodes.generator.device
    losses = ranking_losses(config, nodes.matrix, network.embed, run.rng, device, penalised, run.share)
    trainer = TorchTrainer(
        parameters, losses, network.learned, config, decay=config.decay, generator=nodes.generator, share=run.share
    )
    train_epochs(model, trainer, train, run)


def ranking_losses(
    config: ObjectiveConfig,
    matrix: csr_array,
    embed: Embed,
    rng: np.random.Generator,
    device: torch.device,
    penalised: Penalised | None = None,
    share: Share = ALONE,
) -> Callable[[], Iterator[Tensor]]:
    """A function that yields the losses of one epoch. matrix: binary, [U, I]; `embed` is called once a step.

    device: of the embeddings; penalised: adds the mean over a step's triples (user, positive, negative) of
    l2 / 2 · (|u|² + |i|² + |j|²); softmax has no triples and ignores it. Source: He et al. 2020, eq. 15, divided by
    the batch as in the authors' code. share: which of several processes takes which part of a batch.
    """
    if config.loss == "softmax":
        return _softmax_losses(config, matrix, embed, rng, device, share)
    sampler = NegativeSampler(config.negatives, matrix, config.n_negatives, rng)
    users = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))

    def losses() -> Iterator[Tensor]:
        sampler.rng = share.rng(rng)
        steps = (share.rows(batch) for batch in batches(len(users), config.batch_size, rng))
        return _sampled_losses(config, (users, matrix.indices), steps, sampler, embed, penalised)

    return losses


def _softmax_losses(
    config: ObjectiveConfig,
    matrix: csr_array,
    embed: Embed,
    rng: np.random.Generator,
    device: torch.device,
    share: Share,
) -> Callable[[], Iterator[Tensor]]:
    active = np.flatnonzero(np.diff(matrix.indptr))
    candidates = Candidates(matrix, config.candidates, rng)

    def weighted(rows: IntArray) -> tuple[csr_array, FloatArray]:
        """The users' events with their weights, and the sum of each row."""
        targets = matrix[rows]
        lengths = np.diff(targets.indptr)
        weights = lengths**-config.user_power / (lengths ** (1 - config.user_power)).sum()  # of each event
        targets.data = np.repeat(weights, lengths).astype(np.float32)
        return targets, (weights * lengths).astype(np.float32)

    def prepare(rows: IntArray) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
        """User rows, and their loss from their vectors and those of all items."""
        targets, user_weights = weighted(rows)
        if candidates.is_everything:
            graph, sums = BipartiteGraph(targets, device), to_tensor(user_weights, device)
            return to_rows(rows, device), lambda users, items: catalogue_softmax(users, items, graph, sums)
        pairs = Pairs(targets, device)
        return to_rows(rows, device), lambda users, items: sampled_softmax(users, items, None, pairs, candidates)

    is_full_batch = 0 in (config.batch_size, max(0, len(active) - config.batch_size))
    full_batch = prepare(share.rows(active)) if is_full_batch else None

    def losses() -> Iterator[Tensor]:
        candidates.rng = share.rng(rng) if not candidates.is_everything else rng
        for indices in batches(len(active), config.batch_size, rng):
            rows, loss = full_batch or prepare(active[share.rows(indices)])
            users, items = embed()
            users = _normalise(functional.embedding(rows, users), config) / config.temperature
            yield loss(users, _normalise(items, config))

    return losses


def _sampled_losses(
    config: ObjectiveConfig,
    pairs: tuple[IntArray, IntArray],
    steps: Iterable[IntArray],
    sampler: NegativeSampler,
    embed: Embed,
    penalised: Penalised | None,
) -> Iterator[Tensor]:
    for indices in steps:
        user_rows, item_rows = pairs[0][indices], pairs[1][indices]
        sampled = sampler.draw(user_rows, item_rows)
        all_users, all_items = embed()
        users = _normalise(_select(all_users, user_rows), config) / config.temperature  # [P, D]
        items = _normalise(all_items, config)
        positives = (users * _select(items, item_rows)).sum(dim=1)  # [P]
        candidates = _select(items, sampled.items)  # [P, n, D], or [n, D] shared by the batch
        is_shared = candidates.ndim == 2
        negatives = users @ candidates.T if is_shared else (candidates @ users[:, :, None])[:, :, 0]  # [P, n]
        if config.log_q:
            negatives = negatives - to_tensor(sampled.log_q, negatives.device)
        excluded = sampled.excluded if config.mask_seen else sampled.items == item_rows[:, None]
        negatives = negatives.masked_fill(to_tensor(excluded, negatives.device), -torch.inf)
        loss = sampled_loss(config.loss, positives, negatives)
        yield loss + _l2(penalised, user_rows, item_rows, sampled.items, ~excluded) if penalised else loss


def _l2(
    penalised: Penalised, user_rows: IntArray, item_rows: IntArray, negative_rows: IntArray, included: BoolArray
) -> Tensor:
    """Penalty of a step: user_rows [P], item_rows [P], negative_rows [P, n] or [n], included [P, n]."""
    strength, users, items = penalised
    counts = to_tensor(included.astype(np.float32), users.device)  # [P, n]
    pairs = _select(users, user_rows).square().sum(dim=1) + _select(items, item_rows).square().sum(dim=1)  # [P]
    triples = pairs[:, None] + _select(items, negative_rows).square().sum(dim=-1)  # [P, n]
    return strength / 2 * (counts * triples).sum() / counts.sum().clamp(min=1)


def _normalise(vectors: Tensor, config: ObjectiveConfig) -> Tensor:
    """Rows of length 1 if the similarity is the cosine, else as given. [n, D]."""
    return functional.normalize(vectors, dim=1) if config.similarity == "cosine" else vectors


def _select(vectors: Tensor, rows: IntArray) -> Tensor:
    """Rows of a table through `embedding`, whose backward is faster than indexing's. -> rows.shape + [D]."""
    return functional.embedding(to_rows(rows, vectors.device), vectors)


def catalogue_softmax(users: Tensor, items: Tensor, targets: BipartiteGraph, user_weights: Tensor) -> Tensor:
    """Σ_u user_weight_u · log Σ_j exp(u · j) - Σ_ui target_ui · (u · i). A scalar.

    users [B, D] and items [I, D], already divided by the temperature; targets [B, I], the weight of each positive
    pair; user_weights [B], its row sums. With every target 1 / (number of events) this is the mean over events of
    -log softmax(u · i) over the whole catalogue.
    """
    return loss_with_gradients(_catalogue_softmax, users, items, targets, user_weights)


def _catalogue_softmax(
    users: Tensor, items: Tensor, targets: BipartiteGraph, user_weights: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Loss and both gradients in one pass over blocks of users; never holds all [B, I] scores."""
    user_grad, item_grad = torch.empty_like(users), torch.zeros_like(items)
    total = users.new_zeros(())
    size = max(1, block_cells(users.device, BLOCK_SCORES) // max(1, len(items)))
    for start in range(0, len(users), size):
        block, weights = users[start : start + size], user_weights[start : start + size, None]  # [b, D], [b, 1]
        scores = block @ items.T  # [b, I]
        highest = scores.amax(dim=1, keepdim=True)
        scores.sub_(highest).exp_()
        sums = scores.sum(dim=1, keepdim=True)
        total += (weights * (sums.log() + highest)).sum()
        scores.mul_(weights / sums)
        torch.mm(scores, items, out=user_grad[start : start + size])
        item_grad.addmm_(scores.T, block)
    target_sums = targets.by_user @ items  # [B, D]
    user_grad -= target_sums
    item_grad -= targets.by_item @ users
    return total - (users * target_sums).sum(), (user_grad, item_grad)
