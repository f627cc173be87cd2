"""Losses over candidates that represent a catalogue: against plain loops, and against the loss over all items."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

import matinee as mt
from matinee.data.synthetic import missing_item, two_groups, zipf_log
from matinee.histories import Histories, TrainingData
from matinee.models import create, model_class
from matinee.models.base import sized_defaults
from matinee.models.factors.pairwise import mean_over_candidates, mean_over_negatives
from matinee.nn import candidates as candidates_module
from matinee.nn.candidates import Candidates, has_large_catalogue, large_catalogue_defaults, shared_cells
from matinee.nn.sampled_softmax import Pairs, pair_scores, sampled_softmax
from matinee.training.run import Run

N_USERS, N_ITEMS, DIM = 9, 14, 3
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def owned() -> csr_array:
    """Weighted items of each user; the last user has none."""
    rng = np.random.default_rng(4)
    weights = rng.random((N_USERS, N_ITEMS)) * (rng.random((N_USERS, N_ITEMS)) < 0.3)
    weights[-1] = 0
    return csr_array(weights.astype(np.float32))


@pytest.fixture
def vectors() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    shapes = ((N_USERS, DIM), (N_ITEMS, DIM), (N_ITEMS,))
    return tuple(torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)  # type: ignore[return-value]


def looped(users: Tensor, items: Tensor, bias: Tensor, owned: csr_array, drawn: dict[int, float]) -> Tensor:
    """The loss of `sampled_softmax`, user by user and item by item. drawn: weights of candidates by item."""
    total = users.new_zeros(())
    for user, weights in enumerate(torch.from_numpy(owned.toarray())):
        scores = items @ users[user] + bias
        own = [item for item in range(N_ITEMS) if weights[item]]
        terms = [scores[item] for item in own]
        terms += [scores[item] + np.log(weight) for item, weight in drawn.items() if item not in own]
        total = total + weights.sum() * torch.logsumexp(torch.stack(terms), 0) - (weights * scores).sum()
    return total


@pytest.mark.parametrize("block", [128, 4], ids=["whole", "in blocks"])
def test_a_sampled_softmax_and_its_gradients_equal_a_loop(
    owned: csr_array, vectors: tuple[Tensor, Tensor, Tensor], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matinee.nn.sampled_softmax.BLOCK_USERS", block)
    same, again = (Candidates(owned, 6, np.random.default_rng(0)) for _ in range(2))
    found = sampled_softmax(*vectors, Pairs(owned, CPU), same, 0.25)
    wanted = torch.zeros(())
    for start in range(0, N_USERS, block):
        users, drawn = vectors[0][start : start + block], zip(*again.draw(), strict=True)
        wanted = wanted + 0.25 * looped(users, *vectors[1:], owned[start : start + block], dict(drawn))
    torch.testing.assert_close(found, wanted)
    for got, right in zip(torch.autograd.grad(found, vectors), torch.autograd.grad(wanted, vectors), strict=True):
        torch.testing.assert_close(got, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("by_root", [False, True])
def test_its_sums_are_those_of_the_catalogue_in_expectation(
    owned: csr_array, vectors: tuple[Tensor, Tensor, Tensor], by_root: bool
) -> None:
    users, items, bias = (each.detach().double() for each in vectors)
    exponents = (users @ items.T + bias).exp()
    others = exponents.masked_fill(torch.from_numpy(owned.toarray() > 0), 0)
    candidates = Candidates(owned, 6, np.random.default_rng(0), by_root=by_root)
    means = torch.zeros(N_USERS, dtype=torch.float64)
    for _ in range(4000):
        rows, weights = candidates.draw()
        means += others[:, rows] @ torch.from_numpy(weights).double() / 4000
    torch.testing.assert_close(means, others.sum(1), rtol=0.05, atol=0)


def test_scores_of_pairs_and_their_gradients_are_those_of_the_product(
    owned: csr_array, vectors: tuple[Tensor, Tensor, Tensor]
) -> None:
    users, items, _ = vectors
    rows, columns = owned.nonzero()
    factors = torch.arange(1.0, 1 + owned.nnz)
    found = (pair_scores(users, items, Pairs(owned, CPU)) * factors).sum()
    wanted = ((users @ items.T)[rows, columns] * factors).sum()
    torch.testing.assert_close(found, wanted)
    for got, right in zip(
        torch.autograd.grad(found, (users, items)), torch.autograd.grad(wanted, (users, items)), strict=True
    ):
        torch.testing.assert_close(got, right)


def test_shared_cells_are_where_users_have_candidates(owned: csr_array) -> None:
    rows = np.array([7, 2, 11])
    users, columns = shared_cells(owned, rows)
    expected = {(u, c) for u, c in np.argwhere(owned.toarray()[:, rows] > 0).tolist()}
    assert set(zip(users.tolist(), columns.tolist(), strict=True)) == expected


def test_bpr_over_candidates_that_are_every_other_item_is_bpr_over_all(owned: csr_array) -> None:
    scores = torch.randn(N_USERS, N_ITEMS, generator=torch.Generator().manual_seed(1)).requires_grad_()
    owners, items = (torch.from_numpy(each).long() for each in owned.nonzero())
    counts = torch.ones_like(scores.detach())
    counts[owners, items] = 0
    found = mean_over_candidates(scores, counts, scores[owners, items], owners)
    wanted = mean_over_negatives(scores, owners, items)
    torch.testing.assert_close(found, wanted)
    for each in (torch.autograd.grad(found, scores)[0] - torch.autograd.grad(wanted, scores)[0]).abs().max(1).values:
        assert each < 1e-5


def test_bpr_over_candidates_is_the_weighted_mean_of_pairs() -> None:
    generator = torch.Generator().manual_seed(2)
    scores, positives = torch.randn(2, 5, generator=generator), torch.randn(3, generator=generator)
    counts, owners = torch.tensor([[1.0, 4, 0, 2, 1], [3, 0, 0, 1, 1]]), torch.tensor([0, 1, 1])
    wanted = sum(
        (functional.softplus(scores[owner] - positive) * counts[owner]).sum() / counts[owner].sum()
        for owner, positive in zip(owners, positives, strict=True)
    )
    torch.testing.assert_close(mean_over_candidates(scores, counts, positives, owners), wanted, rtol=0.02, atol=0)


MODELS = ("bpr", "lightgcn", "ngcf", "gmf", "mult-vae", "cdae")


def test_a_large_catalogue_has_candidates_by_default_and_a_small_one_none(monkeypatch: pytest.MonkeyPatch) -> None:
    train = mt.split(zipf_log(50, 250, 300, np.random.default_rng(1))).training()
    assert not has_large_catalogue(train)
    assert large_catalogue_defaults(train, 100) == {}
    monkeypatch.setattr(candidates_module, "MANY_PAIRS", 10_000)
    monkeypatch.setattr(candidates_module, "MANY_ITEMS", 250)
    assert has_large_catalogue(train)
    assert large_catalogue_defaults(train, 100) == {"candidates": 4096, "batch_size": 100}
    for name in MODELS:
        assert sized_defaults(model_class(name), train, {})["candidates"] == 4096
        assert "candidates" not in sized_defaults(model_class(name), train, {"candidates": 0})
    for name in ("mlp", "neumf"):
        assert sized_defaults(model_class(name), train, {})["candidates"] == 512


@pytest.mark.parametrize("name", MODELS)
def test_a_model_over_candidates_lists_the_item_that_its_group_has_and_the_user_lacks(name: str) -> None:
    data = two_groups()
    users = np.arange(len(data.users), dtype=np.int32)
    train = TrainingData(Histories.from_events(data.events, users), len(data.items))
    fitted = create(name, candidates=6, epochs=200).fit(train, Run.seeded(0))
    scores = fitted.score(fitted.fold_in(train.histories))
    scores[train.matrix().nonzero()] = -np.inf
    np.testing.assert_array_equal(scores.argmax(1), missing_item(np.arange(train.n_users), train.n_items))
