"""Advice: the order follows the nearest measured logs, obstacles are named, and a check says who was right."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matinee as mt
from matinee.cli.running import run
from matinee.config import SplitConfig
from matinee.data.splits import split as cut
from matinee.data.synthetic import cycle, two_groups, zipf_log
from matinee.data.traits import traits_of
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.models import model_class
from matinee.workflow import advising
from matinee.workflow.advice_check import AdviceCheck
from matinee.workflow.advising import Advice, advise

TABLE = advising._table()
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def small() -> Dataset:
    return zipf_log(120, 60, 1500, np.random.default_rng(4))


def table_of(logs: dict[str, tuple[Dataset, dict[str, float]]], method: str) -> dict[str, Any]:
    return {
        "logs": {
            name: {"about": name, "traits": traits_of(data).to_json(), "values": {method: values}}
            for name, (data, values) in logs.items()
        },
        "seconds": {"ease": {"constant": -10.0, "events": 0.0, "items": 2.0}},
    }


def test_the_stored_table_names_known_models_and_has_popularity_in_every_row() -> None:
    for log in TABLE["logs"].values():
        for values in log["values"].values():
            assert "popularity" in values
            assert all(model_class(name).makes_lists and 0 <= ndcg <= 1 for name, ndcg in values.items())
    for name, log in TABLE["logs"].items():
        assert set(log["values"]) <= {"random", "leave-last"}, name
        assert not any(model_class(model).ordered for model in log["values"].get("random", {}))


def test_the_stored_table_is_the_one_that_the_benchmark_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    spec = importlib.util.spec_from_file_location("advice_benchmark", BENCHMARKS / "advice.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    assert benchmark.table() == TABLE


def test_the_order_is_that_of_the_weighted_shares_on_the_nearest_logs(
    small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = zipf_log(130, 65, 1600, np.random.default_rng(5)), zipf_log(3000, 1500, 9000, np.random.default_rng(6))
    logs = {
        "near": (near, {"ease": 0.2, "ials": 0.1, "popularity": 0.05}),
        "far": (far, {"ease": 0.1, "ials": 0.4, "popularity": 0.05}),
    }
    monkeypatch.setattr(advising, "_table", lambda: table_of(logs, "random"))
    found = advise(cut(small, SplitConfig()))
    assert found.models == ("ease", "ials", "popularity")
    distances = dict(found.nearest)
    assert distances["near"] < distances["far"]
    weights = {name: 1 / (0.1 + distance) for name, distance in distances.items()}
    expected = (weights["near"] * 1 + weights["far"] * 0.25) / sum(weights.values())
    assert found.suggestions[0].share == pytest.approx(expected)
    assert found.suggestions[0].seconds == pytest.approx(np.exp(-10) * 60**2)
    assert "0.200 on near, 1.00 of the best there" in found.suggestions[0].why


def test_the_log_itself_decides_alone_when_it_was_measured() -> None:
    name, log = next((name, log) for name, log in TABLE["logs"].items() if name == "bundled")
    found = advise(cut(mt.load("bundled"), SplitConfig()))
    assert found.nearest[0] == (name, pytest.approx(0, abs=0.01))
    best = max(log["values"]["random"], key=lambda model: log["values"]["random"][model])
    assert found.suggestions[0].share > 0.9
    assert best in [each.model for each in found.suggestions[:3]]


def test_a_log_with_order_is_asked_for_the_next_event_and_gets_sequence_models() -> None:
    found = advise(cycle(200, 40, 12))
    assert found.split == "leave-last"
    assert any(model_class(name).ordered for name in found.models)


def test_a_log_without_times_gets_no_sequence_models() -> None:
    found = advise(mt.events({"user": np.repeat(np.arange(150), 5), "item": np.arange(750) % 37}))
    assert found.split == "random"
    assert not any(model_class(each.model).ordered for each in found.suggestions)
    assert any("no times" in note for note in found.notes)


def test_a_log_with_times_of_too_few_events_a_user_is_asked_for_random_events() -> None:
    users = np.repeat(np.arange(150), 2)
    found = advise(mt.events({"user": users, "item": np.arange(300) % 37, "at": np.arange(300)}))
    assert found.split == "random"
    assert found.models


def test_a_tiny_log_equal_ratings_and_new_items_are_named() -> None:
    rows = {"user": [1, 1, 1, 2, 2, 2, 3, 3, 3], "item": [1, 2, 3, 1, 2, 4, 5, 6, 7], "value": [5.0] * 9}
    found = advise(mt.events(rows | {"at": list(range(9))}))
    notes = " ".join(found.notes)
    assert "3 users are too few" in notes
    assert "all ratings are equal" in notes
    assert "on new items" in notes


def test_one_user_is_left_with_popularity() -> None:
    found = advise(mt.events({"user": [1] * 6, "item": list(range(6)), "at": list(range(6))}))
    assert found.models == ("popularity",)
    assert found.notes == (
        "one user: no model learns from others, so only popularity is left; advice needs a log of many users",
    )
    with pytest.raises(MatineeError, match="no model beside popularity"):
        mt.check_advice(found, cut(two_groups(20, 12), SplitConfig()))


def test_what_does_not_fit_into_memory_comes_last_with_what_it_needs(
    small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advising, "available_memory", lambda: 5000)
    found = advise(cut(small, SplitConfig()))
    ease = next(each for each in found.suggestions if each.model == "ease")
    assert ease.obstacle is not None
    assert "are free: filter items" in ease.obstacle
    fits = [each.obstacle is None for each in found.suggestions]
    assert fits == sorted(fits, reverse=True)
    assert "ease" not in found.models


def test_without_torch_its_models_come_last(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = {"small": (small, {"lightgcn": 0.3, "ease": 0.2, "popularity": 0.1})}
    monkeypatch.setattr(advising, "_table", lambda: table_of(logs, "random"))
    monkeypatch.setattr(advising, "is_installed", lambda package: True)
    assert advise(cut(small, SplitConfig())).models == ("lightgcn", "ease", "popularity")
    monkeypatch.setattr(advising, "is_installed", lambda package: package != "torch")
    found = advise(cut(small, SplitConfig()))
    assert found.models == ("ease", "popularity")
    assert found.suggestions[-1].obstacle == "trained by torch, which is not installed"


@pytest.mark.parametrize("wrong", ["bundled", None, 3])
def test_anything_but_data_is_refused_with_the_call_that_works(wrong: object) -> None:
    with pytest.raises(MatineeError, match="takes a data set or a split"):
        advise(wrong)  # type: ignore[arg-type]


def test_nothing_to_train_on_is_one_line(small: Dataset) -> None:
    with pytest.raises(MatineeError, match="nothing to train on"):
        advise(replace(cut(small, SplitConfig()), labels=np.full(len(small.events), 4, dtype=np.int8)))


@pytest.fixture(scope="module")
def checked() -> AdviceCheck:
    split = cut(two_groups(60, 12), SplitConfig(ratios=(0.6, 0.2, 0.2)))
    found = advise(split)
    quick = {name: each for each in found.suggestions if (name := each.model) in ("ease", "item-knn", "popularity")}
    return mt.check_advice(replace(found, suggestions=tuple(quick.values())), split, seconds=5)


def test_a_check_compares_the_first_models_tuned_with_popularity(checked: AdviceCheck) -> None:
    assert {report.model for report in checked.comparison.reports} == {"ease", "item-knn", "popularity"}
    assert set(checked.found) == {"ease", "item-knn", "popularity"}
    assert checked.held
    assert checked.sentence().startswith(f"the advice held: {checked.advised[0]}")
    assert json.dumps(checked.to_json())
    assert checked.sentence() in repr(checked)


def test_a_check_says_who_is_better_when_the_advice_is_wrong(checked: AdviceCheck) -> None:
    wrong = replace(checked, advised=("popularity",))
    assert not wrong.held
    assert "did not hold" in wrong.sentence()
    assert f"take {checked.comparison.rows[0].label}" in wrong.sentence()


def test_the_command_prints_traits_models_and_notes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", "--data", "bundled", "--split", "random"]) == 0
    shown = capsys.readouterr()
    for words in ("671, 9,066, 100,004", "models to try, best first", "ease", "of the best"):
        assert words in shown.out
    assert run(["advise", "--data", "bundled", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["split"] == "leave-last"
    assert found["suggestions"][0]["evidence"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("advise --tune-seconds 3", "--tune-seconds 3 has no effect without --check"),
        ("advise --jobs 2", "--jobs 2 has no effect without --check"),
        ("advise --check --tune-seconds 0", "a search needs a time above 0"),
        ("advise --data nowhere", "nowhere"),
    ],
)
def test_wrong_commands_are_one_line(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line.split()) != 0
    assert message in capsys.readouterr().err


def test_advice_is_shown_in_a_few_lines(small: Dataset) -> None:
    found = advise(small)
    assert isinstance(found, Advice)
    assert len(repr(found)) <= 2000
    assert "mt.fit_auto(" in repr(found)
