"""Blocks of attention that SASRec does not have, beside those that it has, on protocol C after four epochs, on valid.

Prints one JSON object; `python benchmarks/sequence_blocks.py NAME ...` runs some only. Processor seconds of the fit.

    transformer, hstu     as the package has them, with the settings of configs/c/sasrec.toml and sampled negatives
    relative              transformer blocks, and a learned number for each distance of two events
    relative-time         the same, and a number for the time between them
    hstu-time             HSTU with numbers for distances and times (Zhai et al. 2024)
    hstu-next             the same, times counted from the next event as in the paper's code, which a list does not know
    ligr                  gated residuals and SwiGLU (Borisyuk et al. 2025; eSASRec: Tikhonovich et al. 2025)
"""

import json
import os
import sys
import time
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from matinee import workflow
from matinee.data.splits import Split
from matinee.evaluation.evaluate import validation
from matinee.experiment import read_experiment
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.sequences.batches import batches_by_length, pad, split_histories
from matinee.models.sequences.losses import SequenceLoss
from matinee.models.sequences.sasrec import SASRecConfig, initial_parameters
from matinee.training.loop import train_epochs
from matinee.training.run import Run
from matinee.training.torch_trainer import TorchTrainer, bf16_products, fast_dropout, torch_generator
from matinee.training.transfers import to_array

PROJECT = Path(__file__).parents[1]
os.environ.setdefault("MATINEE_DATA", str(PROJECT.parent / "shared" / "data"))
SETTINGS = {"block": "transformer", "loss": "sampled-softmax", "epochs": 4}
PACKAGE = {"transformer": {"block": "transformer"}, "hstu": {"block": "hstu"}}
N_TIMES = 64
EVENTS_AT_ONCE = 6400


class Lookup(torch.autograd.Function):
    """Values of a table [N] at indices; its gradient is a weighted count."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, indices: Tensor) -> Tensor:
        """See torch."""
        ctx.save_for_backward(indices)
        ctx.size = len(table)
        return table[indices]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """See torch."""
        (indices,) = ctx.saved_tensors
        return torch.bincount(indices.flatten(), gradient.flatten().float(), ctx.size), None


def time_buckets(seconds: np.ndarray) -> Tensor:
    """Powers of e^0.301 seconds, as in the authors' code."""
    return torch.from_numpy(np.minimum(np.log(np.maximum(np.abs(seconds), 1)) / 0.301, N_TIMES - 1).astype(np.int64))


