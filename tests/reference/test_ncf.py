"""GMF, MLP and NeuMF against towers over concatenated embeddings, losses written out, and torch's own gradients."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.sparse import csr_array

from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.ncf import losses as pair_losses_module
from matinee.models.ncf.config import TowerConfig
from matinee.models.ncf.fold_in import solve_users
from matinee.models.ncf.inference import catalogue_sample
from matinee.models.ncf.likeness import slow_down
from matinee.models.ncf.losses import Candidates, _by_users, pair_losses
from matinee.models.ncf.ncf import effective_weights
from matinee.models.ncf.network import PairNetwork
from matinee.training.run import Run

N_USERS, N_ITEMS = 13, 11


@pytest.fixture(scope="module")
def watched() -> list[list[int]]:
    rng = np.random.default_rng(7)
    return [sorted(rng.choice(N_ITEMS - 1, rng.integers(1, 6), replace=False).tolist()) for _ in range(N_USERS)]


@pytest.fixture(scope="module")
def matrix(watched: list[list[int]]) -> csr_array:
    return Histories.of(watched).matrix(N_ITEMS)


def network_of(matrix: csr_array, *, product: bool = True, **settings: object) -> PairNetwork:
    """In float64, its weights large enough for all of them to matter."""
    config = TowerConfig(**{"dim": 3, "layers": 3, "dropout": 0.0, "initial_std": 1.0} | settings)
    network = PairNetwork(config, 3 if product else 0, matrix, torch.Generator().manual_seed(3))
    chance = torch.Generator().manual_seed(4)
    for name, tensor in network.parameters.items():
        noise = torch.randn(tensor.shape, generator=chance, dtype=torch.float64) * 0.1
        network.parameters[name] = (tensor.double() + noise).requires_grad_()
    network.buffers = {name: tensor.double() for name, tensor in network.buffers.items()}
    return network


def score_by_hand(network: PairNetwork, user: int, item: int) -> float:
    """He et al. 2017, eq. 9, 10 and 12, with one concatenated vector."""
    named = {name: tensor.detach().numpy() for name, tensor in (network.parameters | network.buffers).items()}
    n = network.product
    p, q = named["users"][user], named["items"][item]
    score = float(np.sum(named["product"] * p[:n] * q[:n])) if n else 0.0
    if not network.layers:
        return score
    hidden = np.concatenate([p[n:], q[n:]])
    for layer in range(network.layers):
        weights = named[f"weights{layer}"]
        assert weights.shape == (len(hidden), len(hidden) // 2)
        hidden = weights.T @ hidden + named[f"bias{layer}"]
        if network.buffers:
            centred = (hidden - named[f"mean{layer}"]) / np.sqrt(named[f"variance{layer}"] + 1e-5)
            hidden = named[f"scale{layer}"] * centred + named[f"shift{layer}"]
        hidden = np.where(hidden > 0, hidden, 0)
    return score + float(hidden @ named["output"])


def table_by_hand(network: PairNetwork) -> np.ndarray:
    return np.array([[score_by_hand(network, user, item) for item in range(N_ITEMS)] for user in range(N_USERS)])


def scored(network: PairNetwork) -> tuple[torch.Tensor, torch.Tensor]:
    """All pairs as a table, and the same again as pairs."""
    users, items = network.user_parts(np.arange(N_USERS)), network.item_parts()
    left, right = users.repeat_interleave(N_ITEMS, dim=0), items.repeat(N_USERS, 1)
    return network.scores(users, items, left, right)


@pytest.mark.parametrize("product", [True, False])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_split_tower_is_the_concatenated_one(matrix: csr_array, product: bool, layers: int) -> None:
    network = network_of(matrix, product=product, layers=layers)
    table, pairs = scored(network)
    expected = table_by_hand(network)
    np.testing.assert_allclose(table.detach(), expected, atol=1e-6)
    np.testing.assert_allclose(pairs.detach().view(N_USERS, N_ITEMS), expected, atol=1e-6)
    assert expected.std() > 0.1


@pytest.mark.parametrize("batch_norm", [False, True])
def test_serving_in_numpy_gives_the_scores_of_the_network(matrix: csr_array, batch_norm: bool) -> None:
    network = network_of(matrix, batch_norm=batch_norm)
    for _ in range(5):
        scored(network)  # moves the running figures
    weights = effective_weights(network)
    users, items = (network.parameters[name].detach().numpy() for name in ("users", "items"))
    parts = weights.item_parts(items)
    again = weights.of_flat(weights.flat(), 3, 3, 3)
    expected = table_by_hand(network)
    for user in range(N_USERS):
        part = weights.user_parts(users[user : user + 1])[0]
        np.testing.assert_allclose(weights.scores(part, parts), expected[user], atol=1e-6)
        np.testing.assert_allclose(again.scores(part, parts), expected[user], rtol=1e-5, atol=1e-5)


def test_slopes_are_the_derivatives_by_the_users_vector(matrix: csr_array) -> None:
    network = network_of(matrix)
    weights = effective_weights(network)
    user = network.parameters["users"].detach().numpy()[2]
    parts = weights.item_parts(network.parameters["items"].detach().numpy())
    scores, slopes = weights.slopes(weights.user_parts(user[None])[0], parts)
    np.testing.assert_allclose(scores, table_by_hand(network)[2], atol=1e-6)
    for place in range(len(user)):
        step = np.zeros_like(user)
        step[place] = 1e-6
        up, down = (weights.scores(weights.user_parts((user + s)[None])[0], parts) for s in (step, -step))
        np.testing.assert_allclose(slopes[:, place], (up - down) / 2e-6, atol=1e-6)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradients_of_the_tower(matrix: csr_array, batch_norm: bool) -> None:
    network = network_of(matrix, layers=2, batch_norm=batch_norm)
    names = list(network.parameters)

    def scores(*tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        network.parameters = dict(zip(names, tensors, strict=True))
        return scored(network)

    assert torch.autograd.gradcheck(scores, tuple(network.parameters.values()))


def softmax_by_hand(network: PairNetwork, watched: list[list[int]]) -> float:
    table = table_by_hand(network)
    total = 0.0
    for user, items in enumerate(watched):
        log_sum = math.log(sum(math.exp(score) for score in table[user]))
        total += sum(log_sum - table[user, item] for item in items)
    return total


def bce_by_hand(network: PairNetwork, watched: list[list[int]], n_negatives: int) -> float:
    """The expectation over negatives drawn evenly from what a user has not."""
    table = table_by_hand(network)
    total = 0.0
    for user, items in enumerate(watched):
        rest = [item for item in range(N_ITEMS) if item not in items]
        total += sum(math.log1p(math.exp(-table[user, item])) for item in items)
        mean = sum(math.log1p(math.exp(table[user, item])) for item in rest) / len(rest)
        total += len(items) * n_negatives * mean
    return total


@pytest.mark.parametrize("loss", ["softmax", "bce"])
@pytest.mark.parametrize("block", [2**20, 30])
def test_the_loss_of_a_whole_step_and_its_ridge(
    loss: str, block: int, matrix: csr_array, watched: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_losses_module, "BLOCK_VALUES", block)
    network = network_of(matrix)
    config = TowerConfig(
        dim=3, layers=3, dropout=0.0, loss=loss, candidates=N_ITEMS, n_negatives=4, batch_size=100, l2=0.3, tower_l2=0.7
    )
    found = next(iter(pair_losses(config, matrix, network, np.random.default_rng(1))()))
    named = {name: tensor.detach().numpy() for name, tensor in network.parameters.items()}
    squares = 0.3 * (np.sum(named["users"] ** 2) + np.sum(named["items"] ** 2))
    squares += 0.7 * sum(np.sum(named[name] ** 2) for name in named if name.startswith(("weights", "output")))
    events = matrix.nnz
    if loss == "softmax":
        expected = (softmax_by_hand(network, watched) + squares * events / N_USERS) / events
    else:
        expected = (bce_by_hand(network, watched, 4) + squares * events / N_USERS) / (5 * events)
    assert found.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_blocks_have_the_gradient_of_the_whole(
    loss: str, matrix: csr_array, watched: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against torch's gradient of the loss written with dense tables."""
    monkeypatch.setattr(pair_losses_module, "BLOCK_VALUES", 30)
    network = network_of(matrix)
    config = TowerConfig(dim=3, layers=3, dropout=0.0, loss=loss, candidates=N_ITEMS, l2=0.0, tower_l2=0.0)
    tensors = list(network.parameters.values())
    whole = next(iter(pair_losses(config, matrix, network, np.random.default_rng(1))()))
    found = torch.autograd.grad(whole, tensors)
    table = scored(network)[0]
    has = torch.from_numpy(matrix.toarray()).double()
    lengths = has.sum(dim=1)
    if loss == "softmax":
        dense = -(torch.log_softmax(table, dim=1) * has).sum() / lengths.sum()
    else:
        worth = (4 * lengths / (N_ITEMS - lengths))[:, None] * (1 - has)
        terms = torch.nn.functional.softplus(-table) * has + torch.nn.functional.softplus(table) * worth
        dense = terms.sum() / (5 * lengths.sum())
    for one, other in zip(found, torch.autograd.grad(dense, tensors), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_candidates_estimate_the_sum_over_the_catalogue_without_bias(
    matrix: csr_array, watched: list[list[int]]
) -> None:
    """The mean of the losses of many draws is the loss against all items (bce is linear in the sum)."""
    network = network_of(matrix)
    config = TowerConfig(dim=3, layers=3, dropout=0.0, loss="bce", candidates=6, l2=0.0, tower_l2=0.0)
    candidates = Candidates(matrix, 6, np.random.default_rng(2))
    rows, worth = candidates.draw()
    popularity = np.asarray(matrix.sum(axis=0))
    assert worth.sum() == pytest.approx(N_ITEMS)
    assert min(popularity[rows[:3]]) >= max(np.delete(popularity, rows[:3]))
    values = [next(iter(_by_users(config, matrix, candidates, network))).item() for _ in range(600)]
    expected = bce_by_hand(network, watched, 4) / (5 * matrix.nnz)
    error = np.std(values) / len(values) ** 0.5
    assert np.mean(values) == pytest.approx(expected, abs=4 * error)
    assert np.std(values) > 0


def test_pairs_with_drawn_negatives_have_the_papers_loss(matrix: csr_array, watched: list[list[int]]) -> None:
    """He et al. 2017, eq. 7; all negatives of an epoch on average are all items that a user has not."""
    network = network_of(matrix)
    config = TowerConfig(
        dim=3, layers=3, dropout=0.0, loss="bce", candidates=0, batch_size=matrix.nnz, n_negatives=400, l2=0.0,
        tower_l2=0.0,
    )  # fmt: skip
    found = next(iter(pair_losses(config, matrix, network, np.random.default_rng(1))())).item()
    table = table_by_hand(network)
    positives = sum(math.log1p(math.exp(-table[u, i])) for u, items in enumerate(watched) for i in items)
    chances = [(N_ITEMS - len(items)) / N_ITEMS for items in watched]  # negatives that the user has are left out
    n_negatives = 400 * sum(len(items) * chance for items, chance in zip(watched, chances, strict=True))
    negatives = (
        400
        / N_ITEMS
        * sum(
            len(items) * math.log1p(math.exp(table[u, i]))
            for u, items in enumerate(watched)
            for i in range(N_ITEMS)
            if i not in items
        )
    )
    assert found == pytest.approx((positives + negatives) / (matrix.nnz + n_negatives), rel=0.02)


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_a_visitor_is_where_a_general_minimiser_ends(loss: str, matrix: csr_array, watched: list[list[int]]) -> None:
    """GMF: the solve is convex. Against scipy's minimiser of the loss written out."""
    train = TrainingData(Histories.of(watched), N_ITEMS)
    model = create("gmf", dim=3, epochs=15, loss=loss, candidates=N_ITEMS, l2=0.02, fold_in_l2=1.5, fold_in_steps=30)
    model.fit(train, Run.seeded(2))
    items, h = model.embeddings.astype(np.float64), model.weights.astype(np.float64)
    ridge = 1.5 * 0.02 * matrix.nnz / N_USERS
    state = model.fold_in(Histories.of(watched[:4]))
    for user, own in enumerate(watched[:4]):
        rest = [item for item in range(N_ITEMS) if item not in own]

        def loss_of(p: np.ndarray, own: list[int] = own, rest: list[int] = rest) -> float:
            scores = items @ (h * p)
            if loss == "softmax":
                value = len(own) * np.log(np.exp(scores).sum()) - scores[own].sum()
            else:
                worth = 4 * len(own) / len(rest)
                value = np.log1p(np.exp(-scores[own])).sum() + worth * np.log1p(np.exp(scores[rest])).sum()
            return float(value + ridge * p @ p)

        best = minimize(loss_of, np.zeros(3), tol=1e-12).x
        np.testing.assert_allclose(state[user], h * best, atol=2e-3 * np.abs(h * best).max() + 1e-5)


def test_newton_steps_through_the_tower_end_in_a_hollow(matrix: csr_array) -> None:
    """Three layers: no place nearby is better, but for the kinks of ReLU."""
    network = network_of(matrix)
    weights = effective_weights(network)
    users, items = (network.parameters[name].detach().numpy() for name in ("users", "items"))
    config = TowerConfig(dim=3, layers=3, l2=0.3, fold_in_l2=1.0, fold_in_steps=60)
    parts = weights.item_parts(items)
    popularity = np.asarray(matrix.sum(axis=0))
    found = solve_users(weights, matrix, parts, users, popularity, config)
    ridge = 0.3 * popularity.sum() / N_USERS

    def loss_of(user: int, p: np.ndarray) -> float:
        scores = weights.scores(weights.user_parts(p[None])[0], parts)
        own = matrix.indices[matrix.indptr[user] : matrix.indptr[user + 1]]
        return float(len(own) * np.log(np.exp(scores).sum()) - scores[own].sum() + ridge * p @ p)

    rng = np.random.default_rng(1)
    for user in range(N_USERS):
        here = loss_of(user, found[user].astype(np.float64))
        assert here < loss_of(user, users.mean(axis=0))
        for _ in range(20):
            away = found[user] + 0.02 * rng.normal(size=found.shape[1])
            assert here <= loss_of(user, away) + 1e-3


def test_the_sample_of_the_catalogue() -> None:
    popularity = np.array([5, 1, 9, 0, 3, 2, 7, 4], dtype=np.float32)
    rows, worth = catalogue_sample(popularity, 4)
    assert rows.tolist() == [2, 6, 7, 1]  # 2 6 | 0 7 4 | 5 1 3: the head, and the middle of each three
    np.testing.assert_allclose(worth, [1, 1, 3, 3])
    rows, worth = catalogue_sample(popularity, 8)
    assert rows.tolist() == list(range(8))
    assert worth.tolist() == [1] * 8


def test_running_figures_are_those_of_torch(matrix: csr_array) -> None:
    network = network_of(matrix, layers=1, batch_norm=True)
    theirs = torch.nn.BatchNorm1d(3).double()
    hidden = torch.randn((20, 3), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        theirs.weight.copy_(network.parameters["scale0"])
        theirs.bias.copy_(network.parameters["shift0"])
    np.testing.assert_allclose(network._normalised(hidden, 0).detach(), theirs(hidden).detach(), atol=1e-6)
    np.testing.assert_allclose(network.buffers["mean0"], theirs.running_mean, atol=1e-6)
    np.testing.assert_allclose(network.buffers["variance0"], theirs.running_var, atol=1e-6)
    alone = network._normalised(hidden[:1], 0).detach()  # one pair: torch refuses, the running figures serve
    np.testing.assert_allclose(alone, theirs.eval()(hidden[:1]).detach(), atol=1e-6)


def test_one_seed_says_it_all_and_validation_changes_nothing(watched: list[list[int]]) -> None:
    train = TrainingData(Histories.of(watched), N_ITEMS)
    settings = {"dim": 2, "layers": 2, "epochs": 4, "batch_norm": True, "candidates": 6, "batch_size": 5}
    plain = create("neumf", **settings).fit(train, Run.seeded(6))
    looked = create("neumf", **settings, patience=10)
    looked.fit(train, replace(Run.seeded(6), validation=lambda model: float(len(looked.curves))))
    np.testing.assert_allclose([row["loss"] for row in looked.curves], [row["loss"] for row in plain.curves])


@pytest.mark.parametrize(("dim", "layers"), [(8, 1), (8, 2), (6, 3), (5, 2), (2, 2)])
def test_the_start_by_likeness_compares_vectors(matrix: csr_array, dim: int, layers: int) -> None:
    config = TowerConfig(dim=dim, layers=layers, dropout=0.0, tower_start="likeness", initial_std=1.0)
    network = PairNetwork(config, 0, matrix, torch.Generator().manual_seed(3))
    for name, tensor in network.parameters.items():
        if name.startswith("weights"):
            network.parameters[name] = tensor.round()  # the noise is far below a half
    users, items = (network.parameters[side].numpy() for side in ("users", "items"))
    n = (dim // 2) * 2 ** (layers - 1) // 2
    assert np.abs(users[:, n:]).max(initial=0) < 0.2
    wanted = [[sum(abs(a + b) - abs(a - b) for a, b in zip(p[:n], q[:n], strict=True)) for q in items] for p in users]
    found, _ = network.scores(
        network.user_parts(np.arange(N_USERS)), network.item_parts(), torch.zeros(0, 1), torch.zeros(0, 1)
    )
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)


def test_the_tower_moves_at_its_own_pace_and_follows_the_schedule() -> None:
    fast, slow = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    optimizer = torch.optim.Adam([fast, slow], lr=0.5)
    slow_down(optimizer, [slow], 0.1)
    for rate in (0.5, 0.25):
        before = fast.detach().clone(), slow.detach().clone()
        for group in optimizer.param_groups:
            group["lr"] = rate
        fast.grad, slow.grad = torch.full((2,), 3.0), torch.full((2,), 3.0)
        optimizer.step()
        # Adam's steps are of the step size where the gradient stays the same
        np.testing.assert_allclose((before[0] - fast.detach()).numpy(), rate, rtol=1e-5)
        np.testing.assert_allclose((before[1] - slow.detach()).numpy(), rate / 10, rtol=1e-5)
