"""One fit by several processes: the mean of their gradients, the same for the same seed, and on after a killed one."""

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import matinee as mt
from matinee.data.synthetic import two_groups
from matinee.errors import MatineeError, UsageError
from matinee.models import create
from matinee.training.ranks import Ranks
from matinee.training.run import Run
from matinee.training.share import ALONE, RankLostError
from matinee.workflow.data import whole
from ranks_in_threads import side_by_side

FITS = [
    ("lightgcn", {"epochs": 3, "dim": 4}),
    ("lightgcn", {"epochs": 2, "dim": 4, "loss": "bpr", "negatives": "uniform", "n_negatives": 2, "batch_size": 64}),
    ("mult-vae", {"epochs": 3, "dim": 4, "batch_size": 7}),
    ("sasrec", {"epochs": 2, "dim": 4, "heads": 1, "batch_size": 30}),
]


def fitted(name: str, settings: dict[str, Any], n: int, folder: Path) -> list[Any]:
    train = whole(two_groups(24, 12)).training()

    def fit(share: Ranks) -> Any:
        return create(name, **settings).fit(train, Run(rng=np.random.default_rng(3), share=share))

    return side_by_side(n, folder, fit)


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in one.learned)


def test_ranks_take_all_rows_and_their_gradients_are_averaged(tmp_path):
    def work(share: Ranks) -> tuple[Any, ...]:
        gradients = [torch.full((2, 3), float(share.rank)), None, torch.tensor([2.0 * share.rank])]
        loss = share.average(gradients, torch.tensor(10.0 + share.rank))
        return (
            share.rows(np.arange(7)).tolist(),
            gradients[0][1, 2].item(),
            gradients[2].item(),
            loss.item(),
            (share.agree({"of": share.rank})),
        )

    found = side_by_side(3, tmp_path, work)
    assert [rows for rows, *_ in found] == [[0, 3, 6], [1, 4], [2, 5]]
    assert {rest for _, *rest, _ in map(list, found) for rest in [tuple(rest)]} == {(1.0, 2.0, 11.0)}
    assert [agreed for *_, agreed in found] == [{"of": 0}] * 3
    assert ALONE.rows(np.arange(3)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("name", "settings"), FITS)
def test_ranks_have_one_model_and_the_same_seed_gives_it_again(name, settings, tmp_path):
    first, second = (fitted(name, settings, 2, tmp_path) for _ in range(2))
    assert same(*first)
    assert same(first[0], second[0])
    assert [each["loss"] for each in first[0].curves] == [each["loss"] for each in first[1].curves]
    assert not same(first[0], fitted(name, settings, 3, tmp_path)[0])


def test_full_batches_without_draws_are_those_of_one_process_but_for_rounding(tmp_path):
    settings = {"epochs": 4, "dim": 4, "batch_size": 0, "user_power": 1.0}  # equal users, so means of means are means
    alone = create("lightgcn", **settings).fit(whole(two_groups(24, 12)).training(), Run.seeded(3))
    np.testing.assert_allclose(fitted("lightgcn", settings, 2, tmp_path)[0].items, alone.items, atol=1e-4)


def test_a_rank_that_ends_is_noticed_by_the_others(tmp_path):
    def work(share: Ranks) -> str:
        if share.rank:
            return "gone"
        try:
            for _ in range(1000):
                share.average([], torch.zeros(()))
        except RankLostError as error:
            return str(error)
        return ""

    found = side_by_side(2, tmp_path, work)
    assert "does not answer" in found[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lightgcn", "mult-vae", "sasrec"])
def test_two_processes_are_as_good_as_one_within_intervals(name):
    split = mt.split(mt.keep(mt.load("bundled"), min_item_events=60), "random", ratios=(0.8, 0.0, 0.2), seed=1)
    found = []
    for workers in (None, 2):
        scored = mt.evaluate(mt.fit(name, split, workers=workers, epochs=4), split, k=(10,), on="test")
        found.append(scored.metrics["ndcg@10"])
    assert found[0].low < found[1].high
    assert found[1].low < found[0].high
    assert found[1].mean > 0.05


@pytest.mark.slow
def test_a_killed_process_changes_no_bit(tmp_path):
    data, killed = two_groups(24, 12), []
    settings = {"epochs": 4, "dim": 4, "batch_size": 7}

    def kill(epoch: int, epochs: int, values: dict[str, float]) -> None:
        if epoch == 2 and not killed:
            killed.append(multiprocessing.active_children())
            for child in killed[0]:
                child.kill()

    disturbed = mt.fit("mult-vae", data, workers=2, on_epoch=kill, **settings)
    assert len(killed[0]) == 1
    assert len(disturbed.model.curves) == 4
    assert same(disturbed.model, mt.fit("mult-vae", data, workers=2, **settings).model)


def test_bad_choices_are_one_line():
    with pytest.raises(UsageError, match="have no effect on bpr"):
        mt.fit("bpr", two_groups(24, 12), workers=2)
    with pytest.raises(MatineeError, match="at least one worker"):
        mt.fit("mult-vae", two_groups(24, 12), workers=0)