class Blocks(Recommender[np.ndarray]):
    """SASRec with other blocks, folded in by torch. kind: a name of those above; next_times: by user, for hstu-next."""

    name = "sasrec"
    Config = SASRecConfig
    trained_by_torch = True
    ordered = True
    learned = ("arrays",)
    arrays: dict[str, np.ndarray]
    kind: str
    next_times: np.ndarray

    def initial(self, train: TrainingData, generator: torch.Generator) -> dict[str, Tensor]:
        """First values of the parameters."""
        n, dim = self.config.layers, self.config.dim
        of_sasrec = initial_parameters(self.config, train, generator)
        found = {name: of_sasrec[name] for name in ("items", "position_embeddings", "last_norm", "norms", "out_proj")}

        def normal(*shape: int) -> Tensor:
            return torch.empty(shape).normal_(0, sqrt(2 / (shape[-2] + shape[-1])), generator=generator)

        if self.kind.startswith("hstu"):
            found |= {"uvqk": torch.empty((n, dim, 4 * dim)).normal_(0, 1 / sqrt(dim), generator=generator)}
        elif self.kind == "ligr":
            found |= {"qkv": of_sasrec["qkv"], "gates": normal(n, 2, dim, dim), "gate_bias": torch.zeros((n, 2, dim))}
            found |= {"wide": normal(n, dim, 8 * dim), "narrow": normal(n, 4 * dim, dim)}
        else:
            found |= {name: of_sasrec[name] for name in ("qkv", "ffn_in", "ffn_out", "ffn_bias")}
        if self.kind != "ligr":
            found["distances"] = torch.zeros((n, self.config.max_length))
        if self.kind in ("relative-time", "hstu-time", "hstu-next"):
            found["times"] = torch.zeros((n, N_TIMES))
        return found

    def fit(self, train: TrainingData, run: Run) -> "Blocks":
        """See Recommender."""
        config, past, generator = self.config, train.histories, torch_generator(run)
        weights, loss = self.initial(train, generator), SequenceLoss(config, train, run.rng)

        def losses() -> Any:
            subsequences = split_histories(past.starts, config.max_length, run.rng)
            for batch in batches_by_length(subsequences, config.batch_size, run.rng):
                transitions, present = pad(batch)
                times = past.times[transitions], past.times[transitions + 1]
                with bf16_products(generator.device, config.precision == "bfloat16"):
                    states = self.states(weights, past.items[transitions], batch.lengths, times, generator)
                yield loss(states[torch.from_numpy(present)], weights["items"], transitions[present])

        def learned() -> dict[str, Any]:
            return {"arrays": {name: to_array(value).copy() for name, value in weights.items()}}

        train_epochs(self, TorchTrainer(weights, losses, learned, config, generator=generator), train, run)
        return self

    def states(
        self,
        weights: dict[str, Tensor],
        items: np.ndarray,
        lengths: np.ndarray,
        times: tuple[np.ndarray, np.ndarray],
        generator: torch.Generator | None,
    ) -> Tensor:
        """States of padded events [R, T], their times and those of the next. Without a generator no dropout."""
        config, length = self.config, items.shape[1]
        dropout = config.dropout if generator is not None else 0.0
        back = np.maximum(lengths[:, None] - 1 - np.arange(length), 0)
        values = functional.embedding(torch.from_numpy(items.astype(np.int64)), weights["items"]) * sqrt(config.dim)
        values = values + functional.embedding(torch.from_numpy(back), weights["position_embeddings"])
        values = fast_dropout(values, dropout, generator)  # type: ignore[arg-type]
        apart = torch.from_numpy(np.maximum(np.arange(length)[:, None] - np.arange(length), 0))
        now = times[1] if self.kind == "hstu-next" else times[0]
        buckets = time_buckets(now[:, :, None] - times[0][:, None]) if "times" in weights else None
        for layer in range(config.layers):
            here = {name: value[layer] for name, value in weights.items() if name not in ("items", "last_norm")}
            inputs = norm(values, here["norms"][0])
            bias = torch.zeros(()) if "distances" not in here else Lookup.apply(here["distances"], apart)
            bias = bias if buckets is None else bias + Lookup.apply(here["times"], buckets)
            if "uvqk" in here:
                gates, held, queries, keys = functional.silu(inputs @ here["uvqk"]).chunk(4, dim=2)
                scores = functional.silu(queries @ keys.transpose(1, 2) + bias).tril() / config.max_length
                added = norm(scores @ held, here["norms"][1]) * gates
                values = values + fast_dropout(added, dropout, generator) @ here["out_proj"]  # type: ignore[arg-type]
                continue
            queries, keys, held = (inputs @ here["qkv"]).chunk(3, dim=2)
            later = torch.full((length, length), -torch.inf).triu(1)
            scores = queries @ keys.transpose(1, 2) / sqrt(config.dim) + bias + later
            added = torch.softmax(scores, dim=2) @ held.float() @ here["out_proj"]
            values = values + fast_dropout(gated(values, added, here, 0), dropout, generator)  # type: ignore[arg-type]
            inputs = norm(values, here["norms"][1])
            if "wide" in here:
                one, other = (inputs @ here["wide"]).chunk(2, dim=2)
                added = gated(values, (functional.silu(one) * other) @ here["narrow"], here, 1)
            else:
                added = (
                    torch.relu(inputs @ here["ffn_in"] + here["ffn_bias"][0]) @ here["ffn_out"] + here["ffn_bias"][1]
                )
            values = values + fast_dropout(added, dropout, generator)  # type: ignore[arg-type]
        return norm(values, weights["last_norm"])

    def fold_in(self, histories: Histories) -> np.ndarray:
        """See Recommender."""
        weights = {name: torch.from_numpy(value) for name, value in self.arrays.items()}
        lengths = np.minimum(histories.lengths, self.config.max_length)
        found = np.zeros((len(histories), self.config.dim), dtype=np.float32)
        order = np.argsort(-lengths, kind="stable")
        size = max(1, EVENTS_AT_ONCE // self.config.max_length)
        for start in range(0, int((lengths > 0).sum()), size):
            rows = order[start : start + size]
            rows = rows[lengths[rows] > 0]
            n = lengths[rows]
            events = (histories.starts[rows + 1] - n)[:, None] + np.minimum(np.arange(n[0]), n[:, None] - 1)
            times = histories.times[events]
            following = np.concatenate([times[:, 1:], times[:, -1:]], axis=1)
            following[np.arange(len(n)), n - 1] = self.next_times[histories.user_rows[rows]]
            with torch.no_grad():
                states = self.states(weights, histories.items[events], n, (times, following), None)
            found[rows] = states.numpy()[np.arange(len(n)), n - 1]
        return found

    def score(self, state: np.ndarray) -> np.ndarray:
        """See Recommender."""
        scores: np.ndarray = state @ self.arrays["items"].T
        return scores


def norm(values: Tensor, scale_and_shift: Tensor) -> Tensor:
    return functional.layer_norm(values.float(), values.shape[-1:], scale_and_shift[0], scale_and_shift[1], 1e-5)


def gated(values: Tensor, added: Tensor, weights: dict[str, Tensor], part: int) -> Tensor:
    """What a sub-layer adds, times the gate of its input, where there is one."""
    if "gates" not in weights:
        return added
    return added * torch.sigmoid(values @ weights["gates"][part] + weights["gate_bias"][part])


def blocks_of(kind: str) -> type[Blocks]:
    return type("Blocks", (Blocks,), {"kind": kind})


def measured(name: str, over: Split, settings: dict[str, Any]) -> dict[str, float]:
    targets = over.targets("valid")
    Blocks.next_times = np.zeros(len(over.data.users), dtype=np.int64)
    Blocks.next_times[targets.user_rows] = targets.times
    started = time.process_time()
    model = "sasrec" if name in PACKAGE else blocks_of(name)
    fitted = workflow.fit(model, over, values="unary", **settings | PACKAGE.get(name, {}))
    seconds = round(time.process_time() - started, 1)
    return {"cpu_seconds": seconds} | {
        metric: round(validation(over, metric)(fitted.model), 4) for metric in ("hit-rate@10", "ndcg@10")
    }


def main() -> None:
    torch.set_num_threads(1)
    experiment = read_experiment(PROJECT / "configs" / "c" / "sasrec.toml")
    over, found = workflow.prepare(experiment), {}
    for name in sys.argv[1:] or (*PACKAGE, "relative", "relative-time", "hstu-time", "hstu-next", "ligr"):
        found[name] = measured(name, over, experiment.settings | SETTINGS)
        print(name, found[name], file=sys.stderr, flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
