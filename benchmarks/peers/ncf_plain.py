"""GMF, MLP and NeuMF in plain torch, by the recipe of the PyTorch ports of the authors' code; nothing of this package.

He et al. 2017 on MovieLens 1M: each user's last event for test and a random one for choosing the epoch, each among 99
negatives that the user never rated. Binary cross-entropy with four negatives an event, drawn again each epoch from the
items that the user has no training event with (so a target may be drawn); batches of 256 pairs, Adam at 0.001, no L2
and no dropout; embeddings from N(0, 0.01²), layers by Glorot's uniform, biases and an output bias from zero. NeuMF with
`--pretrained` starts from half of each part's output and goes on by plain gradient descent at 0.001.

A line of JSON an epoch: seconds, loss, hit-rate@10 and NDCG@10 on valid and test. The parameters of the best epoch
by NDCG on valid and of the best by hit-rate on test (as the ports choose) go to `--save`.

    python benchmarks/peers/ncf_plain.py mlp --factors 32 --epochs 20 --save DIR
    python benchmarks/peers/ncf_plain.py neumf --pretrained DIR --chosen-on valid
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

N_TEST_NEGATIVES, N_NEGATIVES, BATCH, RATE, K = 99, 4, 256, 0.001, 10


class NCF(nn.Module):
    """The network: `name` gmf, mlp or neumf; layers halve from twice the tower's embeddings to `factors`."""

    def __init__(self, name: str, n_users: int, n_items: int, factors: int, n_layers: int) -> None:
        super().__init__()
        self.name, width = name, factors << (n_layers - 1)
        self.tables, self.layers = nn.ModuleDict(), nn.ModuleList()
        if name != "mlp":
            self.tables.update({"user": nn.Embedding(n_users, factors), "item": nn.Embedding(n_items, factors)})
        if name != "gmf":
            self.tables.update({"tower_user": nn.Embedding(n_users, width), "tower_item": nn.Embedding(n_items, width)})
            self.layers.extend(nn.Linear(2 * width >> n, width >> n) for n in range(n_layers))
        self.output = nn.Linear(factors * (2 if name == "neumf" else 1), 1)
        for table in self.tables.values():
            nn.init.normal_(table.weight, std=0.01)
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.kaiming_uniform_(self.output.weight, a=1, nonlinearity="sigmoid")
        nn.init.zeros_(self.output.bias)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Logits of pairs. [n]."""
        parts = []
        if self.name != "mlp":
            parts.append(self.tables["user"](users) * self.tables["item"](items))
        if self.name != "gmf":
            hidden = torch.cat([self.tables["tower_user"](users), self.tables["tower_item"](items)], dim=1)
            for layer in self.layers:
                hidden = torch.relu(layer(hidden))
            parts.append(hidden)
        return self.output(torch.cat(parts, dim=1)).squeeze(1)

    def start_from(self, gmf: dict[str, Tensor], mlp: dict[str, Tensor]) -> None:
        """Take over trained parts, each with half of its output."""
        self.load_state_dict({
            **gmf, **mlp,
            "output.weight": torch.cat([gmf["output.weight"], mlp["output.weight"]], dim=1) / 2,
            "output.bias": (gmf["output.bias"] + mlp["output.bias"]) / 2,
        })  # fmt: skip


def read_log(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, items (from 0, without gaps) and positions in time; events that share a second in the file's order."""
    log = np.array([line.split("::") for line in path.read_text("latin-1").split()], dtype=np.int64)  # [N, 4]
    users, items = (np.unique(column, return_inverse=True)[1] for column in (log[:, 0], log[:, 1]))
    order = np.lexsort((np.arange(len(log)), log[:, 3], users))
    return users[order], items[order], order


