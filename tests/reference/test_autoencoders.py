"""The autoencoders against plain loops, torch's own layers, losses and distributions, and plain linear algebra."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.data.synthetic import two_groups, two_tastes
from matinee.dataset import Dataset
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.autoencoders import losses as losses_module
from matinee.models.autoencoders.autorec import _ridge
from matinee.models.autoencoders.losses import catalogue_loss, gaussian_kl, observed_scores, observed_square_loss
from matinee.models.autoencoders.network import SparseRows, noisy_product, product, sparse_product, tanh
from matinee.models.base import PredictsValues, Recommender
from matinee.nn.initialisers import initialise_layers
from matinee.nn.sparse_rows import drop_entries, normalise_rows, weight_users
from matinee.training.run import Run

N_USERS, N_ITEMS, DIM = 7, 11, 3

CPU = torch.device("cpu")


@pytest.fixture
def counts() -> csr_array:
    """Targets of 7 users, the third without any, on 11 items, with values other than 1."""
    rng = np.random.default_rng(3)
    dense = (rng.random((N_USERS, N_ITEMS)) < 0.4) * rng.integers(1, 5, (N_USERS, N_ITEMS)).astype(np.float64)
    dense[2] = 0
    return csr_array(dense)


@pytest.fixture
def layers() -> tuple[Tensor, Tensor, Tensor]:
    """hidden [B, D], weights [I, D], bias [I], in float64."""
    generator = torch.Generator().manual_seed(5)
    drawn = [
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((N_USERS, DIM), (N_ITEMS, DIM), (N_ITEMS,))
    ]
    return tuple(tensor.requires_grad_() for tensor in drawn)  # type: ignore[return-value]


@pytest.fixture(params=[2**22, 30], ids=["one block", "blocks of two rows"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses_module, "BLOCK_SCORES", request.param)


def loop(kind: str, layers: tuple[Tensor, Tensor, Tensor], counts: csr_array, unobserved: float) -> float:
    """catalogue_loss, item by item."""
    hidden, weights, bias = (tensor.detach().numpy() for tensor in layers)
    total, targets = 0.0, counts.toarray()
    for user in range(N_USERS):
        scores = [sum(hidden[user, d] * weights[item, d] for d in range(DIM)) + bias[item] for item in range(N_ITEMS)]
        whole = np.log(sum(np.exp(score) for score in scores))
        for item in range(N_ITEMS):
            score, target = scores[item], targets[user, item]
            if kind == "softmax":
                total -= target * (score - whole)
            elif kind == "logistic":
                total += target * np.log1p(np.exp(-score)) if target else unobserved * np.log1p(np.exp(score))
            else:
                total += (target - score) ** 2 if target else unobserved * score**2
    return total


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("kind", ["softmax", "logistic", "square"])
def test_catalogue_losses_equal_a_loop(kind: str, layers: tuple, counts: csr_array) -> None:
    found = catalogue_loss(kind, layers[0], layers[1:], SparseRows.of(counts, CPU, torch.float64), 0.3)
    assert found.item() == pytest.approx(loop(kind, layers, counts, 0.3), rel=1e-9)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("kind", ["softmax", "logistic", "square"])
def test_catalogue_gradients_equal_finite_differences(kind: str, layers: tuple, counts: csr_array) -> None:
    targets = SparseRows.of(counts, CPU, torch.float64)
    assert torch.autograd.gradcheck(
        lambda *given: 1.7 * catalogue_loss(kind, given[0], given[1:], targets, 0.3, 0.4), layers
    )


def test_the_multinomial_likelihood_equals_that_of_torch(layers: tuple, counts: csr_array) -> None:
    """The log-probability of torch.distributions, without the terms that do not depend on the scores."""
    hidden, weights, bias = (tensor.detach() for tensor in layers)
    scores, dense = hidden @ weights.T + bias, torch.from_numpy(counts.toarray())
    expected = 0.0
    for logits, target in zip(scores, dense, strict=True):
        n = int(target.sum())
        if n:
            whole = torch.distributions.Multinomial(n, logits=logits).log_prob(target)
            ways = torch.lgamma(torch.tensor(n + 1.0, dtype=torch.float64)) - torch.lgamma(target + 1).sum()
            expected -= float(whole - ways)
    found = catalogue_loss("softmax", hidden, (weights, bias), SparseRows.of(counts, CPU, torch.float64))
    assert found.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("kind", ["softmax", "logistic", "square"])
def test_bfloat16_is_close_to_float32(kind: str, layers: tuple, counts: csr_array) -> None:
    layers = tuple(tensor.detach().float().requires_grad_() for tensor in layers)
    found = []
    for bf16 in (False, True):
        loss = catalogue_loss(kind, layers[0], layers[1:], SparseRows.of(counts, CPU), 0.3, bf16=bf16)
        found.append((loss, *torch.autograd.grad(loss, layers)))
    for float32, rounded in zip(*found, strict=True):
        assert not torch.equal(float32, rounded)
        assert ((float32 - rounded).norm() / float32.norm()).item() < 0.02


def test_tanh_and_its_gradient_equal_those_of_torch() -> None:
    values = torch.linspace(-4, 4, 30, dtype=torch.float64).requires_grad_()
    torch.testing.assert_close(tanh(values), torch.tanh(values))
    assert torch.autograd.gradcheck(tanh, values)


def test_the_likelihood_does_not_overflow() -> None:
    hidden, weights = torch.tensor([[1000.0]]), torch.tensor([[1.0], [-1.0]])
    targets = SparseRows.of(csr_array(np.array([[0.0, 1.0]], dtype=np.float32)), CPU)
    assert catalogue_loss("softmax", hidden, (weights, torch.zeros(2)), targets).item() == 2000


@pytest.mark.usefixtures("blocks")
def test_the_loss_of_observed_ratings_equals_a_loop(layers: tuple, counts: csr_array) -> None:
    hidden, weights, bias = (tensor.detach().numpy() for tensor in layers)
    expected = 0.0
    for row, column, value in zip(*counts.nonzero(), counts.data, strict=True):
        expected += (value - sum(hidden[row, d] * weights[column, d] for d in range(DIM)) - bias[column]) ** 2
    targets = SparseRows.of(counts, CPU, torch.float64)
    for by_pairs in (False, True):
        found = partial(observed_square_loss, by_pairs=by_pairs)
        assert found(*layers, targets).item() == pytest.approx(expected, rel=1e-9)
        assert torch.autograd.gradcheck(lambda *given: 1.7 * found(*given, targets, 0.4), layers)  # noqa: B023
    values = observed_scores(*(tensor.detach() for tensor in layers[:2]), targets)
    np.testing.assert_allclose(values, (hidden @ weights.T)[counts.nonzero()], atol=1e-12)


def test_a_stored_zero_is_an_observed_rating() -> None:
    """A rating equal to the mean is 0 after centring, and still a rating."""
    targets = csr_array((np.array([0.0, 2.0]), np.array([1, 2]), np.array([0, 1, 2])), shape=(2, 3))
    ones = torch.ones((2, 1), dtype=torch.float64), torch.ones((3, 1), dtype=torch.float64)
    loss = observed_square_loss(*ones, torch.zeros(3, dtype=torch.float64), SparseRows.of(targets, CPU, torch.float64))
    assert loss.item() == 1.0 + 1.0


def test_sparse_and_dense_products_equal_those_of_torch(layers: tuple, counts: csr_array) -> None:
    rows, (hidden, weights, _) = SparseRows.of(counts, CPU, torch.float64), layers
    np.testing.assert_allclose(sparse_product(rows, weights).detach(), counts.toarray() @ weights.detach().numpy())
    assert torch.autograd.gradcheck(lambda table: sparse_product(rows, table), (weights,))
    np.testing.assert_allclose(product(hidden, weights.T).detach(), (hidden @ weights.T).detach())
    assert torch.autograd.gradcheck(lambda left, right: product(left, right.T), (hidden, weights))
    noiseless = noisy_product(rows, weights, 0.0, torch.Generator())
    assert torch.equal(noiseless, sparse_product(rows, weights))


def test_gaussian_noise_is_on_every_input(layers: tuple, counts: csr_array) -> None:
    rows, table = SparseRows.of(counts, CPU, torch.float64), torch.eye(N_ITEMS, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    noise = torch.stack([noisy_product(rows, table, 0.5, generator) for _ in range(400)])
    noise -= torch.from_numpy(counts.toarray())
    assert abs(float(noise.mean())) < 0.01
    np.testing.assert_allclose(noise.std(dim=0).numpy(), 0.5, atol=0.08)
    generator = torch.Generator().manual_seed(2)
    first = generator.get_state()

    def again(weights: Tensor) -> Tensor:
        generator.set_state(first)
        return noisy_product(rows, weights, 0.5, generator)

    assert torch.autograd.gradcheck(again, (layers[1],))


def test_the_kl_term_equals_that_of_torch() -> None:
    mean, log_variance = (
        torch.randn((4, 5), dtype=torch.float64, generator=torch.Generator().manual_seed(n)) for n in (1, 2)
    )
    ours = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    expected = torch.distributions.kl_divergence(ours, prior).sum().item()
    assert gaussian_kl(mean, log_variance).item() == pytest.approx(expected, rel=1e-9)


def test_dropped_entries_keep_the_mean_and_rows_are_scaled(counts: csr_array) -> None:
    assert drop_entries(counts, 0.0, np.random.default_rng(1)) is counts
    rng = np.random.default_rng(1)
    draws = [drop_entries(counts, 0.4, rng).toarray() for _ in range(2000)]
    np.testing.assert_allclose(np.mean(draws, axis=0), counts.toarray(), atol=0.35)
    kept = draws[0][draws[0] > 0]
    np.testing.assert_allclose(kept, counts.toarray()[draws[0] > 0] / 0.6)
    dense = counts.toarray()
    lengths = np.linalg.norm(dense, axis=1, keepdims=True)
    np.testing.assert_allclose(normalise_rows(counts).toarray(), dense / np.where(lengths > 0, lengths, 1))
    weighed = weight_users(counts, 0.5)
    events = np.diff(counts.indptr)
    np.testing.assert_allclose(
        weighed.toarray(), dense * (np.maximum(events, 1) / np.maximum(events, 1).mean())[:, None] ** -0.5
    )
    assert weight_users(counts, 0.0) is counts


def test_initial_weights_have_the_variance_of_their_papers() -> None:
    for kind, variance in (("xavier", 2 / 500), ("he", 2 / 300), ("normal", 0.01**2)):
        layers = initialise_layers({"first": (300, 200)}, kind, torch.Generator().manual_seed(1))
        assert float(layers["first"].var()) == pytest.approx(variance, rel=0.05)
        assert not layers["first_bias"].any()


@pytest.fixture(scope="module")
def tastes() -> TrainingData:
    return everything(two_tastes(24, 12))


def everything(data: Dataset) -> TrainingData:
    users = np.arange(len(data.users), dtype=np.int32)
    return TrainingData(Histories.from_events(data.events, users), len(data.items))


def fit_and_weights(
    model: Recommender, train: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> tuple[Recommender, dict]:
    """The fitted model and all of its tensors, those too that serving leaves out."""
    from matinee.training.torch_trainer import TorchTrainer

    trainers = []
    construct = TorchTrainer.__init__

    def recorded(self: TorchTrainer, *given: object, **named: object) -> None:
        construct(self, *given, **named)  # type: ignore[arg-type]
        trainers.append(self)

    monkeypatch.setattr(TorchTrainer, "__init__", recorded)
    model.fit(train, Run.seeded(1))
    return model, {name: tensor.detach() for name, tensor in trainers[0].parameters.items()}


@pytest.mark.parametrize("hidden", [0, 8])
@pytest.mark.parametrize("variational", [True, False])
def test_mult_vae_serves_the_network_that_it_trained(
    hidden: int, variational: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores against a forward pass in torch on dense rows: Liang et al. 2018, section 2.1 and figure 2b."""
    train = everything(two_groups(24, 12))
    model = create("mult-vae", dim=4, hidden=hidden, variational=variational, epochs=5)
    model, weights = fit_and_weights(model, train, monkeypatch)
    rows = functional.normalize(torch.from_numpy(train.matrix().toarray()), dim=1)
    codes = rows @ weights["encoder"] + weights["encoder_bias"]
    if hidden:
        codes = torch.tanh(codes) @ weights["latent"] + weights["latent_bias"]
    codes = codes[:, :4] if variational else torch.tanh(codes)
    if hidden:
        codes = torch.tanh(codes @ weights["decoder"] + weights["decoder_bias"])
    expected = codes @ weights["output"].T + weights["output_bias"]
    state = model.fold_in(train.histories)
    np.testing.assert_allclose(model.score(state), expected, atol=1e-6)
    assert isinstance(model.user_vectors(state) @ model.item_vectors().T, np.ndarray)  # type: ignore[attr-defined]
    np.testing.assert_allclose(
        model.user_vectors(state) @ model.item_vectors().T,
        model.score(state),
        atol=1e-6,  # type: ignore[attr-defined]
    )


