"""Co-occurrence models against plain loops over written-out pairs."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.cooccurrence.batches import CooccurrenceBatches, CooccurrenceConfig, inclusion_probabilities
from matinee.models.cooccurrence.counts import (
    count_cooccurrences,
    count_in_windows,
    sample_pairs,
    split_cooccurrences,
)
from matinee.models.cooccurrence.item2vec import expected_negative_sampling
from matinee.models.cooccurrence.movie_pairs import counted_cross_entropy
from matinee.models.cooccurrence.pmi import leading_eigenvectors, positive_pmi
from matinee.nn.gradients import loss_with_gradients
from matinee.training.run import Run
from model_fixtures import random_histories

N_USERS, N_ITEMS = 30, 14


@pytest.fixture(scope="module")
def watched() -> list[list[int]]:
    return random_histories(8, N_USERS, N_ITEMS, longest=8)


@pytest.fixture(scope="module")
def train(watched: list[list[int]]) -> TrainingData:
    return TrainingData(Histories.of(watched), N_ITEMS)


def counts_by_loop(watched: list[list[int]], by_user: bool) -> np.ndarray:
    counts = np.zeros((N_ITEMS, N_ITEMS))
    for items in watched:
        for one in items:
            for other in items:
                if one != other:
                    counts[one, other] += 1 / (len(items) - 1) if by_user else 1
    return counts


@pytest.mark.parametrize("weight", ["pair", "user"])
@pytest.mark.parametrize("block", [7, 2**20])
def test_counts_and_their_split_equal_written_out_pairs(
    weight: str, block: int, train: TrainingData, watched: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matinee.models.cooccurrence.counts.BLOCK_PAIRS", block)
    expected = counts_by_loop(watched, weight == "user")
    np.testing.assert_allclose(count_cooccurrences(train.matrix(), weight).toarray(), expected, rtol=1e-6)
    parts = split_cooccurrences(train.matrix(), (0.6, 0.2, 0.2), np.random.default_rng(1), weight)
    np.testing.assert_allclose(sum(part.toarray() for part in parts), expected, rtol=1e-6)
    shares = [part.sum() / expected.sum() for part in parts]
    np.testing.assert_allclose(shares, [0.6, 0.2, 0.2], atol=0.08)
    for part in parts:
        assert part.has_sorted_indices
        assert (part.data > 0).all()


def test_split_counts_are_binomial() -> None:
    many = csr_array(np.ones((400, 40), dtype=np.float32))  # 400 users with the same 40 items: 1560 cells of 400
    first, second = split_cooccurrences(many, (0.7, 0.3), np.random.default_rng(2))
    assert (first.data + second.data == 400).all()
    assert abs(first.data.mean() - 280) < 4 * math.sqrt(400 * 0.7 * 0.3 / 1560)
    assert abs(first.data.var() / (400 * 0.7 * 0.3) - 1) < 0.15


@pytest.mark.parametrize("window", [1, 3, 50])
def test_counts_in_windows_equal_a_plain_loop(
    window: int, watched: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    histories = Histories.of([*watched, [3, 5, 3, 3]])
    expected = np.zeros((N_ITEMS, N_ITEMS))
    for items in [*watched, [3, 5, 3, 3]]:
        for position, one in enumerate(items):
            for other_position, other in enumerate(items):
                distance = abs(position - other_position)
                if 1 <= distance <= window:
                    expected[one, other] += (window - distance + 1) / window
    np.testing.assert_allclose(count_in_windows(histories, N_ITEMS, window).toarray(), expected, rtol=1e-5)
    monkeypatch.setattr("matinee.models.cooccurrence.counts.DENSE_CELLS", 0)
    np.testing.assert_allclose(count_in_windows(histories, N_ITEMS, window).toarray(), expected, rtol=1e-5)


@pytest.mark.parametrize("weight", ["pair", "user"])
@pytest.mark.parametrize("window", [None, 3])
def test_sampled_pairs_are_distributed_as_the_counts(weight: str, window: int | None, train: TrainingData) -> None:
    histories = train.histories
    counts = (
        count_in_windows(histories, N_ITEMS, window, weight) if window else count_cooccurrences(train.matrix(), weight)
    )
    expected = counts.toarray() / counts.sum()
    first, second = sample_pairs(histories, 400_000, np.random.default_rng(3), weight, window)
    sampled = np.zeros((N_ITEMS, N_ITEMS))
    np.add.at(sampled, (first, second), 1 / len(first))
    errors = (sampled - expected) / np.sqrt(np.maximum(expected, 1e-9) / len(first))
    assert (sampled[expected == 0] == 0).all()
    assert np.abs(errors[expected > 0]).max() < 5


def test_sampled_rows_are_an_unbiased_estimate_of_all_counts(train: TrainingData) -> None:
    counts = count_cooccurrences(train.matrix())
    batches = CooccurrenceBatches(CooccurrenceConfig(batch_size=4), counts, N_ITEMS, np.random.default_rng(4))
    assert batches.probabilities.sum() == pytest.approx(4)
    total, steps = np.zeros((N_ITEMS, N_ITEMS)), 0
    for _ in range(3000):
        for rows, targets in batches:
            total[rows] += targets.toarray()
            steps += 1
    np.testing.assert_allclose(total / steps, counts.toarray() / counts.sum(), atol=0.002)
    np.testing.assert_allclose(inclusion_probabilities(np.array([100.0, 1, 1, 0]), 2), [1, 0.5, 0.5, 0])


def test_cross_entropy_of_counts_equals_that_of_written_out_pairs() -> None:
    generator = torch.Generator().manual_seed(1)
    inputs, items = torch.randn(4, 6, generator=generator), torch.randn(9, 6, generator=generator)
    bias = torch.randn(9, generator=generator)
    counts = np.random.default_rng(0).integers(0, 4, (4, 9)).astype(np.float32)
    ours = [tensor.clone().requires_grad_() for tensor in (inputs, items, bias)]
    loss = loss_with_gradients(counted_cross_entropy, *ours, csr_array(counts))
    loss.backward()
    rows, columns = (np.repeat(index, counts[counts > 0].astype(int)) for index in np.nonzero(counts))
    theirs = [tensor.clone().requires_grad_() for tensor in (inputs, items, bias)]
    logits = theirs[0][torch.from_numpy(rows)] @ theirs[1].T + theirs[2]
    expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(columns), reduction="sum")
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5)


def test_expected_negative_sampling_equals_a_plain_loop() -> None:
    generator = torch.Generator().manual_seed(1)
    inputs, contexts = torch.randn(4, 6, generator=generator), torch.randn(9, 6, generator=generator)
    counts = np.random.default_rng(0).integers(0, 4, (4, 9)).astype(np.float32)
    negatives = torch.rand(9, generator=generator)
    ours = [tensor.clone().requires_grad_() for tensor in (inputs, contexts)]
    loss = loss_with_gradients(expected_negative_sampling, *ours, csr_array(counts), negatives)
    loss.backward()
    theirs = [tensor.clone().requires_grad_() for tensor in (inputs, contexts)]
    expected = torch.zeros(())
    for row in range(4):
        for column in range(9):
            score = theirs[0][row] @ theirs[1][column]
            expected = expected - counts[row, column] * torch.nn.functional.logsigmoid(score)
            n_negatives = counts[row].sum() * negatives[column]
            expected = expected - n_negatives * torch.nn.functional.logsigmoid(-score)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("hidden", ["none", "linear", "relu"])
def test_held_out_cross_entropy_equals_a_plain_loop(hidden: str, train: TrainingData) -> None:
    model = create("movie-pairs", dim=6, hidden=hidden, epochs=5, ratios=(0.6, 0.2, 0.2)).fit(train, Run.seeded(0))
    counts = split_cooccurrences(train.matrix(), (0.5, 0.5), np.random.default_rng(7))[1]
    loss = 0.0
    for row, column in zip(*counts.nonzero(), strict=True):
        logits = model.input_vectors[row].astype(np.float64) @ model.items.T.astype(np.float64) + model.bias
        loss += counts[row, column] * (math.log(np.exp(logits).sum()) - logits[column])
    assert model.cross_entropy(counts) == pytest.approx(loss / counts.sum(), rel=1e-5)
    assert {"valid_cross_entropy", "test_cross_entropy"} <= model.curves[-1].keys()


def test_movie_pairs_from_counts_and_from_sampled_pairs_agree(train: TrainingData) -> None:
    settings = {"dim": 8, "learning_rate": 0.05, "pair_weight": "pair"}
    counts = count_cooccurrences(train.matrix())
    exact = create("movie-pairs", epochs=400, **settings).fit(train, Run.seeded(0))
    # large batches: in small ones the gradients of rare items are noise, and Adam hardly moves them
    sampled = create(
        "movie-pairs", epochs=60, pairs="sampled", sampled_pairs=100_000, batch_size=10_000, **settings
    ).fit(train, Run.seeded(0))
    unigram = np.asarray(counts.sum(axis=0)) / counts.sum()
    of_unigrams = -(np.asarray(counts.sum(axis=0)) * np.log(np.where(unigram > 0, unigram, 1))).sum() / counts.sum()
    gained = of_unigrams - exact.cross_entropy(counts)
    assert gained > 0.1
    assert sampled.cross_entropy(counts) == pytest.approx(exact.cross_entropy(counts), abs=0.05 * float(gained))


def test_item2vec_from_counts_and_from_sampled_pairs_agree(train: TrainingData) -> None:
    settings = {"dim": 14, "learning_rate": 0.02, "negatives": 3}
    exact = create("item2vec", epochs=600, **settings).fit(train, Run.seeded(0))
    sampled = create("item2vec", epochs=30, pairs="sampled", sampled_pairs=30_000, batch_size=512, **settings).fit(
        train, Run.seeded(0)
    )
    counts = count_cooccurrences(train.matrix(), "user").toarray()
    frequent = counts > 0.5  # rare pairs are noisy
    one, other = (model.items @ model.context_vectors.T for model in (exact, sampled))
    assert np.corrcoef(one[frequent], other[frequent])[0, 1] > 0.9


def test_item2vec_with_enough_dims_is_shifted_pmi() -> None:
    """Levy and Goldberg 2014, eq. 11: at the optimum u_i . v_j = log(C_ij / (n_i p_j)) - log k."""
    rng = np.random.default_rng(5)
    histories = Histories.of([rng.choice(8, 5, replace=False).tolist() for _ in range(60)])
    train = TrainingData(histories, 8)
    model = create("item2vec", dim=8, negatives=2, negative_power=0.5, epochs=1500, learning_rate=0.02,
                   pair_weight="pair").fit(train, Run.seeded(0))  # fmt: skip
    counts = count_cooccurrences(train.matrix()).toarray().astype(np.float64)
    n = counts.sum(axis=0)
    with np.errstate(divide="ignore"):
        expected = np.log(counts / np.outer(n, n**0.5 / (n**0.5).sum())) - math.log(2)
    off = ~np.eye(8, dtype=bool)
    np.testing.assert_allclose((model.items @ model.context_vectors.T)[off], expected[off], atol=0.03)


def test_pmi_equals_a_plain_loop(train: TrainingData, watched: list[list[int]]) -> None:
    counts = counts_by_loop(watched, by_user=False)
    n = counts.sum(axis=1)
    context = n**0.75 * n.sum() / (n**0.75).sum()
    expected = np.zeros_like(counts)
    for one in range(N_ITEMS):
        for other in range(N_ITEMS):
            if counts[one, other]:
                by_frequency = n[one] * context[other] / n.sum()
                ratio = (counts[one, other] + 2) / (by_frequency + 2)
                expected[one, other] = max(0, math.log(ratio) - math.log(1.1))
    found = positive_pmi(count_cooccurrences(train.matrix()), 1.1, 0.75, 2.0).toarray()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    model = create("pmi", shift=1.1, shrinkage=2.0, smoothing=0.75, popularity_power=0.5).fit(train, Run.seeded(0))
    scores = model.score(model.fold_in(Histories.of([[1, 4]])))[0]
    popularity = np.array([sum(item in items for items in watched) for item in range(N_ITEMS)])
    np.testing.assert_allclose(scores, (expected[1] + expected[4]) * popularity**0.5, rtol=1e-5, atol=1e-6)


def test_leading_eigenvectors_equal_a_full_decomposition() -> None:
    rng = np.random.default_rng(6)
    basis = np.linalg.qr(rng.normal(size=(60, 60)))[0]
    values = np.concatenate([[9, -7, 5, -3], np.full(56, 0.1)])
    matrix = (basis * values) @ basis.T
    found, axes = leading_eigenvectors(csr_array(matrix.astype(np.float32)), 4, rng)
    np.testing.assert_allclose(found, [9, -7, 5, -3], rtol=1e-4)
    np.testing.assert_allclose(np.abs((axes * basis[:, :4]).sum(axis=0)), 1, rtol=1e-4)


def test_movie_pairs_scores_by_the_mean_logit_or_by_cosine(train: TrainingData) -> None:
    model = create("movie-pairs", dim=6, epochs=5, bias_share=0.3).fit(train, Run.seeded(0))
    logits = [model.input_vectors[seen].astype(np.float64) @ model.items.T for seen in (2, 5, 11)]
    scores = model.score(model.fold_in(Histories.of([[2, 5, 11]])))[0]
    np.testing.assert_allclose(scores, np.mean(logits, axis=0) + 0.3 * model.bias, rtol=1e-4, atol=1e-5)
    by_cosine = create("movie-pairs", dim=6, epochs=5, score_by="cosine").fit(train, Run.seeded(0))
    mean, items = by_cosine.items[[2, 5, 11]].mean(axis=0), by_cosine.items
    scores = by_cosine.score(by_cosine.fold_in(Histories.of([[2, 5, 11]])))[0]
    lengths = np.linalg.norm(items, axis=1) * np.linalg.norm(mean)
    np.testing.assert_allclose(scores, items @ mean / lengths, rtol=1e-4, atol=1e-5)


def test_item2vec_trains_on_sessions_of_liked_items() -> None:
    """Two people; the first pauses for an hour before item 4, likes all but item 2, and item 9 occurs once."""
    past = Histories(
        np.array([0, 5, 9]),
        np.array([1, 2, 3, 4, 5, 3, 1, 4, 9], dtype=np.int32),
        np.array([5, 2, 4, 5, 4, 5, 4, 4, 5], dtype=np.float32),
        np.array([0, 60, 120, 3720, 3780, 0, 60, 120, 180]),
        np.array([0, 1], dtype=np.int32),
    )
    train = TrainingData(past, 10)
    model = create("item2vec", gap=1800, min_value=4, min_count=2, pair_weight="pair")
    sentences = np.split(model._sentences(train).items, model._sentences(train).starts[1:-1])
    assert [sentence.tolist() for sentence in sentences] == [[1, 3], [4], [3, 1, 4]]
    counts = model._counts(model._sentences(train), 10).toarray()
    assert (counts[1, 3], counts[3, 1], counts[1, 4], counts[4, 5]) == (2, 2, 1, 0)
    rarer = create("item2vec", gap=1800, min_value=4, min_count=2, pair_weight="pair", sub_sampling=0.1)
    kept = math.sqrt(0.1 / (2 / 6)) + 0.1 / (2 / 6)  # items 1, 3 and 4 are two of six events each
    np.testing.assert_allclose(rarer._counts(model._sentences(train), 10).toarray(), counts * kept**2, rtol=1e-5)


def test_item2vec_weights_recent_events_more(train: TrainingData) -> None:
    model = create("item2vec", dim=5, epochs=2, recency_half_life=2.0).fit(train, Run.seeded(0))
    weights = np.array([0.25, 0.5**1.5, 0.5, 0.5**0.5, 1.0])  # halved every two events
    mean = weights @ model.items[[8, 3, 0, 6, 2]] / weights.sum()
    folded = model.fold_in(Histories.of([[8, 3, 0, 6, 2]]))[0]
    np.testing.assert_allclose(folded[:5], mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.score(folded[None])[0], model.context_vectors @ mean, rtol=1e-4, atol=1e-5)


def test_pmi_keeps_the_best_neighbours_or_the_leading_eigenvectors(train: TrainingData) -> None:
    whole = positive_pmi(count_cooccurrences(train.matrix()), 1.0, 1.0).toarray()
    model = create("pmi", shift=1.0, smoothing=1.0, shrinkage=0.0, popularity_power=0.0, neighbours=2)
    found = model.fit(train, Run.seeded(0)).weights.toarray()
    for column in range(N_ITEMS):
        best = np.sort(whole[:, column])[::-1][:2]
        np.testing.assert_allclose(np.sort(found[:, column])[::-1][:2], best, rtol=1e-6)
        assert np.count_nonzero(found[:, column]) <= 2
    settings = {"shift": 1.0, "smoothing": 1.0, "shrinkage": 0.0, "popularity_power": 0.0}
    model = create("pmi", form="vectors", dim=3, eigenvalue_power=0.5, **settings).fit(train, Run.seeded(0))
    values, axes = np.linalg.eigh((whole + whole.T) / 2)
    leading = np.argsort(-np.abs(values))[:3]
    vectors = axes[:, leading] * np.abs(values[leading]) ** 0.5
    scores = model.score(model.fold_in(Histories.of([[1, 4]])))[0]
    np.testing.assert_allclose(scores, vectors @ vectors[[1, 4]].mean(axis=0), rtol=1e-3, atol=1e-4)


def test_item2vec_refuses_settings_that_leave_no_events(train: TrainingData, watched: list[list[int]]) -> None:
    largest = max(sum(item in items for items in watched) for item in range(N_ITEMS))
    with pytest.raises(MatineeError, match=f"min_count = 99 removes every item; {largest} is the largest"):
        create("item2vec", min_count=99).fit(train, Run.seeded(0))
    with pytest.raises(MatineeError, match=r"min_value = 4\.0 needs events with values"):
        create("item2vec", min_value=4).fit(train, Run.seeded(0))
    ones = np.ones(len(train.histories.items), dtype=np.float32)
    train = TrainingData(replace(train.histories, values=ones), train.n_items)
    with pytest.raises(MatineeError, match=r"min_value = 4\.0 is above every event; set it to 1 or less"):
        create("item2vec", min_value=4).fit(train, Run.seeded(0))
    model = create("item2vec", min_count=largest, window=100, epochs=1)
    with pytest.raises(MatineeError, match="no pairs to learn from"):
        model.fit(train, Run.seeded(0))


@pytest.mark.parametrize("name", ["item2vec", "movie-pairs", "pmi"])
def test_histories_of_one_event_are_refused(name: str) -> None:
    with pytest.raises(MatineeError, match="no user has two different movies"):
        create(name).fit(TrainingData(Histories.of([[0], [1], [2]]), 3), Run.seeded(0))


def test_a_window_may_be_longer_than_any_history(train: TrainingData) -> None:
    one = create("item2vec", window=50, epochs=1).fit(train, Run.seeded(0))
    sampled = create("item2vec", window=50, epochs=1, pairs="sampled", sampled_pairs=100).fit(train, Run.seeded(0))
    assert np.isfinite(one.items).all()
    assert np.isfinite(sampled.items).all()
