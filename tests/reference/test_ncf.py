"""GMF, MLP and NeuMF against a tower over concatenated embeddings, plain loops for the losses, and torch's autograd."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.sparse import csr_array

from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.ncf import losses as losses_module
from matinee.models.ncf.config import TowerConfig
from matinee.models.ncf.fold_in import Setting, solve_users
from matinee.models.ncf.inference import catalogue_sample
from matinee.models.ncf.losses import _user_steps, ncf_losses
from matinee.models.ncf.network import NCFNetwork
from matinee.nn.candidates import Candidates
from matinee.training.adam import Adam
from matinee.training.run import Run

N_USERS, N_ITEMS = 13, 11


@pytest.fixture(scope="module")
def histories() -> list[list[int]]:
    rng = np.random.default_rng(7)
    return [sorted(rng.choice(N_ITEMS - 1, rng.integers(1, 6), replace=False).tolist()) for _ in range(N_USERS)]


@pytest.fixture(scope="module")
def matrix(histories: list[list[int]]) -> csr_array:
    return Histories.of(histories).matrix(N_ITEMS)


def network_of(matrix: csr_array, *, product: bool = True, **settings: object) -> NCFNetwork:
    """In float64, its weights large enough for all of them to matter."""
    config = TowerConfig(**{"dim": 3, "layers": 3, "dropout": 0.0, "initial_std": 1.0} | settings)
    network = NCFNetwork(config, 3 if product else 0, matrix, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(4)
    for name, tensor in network.parameters.items():
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64) * 0.1
        network.parameters[name] = (tensor.double() + noise).requires_grad_()
    network.buffers = {name: tensor.double() for name, tensor in network.buffers.items()}
    return network


def score_by_hand(network: NCFNetwork, user: int, item: int) -> float:
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


def table_by_hand(network: NCFNetwork) -> np.ndarray:
    return np.array([[score_by_hand(network, user, item) for item in range(N_ITEMS)] for user in range(N_USERS)])


def scored(network: NCFNetwork) -> tuple[torch.Tensor, torch.Tensor]:
    """All pairs as a table, and the same again as pairs."""
    users, items = network.project_users(network.users(np.arange(N_USERS))), network.project_items(network.items())
    left, right = users.repeat_interleave(N_ITEMS, dim=0), items.repeat(N_USERS, 1)
    return network.scores(users, items, left, right)


@pytest.mark.parametrize("product", [True, False])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_two_projections_equal_a_layer_over_the_concatenation(
    matrix: csr_array, product: bool, layers: int
) -> None:
    network = network_of(matrix, product=product, layers=layers)
    table, pairs = scored(network)
    expected = table_by_hand(network)
    np.testing.assert_allclose(table.detach(), expected, atol=1e-6)
    np.testing.assert_allclose(pairs.detach().view(N_USERS, N_ITEMS), expected, atol=1e-6)
    assert expected.std() > 0.1


@pytest.mark.parametrize("batch_norm", [False, True])
def test_numpy_inference_gives_the_scores_of_the_network(matrix: csr_array, batch_norm: bool) -> None:
    network = network_of(matrix, batch_norm=batch_norm)
    for _ in range(5):
        scored(network)  # updates the running statistics
    weights = network.serving_weights()
    users, items = (network.parameters[name].detach().numpy() for name in ("users", "items"))
    item_inputs = weights.project_items(items)
    again = weights.unflatten(weights.flatten(), 3, 3, 3)
    expected = table_by_hand(network)
    for user in range(N_USERS):
        user_input = weights.project_users(users[user : user + 1])[0]
        np.testing.assert_allclose(weights.scores(user_input, item_inputs), expected[user], atol=1e-6)
        np.testing.assert_allclose(again.scores(user_input, item_inputs), expected[user], rtol=1e-5, atol=1e-5)


def test_gradients_by_the_user_vector_equal_finite_differences(matrix: csr_array) -> None:
    network = network_of(matrix)
    weights = network.serving_weights()
    user = network.parameters["users"].detach().numpy()[2]
    item_inputs = weights.project_items(network.parameters["items"].detach().numpy())
    scores, outputs = weights.activations(weights.project_users(user[None])[0], item_inputs)
    gradients = weights.by_user(weights.gradients(item_inputs, outputs))
    np.testing.assert_allclose(scores, table_by_hand(network)[2], atol=1e-6)
    for dim in range(len(user)):
        step = np.zeros_like(user)
        step[dim] = 1e-6
        up, down = (weights.scores(weights.project_users((user + s)[None])[0], item_inputs) for s in (step, -step))
        np.testing.assert_allclose(gradients[:, dim], (up - down) / 2e-6, atol=1e-6)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradients_of_the_network_equal_finite_differences(matrix: csr_array, batch_norm: bool) -> None:
    network = network_of(matrix, layers=2, batch_norm=batch_norm)
    names = list(network.parameters)

    def scores(*tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        network.parameters = dict(zip(names, tensors, strict=True))
        return scored(network)

    assert torch.autograd.gradcheck(scores, tuple(network.parameters.values()))


def softmax_by_hand(network: NCFNetwork, histories: list[list[int]]) -> float:
    table = table_by_hand(network)
    total = 0.0
    for user, items in enumerate(histories):
        log_sum = math.log(sum(math.exp(score) for score in table[user]))
        total += sum(log_sum - table[user, item] for item in items)
    return total


def bce_by_hand(network: NCFNetwork, histories: list[list[int]], n_negatives: int) -> float:
    """The expectation over negatives sampled uniformly from the items a user does not have."""
    table = table_by_hand(network)
    total = 0.0
    for user, items in enumerate(histories):
        rest = [item for item in range(N_ITEMS) if item not in items]
        total += sum(math.log1p(math.exp(-table[user, item])) for item in items)
        mean = sum(math.log1p(math.exp(table[user, item])) for item in rest) / len(rest)
        total += len(items) * n_negatives * mean
    return total


@pytest.mark.parametrize("loss", ["softmax", "bce"])
@pytest.mark.parametrize("block", [2**20, 30])
def test_the_loss_of_one_step_and_its_l2_penalty_equal_a_loop(
    loss: str, block: int, matrix: csr_array, histories: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses_module, "BLOCK_VALUES", block)
    network = network_of(matrix)
    config = TowerConfig(
        dim=3, layers=3, dropout=0.0, loss=loss, candidates=N_ITEMS, n_negatives=4, batch_size=100, l2=0.3, tower_l2=0.7
    )
    found = next(iter(ncf_losses(config, matrix, network, np.random.default_rng(1))()))
    named = {name: tensor.detach().numpy() for name, tensor in network.parameters.items()}
    squares = 0.3 * (np.sum(named["users"] ** 2) + np.sum(named["items"] ** 2))
    squares += 0.7 * sum(np.sum(named[name] ** 2) for name in named if name.startswith(("weights", "output")))
    events = matrix.nnz
    if loss == "softmax":
        expected = (softmax_by_hand(network, histories) + squares * events / N_USERS) / events
    else:
        expected = (bce_by_hand(network, histories, 4) + squares * events / N_USERS) / (5 * events)
    assert found.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_the_blockwise_gradient_equals_that_of_the_dense_loss(
    loss: str, matrix: csr_array, histories: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's autograd on the loss over a dense table of scores."""
    monkeypatch.setattr(losses_module, "BLOCK_VALUES", 30)
    network = network_of(matrix)
    config = TowerConfig(dim=3, layers=3, dropout=0.0, loss=loss, candidates=N_ITEMS, l2=0.0, tower_l2=0.0)
    tensors = list(network.parameters.values())
    whole = next(iter(ncf_losses(config, matrix, network, np.random.default_rng(1))()))
    found = torch.autograd.grad(whole, tensors)
    table = scored(network)[0]
    has = torch.from_numpy(matrix.toarray()).double()
    lengths = has.sum(dim=1)
    if loss == "softmax":
        dense = -(torch.log_softmax(table, dim=1) * has).sum() / lengths.sum()
    else:
        weights = (4 * lengths / (N_ITEMS - lengths))[:, None] * (1 - has)
        terms = torch.nn.functional.softplus(-table) * has + torch.nn.functional.softplus(table) * weights
        dense = terms.sum() / (5 * lengths.sum())
    for one, other in zip(found, torch.autograd.grad(dense, tensors), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_candidates_estimate_the_loss_over_the_catalogue_without_bias(
    matrix: csr_array, histories: list[list[int]]
) -> None:
    """The mean loss over many draws is the loss against all items (bce is linear in the sum)."""
    network = network_of(matrix)
    config = TowerConfig(dim=3, layers=3, dropout=0.0, loss="bce", candidates=6, l2=0.0, tower_l2=0.0)
    candidates = Candidates(matrix, 6, np.random.default_rng(2))
    rows, weights = candidates.draw()
    popularity = np.asarray(matrix.sum(axis=0))
    assert weights.sum() == pytest.approx(N_ITEMS)
    assert min(popularity[rows[:3]]) >= max(np.delete(popularity, rows[:3]))
    values = [next(iter(_user_steps(config, matrix, candidates, network))).item() for _ in range(600)]
    expected = bce_by_hand(network, histories, 4) / (5 * matrix.nnz)
    error = np.std(values) / len(values) ** 0.5
    assert np.mean(values) == pytest.approx(expected, abs=4 * error)
    assert np.std(values) > 0


def test_sampled_negatives_give_the_loss_of_the_paper(matrix: csr_array, histories: list[list[int]]) -> None:
    """He et al. 2017, eq. 7, with so many negatives that their mean is the expectation."""
    network = network_of(matrix)
    config = TowerConfig(
        dim=3, layers=3, dropout=0.0, loss="bce", candidates=0, batch_size=matrix.nnz, n_negatives=400, l2=0.0,
        tower_l2=0.0,
    )  # fmt: skip
    found = next(iter(ncf_losses(config, matrix, network, np.random.default_rng(1))())).item()
    table = table_by_hand(network)
    positives = sum(math.log1p(math.exp(-table[u, i])) for u, items in enumerate(histories) for i in items)
    shares = [(N_ITEMS - len(items)) / N_ITEMS for items in histories]  # sampled positives are left out
    n_negatives = 400 * sum(len(items) * share for items, share in zip(histories, shares, strict=True))
    negatives = (
        400
        / N_ITEMS
        * sum(
            len(items) * math.log1p(math.exp(table[u, i]))
            for u, items in enumerate(histories)
            for i in range(N_ITEMS)
            if i not in items
        )
    )
    assert found == pytest.approx((positives + negatives) / (matrix.nnz + n_negatives), rel=0.02)


@pytest.mark.parametrize(("loss", "l2", "penalty"), [("softmax", 0.02, 0.03), ("bce", 0.02, 0.03), ("bce", 0.0, 0.001)])
def test_a_visitors_vector_is_the_minimum_that_scipy_finds(
    loss: str, l2: float, penalty: float, matrix: csr_array, histories: list[list[int]]
) -> None:
    """GMF, whose solve is convex, against scipy's minimiser of the loss written out; without l2 too it has a ridge."""
    train = TrainingData(Histories.of(histories), N_ITEMS)
    model = create("gmf", dim=3, epochs=15, loss=loss, candidates=N_ITEMS, l2=l2, fold_in_l2=1.5, fold_in_steps=30)
    model.fit(train, Run.seeded(2))
    items, h = model.item_embeddings.astype(np.float64), model.weights.astype(np.float64)
    ridge = penalty * matrix.nnz / N_USERS
    state = model.fold_in(Histories.of(histories[:4]))
    for user, own in enumerate(histories[:4]):
        rest = [item for item in range(N_ITEMS) if item not in own]

        def loss_of(p: np.ndarray, own: list[int] = own, rest: list[int] = rest) -> float:
            scores = items @ (h * p)
            if loss == "softmax":
                value = len(own) * np.log(np.exp(scores).sum()) - scores[own].sum()
            else:
                weight = 4 * len(own) / len(rest)
                value = np.log1p(np.exp(-scores[own])).sum() + weight * np.log1p(np.exp(scores[rest])).sum()
            return float(value + ridge * p @ p)

        best = minimize(loss_of, np.zeros(3), tol=1e-12).x
        np.testing.assert_allclose(state[user], h * best, atol=2e-3 * np.abs(h * best).max() + 1e-5)


def test_newton_steps_through_the_tower_end_in_a_local_minimum(matrix: csr_array) -> None:
    """Three layers: no nearby point is better, within the tolerance that ReLU's kinks need."""
    network = network_of(matrix)
    weights = network.serving_weights()
    users, items = (network.parameters[name].detach().numpy() for name in ("users", "items"))
    config = TowerConfig(dim=3, layers=3, l2=0.3, fold_in_l2=1.0, fold_in_steps=60)
    item_inputs = weights.project_items(items)
    popularity = np.asarray(matrix.sum(axis=0))
    found = solve_users(weights, matrix, item_inputs, Setting.of(users, popularity, config), config)
    l2 = 0.3 * popularity.sum() / N_USERS

    def loss_of(user: int, p: np.ndarray) -> float:
        scores = weights.scores(weights.project_users(p[None])[0], item_inputs)
        own = matrix.indices[matrix.indptr[user] : matrix.indptr[user + 1]]
        return float(len(own) * np.log(np.exp(scores).sum()) - scores[own].sum() + l2 * p @ p)

    rng = np.random.default_rng(1)
    for user in range(N_USERS):
        here = loss_of(user, found[user].astype(np.float64))
        assert here < loss_of(user, users.mean(axis=0))
        for _ in range(20):
            away = found[user] + 0.02 * rng.normal(size=found.shape[1])
            assert here <= loss_of(user, away) + 1e-3


def test_the_catalogue_sample_is_the_most_popular_items_and_evenly_spaced_others() -> None:
    popularity = np.array([5, 1, 9, 0, 3, 2, 7, 4], dtype=np.float32)
    rows, weights = catalogue_sample(popularity, 4)
    assert rows.tolist() == [2, 6, 7, 1]  # 2 6 | 0 7 4 | 5 1 3: the two most popular, and the middle of each three
    np.testing.assert_allclose(weights, [1, 1, 3, 3])
    rows, weights = catalogue_sample(popularity, 8)
    assert rows.tolist() == list(range(8))
    assert weights.tolist() == [1] * 8


def test_running_statistics_equal_those_of_torch(matrix: csr_array) -> None:
    network = network_of(matrix, layers=1, batch_norm=True)
    theirs = torch.nn.BatchNorm1d(3).double()
    hidden = torch.randn((20, 3), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        theirs.weight.copy_(network.parameters["scale0"])
        theirs.bias.copy_(network.parameters["shift0"])
    np.testing.assert_allclose(network._batch_norm(hidden, 0).detach(), theirs(hidden).detach(), atol=1e-6)
    np.testing.assert_allclose(network.buffers["mean0"], theirs.running_mean, atol=1e-6)
    np.testing.assert_allclose(network.buffers["variance0"], theirs.running_var, atol=1e-6)
    alone = network._batch_norm(hidden[:1], 0).detach()  # one pair: torch refuses, ours uses the running statistics
    np.testing.assert_allclose(alone, theirs.eval()(hidden[:1]).detach(), atol=1e-6)


def test_validation_does_not_change_the_random_draws(histories: list[list[int]]) -> None:
    train = TrainingData(Histories.of(histories), N_ITEMS)
    settings = {"dim": 2, "layers": 2, "epochs": 4, "batch_norm": True, "candidates": 6, "batch_size": 5}
    plain = create("neumf", **settings).fit(train, Run.seeded(6))
    validated = create("neumf", **settings, patience=10)
    validated.fit(train, replace(Run.seeded(6), validation=lambda model: float(len(validated.curves))))
    np.testing.assert_allclose([row["loss"] for row in validated.curves], [row["loss"] for row in plain.curves])


@pytest.mark.parametrize(("dim", "layers"), [(8, 1), (8, 2), (6, 3), (5, 2), (2, 2)])
def test_similarity_weights_compute_the_similarity(matrix: csr_array, dim: int, layers: int) -> None:
    config = TowerConfig(dim=dim, layers=layers, dropout=0.0, tower_init="similarity", initial_std=1.0)
    network = NCFNetwork(config, 0, matrix, torch.Generator().manual_seed(3))
    for name, tensor in network.parameters.items():
        if name.startswith("weights"):
            network.parameters[name] = tensor.round()  # the noise is far below a half
    users, items = (network.parameters[side].numpy() for side in ("users", "items"))
    n = (dim // 2) * 2 ** (layers - 1) // 2
    assert np.abs(users[:, n:]).max(initial=0) < 0.2
    wanted = [[sum(abs(a + b) - abs(a - b) for a, b in zip(p[:n], q[:n], strict=True)) for q in items] for p in users]
    found, _ = network.scores(
        network.project_users(network.users(np.arange(N_USERS))),
        network.project_items(network.items()),
        torch.zeros(0, 1),
        torch.zeros(0, 1),
    )
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)


def test_the_tower_has_its_own_learning_rate_and_follows_the_schedule() -> None:
    fast, slow = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    optimizer = Adam({"fast": fast, "slow": slow}, 0.5)
    optimizer.factors = {"slow": 0.1}
    for rate in (0.5, 0.25):
        before = fast.detach().clone(), slow.detach().clone()
        optimizer.learning_rate = rate
        fast.grad, slow.grad = torch.full((2,), 3.0), torch.full((2,), 3.0)
        optimizer.step()
        # with a constant gradient, Adam moves by the learning rate
        np.testing.assert_allclose((before[0] - fast.detach()).numpy(), rate, rtol=1e-5)
        np.testing.assert_allclose((before[1] - slow.detach()).numpy(), rate / 10, rtol=1e-5)


def test_gmf_scores_without_an_event_are_those_of_the_shorter_history() -> None:
    rng = np.random.default_rng(4)
    logs = [rng.choice(60, size, replace=False).tolist() for size in rng.integers(5, 25, 80)]
    model = create("gmf", dim=8, epochs=3, fold_in="newton").fit(TrainingData(Histories.of(logs), 60), Run.seeded(1))
    history = replace(Histories.of([logs[0] + [59]]), mapped=rng.uniform(-0.2, 2, len(logs[0]) + 1).astype(np.float32))
    rows, events = np.arange(60)[None], np.arange(len(history.items))
    scores = model.score(model.fold_in(history))[0]
    rest = model.score(model.fold_in(history.without_each(events)))
    found = model.scores_without_each(history, events, rows)
    if found is None:
        pytest.fail("the chord method was refused")
    np.testing.assert_allclose(found, rest, atol=0.01 * np.abs(scores - rest).max())
    assert model.scores_without_each(Histories.of([[0, 1, 2]]), np.array([0]), rows) is None, "one of three"
    assert (
        create("gmf", dim=8, epochs=1, loss="bce", fold_in="newton")
        .fit(TrainingData(Histories.of(logs), 60), Run.seeded(1))
        .scores_without_each(history, events, rows)
        is None
    )


@pytest.mark.parametrize(  # gmf's chord method has a test of its own
    ("name", "fold_in"),
    [("gmf", "regression"), *((name, way) for name in ("mlp", "neumf") for way in ("regression", "newton"))],
)
def test_scores_without_an_event_are_those_of_the_shorter_history(name: str, fold_in: str) -> None:
    rng = np.random.default_rng(4)
    logs = [rng.choice(60, size, replace=False).tolist() for size in rng.integers(5, 25, 80)]
    layers = {} if name == "gmf" else {"layers": 2}
    model = create(name, dim=8, epochs=3, candidates=0, fold_in=fold_in, **layers).fit(
        TrainingData(Histories.of(logs), 60), Run.seeded(1)
    )
    histories, rows = Histories.of(logs[:2]), np.array([[1, 2, 3], [4, 0, 59]])
    events = np.array([0, 3, len(logs[0]) + 1])
    rest = model.score(model.fold_in(histories.without_each(events)))
    found = model.scores_without_each(histories, events, rows)
    np.testing.assert_allclose(found, np.take_along_axis(rest, rows[[0, 0, 1]], axis=1), rtol=1e-5, atol=1e-6)
    assert model.scores_without_each(Histories.of([[7]]), np.array([0]), rows[:1]) is None, "nothing is left"