def test_mult_vae_minimises_the_evidence_bound_with_a_rising_kl_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step on all users without dropout, against the loss on dense rows with torch's distributions."""
    train = everything(two_groups(24, 12))
    settings = {"dim": 4, "dropout": 0.0, "user_power": 0.0, "epochs": 2, "kl_epochs": 4, "kl_weight": 0.8}
    first = create("mult-vae", **(settings | {"learning_rate": 1e-12}))
    model, weights = fit_and_weights(first, train, monkeypatch)
    generator = torch.Generator().manual_seed(int(np.random.default_rng(1).integers(2**63)))
    torch.empty((12, 8)).uniform_(generator=generator), torch.empty((12, 4)).uniform_(generator=generator)
    dense = torch.from_numpy(train.matrix().toarray())
    codes = functional.normalize(dense, dim=1) @ weights["encoder"] + weights["encoder_bias"]
    posterior = torch.distributions.Normal(codes[:, :4], (0.5 * codes[:, 4:]).exp())
    prior = torch.distributions.Normal(torch.zeros(4), torch.ones(4))
    kl = torch.distributions.kl_divergence(posterior, prior).sum()
    for epoch in (1, 2):  # one step each: the weight of the KL term is a quarter of its cap, then half
        drawn = posterior.mean + torch.empty((24, 4)).normal_(generator=generator) * posterior.stddev
        scores = drawn @ weights["output"].T + weights["output_bias"]
        fit = -(dense * functional.log_softmax(scores, dim=1)).sum()
        expected = (fit + 0.8 * epoch / 4 * kl) / 24
        assert model.curves[epoch - 1]["loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_cdae_serves_the_network_that_it_trained_with_and_without_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wu et al. 2016, eq. 3 and 4, on dense rows."""
    train = everything(two_groups(24, 12))
    model, weights = fit_and_weights(create("cdae", dim=5, epochs=8), train, monkeypatch)
    inputs = functional.normalize(torch.from_numpy(train.matrix().toarray()), dim=1) @ weights["encoder"]
    for state, nodes in (("history", 0), ("stored", weights["user_nodes"])):
        model.config = model.config.model_copy(update={"user_state": state})
        expected = torch.tanh(inputs + nodes + weights["encoder_bias"]) @ weights["output"].T + weights["output_bias"]
        np.testing.assert_allclose(model.score(model.fold_in(train.histories)), expected, atol=1e-6)
    assert weights["user_nodes"].abs().max() > 0
    stranger = Histories.of([[0, 2], []])
    assert np.isfinite(model.score(model.fold_in(stranger))).all()


@pytest.mark.parametrize(("corruption", "noise"), [("dropout", 0.0), ("gaussian", 0.0)])
@pytest.mark.parametrize("kind", ["softmax", "logistic", "square"])
def test_cdae_minimises_the_loss_of_its_config(
    kind: str, corruption: str, noise: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = everything(two_groups(24, 12))
    settings = {"dim": 5, "epochs": 1, "learning_rate": 1e-12, "user_power": 0.0, "noise": noise}
    model, weights = fit_and_weights(
        create("cdae", loss=kind, corruption=corruption, unobserved=0.3, **settings), train, monkeypatch
    )
    dense = torch.from_numpy(train.matrix().toarray())
    hidden = torch.tanh(functional.normalize(dense, dim=1) @ weights["encoder"])  # nodes begin at zero
    scores = hidden @ weights["output"].T + weights["output_bias"]
    each = {
        "softmax": -dense * functional.log_softmax(scores, dim=1),
        "logistic": torch.where(dense > 0, functional.softplus(-scores), 0.3 * functional.softplus(scores)),
        "square": torch.where(dense > 0, (1 - scores) ** 2, 0.3 * scores**2),
    }[kind]
    assert model.curves[0]["loss"] == pytest.approx(each.sum().item() / 24, rel=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "identity"])
def test_cdae_as_in_the_paper_trains_and_serves_the_network_of_the_paper(
    activation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wu et al. 2016, eq. 3 and 4: rows of ones, sigmoid or identity. After some steps, and the loss of the first."""
    train = everything(two_groups(24, 12))
    settings = {"dim": 5, "activation": activation, "normalise_input": False, "user_state": "stored"}
    model, weights = fit_and_weights(create("cdae", epochs=8, **settings), train, monkeypatch)
    dense, apply = torch.from_numpy(train.matrix().toarray()), getattr(torch, activation, lambda values: values)
    hidden = apply(dense @ weights["encoder"] + weights["user_nodes"] + weights["encoder_bias"])
    expected = hidden @ weights["output"].T + weights["output_bias"]
    np.testing.assert_allclose(model.score(model.fold_in(train.histories)), expected, atol=1e-5)
    monkeypatch.undo()
    first = create("cdae", epochs=1, learning_rate=1e-12, noise=0.0, user_power=0.0, **settings)
    first, weights = fit_and_weights(first, train, monkeypatch)
    scores = apply(dense @ weights["encoder"]) @ weights["output"].T
    loss = -(dense * functional.log_softmax(scores, dim=1)).sum() / 24
    assert first.curves[0]["loss"] == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("based_on", ["item", "user"])
def test_autorec_minimises_the_squared_error_of_observed_ratings(
    based_on: str, tastes: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sedhain et al. 2015, eq. 1 and 2, rating by rating; the served scores are those of the trained network."""
    settings = {"dim": 5, "epochs": 1, "learning_rate": 1e-12, "user_state": "stored"}
    model, weights = fit_and_weights(create("autorec", based_on=based_on, **settings), tastes, monkeypatch)
    ratings = tastes.matrix(tastes.histories.values)
    known, mean = ratings.toarray() > 0, ratings.data.mean()
    rows, observed = ratings.toarray() - mean, known
    if based_on == "item":
        rows, observed = rows.T, known.T
    inputs = torch.from_numpy(np.where(observed, rows, 0).astype(np.float32))
    hidden = torch.sigmoid(inputs @ weights["encoder"] + weights["encoder_bias"])
    predicted = (hidden @ weights["output"].T + weights["output_bias"]).numpy()
    errors = [
        (rows[row, column] - predicted[row, column]) ** 2 for row, column in zip(*np.nonzero(observed), strict=True)
    ]
    assert model.curves[0]["loss"] == pytest.approx(np.mean(errors), rel=1e-5)
    served = model.score(model.fold_in(tastes.histories)) - mean
    np.testing.assert_allclose(served, predicted.T if based_on == "item" else predicted, atol=1e-6)
    assert isinstance(model, PredictsValues)
    clipped = model.predict_values(tastes.histories)
    np.testing.assert_allclose(clipped, np.clip(served + mean, 1, 5), atol=1e-6)


def test_autorec_solves_a_visitor_by_ridge_regression(tastes: TrainingData) -> None:
    model = create("autorec", dim=3, epochs=30, learning_rate=0.05, fold_in_l2=0.7).fit(tastes, Run.seeded(1))
    items, values = [0, 2, 5], [5.0, 4.0, 1.0]
    codes = model.item_factors[items].astype(np.float64)
    users = model.user_factors.astype(np.float64)
    prior_mean, covariance = users.mean(axis=0), np.cov(users.T, bias=True)
    # argmin over w of |values - mean - codes w|² + 0.7 (w - prior_mean)ᵀ covariance⁻¹ (w - prior_mean)
    precision = codes.T @ codes + 0.7 * np.linalg.pinv(covariance, rcond=1e-9)
    pull = codes.T @ (np.array(values) - model.mean - codes @ prior_mean)
    expected = prior_mean + np.linalg.solve(precision, pull)
    found = model.fold_in(Histories.of([items, []], [values, []]))
    np.testing.assert_allclose(model.item_factors @ found[0], model.item_factors @ expected, atol=2e-4)
    np.testing.assert_allclose(found[1], prior_mean, atol=1e-6)
    many = Histories.of([list(range(12))], [[5.0, 1.0] * 6])  # more ratings than axes: the other linear system
    codes = model.item_factors.astype(np.float64)
    precision = codes.T @ codes + 0.7 * np.linalg.pinv(covariance, rcond=1e-9)
    expected = prior_mean + np.linalg.solve(precision, codes.T @ (many.values - model.mean - codes @ prior_mean))
    np.testing.assert_allclose(model.item_factors @ model.fold_in(many)[0], model.item_factors @ expected, atol=2e-4)


SERVE = """
import sys
from functools import partial
from pathlib import Path
from matinee.histories import Histories
from matinee.ranking.rank import rank
from matinee.store.artefact import load
rank(load(Path(sys.argv[1])).model, Histories.of([[0, 2]]), 3)
assert "torch" not in sys.modules, "torch was imported"
"""


@pytest.mark.parametrize("name", ["mult-vae", "cdae", "autorec"])
def test_serving_does_not_import_torch(name: str, tmp_path: Path) -> None:
    from matinee.store import artefact
    from matinee.store.artefact import Artefact

    data = (two_tastes if name == "autorec" else two_groups)(24, 12)
    model = create(name, epochs=1).fit(everything(data), Run.seeded(1))
    artefact.save(Artefact.of(model, data, everything(data)), tmp_path / "model")
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(tmp_path / "model")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def uneven() -> TrainingData:
    """Users of 2 to 6 ratings on 8 items."""
    rng = np.random.default_rng(4)
    items = [sorted(rng.choice(8, 2 + user % 5, replace=False).tolist()) for user in range(10)]
    return TrainingData(Histories.of(items, [rng.integers(1, 6, len(one)).astype(float).tolist() for one in items]), 8)


DETERMINISTIC: dict[str, dict[str, Any]] = {
    "mult-vae": {"variational": False, "dropout": 0.0, "user_power": 0.5, "l2": 0.3},
    "cdae": {"noise": 0.0, "node_dropout": 0.0, "user_power": 0.5, "l2": 0.3},
    "autorec": {"dropout": 0.0, "l2": 20.0},
}
"""Settings without noise: training is a function of the initial weights."""


def dense_loss(name: str, weights: dict[str, Tensor], train: TrainingData) -> Tensor:
    """The losses of the papers on dense rows, users weighted by n^-1/2, all rows at once."""
    if name == "autorec":
        ratings = train.matrix(train.histories.values)
        known = torch.from_numpy(ratings.toarray().T > 0)
        rows = torch.where(known, torch.from_numpy(ratings.toarray().T - ratings.data.mean()), 0)
        hidden = torch.sigmoid(rows @ weights["encoder"] + weights["encoder_bias"])
        return functional.mse_loss((hidden @ weights["output"].T + weights["output_bias"])[known], rows[known])
    dense = torch.from_numpy(train.matrix().toarray())
    lengths = dense.sum(dim=1, keepdim=True)
    inputs = functional.normalize(dense, dim=1) @ weights["encoder"] + weights["encoder_bias"]
    hidden = torch.tanh(inputs + weights.get("user_nodes", 0))
    scores = hidden @ weights["output"].T + weights["output_bias"]
    return -(dense * (lengths / lengths.mean()) ** -0.5 * functional.log_softmax(scores, dim=1)).sum() / len(dense)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_six_steps_equal_those_of_adam_on_dense_rows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning rate, weight decay, user weights and the mean over a batch, against torch's autograd and Adam."""
    settings = DETERMINISTIC[name] | {"dim": 4, "schedule": "constant"}
    _, initial = fit_and_weights(create(name, epochs=1, learning_rate=1e-12, **settings), uneven(), monkeypatch)
    expected = {key: value.clone().requires_grad_() for key, value in initial.items()}
    monkeypatch.undo()
    _, found = fit_and_weights(create(name, epochs=6, learning_rate=0.05, **settings), uneven(), monkeypatch)
    decay = settings["l2"] / (uneven().matrix().nnz if name == "autorec" else 1)
    adam = torch.optim.Adam(expected.values(), lr=0.05, weight_decay=decay)
    for _ in range(6):
        adam.zero_grad()
        dense_loss(name, expected, uneven()).backward()
        adam.step()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value.detach(), atol=2e-4, err_msg=key)


@pytest.mark.parametrize(
    ("name", "noise"),
    [("mult-vae", "dropout"), ("cdae", "noise"), ("autorec", "dropout")],
)
def test_noise_reaches_the_input(name: str, noise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = DETERMINISTIC[name] | {"dim": 4, "epochs": 1}
    _, clean = fit_and_weights(create(name, **settings), uneven(), monkeypatch)
    monkeypatch.undo()
    _, noisy = fit_and_weights(create(name, **(settings | {noise: 0.9})), uneven(), monkeypatch)
    assert not torch.equal(clean["encoder"], noisy["encoder"])


def test_a_node_dropped_in_every_step_is_never_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    _, weights = fit_and_weights(create("cdae", dim=4, epochs=3, node_dropout=1.0), uneven(), monkeypatch)
    assert not weights["user_nodes"].any()
    monkeypatch.undo()
    _, weights = fit_and_weights(create("cdae", dim=4, epochs=3, node_dropout=0.0), uneven(), monkeypatch)
    assert weights["user_nodes"].abs().sum(dim=1).all()


@pytest.mark.parametrize(("n", "axes", "l2"), [(5, 30, 0.3), (200, 30, 0.3), (60, 60, 1e-6), (0, 3, 1.0)])
def test_autorecs_regression_equals_a_direct_solve(n: int, axes: int, l2: float) -> None:
    rng = np.random.default_rng(n)
    inputs, targets = rng.normal(size=(n, axes)), rng.normal(size=n)
    direct = np.linalg.inv(inputs.T @ inputs + l2 * np.eye(axes)) @ inputs.T @ targets
    np.testing.assert_allclose(_ridge(inputs, targets, l2), direct, rtol=1e-5, atol=1e-6)
