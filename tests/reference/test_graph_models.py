"""The graph models against dense algebra, loops over edges, torch's own gradients and losses written out."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from matinee.errors import MatineeError
from matinee.experiment import read_experiment
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.graph import training as losses
from matinee.models.graph.config import GraphConfig
from matinee.models.graph.fold_in import SolveItems, solve_from
from matinee.models.graph.lightgcn import propagate
from matinee.models.graph.ngcf import SLOPE, NGCFConfig
from matinee.models.graph.ngcf import propagate as propagate_ngcf
from matinee.models.graph.propagation import BipartiteGraph, hop
from matinee.models.graph.training import catalogue_softmax, ranking_losses
from matinee.nn import ranking_losses as ranking_losses_module
from matinee.nn.initialisers import randomised_svd
from matinee.nn.ranking_losses import NegativeSampler, sampled_loss
from matinee.nn.sparse_rows import normalise_adjacency
from matinee.ranking.rank import rank
from matinee.training.configs import ObjectiveConfig
from matinee.training.run import Run

N_USERS, N_ITEMS, DIM = 14, 9, 4
PROJECT = Path(__file__).parents[2]
CPU = torch.device("cpu")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.fixture(scope="module")
def watched() -> list[list[int]]:
    """The last item has no event."""
    rng = np.random.default_rng(5)
    return [sorted(rng.choice(N_ITEMS - 1, rng.integers(1, 6), replace=False).tolist()) for _ in range(N_USERS)]


@pytest.fixture(scope="module")
def matrix(watched: list[list[int]]) -> csr_array:
    return Histories.of(watched).matrix(N_ITEMS)


@pytest.fixture
def nodes(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    users, items = (torch.randn((n, DIM), generator=generator, dtype=torch.float64) for n in (N_USERS, N_ITEMS))
    return users, items


def dense_adjacency(matrix: csr_array) -> np.ndarray:
    """D^-1/2 A D^-1/2 of all nodes, users first: He et al. 2020, eq. 8."""
    ratings = matrix.toarray().astype(np.float64)
    whole = np.block([[np.zeros((N_USERS, N_USERS)), ratings], [ratings.T, np.zeros((N_ITEMS, N_ITEMS))]])
    degrees = whole.sum(axis=1)
    roots = np.diag(np.where(degrees > 0, np.maximum(degrees, 1) ** -0.5, 0))
    return roots @ whole @ roots


def double_graph(matrix: csr_array) -> BipartiteGraph:
    return BipartiteGraph(csr_array(dense_adjacency(matrix)[:N_USERS, N_USERS:]), CPU, torch.float64)


def test_normalisation_is_the_dense_one(matrix: csr_array) -> None:
    np.testing.assert_allclose(
        normalise_adjacency(matrix).toarray(), dense_adjacency(matrix)[:N_USERS, N_USERS:], atol=1e-7
    )


def test_smoothing_adds_a_multiple_of_the_mean_degree_and_keeps_isolated_nodes_empty() -> None:
    ratings = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    users, items = ratings.sum(axis=1), ratings.sum(axis=0)
    expected = [
        [ratings[u, i] / np.sqrt((users[u] + 0.3 * 1.0) * (items[i] + 0.3 * 1.0)) for i in range(4)] for u in range(4)
    ]
    np.testing.assert_allclose(normalise_adjacency(csr_array(ratings), 0.3).toarray(), expected, atol=1e-7)


def test_propagation_equals_powers_of_the_dense_adjacency(matrix: csr_array, nodes: tuple) -> None:
    adjacency, first = dense_adjacency(matrix), torch.cat(nodes).numpy()
    weights = [0.4, 0.3, 0.2, 0.1]
    expected = sum(w * np.linalg.matrix_power(adjacency, k) @ first for k, w in enumerate(weights))
    found = torch.cat(
        propagate(
            BipartiteGraph(normalise_adjacency(matrix), CPU, torch.float64), *nodes, torch.tensor(weights).double()
        )
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_propagation_equals_a_loop_over_edges(matrix: csr_array, nodes: tuple, watched: list[list[int]]) -> None:
    """Two layers, each edge a message of its own, with the mean over the three layers."""
    users, items = (side.numpy() for side in nodes)
    degree = [sum(item in row for row in watched) for item in range(N_ITEMS)]
    layers = [(users, items)]
    for _ in range(2):
        to_users, to_items = np.zeros_like(users), np.zeros_like(items)
        for user, row in enumerate(watched):
            for item in row:
                norm = 1 / (math.sqrt(len(row)) * math.sqrt(degree[item]))
                to_users[user] += norm * layers[-1][1][item]
                to_items[item] += norm * layers[-1][0][user]
        layers.append((to_users, to_items))
    found = propagate(
        BipartiteGraph(normalise_adjacency(matrix), CPU, torch.float64),
        *nodes,
        torch.full((3,), 1 / 3, dtype=torch.float64),
    )
    for side in (0, 1):
        np.testing.assert_allclose(found[side], sum(layer[side] for layer in layers) / 3, atol=1e-6)


def ngcf_weights(generator: torch.Generator, layers: int = 2) -> dict[str, torch.Tensor]:
    shapes = {"W1": (layers, DIM, DIM), "W2": (layers, DIM, DIM), "bias": (layers, DIM)}
    return {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}


def test_ngcf_layers_equal_messages_along_edges(
    matrix: csr_array, nodes: tuple, watched: list[list[int]], generator: torch.Generator
) -> None:
    """Wang et al. 2019, eq. 3 to 6: a message from each neighbour, and one from the node to itself."""
    weights = ngcf_weights(generator)
    degree = [sum(item in row for row in watched) for item in range(N_ITEMS)]
    users, items = (side.numpy() for side in nodes)
    for layer in range(2):
        w1, w2, bias = (weights[name][layer].numpy() for name in ("W1", "W2", "bias"))
        to_users, to_items = users @ w1 + bias, items @ w1 + bias
        for user, row in enumerate(watched):
            for item in row:
                norm = 1 / math.sqrt(len(row) * degree[item])
                to_users[user] += norm * (items[item] @ w1 + (items[item] * users[user]) @ w2)
                to_items[item] += norm * (users[user] @ w1 + (items[item] * users[user]) @ w2)
        users, items = (np.where(side > 0, side, SLOPE * side) for side in (to_users, to_items))
    found = propagate_ngcf(double_graph(matrix), nodes, weights)
    np.testing.assert_allclose(found[2][0], users, atol=1e-6)
    np.testing.assert_allclose(found[2][1], items, atol=1e-6)


def test_gradients_of_hop_propagation_and_ngcf(matrix: csr_array, nodes: tuple, generator: torch.Generator) -> None:
    graph = double_graph(matrix)
    users, items = (side.requires_grad_() for side in nodes)
    weights = torch.rand(3, generator=generator, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda u, i: hop(graph, u, i), (users, items))
    assert torch.autograd.gradcheck(lambda u, i, w: propagate(graph, u, i, w), (users, items, weights))
    tensors = {name: value.requires_grad_() for name, value in ngcf_weights(generator, 1).items()}

    def last(u: torch.Tensor, i: torch.Tensor, *values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return propagate_ngcf(graph, (u, i), dict(zip(tensors, values, strict=True)))[-1]

    assert torch.autograd.gradcheck(last, (users, items, *tensors.values()))


@pytest.mark.parametrize("block", [2**22, 20])
def test_catalogue_softmax_is_the_mean_log_likelihood(
    block: int, monkeypatch: pytest.MonkeyPatch, matrix: csr_array, nodes: tuple, watched: list[list[int]]
) -> None:
    monkeypatch.setattr(losses, "BLOCK_SCORES", block)
    users, items = (side.requires_grad_() for side in nodes)
    events = matrix.nnz
    seen = BipartiteGraph((matrix / events).astype(np.float64), CPU, torch.float64)
    user_weights = torch.tensor([len(row) / events for row in watched], dtype=torch.float64)
    scores = (users @ items.T).detach().numpy()
    expected = 0.0
    for user, row in enumerate(watched):
        for item in row:
            expected -= math.log(math.exp(scores[user, item]) / sum(map(math.exp, scores[user]))) / events
    assert catalogue_softmax(users, items, seen, user_weights).item() == pytest.approx(expected)
    assert torch.autograd.gradcheck(lambda u, i: catalogue_softmax(u, i, seen, user_weights), (users, items))


def test_sampled_losses_are_those_of_the_papers() -> None:
    positives, negatives = [0.3, -1.0], [[0.1, 2.0], [0.5, -math.inf]]

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    pairs = [(p, n) for p, row in zip(positives, negatives, strict=True) for n in row if n > -math.inf]
    expected = {
        "bpr": -sum(math.log(sigmoid(p - n)) for p, n in pairs) / 3,
        "bce": -(sum(math.log(sigmoid(p)) for p in positives) + sum(math.log(sigmoid(-n)) for _, n in pairs)) / 5,
        "infonce": -sum(
            math.log(math.exp(p) / (math.exp(p) + sum(map(math.exp, row))))
            for p, row in zip(positives, negatives, strict=True)
        )
        / 2,
    }
    for kind, value in expected.items():
        tensors = torch.tensor(positives, requires_grad=True), torch.tensor(negatives, requires_grad=True)
        found = sampled_loss(kind, *tensors)
        assert found.item() == pytest.approx(value, rel=1e-6)
        found.backward()
        assert all(torch.isfinite(tensor.grad).all() for tensor in tensors)
    with pytest.raises(ValueError, match="no sampled loss 'hinge'"):
        sampled_loss("hinge", torch.zeros(1), torch.zeros((1, 1)))


@pytest.mark.parametrize("cells", [2**26, 0], ids=["table", "binary search"])
def test_negatives_are_drawn_as_often_as_they_should_be(
    cells: int, monkeypatch: pytest.MonkeyPatch, matrix: csr_array, watched: list[list[int]]
) -> None:
    monkeypatch.setattr(ranking_losses_module, "TABLE_CELLS", cells)
    users = np.repeat(np.arange(N_USERS), np.diff(matrix.indptr))
    counts = np.bincount(matrix.indices, minlength=N_ITEMS)
    for kind, probabilities in (("uniform", np.full(N_ITEMS, 1 / N_ITEMS)), ("popularity", counts / counts.sum())):
        drawn = NegativeSampler(kind, matrix, 3000, np.random.default_rng(1)).draw(users, matrix.indices)
        frequencies = np.bincount(drawn.items.ravel(), minlength=N_ITEMS) / drawn.items.size
        np.testing.assert_allclose(frequencies, probabilities, atol=0.005)
        if kind == "popularity":
            np.testing.assert_allclose(np.exp(drawn.log_q), 3000 * probabilities[drawn.items], rtol=1e-5)
        for pair in range(0, len(users), 5):
            seen = [item in watched[users[pair]] for item in drawn.items[pair, :50]]
            np.testing.assert_array_equal(drawn.excluded[pair, :50], seen)


def test_negatives_of_the_batch_are_its_positives_without_the_false_ones(
    matrix: csr_array, watched: list[list[int]]
) -> None:
    users = np.repeat(np.arange(N_USERS), np.diff(matrix.indptr))[::3]
    items = matrix.indices[::3]
    batch = NegativeSampler("in-batch", matrix, 1, np.random.default_rng(1)).draw(users, items)
    np.testing.assert_array_equal(batch.items, items)
    expected = [[item in watched[user] for item in items] for user in users]
    np.testing.assert_array_equal(batch.excluded, expected)
    counts = np.bincount(matrix.indices, minlength=N_ITEMS)
    others = len(items) - 1
    np.testing.assert_allclose(np.exp(batch.log_q), others * counts[items] / counts.sum(), rtol=1e-5)
    mixed = NegativeSampler("mixed", matrix, 1, np.random.default_rng(1)).draw(users, items)
    assert mixed.items.shape == (2 * len(items),)
    np.testing.assert_array_equal(mixed.items[: len(items)], items)
    expected = others * counts[mixed.items] / counts.sum() + len(items) / N_ITEMS
    np.testing.assert_allclose(np.exp(mixed.log_q), expected, rtol=1e-5)


def test_log_q_makes_a_sampled_softmax_learn_the_whole_one() -> None:
    """Negatives by popularity, scores corrected: at the minimum u · v is the log probability up to a constant."""
    rng = np.random.default_rng(3)
    probabilities = np.array([0.5, 0.25, 0.15, 0.1])
    matrix = csr_array(_one_each(rng, probabilities, 1000))
    config = ObjectiveConfig(
        loss="infonce", negatives="popularity", n_negatives=50, similarity="dot", temperature=1.0, batch_size=1000,
        log_q=True, mask_seen=False,
    )  # fmt: skip
    users, items = torch.ones((1000, 1)), torch.zeros((4, 1), requires_grad=True)
    epoch = ranking_losses(config, matrix, lambda: (users, items), rng, CPU)
    optimizer = torch.optim.Adam([items], lr=0.05)
    tail = []
    for step in range(160):
        for loss in epoch():
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if step >= 100:
            tail.append(torch.softmax(items.detach()[:, 0], dim=0).numpy())
    np.testing.assert_allclose(np.mean(tail, axis=0), probabilities, atol=0.03)


def _one_each(rng: np.random.Generator, probabilities: np.ndarray, n_users: int) -> np.ndarray:
    dense = np.zeros((n_users, len(probabilities)), dtype=np.float32)
    dense[np.arange(n_users), rng.choice(len(probabilities), n_users, p=probabilities)] = 1
    return dense


def test_singular_vectors_span_the_best_low_rank_matrix(matrix: csr_array, generator: torch.Generator) -> None:
    edges = normalise_adjacency(matrix)
    left, right = (side.numpy().astype(np.float64) for side in randomised_svd(edges, 3, generator))
    u, s, v = np.linalg.svd(edges.toarray().astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(left @ right.T, (u[:, :3] * s[:3]) @ v[:3], atol=1e-5)


@pytest.mark.parametrize(("kind", "steps"), [("plain", 400), ("newton", 40)])
def test_a_solved_direction_is_where_the_gradient_along_the_sphere_vanishes(
    matrix: csr_array, kind: str, steps: int
) -> None:
    rng = np.random.default_rng(2)
    items = rng.normal(size=(N_ITEMS, DIM)).astype(np.float32)
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    start = rng.normal(size=(N_USERS, DIM)).astype(np.float32)
    solution = solve_from(start, matrix, SolveItems.of(items, 0.5), GraphConfig(solve=kind, solve_steps=steps))
    solved = torch.from_numpy(solution.vectors).double().requires_grad_()
    logits = torch.nn.functional.normalize(solved, dim=1) @ torch.from_numpy(items).double().T / 0.5
    dense = torch.from_numpy(matrix.toarray()).double()
    likelihood = (torch.log_softmax(logits, dim=1) * dense / dense.sum(dim=1, keepdim=True)).sum()
    likelihood.backward()
    assert solved.grad.abs().max() < 1e-4


@pytest.mark.parametrize("name", ["lightgcn", "ngcf"])
def test_the_fold_in_of_a_stored_user_is_the_user_of_the_graph(name: str, watched: list[list[int]]) -> None:
    """The row that training ends with, recomputed densely from layer 0, scores as the folded history does."""
    train = trained_on(watched)
    model = create(name, dim=4, epochs=5, user_state="stored", similarity="dot", temperature=1.0).fit(
        train, Run.seeded(1)
    )
    adjacency = dense_adjacency(train.matrix())
    folded = model.fold_in(train.histories)
    if name == "lightgcn":
        # item_messages over roots are layers 0 and 1 of items, each times a third
        roots = np.where(train.popularity > 0, np.maximum(train.popularity, 1) ** -0.5, 0)[:, None]
        lower = np.divide(model.item_messages, roots, out=np.zeros_like(model.item_messages), where=roots > 0)
        expected = model.user_embeddings / 3 + adjacency[:N_USERS, N_USERS:] @ lower
    else:
        layer, expected = model.user_embeddings.astype(np.float64), [model.user_embeddings]
        for messages, w1, w2, bias in zip(model.item_messages, model.W1, model.W2, model.bias, strict=True):
            aggregated = train.matrix() @ messages / np.sqrt(np.diff(train.histories.starts))[:, None]
            layer = (layer + aggregated) @ w1 + (layer * aggregated) @ w2 + bias
            layer = np.where(layer > 0, layer, SLOPE * layer)
            expected.append(layer / np.linalg.norm(layer, axis=1, keepdims=True))
        expected = np.concatenate(expected, axis=1)
    np.testing.assert_allclose(folded, expected, atol=1e-5)


def trained_on(watched: list[list[int]]) -> TrainingData:
    histories = Histories.of(watched)
    return TrainingData(replace(histories, user_rows=np.arange(len(watched), dtype=np.int32)), N_ITEMS)


def log_of(rows: list[list[int]], user_rows: list[int]) -> TrainingData:
    return TrainingData(replace(Histories.of(rows), user_rows=np.array(user_rows, dtype=np.int32)), N_ITEMS)


@pytest.mark.parametrize("name", ["lightgcn", "ngcf"])
def test_a_graph_rebuilt_from_the_training_log_gives_the_same_model(name: str, watched: list[list[int]]) -> None:
    train = log_of(watched, list(range(N_USERS)))
    model = create(name, dim=DIM, epochs=3, user_state="stored").fit(train, Run.seeded(1))
    again = model.with_graph_of(train)
    assert again is not model
    for attribute in model.learned:
        np.testing.assert_allclose(getattr(again, attribute), getattr(model, attribute), atol=1e-6, err_msg=attribute)


def test_lightgcn_propagates_the_same_layer_0_over_the_graph_of_a_newer_log(watched: list[list[int]]) -> None:
    model = create("lightgcn", dim=DIM, epochs=3, layers=2).fit(log_of(watched, list(range(N_USERS))), Run.seeded(1))
    before = {name: np.copy(getattr(model, name)) for name in model.learned}
    # user 3 is gone, user 20 is new, user 0 has the item that had no event
    rows = [sorted({*watched[0], N_ITEMS - 1}), *watched[1:3], *watched[4:], [0, 1, N_ITEMS - 1]]
    known = log_of(rows, [0, 1, 2, *range(4, N_USERS), 20])
    newer = model.with_graph_of(known)
    ratings = np.zeros((N_USERS, N_ITEMS))
    for row, items in enumerate(rows):
        ratings[row, items] = 1
    first = np.concatenate(
        [np.delete(model.user_embeddings, 3, axis=0), np.zeros((1, DIM)), model.item_embeddings]
    ).astype(np.float64)
    adjacency = dense_adjacency(csr_array(ratings))
    layers = [first, adjacency @ first, adjacency @ adjacency @ first]
    nodes = sum(layers) / 3
    nodes /= np.linalg.norm(nodes, axis=1, keepdims=True)
    np.testing.assert_allclose(newer.items, nodes[N_USERS:], atol=1e-6)
    stored = create("lightgcn", **(newer.config.model_dump() | {"user_state": "stored"}))
    for name in newer.learned:
        setattr(stored, name, getattr(newer, name))
    np.testing.assert_allclose(stored.fold_in(known.histories), nodes[:N_USERS], atol=1e-5)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(model, name), value)


def test_without_layers_lightgcn_is_matrix_factorisation(watched: list[list[int]]) -> None:
    """Gradient steps on a plain U Vᵀ with the same start reach the same vectors."""
    train = trained_on(watched)
    settings = {"layers": 0, "dim": 4, "similarity": "dot", "temperature": 1.0, "user_power": 0.0, "epochs": 7}
    model = create("lightgcn", **settings, user_state="stored").fit(train, Run.seeded(1))
    start = create("lightgcn", **settings, learning_rate=1e-30, user_state="stored").fit(train, Run.seeded(1))
    users, items = (torch.from_numpy(side.copy()).requires_grad_() for side in (start.user_embeddings, start.items))
    optimizer = torch.optim.Adam([users, items], lr=0.02)
    dense = torch.from_numpy(train.matrix().toarray())
    for _ in range(7):
        loss = -(torch.log_softmax(users @ items.T, dim=1) * dense).sum() / dense.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scores = model.score(model.fold_in(train.histories))
    expected = (users @ items.T).detach().numpy()
    np.testing.assert_allclose(scores[:, :-1], expected[:, :-1], rtol=1e-3, atol=1e-4)


def paper_settings(name: str) -> dict:
    """The settings of configs/paper, with a small embedding and without random dropout."""
    settings = read_experiment(PROJECT / "configs" / "paper" / f"{name}.toml").settings
    smaller = {"dim": DIM, "epochs": 3, "patience": 0}
    return settings | smaller | ({"message_dropout": 0.0} if name == "ngcf" else {})


def plain_layers(name: str, parameters: dict, watched: list[list[int]], n_layers: int) -> list:
    """Layers 0..K as lists of vectors, one message for each edge: LightGCN eq. 3, NGCF eq. 3 to 6."""
    degree = [sum(item in row for row in watched) for item in range(N_ITEMS)]
    layers = [(list(parameters["users"]), list(parameters["items"]))]
    for k in range(n_layers):
        users, items = layers[-1]
        if name == "ngcf":
            w1, w2, bias = (parameters[part][k] for part in ("W1", "W2", "bias"))
            to_users, to_items = [u @ w1 + bias for u in users], [i @ w1 + bias for i in items]
        else:
            to_users, to_items = [torch.zeros(DIM) for _ in users], [torch.zeros(DIM) for _ in items]
        for user, row in enumerate(watched):
            for item in row:
                p = 1 / math.sqrt(len(row) * degree[item])
                if name == "ngcf":
                    product = (users[user] * items[item]) @ w2
                    to_users[user] = to_users[user] + p * (items[item] @ w1 + product)
                    to_items[item] = to_items[item] + p * (users[user] @ w1 + product)
                else:
                    to_users[user] = to_users[user] + p * items[item]
                    to_items[item] = to_items[item] + p * users[user]
        if name == "ngcf":
            to_users, to_items = ([torch.where(e > 0, e, SLOPE * e) for e in side] for side in (to_users, to_items))
        layers.append((to_users, to_items))
    return layers


def plain_embeddings(name: str, layers: list, side: int) -> list:
    """LightGCN: the mean over layers, eq. 4. NGCF: all layers side by side, eq. 9, scaled as in the authors' code."""
    nodes = zip(*(layer[side] for layer in layers), strict=True)
    if name == "lightgcn":
        return [sum(node) / len(node) for node in nodes]
    return [torch.cat([node[0], *(e / e.norm().clamp(min=1e-12) for e in node[1:])]) for node in nodes]


