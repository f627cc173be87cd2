"""Settings and networks that the configs of the sequence models do not have, on protocol C, on valid.

Prints one JSON object; `python benchmarks/sequence_trials.py [--epochs 4] [--seed 42] [--test] NAME ...` runs some
only. All else is as in the config that a trial changes; `gru4rec`, `sasrec` and `linear-gru` change nothing. The
learning rate goes down over these epochs. Processor seconds of the fit.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from matinee import workflow
from matinee.data.splits import Split
from matinee.evaluation.evaluate import evaluate, validation
from matinee.experiment import Experiment, read_experiment
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.sequences import linear_gru
from matinee.models.sequences.batches import Subsequences, batches_by_length, pack, pad, split_histories
from matinee.models.sequences.gru import train_states
from matinee.models.sequences.gru4rec import GRU4Rec, GRUNetwork
from matinee.models.sequences.hstu import train_layers
from matinee.models.sequences.linear_gru import FIRST_FACTOR, UNIT, LinearGRU, LinearGRUState
from matinee.models.sequences.linear_next import LinearNext
from matinee.models.sequences.losses import SequenceLoss
from matinee.models.sequences.residual import OutOfFoldScores, residual_softmax
from matinee.models.sequences.sasrec import SASRec, SASRecConfig, initial_parameters
from matinee.nn.gradients import loss_with_gradients
from matinee.training.loop import train_epochs
from matinee.training.run import Run
from matinee.training.torch_trainer import TorchTrainer, bf16_products, fast_dropout, torch_generator
from matinee.training.transfers import to_array

PROJECT = Path(__file__).parents[1]
os.environ.setdefault("MATINEE_DATA", str(PROJECT.parent / "shared" / "data"))
N_RATINGS = 5


def ratings_of(values: np.ndarray) -> np.ndarray:
    """Rows of a table of ratings 1 to 5."""
    return np.clip(np.rint(values), 1, N_RATINGS).astype(np.int64) - 1


def with_ratings(items: np.ndarray, ratings: np.ndarray) -> np.ndarray:
    """A vector for each pair of an item and a rating. [I, D], [5, D] -> [5 I, D]."""
    pairs: np.ndarray = (items[:, None] + ratings).reshape(-1, items.shape[1]).astype(np.float32)
    return pairs


def pairs_of(histories: Histories) -> Histories:
    """Histories of rows of `with_ratings`."""
    pairs = histories.items.astype(np.int64) * N_RATINGS + ratings_of(histories.values)
    return replace(histories, items=pairs.astype(np.int32))


def copy_of(model: Any, cls: type[Any], config: Any, **changed: np.ndarray) -> Any:
    """A model with another's arrays, some of them changed."""
    found = cls(**config.model_dump())
    for name in cls.learned:
        setattr(found, name, changed.get(name, getattr(model, name)))
    return found


class RatedGRUNetwork(GRUNetwork):
    """GRU4Rec's network of one layer, with a vector for the rating added to that of each item."""

    def __init__(self, config: Any, train: TrainingData, run: Run) -> None:
        super().__init__(config, train, run)
        self.ratings = ratings_of(train.histories.values)
        self.parameters["ratings"] = torch.zeros((N_RATINGS, config.dim))

    def _states(self, transitions: np.ndarray, batch_sizes: list[int], **_: Any) -> tuple[Tensor, list[Tensor]]:
        config, weights = self.config, self.parameters
        items = torch.from_numpy(self.past.items[transitions].astype(np.int64))
        ratings = torch.from_numpy(self.ratings[transitions])
        values = functional.embedding(items, weights["items"]) + functional.embedding(ratings, weights["ratings"])
        values = fast_dropout(values, config.dropout, self.generator)
        biases = weights["biases"][0]
        inputs = torch.addmm(biases[0], values, weights["first_weights_ih"])
        states = train_states(
            inputs, weights["weights_hh"][0], biases[1], batch_sizes, initial=None, resets=None, bf16=self.bf16
        )
        return fast_dropout(states, config.dropout, self.generator), []


class RatedGRU4Rec(GRU4Rec):
    """GRU4Rec with ratings as inputs."""

    learned = (*GRU4Rec.learned, "ratings")
    ratings: np.ndarray

    def fit(self, train: TrainingData, run: Run) -> "RatedGRU4Rec":
        """See Recommender."""
        network, config = RatedGRUNetwork(self.config, train, run), self.config
        trainer = TorchTrainer(network.parameters, network.losses, network.learned, config, generator=network.generator)
        train_epochs(self, trainer, train, run)
        return self

    def fold_in(self, histories: Histories) -> np.ndarray:
        """See Recommender."""
        network = copy_of(self, GRU4Rec, self.config, items=with_ratings(self.items, self.ratings))
        found: np.ndarray = network.fold_in(pairs_of(histories))
        return found


