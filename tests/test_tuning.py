"""The search for settings: ranges, proposals, budgets, folders that go on, and what it must never see."""

import io
import json
import re
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matinee as mt
from matinee.cli.running import run as run_command
from matinee.data.labels import TEST
from matinee.data.splits import Split
from matinee.data.synthetic import zipf_log
from matinee.errors import MatineeError, UsageError
from matinee.experiment import Experiment
from matinee.models.factors.bpr import BPRConfig
from matinee.models.linear.ease import EASE, EASEConfig
from matinee.models.neighbours.item_knn import ItemKNNConfig
from matinee.tuning import Budget, Range, StudyFolder, Trial, ranges_of, search
from matinee.tuning.ranges import first_fields
from matinee.workflow import fitting, tuning
from matinee.workflow.tuning import without_test


class Hill:
    """An objective with its top at x = 3; with epochs, a curve that rises to the value."""

    def __init__(self, epochs: int = 0, fails_below: float = -np.inf) -> None:
        self.epochs, self.fails_below, self.calls = epochs, fails_below, 0

    def __call__(self, settings: Mapping[str, Any], on_epoch: Any) -> float:
        self.calls += 1
        x = settings.get("x", 1.0)
        if x < self.fails_below:
            raise MatineeError(f"x = {x:g} is too small")
        for epoch in range(1, self.epochs + 1):
            on_epoch(epoch, self.epochs, {"valid": -abs(x - 3) * epoch / self.epochs})
        return -abs(x - 3)

    def completed(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return dict(settings)

    def n_epochs(self, settings: Mapping[str, Any]) -> int:
        return self.epochs


RANGES = {"x": Range(0.0, 10.0, log=False, whole=False, default=1.0, first=True)}


def run(objective: Hill, trials: int, seed: int = 7, **options: Any) -> tuple[Trial, ...]:
    return search(objective, RANGES, Budget(trials), seed=seed, **options)


def plain(trials: tuple[Trial, ...]) -> list[tuple[Any, ...]]:
    """Trials without their times."""
    return [(each.number, each.settings, each.value, each.state, each.curve) for each in trials]


@pytest.fixture
def split() -> Split:
    """Forty people, of whom odd and even ones like different items."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(40), 10)
    items = np.concatenate([rng.permutation(15)[:10] * 2 + user % 2 for user in range(40)])
    frame = {"user": users.tolist(), "item": items.tolist(), "time": list(range(400))}
    return mt.split(mt.events(frame), "random", ratios=(0.6, 0.2, 0.2))


# ranges


def test_a_range_in_the_logarithm_gives_its_ends_and_its_geometric_middle() -> None:
    each = Range(1.0, 100.0, log=True, whole=False, default=10.0)
    low, high = each.bounds
    assert [each.value(low), each.value((low + high) / 2), each.value(high)] == [1.0, 10.0, 100.0]
    assert each.value(each.default_point) == 10.0


def test_a_default_outside_the_range_is_tried_as_well() -> None:
    each = Range(1e-6, 1e-2, log=True, whole=False, default=0.0)
    assert each.has_off
    assert each.value(each.default_point) == 0.0
    assert each.value(each.within(0.0)) == 1e-6
    assert Range(1.0, 5.0, log=False, whole=True, default=None).value(0.5) is None


def test_a_range_of_integers_gives_integers_within_it() -> None:
    each = Range(1, 6, log=False, whole=True, default=2)
    values = {each.value(point) for point in np.linspace(*each.bounds, 50)}
    assert values == {1, 2, 3, 4, 5, 6}
    assert all(isinstance(value, int) for value in values)


def test_a_point_that_moves_past_an_end_is_reflected() -> None:
    each = Range(0.0, 10.0, log=False, whole=False, default=1.0)
    assert [round(each.moved(1.0, share), 9) for share in (-0.3, 0.3, 1.2)] == [2.0, 4.0, 7.0]


def test_ranges_come_from_the_config_and_leave_out_what_is_set() -> None:
    others = {"dropout", "user_power", "item_power", "closeness", "span"}
    assert set(ranges_of(EASEConfig, "ease", (), ["l2"])) == others
    found = ranges_of(EASEConfig, "ease", ["l2=5:50:log"])
    assert found == {"l2": Range(5, 50, log=True, whole=False, default=300.0)}
    assert ranges_of(BPRConfig, "bpr", ["batch-size=32:512:log"])["batch_size"].whole
    assert first_fields(EASEConfig) == ("l2",)
    assert "l2" not in first_fields(EASEConfig, ["l2"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("dropot", "did you mean 'dropout'"),
        ("weigh_training", "declares no range"),
        ("weigh_training=0:1", "is no number"),
        ("l2=5", "is not FIELD=LOW:HIGH"),
        ("l2=a:b", "is not FIELD=LOW:HIGH"),
        ("l2=9:5", "must rise"),
        ("l2=nan:5", "must rise"),
        ("l2=1:inf", "must rise"),
        ("l2=0:5:log", "must start above 0"),
        ("l2=1:5:lin", "not in :lin"),
        ("dropout", "leave one of the two out"),
        ("item_power=0:2", "item_power = 2 must be"),
        ("l2=0:5", "l2 = 0 must be"),
        ("l2=-5:5", "l2 = -5 must be"),
    ],
)
def test_a_wrong_range_is_named(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=re.escape(problem)):
        ranges_of(EASEConfig, "ease", [text], ["dropout"])


@pytest.mark.parametrize("text", ["neighbours=0:10", "neighbours=1.5:10", "shrinkage=-1:1"])
def test_a_range_beyond_the_limits_of_its_field_is_refused_before_any_trial(text: str) -> None:
    with pytest.raises(UsageError, match=rf"^--search {text}: {text.partition('=')[0]} = "):
        ranges_of(ItemKNNConfig, "item-knn", [text])


def test_nothing_to_tune_is_said() -> None:
    with pytest.raises(UsageError, match="all of its fields with a search range are set"):
        ranges_of(EASEConfig, "ease", (), ["l2", "dropout", "user_power", "item_power", "closeness", "span"])
    with pytest.raises(UsageError, match="has no field with a search range"):
        ranges_of(Experiment, "mine")
    with pytest.raises(UsageError, match="names a field twice"):
        ranges_of(EASEConfig, "ease", ["l2", "l2=1:5"])


# the search


def test_the_defaults_come_first_and_the_top_is_found() -> None:
    found = run(Hill(), 24)
    assert found[0].settings == {}
    assert found[0].value == -2.0
    assert max(each.value for each in found if each.value is not None) > -0.3


def test_the_same_seed_gives_the_same_trials_and_another_seed_others() -> None:
    assert plain(run(Hill(), 14)) == plain(run(Hill(), 14))
    assert plain(run(Hill(), 14)) != plain(run(Hill(), 14, seed=8))
    assert plain(run(Hill(), 14))[:9] == plain(run(Hill(), 9))


def test_trials_far_behind_at_their_middle_are_stopped() -> None:
    found = run(Hill(epochs=8), 24)
    pruned = [each for each in found if each.state == "pruned"]
    assert pruned
    assert all(2 <= each.curve[-1][0] < 8 and "behind the median" in each.note for each in pruned)
    done = [each.value for each in found if each.state == "done"]
    assert max(done) == max(each.value for each in found)  # type: ignore[type-var]


def test_some_failures_are_kept_and_all_failures_raise_with_the_first_reason() -> None:
    found = run(Hill(fails_below=2.0), 12)
    assert found[0].state == "failed"
    assert found[0].note == "x = 1 is too small"
    assert any(each.state == "done" for each in found)
    with pytest.raises(MatineeError, match=r"all 5 trials failed.*x = 1 is too small"):
        run(Hill(fails_below=99.0), 5)


@pytest.mark.parametrize(
    ("trials", "seconds"),
    [(0, None), (-3, None), (None, 0.0), (None, -1.0), (None, float("inf")), (None, None), (5, float("nan"))],
)
def test_no_budget_is_refused(trials: int | None, seconds: float | None) -> None:
    with pytest.raises(UsageError, match="a search needs"):
        Budget(trials, seconds)


def test_time_ends_a_search_and_cuts_the_trial_that_runs_but_never_the_first() -> None:
    class Slow(Hill):
        def __call__(self, settings: Mapping[str, Any], on_epoch: Any) -> float:
            if settings:
                clock["now"] += 10
            return super().__call__(settings, on_epoch)

    clock = {"now": 0.0}
    with pytest.MonkeyPatch.context() as patch:
        for module in ("study", "trials"):
            patch.setattr(f"matinee.tuning.{module}.perf_counter", lambda: clock["now"])
        found = search(Slow(epochs=2), RANGES, Budget(seconds=25), seed=7)
    assert [each.state for each in found] == ["done", "done", "done", "late"]
    assert found[3].note == "out of time at epoch 1 of 2"


# the folder


def test_a_search_that_stopped_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    whole = plain(run(Hill(epochs=4), 14))
    folder = StudyFolder(tmp_path / "s", {"model": "hill"})
    run(Hill(epochs=4), 6, folder=folder)
    with (tmp_path / "s" / "trials.jsonl").open("a") as file:
        file.write('{"number": 6, "poi')  # a kill while it wrote
    rest = Hill(epochs=4)
    assert plain(run(rest, 14, folder=StudyFolder(tmp_path / "s", {"model": "hill"}))) == whole
    assert rest.calls == 8
    again = Hill(epochs=4)
    assert plain(run(again, 14, folder=folder)) == whole
    assert again.calls == 0


def test_the_folder_of_another_search_is_refused(tmp_path: Path) -> None:
    run(Hill(), 2, folder=StudyFolder(tmp_path / "s", {"model": "hill", "seed": 7}))
    with pytest.raises(MatineeError, match="its seed is 7, not 8"):
        run(Hill(), 2, folder=StudyFolder(tmp_path / "s", {"model": "hill", "seed": 8}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(MatineeError, match="holds other files"):
        run(Hill(), 2, folder=StudyFolder(tmp_path / "mine", {"model": "hill"}))
    with pytest.raises(MatineeError, match="is a file"):
        run(Hill(), 2, folder=StudyFolder(tmp_path / "mine" / "thesis.txt", {"model": "hill"}))
    (tmp_path / "s" / "study.json").write_text("{")
    with pytest.raises(MatineeError, match="cannot be read"):
        run(Hill(), 2, folder=StudyFolder(tmp_path / "s", {"model": "hill", "seed": 7}))


def test_a_damaged_trial_is_named(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path, {"model": "hill"})
    run(Hill(), 3, folder=folder)
    lines = (tmp_path / "trials.jsonl").read_text().splitlines()
    (tmp_path / "trials.jsonl").write_text("\n".join([lines[0], '{"number": 1}', lines[2], ""]))
    with pytest.raises(MatineeError, match=r"line 2 of .*trials.jsonl is no trial"):
        run(Hill(), 3, folder=folder)


def test_two_searches_at_once_in_a_folder_are_refused(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path, {"model": "hill"})
    with folder.opened(), pytest.raises(MatineeError, match="another process searches"):
        run(Hill(), 2, folder=StudyFolder(tmp_path, {"model": "hill"}))


# models


def test_no_event_of_test_is_in_what_a_search_gets(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Split] = []

    def fit(model: str, on: Split, **options: Any) -> Any:
        seen.append(on)
        return fitting.fit(model, on, **options)

    monkeypatch.setattr(tuning, "fit", fit)
    mt.tune("ease", split, trials=2)
    pairs = {tuple(each) for each in np.stack([split.targets("test").user_rows, split.targets("test").item_rows], 1)}
    assert len(seen) == 2
    for each in seen:
        assert not np.isin(each.labels, [TEST]).any()
        assert len(each.data.events) == (split.labels != TEST).sum()
        events = np.stack([each.data.events.user_rows, each.data.events.item_rows], 1)
        assert not pairs & {tuple(event) for event in events}


def test_other_targets_of_test_change_nothing_at_all(split: Split) -> None:
    poisoned = split.data.events.item_rows.copy()
    of_test = split.labels == TEST
    poisoned[of_test] = np.random.default_rng(1).permutation(poisoned[of_test])
    other = replace(split, data=replace(split.data, events=replace(split.data.events, item_rows=poisoned)))
    for model in ("ease", "bpr"):
        one, two = (
            mt.tune(model, each, trials=3, **({"epochs": 2} if model == "bpr" else {})) for each in (split, other)
        )
        assert plain(one.trials) == plain(two.trials)


def test_a_split_without_valid_is_refused(split: Split) -> None:
    bare = mt.split(split.data, "random", ratios=(0.8, 0.0, 0.2))
    with pytest.raises(MatineeError, match="has no valid part to choose settings on"):
        mt.tune("ease", bare)
    assert len(without_test(split).targets("valid"))


@pytest.mark.parametrize(
    ("model", "options", "problem"),
    [
        ("eese", {}, "did you mean 'ease'"),
        ("ease", {"l3": 5}, "l3"),
        ("ease", {"fields": ["l3"]}, "no field 'l3'"),
        ("ease", {"trials": 0}, "at least one trial"),
        ("ease", {"jobs": 0}, "at least one trial must run"),
        ("ease", {"metric": "coverage@10"}, "does not measure"),
        ("ease", {"metric": "novelty@10"}, "does not measure"),
        ("ease", {"metric": "rmse"}, "only ranks"),
        ("ease", {"metric": "nonsense@3"}, "nonsense"),
    ],
)
def test_what_cannot_be_tuned_is_said_before_any_work(
    split: Split, model: str, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(MatineeError, match=problem):
        mt.tune(model, split, **options)


def test_the_best_settings_give_the_same_figure_again(split: Split) -> None:
    found = mt.tune("bpr", split, trials=6, epochs=4, fields=["l2", "learning_rate"], metric="recall@5")
    assert found.value >= found.defaults  # type: ignore[operator]
    again = mt.evaluate(mt.fit("bpr", split, **found.settings), split, on="valid")
    assert again.metrics["recall@5"].mean == found.value
    assert found.settings["epochs"] == 4
    assert json.loads(json.dumps(found.to_json()))["trials"][0]["settings"] == {}
    assert "recall@5" in str(found)


def test_trials_of_a_model_by_epochs_stop_early_and_the_defaults_stay_as_they_are(split: Split) -> None:
    found = mt.tune("bpr", split, trials=3, fields=["l2"])
    assert found.trials[0].curve == ()
    assert all(each.settings["patience"] == 5 and each.curve for each in found.trials[1:])


def test_a_short_search_is_not_worse_than_the_defaults_and_the_artefact_says_what_it_was(split: Split) -> None:
    fitted = mt.fit_auto("ease", split)
    about = fitted.manifest["tuning"]
    assert (about["trials"], about["searched"]) == (tuning.SHORT, ["l2"])
    assert mt.evaluate(fitted, split, on="valid").metrics["ndcg@10"].mean == about["valid"] >= about["defaults"]
    assert mt.fit_auto("ease", split, l2=7).model.config.l2 == 7


def test_a_class_and_a_model_are_tuned_as_their_name_is_and_a_model_keeps_its_settings(split: Split) -> None:
    named = mt.tune("ease", split, trials=3, fields=["l2"], dropout=0.2)
    assert plain(mt.tune(EASE, split, trials=3, fields=["l2"], dropout=0.2).trials) == plain(named.trials)
    assert plain(mt.tune(EASE(dropout=0.2), split, trials=3, fields=["l2"]).trials) == plain(named.trials)
    assert mt.fit_auto(EASE(l2=7), split).model.config.l2 == 7


def test_a_short_search_for_all_data_gives_epochs_in_place_of_early_stopping(split: Split) -> None:
    best = Trial(1, {}, {"l2": 0.1, "patience": 3, "validate_every": 2}, "done", 0.5, ((2, 0.4), (4, 0.5), (6, 0.5)))
    found = tuning.TuningResult("bpr", "ndcg@10", {}, 0.5, 0.4, ("l2",), (best,), 0, 1.0)
    assert found.without_valid() == {"l2": 0.1, "epochs": 4}
    fitted = mt.fit_auto("ease", split.data)
    assert fitted.manifest["split"] is None
    assert fitted.manifest["data"]["events"] == len(split.data.events)


@pytest.mark.slow
def test_trials_side_by_side_give_the_same_result(split: Split) -> None:
    one, two = (mt.tune("ease", split, trials=6, jobs=jobs) for jobs in (1, 2))
    assert plain(one.trials) == plain(two.trials)


# the command


def test_the_command_writes_a_file_that_gives_the_same_figure_again(tmp_path: Path) -> None:
    log = tmp_path / "a log\twith a tab.csv"
    data = zipf_log(120, 60, 1500, np.random.default_rng(3))
    rows = zip(data.events.user_rows, data.events.item_rows, strict=True)
    log.write_text("user,item\n" + "\n".join(f"u{user},i{item}" for user, item in rows), encoding="utf-8")
    common = ("--data", str(log), "--ratios", "0.6,0.2,0.2")
    tuned = cli(
        "tune", "ease", *common, "--trials", "5", "--jobs", "1", "--set", "dropout=0.1", "--out", str(tmp_path / "s")
    )
    best = str(tmp_path / "s" / "best.toml")
    assert best in tuned["best_file"]
    assert (tmp_path / "s" / "history.svg").stat().st_size > 1000
    again = cli("evaluate", "--config", best, "--on", "valid")
    assert again["metrics"]["ndcg@10"]["mean"] == tuned["value"]
    assert again["config"]["dropout"] == 0.1
    more = cli(
        "tune", "ease", *common, "--trials", "7", "--jobs", "1", "--set", "dropout=0.1", "--out", str(tmp_path / "s")
    )
    assert more["trials"][:5] == tuned["trials"]
    assert len(more["trials"]) == 7


def cli(*arguments: str) -> dict[str, Any]:
    """What a command prints with --json."""
    out = io.StringIO()
    with redirect_stdout(out):
        assert run_command([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(out.getvalue())
    return found