def split_log(users: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Events of valid and of test, one a user, from users in order. [U], [U]."""
    starts = np.flatnonzero(np.diff(users, prepend=-1))
    lengths = np.diff(starts, append=len(users))
    return starts + rng.integers(0, lengths - 1), starts + lengths - 1


def draw_lists(rated: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The target of each user, then items never rated. rated: [U, I]. [U, 1 + N_TEST_NEGATIVES]."""
    drawn = [rng.choice(np.flatnonzero(~row), N_TEST_NEGATIVES, replace=False) for row in rated]
    return np.column_stack([targets, drawn])


def draw_negatives(users: np.ndarray, is_known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An item for each user that `is_known` [U, I] does not have. [n]."""
    items = rng.integers(0, is_known.shape[1], len(users))
    while len(again := np.flatnonzero(is_known[users, items])):
        items[again] = rng.integers(0, is_known.shape[1], len(again))
    return items


@torch.no_grad()
def evaluate(model: NCF, lists: np.ndarray) -> tuple[float, float]:
    """Hit-rate@K and NDCG@K of the first of each list; of equal scores the target comes last."""
    users = torch.arange(len(lists)).repeat_interleave(lists.shape[1])
    items = torch.from_numpy(lists.ravel())
    blocks = zip(users.split(2**15), items.split(2**15), strict=True)
    scores = torch.cat([model(*block) for block in blocks]).view(lists.shape)
    ranks = (scores[:, 1:] >= scores[:, :1]).sum(dim=1).double()
    hits = ranks < K
    return hits.double().mean().item(), torch.where(hits, 1 / torch.log2(ranks + 2), 0).mean().item()


def train_epoch(
    model: NCF, optimiser: torch.optim.Optimizer, events: tuple[np.ndarray, np.ndarray], is_known: np.ndarray,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """One pass over events and fresh negatives. The mean loss."""
    users, items = events
    others = np.repeat(users, N_NEGATIVES)
    pairs = np.concatenate([users, others]), np.concatenate([items, draw_negatives(others, is_known, rng)])
    order = rng.permutation(len(pairs[0]))
    labels = (order < len(users)).astype(np.float32)
    of_users, of_items = (torch.from_numpy(side[order]).split(BATCH) for side in pairs)
    total = 0.0
    for batch in zip(of_users, of_items, torch.from_numpy(labels).split(BATCH), strict=True):
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(*batch[:2]), batch[2])
        loss.backward()
        optimiser.step()
        total += loss.item() * len(batch[2])
    return total / len(order)


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["gmf", "mlp", "neumf"])
    parser.add_argument("--factors", type=int, default=32)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument(
        "--seed", type=int, default=0, help="of the training; the split and the lists are always those of 0"
    )
    parser.add_argument("--save", type=Path, help="folder for the chosen parameters")
    parser.add_argument("--pretrained", type=Path, help="folder that gmf and mlp were saved to")
    parser.add_argument("--chosen-on", choices=["valid", "test"], default="valid")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("MATINEE_DATA", ".")) / "ml-1m" / "ratings.dat"
    )
    args = parser.parse_args()

    users, items, _ = read_log(args.data)
    rng = np.random.default_rng(0)
    valid, test = split_log(users, rng)
    rated = np.zeros((users.max() + 1, items.max() + 1), dtype=bool)
    rated[users, items] = True
    lists = {name: draw_lists(rated, items[rows], rng) for name, rows in (("valid", valid), ("test", test))}
    train = np.delete(np.arange(len(users)), np.concatenate([valid, test]))
    is_known = np.zeros_like(rated)
    is_known[users[train], items[train]] = True

    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    model = NCF(args.model, *rated.shape, args.factors, args.layers)
    optimiser: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    if args.pretrained:
        parts = [torch.load(args.pretrained / f"{name}-{args.chosen_on}.pt") for name in ("gmf", "mlp")]
        model.start_from(*parts)
        optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    best = {"valid": -1.0, "test": -1.0}
    for epoch in range(args.epochs + 1):
        start = time.perf_counter()
        loss = train_epoch(model, optimiser, (users[train], items[train]), is_known, rng) if epoch else None
        figures = {name: evaluate(model, rows) for name, rows in lists.items()}
        json.dump(
            {"epoch": epoch, "seconds": round(time.perf_counter() - start, 1), "loss": loss, **figures}, sys.stdout
        )
        print(flush=True)
        for name, value in (("valid", figures["valid"][1]), ("test", figures["test"][0])):
            if args.save and value > best[name]:
                best[name] = value
                args.save.mkdir(parents=True, exist_ok=True)
                torch.save(model.state_dict(), args.save / f"{args.model}-{name}.pt")


if __name__ == "__main__":
    main()
