"""A model that learned nothing, or less than popularity, is named; defaults may follow from the data."""

from typing import Any

import numpy as np
import pytest

import matinee as mt
from matinee.config import EvaluationConfig
from matinee.data.splits import Split
from matinee.data.synthetic import zipf_log
from matinee.evaluation.baseline import below_popularity
from matinee.histories import Histories, TrainingData
from matinee.models.base import sized_defaults
from matinee.models.factors.bpr import BPR
from matinee.models.factors.ials import IALS, SPARSE_L2, SPARSE_UNOBSERVED
from matinee.models.linear.ease import EASE


@pytest.fixture(scope="module")
def split() -> Split:
    return mt.split(zipf_log(300, 80, 4000, np.random.default_rng(1)))


def below(model: str, split: Split, on: str, **settings: Any) -> str | None:
    fitted = mt.fit(model, split, **settings)
    config = EvaluationConfig(k=(5, 10), on=on)  # type: ignore[arg-type]
    report = mt.evaluate(fitted, split, (5, 10), on=on)
    return below_popularity(report, split, config, seed=42)


@pytest.mark.parametrize("on", ["valid", "test"])
def test_a_model_below_popularity_is_named_with_both_values_and_what_to_do(split: Split, on: str) -> None:
    found = below("ials", split, on, l2=1000.0)
    assert found is not None
    popularity = mt.evaluate(mt.fit("popularity", split), split, (5, 10), on=on).metrics["ndcg@10"].mean
    assert f"ials is below popularity on {on}: ndcg@10 0." in found
    assert f"against {popularity:.4f}" in found
    assert "`matinee tune ials`" in found


def test_a_model_above_popularity_and_popularity_itself_are_not_named(split: Split) -> None:
    assert below("popularity", split, "test") is None
    assert below("ease", split, "test") is None


def test_a_difference_by_chance_is_not_named(split: Split) -> None:
    few = mt.split(mt.keep(split.data, sample_users=30))
    assert below("ials", few, "valid", l2=1000.0) is None


def test_vectors_that_vanish_are_named_after_the_fit(split: Split) -> None:
    vanished, plain = (mt.fit("ials", split, epochs=2, l2=l2).manifest.get("notes", ()) for l2 in (1000.0, 0.01))
    assert any("ials has learned nothing: all items have the same score" in note for note in vanished)
    assert not plain


def test_defaults_that_follow_from_the_data_are_those_of_fit_and_of_a_search(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_events(cls: type[EASE], train: TrainingData) -> dict[str, Any]:
        return {"l2": len(train.histories.items) / 10}

    monkeypatch.setattr(EASE, "defaults_for", classmethod(by_events))
    n = len(split.training().histories.items)
    assert mt.fit("ease", split).model.config.l2 == n / 10
    assert mt.fit("ease", split, l2=5).model.config.l2 == 5
    found = mt.tune("ease", split, trials=4, fields=["l2"])
    assert found.trials[0].point["l2"] == pytest.approx(np.log(n / 10))
    assert found.trials[0].settings == {}


def sized(n_users: int, n_items: int, n_events: int) -> TrainingData:
    """Training data of a size: n_events over n_users, who all have the same number of the first items."""
    each = n_events // n_users
    histories = [list(range(each)) for _ in range(n_users)]
    return TrainingData(Histories.of(histories), n_items)


def test_ials_on_a_sparse_log_weighs_unobserved_pairs_by_the_share_of_events() -> None:
    dense, sparse = sized(100, 50, 500), sized(100, 5000, 500)  # 0.1 and 0.001 of all pairs
    assert IALS.defaults_for(dense) == {}
    assert IALS.defaults_for(sparse) == {"unobserved": SPARSE_UNOBSERVED * 0.001, "l2": SPARSE_L2}
    assert IALS.defaults_for(sized(1, 5, 0)) == {}


@pytest.mark.parametrize(("n_users", "batch_size"), [(6040, None), (2560, None), (1000, 50), (671, 34), (10, 16)])
def test_bpr_takes_20_steps_an_epoch_for_few_users_too(n_users: int, batch_size: int | None) -> None:
    found = BPR.defaults_for(sized(n_users, 3, n_users))
    assert found == ({} if batch_size is None else {"batch_size": batch_size})


def test_a_setting_that_is_given_takes_the_whole_rule_away() -> None:
    sparse = sized(100, 5000, 500)
    assert sized_defaults(IALS, sparse, {"dim": 8}).keys() == {"unobserved", "l2"}
    assert sized_defaults(IALS, sparse, {"unobserved": 0.3}) == {}


@pytest.mark.slow
def test_ials_by_default_is_above_popularity_on_a_sparse_log() -> None:
    sparse = mt.split(zipf_log(3000, 6000, 40000, np.random.default_rng(1)))
    valid = {}
    for name, settings in (("popularity", {}), ("ials", {"dim": 16}), ("ials before", {"dim": 16, "unobserved": 0.3})):
        fitted = mt.fit(name.split()[0], sparse, **settings)  # type: ignore[arg-type]
        valid[name] = mt.evaluate(fitted, sparse, (10,), on="valid").metrics["ndcg@10"].mean
    assert valid["ials"] > 1.5 * max(valid["popularity"], valid["ials before"])
