"""A model that learned nothing, or less than popularity, is named; defaults may follow from the data."""

from typing import Any

import numpy as np
import pytest

import matinee as mt
from matinee.config import EvaluationConfig
from matinee.data.splits import Split
from matinee.data.synthetic import zipf_log
from matinee.evaluation.baseline import below_popularity
from matinee.histories import TrainingData
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