class RatedLinearGRU(LinearGRU):
    """LinearGRU with ratings as inputs of its network."""

    learned = (*LinearGRU.learned, "ratings")
    ratings: np.ndarray

    def fit(self, train: TrainingData, run: Run) -> "RatedLinearGRU":
        """See Recommender."""
        linear_gru.GRUNetwork = RatedGRUNetwork  # type: ignore[misc]
        return super().fit(train, run)

    def fold_in(self, histories: Histories) -> LinearGRUState:
        """See Recommender."""
        network = copy_of(self, GRU4Rec, self.config.network, items=with_ratings(self.items, self.ratings))
        return LinearGRUState(network.fold_in(pairs_of(histories)), self._linear.fold_in(histories))


def hstu_states(
    parameters: Mapping[str, Tensor],
    config: SASRecConfig,
    items: np.ndarray,
    batch: Subsequences,
    generator: torch.Generator,
    ratings: np.ndarray | None = None,
) -> Tensor:
    """HSTU's states of padded events, as in SASRec, before its last norm. items, ratings [R, T] -> [R T, D]."""
    positions = np.maximum(batch.lengths[:, None] - 1 - np.arange(items.shape[1]), 0)
    rows = torch.from_numpy(items.astype(np.int64))
    values = functional.embedding(rows, parameters["items"]) * config.dim**0.5
    values = values + functional.embedding(torch.from_numpy(positions), parameters["position_embeddings"])
    if ratings is not None:
        values = values + functional.embedding(torch.from_numpy(ratings), parameters["ratings"])
    values = fast_dropout(values, config.dropout, generator)
    blocks = {name: parameters[name] for name in config.block_arrays}
    with bf16_products(generator.device, config.precision == "bfloat16"):
        values = train_layers(values, blocks, config.heads, config.dropout, generator)
    return values.float().view(-1, config.dim)


