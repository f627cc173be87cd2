"""Training on a device: every model that torch trains, on one that is pretended (see `pretend_device`)."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import matinee as mt
from matinee.dataset import Events
from matinee.errors import MatineeError, UsageError
from matinee.histories import Histories, TrainingData
from matinee.models import create, model_class, model_names
from matinee.training.devices import resolve_device, thread_limit
from matinee.training.run import Run
from pretend_device import Elsewhere, pretended

TRAINED = [name for name in model_names() if model_class(name).trained_by_torch]
NORMAL = {"initialiser": "normal"}  # an SVD on a device may turn signs round
SETTINGS = {
    "lightgcn": NORMAL,
    "ngcf": NORMAL,
    "gmf": NORMAL,
    "mlp": NORMAL,
    "neumf": NORMAL,
    "gru4rec": NORMAL | {"dim": 8, "hidden": 8},
    "sasrec": NORMAL | {"dim": 8},
    "linear-gru": NORMAL | {"dim": 8, "hidden": 8},
    "kprn": {"first_stage": "item-knn"},
}
OTHERS = [
    ("lightgcn", NORMAL | {"loss": "bpr", "batch_size": 64, "l2": 0.1, "layer_weights": "learned"}),
    ("lightgcn", NORMAL | {"loss": "infonce", "negatives": "in-batch", "batch_size": 64, "log_q": True}),
    ("lightgcn", {"initialiser": "svd"}),
    ("autorec", {"based_on": "user", "dropout": 0.2}),
    ("cdae", {"loss": "logistic", "corruption": "gaussian"}),
    ("cdae", {"loss": "square", "activation": "sigmoid"}),
    ("mult-vae", {"hidden": 8, "dim": 4}),
    ("mult-vae", {"variational": False}),
    ("mlp", NORMAL | {"batch_norm": True, "layers": 2, "tower_init": "similarity"}),
    ("neumf", NORMAL | {"loss": "bce", "candidates": 10}),
    ("gmf", NORMAL | {"loss": "infonce", "candidates": 0, "negatives": "in-batch", "batch_size": 64}),
    ("movie-pairs", {"hidden": "relu"}),
    ("item2vec", {"pairs": "sampled", "sampled_pairs": 500}),
    ("gru4rec", NORMAL | {"layers": 2, "attention": 1, "tied": False, "loss": "softmax", "mask_seen": True}),
    ("gru4rec", NORMAL | {"batches": "session-parallel", "loss": "bpr-max"}),
    ("sasrec", NORMAL | {"loss": "bce", "norm": "post"}),
    ("sasrec", NORMAL | {"loss": "gbce", "in_batch": True}),
    ("kprn", {"first_stage": "item-knn", "form": "paths", "loss": "bce"}),
]


@pytest.fixture(scope="module")
def train():
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((60, 40)) < np.linspace(0.4, 0.1, 40))
    order = np.lexsort((rng.random(len(users)), users))
    values = rng.integers(1, 6, len(users)).astype(np.float32)
    events = Events.ordered(users[order], items[order], values, np.arange(len(users)))
    return TrainingData(Histories.from_events(events, np.arange(60, dtype=np.int32)), 40)


def fitted(name, settings, train, device, epochs):
    model = create(name, **{"epochs": epochs, **settings})
    return model.fit(train, Run.seeded(1, device=device))


@pytest.mark.parametrize(("name", "settings"), [(name, SETTINGS.get(name, {})) for name in TRAINED] + OTHERS)
def test_a_model_learns_on_a_device_what_it_learns_on_the_cpu_and_never_waits_in_an_epoch(
    name, settings, train, monkeypatch
):
    epochs = 1 if model_class(name).ordered else 2
    here = fitted(name, settings, train, "cpu", epochs)
    with pretended(monkeypatch) as device:
        away = fitted(name, settings, train, "meta", epochs)
    waits = {line: n for line, n in device.waits.items() if not line.startswith("initialisers.py")}
    assert waits == {}, "the host waits for the device once an epoch, for the losses and the state"
    copied_back = {line for line in device.to_host if not line.startswith("torch_trainer.py")}
    assert sum(device.to_host[line] for line in copied_back) <= 60, device.to_host
    for learned in here.learned:
        of_here, of_away = getattr(here, learned), getattr(away, learned)
        assert isinstance(of_away, np.ndarray) == isinstance(of_here, np.ndarray)
    histories = train.histories
    scores = (each.score(each.state_of(histories)) for each in (here, away))
    np.testing.assert_allclose(*scores, atol=2e-3)


def test_what_a_gpu_would_refuse_or_wait_for_is_seen(monkeypatch):
    with pretended(monkeypatch) as device:
        away = torch.arange(3, device="meta")
        assert isinstance(away, Elsewhere)
        with pytest.raises(AssertionError, match="tensors of two devices"):
            away + torch.ones(3)
        with pytest.raises((RuntimeError, TypeError, NotImplementedError)):
            away.numpy()
        assert not device.waits
        assert away.sum().item() == 3
        assert away[away > 1].numel() == 1
        assert sum(device.waits.values()) >= 2
        assert not device.to_host
        assert away.cpu().tolist() == [0, 1, 2]
        assert sum(device.to_host.values()) == 1


def test_a_run_is_interrupted_on_one_device_and_goes_on_on_another(train, tmp_path, monkeypatch):
    checkpoint = tmp_path / "run.checkpoint"

    def fit(device, epochs, *, resume=False, stop_at=None):
        def on_epoch(epoch, epochs, metrics):
            if epoch == stop_at:
                raise KeyboardInterrupt

        run = replace(Run.seeded(1, on_epoch, device), checkpoint=checkpoint, checkpoint_seconds=0, resume=resume)
        return create("mult-vae", epochs=epochs, patience=0).fit(train, run)

    with pretended(monkeypatch), pytest.raises(KeyboardInterrupt):
        fit("meta", 6, stop_at=4)
    resumed = fit("cpu", 6, resume=True)
    assert len(resumed.curves) == 6
    assert resumed.curves[-1]["loss"] < resumed.curves[0]["loss"]


def test_a_generator_of_another_device_is_seeded_from_the_saved_one():
    from matinee.training.configs import GradientConfig
    from matinee.training.torch_trainer import TorchTrainer

    def trainer(seed):
        parameter = torch.zeros(1)
        generator = torch.Generator().manual_seed(seed)
        return TorchTrainer({"w": parameter}, list, lambda: {}, GradientConfig(), generator=generator)

    state = trainer(1).state()
    foreign = state | {"generator": state["generator"][:16]}  # as short as CUDA's
    drawn = []
    for seed, saved in ((2, state), (3, state), (4, foreign), (5, foreign)):
        other = trainer(seed)
        other.restore(saved)
        drawn.append(torch.rand(2, generator=other.generator).tolist())
    assert drawn[0] == drawn[1]
    assert drawn[2] == drawn[3] != drawn[0]


@pytest.mark.parametrize("word", ["gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "mps:0", "", "meta", "tpu", 0])
def test_a_word_that_is_no_device_is_refused(word):
    with pytest.raises(UsageError, match=r"is not known; use cpu, cuda, cuda:1 \(the second GPU\)"):
        resolve_device(word)


def test_a_missing_device_is_one_line_that_says_why(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(MatineeError, match=r"cuda is not there: torch .* is built for the CPU; install one for GPUs"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MatineeError, match=r"cuda:1 is not there: torch .* finds no GPU"):
        resolve_device("cuda:1")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(MatineeError, match="mps is not there: it is the GPU of Apple's processors"):
        resolve_device("mps")
    assert resolve_device("auto") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(MatineeError, match="cuda:2 is not there: this machine has 2 GPUs, counted from cuda:0"):
        resolve_device("cuda:2")
    assert [resolve_device(word) for word in ("cuda", "cuda:1", "auto")] == ["cuda", "cuda:1", "cuda"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == "mps"


def test_a_model_that_torch_does_not_train_has_no_device(bundled, monkeypatch):
    monkeypatch.setattr("matinee.workflow.fitting.resolve_device", lambda wanted: wanted)  # as if it were there
    with pytest.raises(MatineeError, match="device = cuda has no effect on ease, which torch does not train"):
        mt.fit("ease", bundled, device="cuda")
    monkeypatch.undo()
    assert mt.fit("popularity", bundled, device="auto").manifest["device"] == "cpu"


def test_threads_are_limited_while_a_model_is_fitted():
    from threadpoolctl import threadpool_info

    def threads():
        return {pool["num_threads"] for pool in threadpool_info()} | {torch.get_num_threads()}

    before = threads()
    with thread_limit(1, torch_trains=True):
        assert threads() == {1}
    assert threads() == before
    with thread_limit(None, torch_trains=True):
        assert threads() == before
    with pytest.raises(UsageError, match="threads = 0 is less than 1"), thread_limit(0, torch_trains=False):
        pass


def test_the_fused_recurrence_of_a_gpu_is_the_step_by_step_one_of_the_cpu():
    from matinee.models.sequences.gru import fused_states, train_states

    generator = torch.Generator().manual_seed(5)
    batch_sizes, shapes = [4, 3, 3, 1], ((11, 5), (5, 18), (6, 18), (2, 18))
    inputs = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    values, weights_ih, weights_hh, biases = inputs
    weights = torch.randn(11, 6, generator=generator)  # of each state in a sum
    by_step = train_states(torch.addmm(biases[0], values, weights_ih), weights_hh, biases[1], batch_sizes)
    fused = fused_states(*inputs, batch_sizes)
    torch.testing.assert_close(fused, by_step)
    for found, expected in zip(
        *(torch.autograd.grad((each * weights).sum(), inputs) for each in (fused, by_step)), strict=True
    ):
        torch.testing.assert_close(found, expected)