def plain_loss(name: str, parameters: dict, watched: list[list[int]], triples: list, settings: dict) -> torch.Tensor:
    """BPR over the triples and L2 on their layer 0, each divided by how many they are: LightGCN eq. 15, NGCF eq. 11."""
    layers = plain_layers(name, parameters, watched, settings["layers"])
    users, items = plain_embeddings(name, layers, 0), plain_embeddings(name, layers, 1)
    loss = torch.zeros(())
    for u, i, j in triples:
        loss = loss - torch.log(torch.sigmoid(users[u] @ items[i] - users[u] @ items[j]))
        for vector in (parameters["users"][u], parameters["items"][i], parameters["items"][j]):
            loss = loss + settings["l2"] / 2 * (vector**2).sum()
    return loss / len(triples)


@pytest.mark.parametrize("name", ["lightgcn", "ngcf"])
def test_the_papers_settings_train_as_a_plain_loop_written_from_the_paper(name: str, watched: list[list[int]]) -> None:
    """Three epochs: the losses, and what Adam makes of the gradients."""
    train, settings = trained_on(watched), paper_settings(name) | {"l2": 0.1, "learning_rate": 0.01}
    start = create(name, **settings | {"epochs": 1, "learning_rate": 1e-30}).fit(train, Run.seeded(1))
    model = create(name, **settings).fit(train, Run.seeded(1))
    arrays = {"users": start.user_embeddings, "items": start.item_embeddings}
    if name == "ngcf":
        arrays |= {part: getattr(start, part) for part in ("W1", "W2", "bias")}
    parameters = {part: torch.from_numpy(value.copy()).requires_grad_() for part, value in arrays.items()}
    optimizer = torch.optim.Adam(parameters.values(), lr=0.01)
    rng = np.random.default_rng(1)
    rng.integers(2**63)  # the seed of torch's generator
    pairs = [(user, item) for user, row in enumerate(watched) for item in row]
    for epoch in range(3):
        negatives = rng.integers(N_ITEMS, size=len(pairs)).tolist()
        triples = [(u, i, j) for (u, i), j in zip(pairs, negatives, strict=True) if j not in watched[u]]
        loss = plain_loss(name, parameters, watched, triples, settings)
        assert model.curves[epoch]["loss"] == pytest.approx(loss.item(), rel=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trained = {"users": model.user_embeddings, "items": model.item_embeddings}
    trained |= {part: getattr(model, part) for part in parameters if part not in trained}
    for part, value in parameters.items():
        np.testing.assert_allclose(trained[part], value.detach(), atol=2e-5, err_msg=part)


@pytest.mark.parametrize("name", ["lightgcn", "ngcf"])
def test_a_users_score_in_the_papers_model_is_the_product_of_its_embeddings(
    name: str, watched: list[list[int]]
) -> None:
    train, settings = trained_on(watched), paper_settings(name)
    model = create(name, **settings).fit(train, Run.seeded(1))
    parameters = {"users": torch.from_numpy(model.user_embeddings), "items": torch.from_numpy(model.item_embeddings)}
    if name == "ngcf":
        parameters |= {part: torch.from_numpy(getattr(model, part)) for part in ("W1", "W2", "bias")}
    layers = plain_layers(name, parameters, watched, settings["layers"])
    users, items = plain_embeddings(name, layers, 0), plain_embeddings(name, layers, 1)
    scores = model.score(model.fold_in(train.histories))
    for user in range(N_USERS):
        for item in range(N_ITEMS - 1):  # the last one has no events
            assert scores[user, item] == pytest.approx(float(users[user] @ items[item]), abs=2e-5)


def test_a_dropped_node_sends_no_messages(matrix: csr_array, nodes: tuple, generator: torch.Generator) -> None:
    weights, config = ngcf_weights(generator, 1), NGCFConfig(node_dropout=0.4, message_dropout=0.0)
    found = propagate_ngcf(double_graph(matrix), nodes, weights, config, torch.Generator().manual_seed(3))[1]
    again = torch.Generator().manual_seed(3)
    kept = [torch.empty((n, 1), dtype=torch.float64).bernoulli_(0.6, generator=again) for n in (N_USERS, N_ITEMS)]
    assert 0 < torch.cat(kept).sum() < N_USERS + N_ITEMS
    adjacency = torch.from_numpy(dense_adjacency(matrix))
    layer = torch.cat(nodes)
    messages = adjacency @ (torch.cat(kept) / 0.6 * layer)
    expected = (layer + messages) @ weights["W1"][0] + (layer * messages) @ weights["W2"][0] + weights["bias"][0]
    expected = torch.where(expected > 0, expected, SLOPE * expected)
    torch.testing.assert_close(torch.cat(found), expected)


ALL = [
    {"loss": "softmax"},
    *(
        {"loss": loss, "negatives": negatives, "batch_size": 16}
        for loss in ("infonce", "bpr", "bce")
        for negatives in ("uniform", "popularity", "in-batch", "mixed")
    ),
]


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize("settings", ALL, ids=lambda s: "-".join(map(str, s.values())))
def test_every_loss_with_every_kind_of_negative_lowers_its_loss(
    settings: dict, similarity: str, watched: list[list[int]]
) -> None:
    model = create("lightgcn", dim=4, epochs=30, similarity=similarity, initialiser="normal", **settings)
    model.fit(trained_on(watched), Run.seeded(1))
    values = [row["loss"] for row in model.curves]
    assert np.mean(values[-5:]) < np.mean(values[:5])
    assert np.isfinite(model.items).all()


@pytest.mark.parametrize("name", ["lightgcn", "ngcf"])
@pytest.mark.parametrize(
    "settings", [ALL[0], ALL[1], ALL[3], ALL[7], ALL[11]], ids=lambda s: "-".join(map(str, s.values()))
)
@pytest.mark.parametrize(
    "rows",
    [[[0, 1], [0, 1], [0, 1]], [list(range(N_ITEMS)), [0]], [[2]], [[0, 0, 1], [1, 1]]],
    ids=["equal histories", "one has seen everything", "one event", "duplicates"],
)
def test_odd_graphs_train_and_rank(name: str, settings: dict, rows: list[list[int]]) -> None:
    train = trained_on(rows)
    model = create(name, dim=4, epochs=3, **settings).fit(train, Run.seeded(1))
    listed = rank(model, Histories.of([[0], [], [N_ITEMS - 1]]), 4)
    assert (listed.items >= 0).all()
    isolated = np.flatnonzero(train.popularity == 0)
    if N_ITEMS - len(isolated) - 1 >= 4:
        assert not np.isin(listed.items, isolated).any()


@pytest.mark.parametrize("name", ["lightgcn", "ngcf"])
def test_isolated_items_come_last_and_isolated_users_by_popularity(name: str, watched: list[list[int]]) -> None:
    model = create(name, dim=4, epochs=5).fit(trained_on(watched), Run.seeded(1))
    everything = rank(model, Histories.of([[0], [N_ITEMS - 1], []]), N_ITEMS)
    assert everything.items[0, -2] == N_ITEMS - 1  # the last slot would be the seen item's
    popularity = trained_on(watched).popularity
    order = sorted(range(N_ITEMS), key=lambda item: (-popularity[item], item))
    assert everything.items[2].tolist() == order
    assert np.isfinite(everything.scores[1, :-1]).all()


@pytest.mark.parametrize("name", ["lightgcn", "ngcf"])
def test_duplicate_edges_count_once(name: str, watched: list[list[int]]) -> None:
    one = create(name, dim=4, epochs=3).fit(trained_on(watched), Run.seeded(1))
    two = create(name, dim=4, epochs=3).fit(trained_on([row + row[:1] for row in watched]), Run.seeded(1))
    np.testing.assert_array_equal(one.items[:-1], two.items[:-1])


def test_settings_that_cannot_be_are_refused_in_one_line() -> None:
    with pytest.raises(MatineeError, match="temperature = 0 must be above 0"):
        create("lightgcn", temperature=0)
    with pytest.raises(MatineeError, match="loss = bpr draws negatives for pairs; set batch_size, for example 512"):
        create("ngcf", loss="bpr")
    with pytest.raises(MatineeError, match="log_q corrects a sampled softmax, which loss = bce is not"):
        create("ngcf", loss="bce", batch_size=64, log_q=True)
    with pytest.raises(MatineeError, match="l2 penalises sampled pairs, and loss = softmax samples none; use decay"):
        create("lightgcn", l2=1e-4)
    with pytest.raises(MatineeError, match="layers = -1"):
        create("lightgcn", layers=-1)
    with pytest.raises(MatineeError, match="unknown key 'negative'; did you mean 'negatives'"):
        create("lightgcn", negative="uniform")


def test_lists_are_made_without_torch() -> None:
    script = "import sys; from matinee.models.graph import lightgcn, ngcf; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