def last_norm(states: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """SASRec's last norm. [P, D] -> [P, D]."""
    scale, shift = parameters["last_norm"]
    return functional.layer_norm(states, states.shape[1:], scale, shift, 1e-5)


def arrays_of(parameters: Mapping[str, Tensor]) -> dict[str, Any]:
    return {name: to_array(value) for name, value in parameters.items()}


class RatedSASRec(SASRec):
    """SASRec of HSTU's layers with a vector for the rating added to each input."""

    learned = (*SASRec.learned, "ratings")
    ratings: np.ndarray

    def fit(self, train: TrainingData, run: Run) -> "RatedSASRec":
        """See Recommender."""
        config, past, generator = self.config, train.histories, torch_generator(run)
        parameters = initial_parameters(config, train, generator)
        parameters["ratings"] = torch.zeros((N_RATINGS, config.dim))
        ratings, loss = ratings_of(past.values), SequenceLoss(config, train, run.rng)

        def losses() -> Iterator[Tensor]:
            subsequences = split_histories(past.starts, config.max_length, run.rng)
            for batch in batches_by_length(subsequences, config.batch_size, run.rng):
                events, present = pad(batch)
                states = hstu_states(parameters, config, past.items[events], batch, generator, ratings[events])
                states = functional.embedding(torch.from_numpy(np.flatnonzero(present)), states)
                yield loss(last_norm(states, parameters), parameters["items"], events[present])

        trainer = TorchTrainer(parameters, losses, lambda: arrays_of(parameters), config, generator=generator)
        train_epochs(self, trainer, train, run)
        return self

    def fold_in(self, histories: Histories) -> np.ndarray:
        """See Recommender."""
        items = with_ratings(self.items, self.ratings / self.config.dim**0.5)
        found: np.ndarray = copy_of(self, SASRec, self.config, items=items).fold_in(pairs_of(histories))
        return found


class LinearHSTU(LinearGRU):
    """LinearGRU with SASRec's network of HSTU's layers in place of its GRU."""

    learned = (*SASRec.learned, "bias", "linear_weights", "factor")

    @property
    def sasrec(self) -> SASRecConfig:
        """The network's settings."""
        shared = (type(self.config).model_fields.keys() & SASRecConfig.model_fields.keys()) - {"hidden"}
        settings = {name: getattr(self.config, name) for name in shared}
        return SASRecConfig(**settings | {"block": "hstu", "loss": "softmax"})

    def fit(self, train: TrainingData, run: Run) -> "LinearHSTU":
        """See Recommender."""
        config, past, generator = self.sasrec, train.histories, torch_generator(run)
        self.linear_weights = LinearNext(l2=self.config.l2).fit(train, run).weights
        parameters = initial_parameters(config, train, generator)
        parameters["bias"], parameters["factor"] = torch.zeros(train.n_items), torch.tensor(FIRST_FACTOR)
        linear = OutOfFoldScores(LinearNext(l2=self.config.l2), self.config.folds, train, run, generator.device)
        targets_of, bf16 = SequenceLoss(config, train, run.rng).targets_of, config.precision == "bfloat16"

        def losses() -> Iterator[Tensor]:
            subsequences = split_histories(past.starts, config.max_length, run.rng)
            for batch in batches_by_length(subsequences, config.batch_size, run.rng):
                events, present = pad(batch)
                states = hstu_states(parameters, config, past.items[events], batch, generator)
                packed = np.arange(present.size).reshape(present.shape).T[present.T]
                states = last_norm(functional.embedding(torch.from_numpy(packed), states), parameters)
                vectors = torch.cat([states, states.new_ones((len(states), 1))], dim=1)
                outputs = torch.cat([parameters["items"], parameters["bias"][:, None]], dim=1)
                transitions, batch_sizes = pack(batch)
                scores = linear(transitions, batch_sizes).mul_(UNIT)
                rows, seen, weights = targets_of(transitions)
                yield loss_with_gradients(
                    residual_softmax, vectors, outputs, parameters["factor"], scores, rows, seen,
                    torch.from_numpy(weights), bf16,
                )  # fmt: skip

        def learned() -> dict[str, Any]:
            return arrays_of(parameters) | {"factor": UNIT * float(parameters["factor"])}

        train_epochs(self, TorchTrainer(parameters, losses, learned, self.config, generator=generator), train, run)
        return self

    def fold_in(self, histories: Histories) -> LinearGRUState:
        """See Recommender."""
        network = copy_of(self, SASRec, self.sasrec)
        return LinearGRUState(network.fold_in(histories), self._linear.fold_in(histories))

    def score(self, state: LinearGRUState) -> np.ndarray:
        """See Recommender."""
        scores: np.ndarray = self._linear.score(state.bags) * np.float32(self.factor)
        scores += state.vectors @ self.items.T + self.bias
        return scores


NARROW = {"dim": 64}
GBCE = NARROW | {"block": "transformer", "loss": "gbce", "mask_seen": False, "user_power": 0.0}
TRIALS: dict[str, tuple[str, dict[str, Any], type[Recommender[Any]] | None]] = {
    "gru4rec-sampled": ("gru4rec", NARROW | {"loss": "sampled-softmax"}, None),
    "gru4rec-64": ("gru4rec", NARROW, None),
    "gru4rec": ("gru4rec", {}, None),
    "gru4rec-rating": ("gru4rec", NARROW, RatedGRU4Rec),
    "sasrec-64": ("sasrec", NARROW, None),
    "sasrec": ("sasrec", {}, None),
    "sasrec-200": ("sasrec", NARROW | {"max_length": 200}, None),
    "sasrec-rating": ("sasrec", NARROW, RatedSASRec),
    "gbce-256": ("sasrec", GBCE | {"n_negatives": 256, "calibration": 0.75}, None),
    "gbce-t1": ("sasrec", GBCE | {"n_negatives": 512, "calibration": 1.0}, None),
    "linear-gru": ("linear-gru", {}, None),
    "linear-gru-128": ("linear-gru", {"dim": 128}, None),
    "linear-gru-200": ("linear-gru", {"max_length": 200}, None),
    "linear-gru-rating": ("linear-gru", {}, RatedLinearGRU),
    "linear-hstu": ("linear-gru", {}, LinearHSTU),
}
"""The config that a trial changes, how, and a network that the package does not have."""


def measured(
    experiment: Experiment, over: Split, settings: dict[str, Any], network: Any, *, seed: int, test: bool
) -> dict[str, Any]:
    started = time.process_time()
    model = network or experiment.model
    fitted = workflow.fit(model, over, values="unary", seed=seed, threads=1, **experiment.settings | settings).model
    found: dict[str, Any] = {"cpu_seconds": round(time.process_time() - started, 1), "seed": seed}
    found |= {metric: round(validation(over, metric)(fitted), 4) for metric in ("hit-rate@10", "ndcg@10")}
    if test:
        report = evaluate(fitted, over, experiment.evaluation, rng=np.random.default_rng(experiment.split.seed))
        for metric in ("hit-rate@10", "ndcg@10"):
            value = report.metrics[metric]
            found[f"test {metric}"] = [round(end, 4) for end in (value.mean, value.low, value.high)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TRIALS))
    parser.add_argument("--protocol", default="c", choices=("c", "c-small"))
    parser.add_argument("--epochs", type=int, default=4, help="0: those of the config")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--test", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found, prepared = {}, None
    for name in arguments.names or TRIALS:
        config, settings, network = TRIALS[name]
        experiment = read_experiment(PROJECT / "configs" / arguments.protocol / f"{config}.toml")
        prepared = prepared or workflow.prepare(experiment)
        settings = settings | ({"epochs": arguments.epochs} if arguments.epochs else {})
        found[name] = measured(experiment, prepared, settings, network, seed=arguments.seed, test=arguments.test)
        print(name, found[name], file=sys.stderr, flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
