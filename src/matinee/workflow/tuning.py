"""Choosing a model's settings on valid, and fitting with the settings chosen. The test part never gets here."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee.config import Config, EvaluationConfig, SplitConfig, configure
from matinee.data.labels import TEST, TEST_INPUTS, UNUSED
from matinee.data.splits import Split
from matinee.data.splits import split as cut
from matinee.dataset import Dataset
from matinee.errors import MatineeError, UsageError
from matinee.evaluation.metrics import LOWER_IS_BETTER, OF_ALL_LISTS, parse_metric
from matinee.experiment import Experiment
from matinee.models import model_class
from matinee.models.base import Recommender, sized_defaults
from matinee.shown import Framed, Overview, Plotted, Shown
from matinee.store.artefact import Artefact
from matinee.training.configs import EpochsConfig
from matinee.training.run import OnEpoch
from matinee.tuning import Budget, OnTrial, StudyFolder, Trial, ranges_of, search
from matinee.tuning.ranges import first_fields
from matinee.tuning.study import best_of
from matinee.workflow.evaluating import evaluate
from matinee.workflow.experiments import features_of, values_of
from matinee.workflow.fitting import fit
from matinee.workflow.given import Unfitted, class_and_settings, require_data, require_split

OF_FIT = frozenset({"values", "items", "content", "graph"})
"""What `fit` takes beside a model's settings."""
SHORT = 9
"""Trials of a short search, the defaults among them."""
EARLY_STOPPING = frozenset({"patience", "validate_every", "monitor"})
"""What stops training on valid."""
BESIDE_LISTS = {"novelty", "diversity"}
"""Metrics that no search can follow, since they do not measure targets; OF_ALL_LISTS too."""


@dataclass(frozen=True, slots=True, repr=False)
class TuningResult(Shown, Framed, Plotted):
    """What a search found.

    settings: all that `fit` needs, fixed and best; value: of `metric` on valid; defaults: the same of the model's own
    settings, None if they failed; trials: all, in order; fields: the names that were searched; elapsed: seconds.
    """

    model: str
    metric: str
    settings: dict[str, Any]
    value: float
    defaults: float | None
    fields: tuple[str, ...]
    trials: tuple[Trial, ...]
    best: int
    elapsed: float

    def to_json(self) -> dict[str, Any]:
        """Ready for JSON; a table of items or triples is named by its kind."""
        plain = {name: _plain(value) for name, value in self.settings.items()}
        return asdict(replace(self, settings={})) | {"settings": plain}

    def summary(self) -> dict[str, Any]:
        """What an artefact keeps of the search. Ready for JSON."""
        return {
            "metric": self.metric,
            "valid": self.value,
            "defaults": self.defaults,
            "trials": len(self.trials),
            "searched": list(self.fields),
            "found": {name: _plain(value) for name, value in self.trials[self.best].settings.items()},
            "seconds": self.elapsed,
        }

    def without_valid(self) -> dict[str, Any]:
        """The settings searched, for a fit without a valid part: the number of epochs in place of early stopping."""
        best = self.trials[self.best]
        kept = {name: value for name, value in best.settings.items() if name not in EARLY_STOPPING}
        if len(kept) == len(best.settings) or not best.curve:
            return dict(best.settings)
        return kept | {"epochs": max(best.curve, key=lambda each: each[1])[0]}

    def overview(self) -> Overview:
        """See Shown: the trials with a value, the best first."""
        found = self.to_frame().drop_nulls("value")
        found = found.sort("value", descending=not _is_lower_better(self.metric), maintain_order=True)
        rows = [("trial", *self.fields, self.metric)]
        for trial in found.select("trial", *self.fields, "value").rows():
            rows.append(
                ("the defaults" if trial[0] == 0 else str(trial[0]), *map(_short, trial[1:-1]), f"{trial[-1]:.4f}")
            )
        following = f'model = mt.fit("{self.model}", split, **result.settings)'
        return Overview(str(self), rows, (), following, "trials")

    def to_frame(self) -> pl.DataFrame:
        """One row a trial: trial, each searched field (null for the default), value, state, seconds and note."""
        sign = -1.0 if _is_lower_better(self.metric) else 1.0
        rows = [
            {"trial": each.number}
            | {name: _plain(each.settings.get(name)) for name in self.fields}
            | {"value": None if each.value is None else sign * each.value, "state": each.state}
            | {"seconds": each.seconds, "note": each.note}
            for each in self.trials
        ]
        return pl.DataFrame(rows, infer_schema_length=None)

    def __str__(self) -> str:
        words = (
            ", ".join(f"{name}={value}" for name, value in self.trials[self.best].settings.items()) or "the defaults"
        )
        before = "" if self.defaults is None else f", {self.defaults:.4f} by default"
        return (
            f"{self.model}: {self.metric} {self.value:.4f} on valid{before}, after {len(self.trials)} trials: {words}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class FitOnValid:
    """The objective of a search: fit on train, measure on valid. It holds a split without test.

    fixed: settings of all trials; by_size: what the model's rule of sizes gives where neither is set.
    """

    model: type[Recommender[Any]]
    split: Split
    metric: str
    seed: int
    fixed: Mapping[str, Any]
    measured: Mapping[str, Any]
    by_size: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, settings: Mapping[str, Any], on_epoch: OnEpoch | None) -> float:
        """See Objective."""
        chosen: dict[str, Any] = {**self.fixed, **settings}
        fitted = fit(self.model, self.split, seed=self.seed, on_epoch=on_epoch, **chosen)
        report = evaluate(fitted, self.split, seed=self.seed, **self.measured)
        mean = report.metrics[self.metric].mean
        if not np.isfinite(mean):
            raise MatineeError(f"{self.metric} has no value on valid")
        return -mean if _is_lower_better(self.metric) else mean

    def completed(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """See Objective: stops after a quarter of the epochs without improvement, unless `patience` is set."""
        whole = {**self.by_size, **settings}
        config = self._config(whole)
        if not isinstance(config, EpochsConfig) or not self._is_monitored(whole):
            return whole
        every = max(1, config.epochs // 20)
        own = {"patience": max(2, config.epochs // 4), "validate_every": every, "monitor": self.metric}
        return whole | {name: value for name, value in own.items() if value != getattr(config, name)}

    def n_epochs(self, settings: Mapping[str, Any]) -> int:
        """See Objective."""
        config = self._config(settings)
        return config.epochs if isinstance(config, EpochsConfig) else 0

    def _config(self, settings: Mapping[str, Any]) -> Any:  # noqa: ANN401 - the model's own config
        chosen = {name: value for name, value in {**self.fixed, **settings}.items() if name not in OF_FIT}
        try:
            return self.model(**chosen).config
        except MatineeError:  # settings that do not go together: the trial will say so
            return None

    def _is_monitored(self, settings: Mapping[str, Any]) -> bool:
        """Whether early stopping is ours to set, and follows the metric of the search as the search measures it."""
        is_set = EARLY_STOPPING & {*settings, *self.fixed}
        return not is_set and not self.measured.get("rebuild_graph") and not self.measured.get("rerank")


def tune(  # noqa: PLR0913 - one for each choice of a search
    model: Unfitted,
    split: Split,
    *,
    trials: int | None = None,
    seconds: float | None = None,
    metric: str | None = None,
    seed: int = 42,
    fields: Sequence[str] = (),
    folder: str | Path | None = None,
    jobs: int = 1,
    on: str | None = None,
    evaluation: EvaluationConfig | Mapping[str, object] | None = None,
    on_trial: OnTrial = lambda trial, trials: None,
    on_epoch: OnEpoch | None = None,
    **settings: Any,  # noqa: ANN401 - what `fit` takes
) -> TuningResult:
    """Choose a model's settings on the valid part of a split. Events of test are removed before anything else.

    model: a name from the registry, a class, or a model, whose settings are then fixed; trials, seconds: the
    budget, 20 trials by default; metric: `ndcg@10`, or `rmse` for a model that makes no lists; fields: those to
    search, by default all whose config declares a range, `l2` or with a range of its own `l2=1:1000:log`; folder:
    keeps the trials, so that the same call goes on; jobs: trials side by side, in processes, with the same result; on:
    the address of a Ray cluster whose nodes run them, with the same result; evaluation: how valid is measured;
    settings: fixed ones, and values, items and graph as `fit` takes them.
    Raises MatineeError for an unknown model or field, no budget, a split without valid, the folder of another search,
    and if all trials fail.
    """
    kind, settings = class_and_settings(model, settings)
    split = require_split(split, f"mt.tune({kind.name!r}, {{}})")
    own = {name: value for name, value in settings.items() if name not in OF_FIT}
    kind(**own)  # unknown settings are named before anything is read
    budget = Budget(20 if trials is None and seconds is None else trials, seconds)
    metric = metric or ("ndcg@10" if kind.makes_lists else "rmse")
    measured = _measured(kind, metric, evaluation)
    ranges_of(kind.Config, kind.name, fields, own)  # wrong fields are named before the data are looked at
    visible = without_test(split)
    by_size = sized_defaults(kind, visible.training(), own)
    ranges = ranges_of(kind.Config, kind.name, fields, own, by_size)
    objective = FitOnValid(kind, visible, metric, seed, settings, measured, by_size)
    about = {
        "model": kind.name,
        "metric": metric,
        "seed": seed,
        "data": visible.data.fingerprint,
        "split": visible.config.model_dump(mode="json"),
        "settings": {name: _plain(value) for name, value in settings.items()},
        "evaluation": {name: _plain(value) for name, value in measured.items()},
        "ranges": {name: asdict(each) for name, each in ranges.items()},
    }
    kept = None if folder is None else StudyFolder(Path(folder).expanduser(), about)
    found = search(
        objective,
        ranges,
        budget,
        seed=seed,
        folder=kept,
        jobs=jobs,
        on=on,
        on_trial=on_trial,
        on_epoch=on_epoch,
    )
    best = best_of(found)
    sign = -1.0 if _is_lower_better(metric) else 1.0
    assert best.value is not None
    defaults = found[0].value if found[0].number == 0 else None
    return TuningResult(
        kind.name,
        metric,
        settings | best.settings,
        sign * best.value,
        None if defaults is None else sign * defaults,
        tuple(ranges),
        found,
        found.index(best),
        max(each.ended for each in found),
    )


def tune_experiment(  # noqa: PLR0913 - the choices of a search
    experiment: Experiment,
    split: Split,
    budget: Budget,
    *,
    metric: str | None = None,
    fields: Sequence[str] = (),
    folder: Path | None = None,
    jobs: int = 1,
    on: str | None = None,
    hooks: tuple[OnTrial, OnEpoch | None] = (lambda trial, trials: None, None),
) -> TuningResult:
    """`tune` for an experiment on its prepared data: with its model, settings, values, items and evaluation."""
    if experiment.model is None:
        raise MatineeError("no model given; for example `matinee tune ials`")
    on_trial, on_epoch = hooks
    return tune(
        experiment.model,
        split,
        trials=budget.trials,
        seconds=budget.seconds,
        metric=metric,
        seed=experiment.split.seed,
        fields=fields,
        folder=folder,
        jobs=jobs,
        on=on,
        evaluation=experiment.evaluation,
        on_trial=on_trial,
        on_epoch=on_epoch,
        **experiment.settings | fit_options(experiment),
    )


def fit_options(experiment: Experiment) -> dict[str, Any]:
    """What an experiment says of a fit beside the model's settings, as `fit` takes it; what is default is left out."""
    assert experiment.model is not None
    graph = experiment.graph if model_class(experiment.model).reads_graph else None
    found = {"values": values_of(experiment), "graph": graph} | features_of(experiment)
    return {name: value for name, value in found.items() if value is not None}


def short_search(
    experiment: Experiment,
    on: Split | Dataset,
    on_trial: OnTrial = lambda trial, trials: None,
    *,
    seconds: float | None = None,
) -> tuple[Experiment, TuningResult]:
    """An experiment with the settings of a short search, of what decides most, on valid; and what was found.

    It costs `SHORT` fits or less, and starts none after `seconds`. on: where there is no split, valid is a part of the
    data that a split by the experiment's seed draws; settings that stop training on valid are then replaced by the
    number of epochs. Settings that the experiment has stay.
    """
    if experiment.model is None:
        raise MatineeError("no model given; for example `matinee train ials --auto`")
    split = on if isinstance(on, Split) else cut(on, SplitConfig(seed=experiment.split.seed))
    fields = first_fields(model_class(experiment.model).Config, experiment.settings)
    found = tune_experiment(experiment, split, Budget(SHORT, seconds), fields=fields, hooks=(on_trial, None))
    chosen = found.trials[found.best].settings if isinstance(on, Split) else found.without_valid()
    return experiment.model_copy(update={"settings": experiment.settings | chosen}), found


def fit_auto(
    model: Unfitted,
    on: Split | Dataset,
    *,
    seed: int = 42,
    **settings: Any,  # noqa: ANN401 - what `fit` takes
) -> Artefact:
    """Fit with the settings of a short search, which the artefact's manifest names under `tuning`.

    on: a split, on whose valid part they are chosen, or a data set, which is then fitted as a whole; settings: as `fit`
    takes them; what is set is not searched.
    """
    kind, settings = class_and_settings(model, settings)
    require_data(on, f"mt.fit_auto({kind.name!r}, {{}})")
    own = {name: value for name, value in settings.items() if name not in OF_FIT}
    split = on if isinstance(on, Split) else cut(on, SplitConfig(seed=seed))
    found = tune(kind, split, trials=SHORT, seed=seed, fields=first_fields(kind.Config, own), **settings)
    chosen = found.trials[found.best].settings if isinstance(on, Split) else found.without_valid()
    return fit(kind, on, seed=seed, **settings | chosen).with_manifest({"tuning": found.summary()})


def without_test(split: Split) -> Split:
    """The split as a search sees it: the events of test are not in it, nor those that no part uses.

    Users and items keep their rows. Raises MatineeError if there is no valid part to choose on.
    """
    kept = ~np.isin(split.labels, [TEST, TEST_INPUTS, UNUSED])
    data = replace(split.data, events=split.data.events.take(kept))
    visible = Split(data, split.config, split.labels[kept])
    if not len(visible.targets("valid")):
        raise MatineeError(
            f"split {split.config.split} of {split.data.name} has no valid part to choose settings on; "
            "give one, such as --ratios 0.8,0.1,0.1"
        )
    return visible


def _measured(
    kind: type[Recommender[Any]], metric: str, evaluation: EvaluationConfig | Mapping[str, object] | None
) -> dict[str, Any]:
    """The evaluation on valid, as `evaluate` takes it. Raises UsageError for a metric that no search can follow."""
    try:
        base, k = parse_metric(metric)
    except MatineeError as error:
        raise UsageError(str(error)) from None
    if base in OF_ALL_LISTS | BESIDE_LISTS:
        raise UsageError(f"{metric} does not measure how well a model finds targets; tune for one such as ndcg@10")
    if k is None and not kind.predicts_values:
        raise UsageError(f"{metric} is of predicted values, and {kind.name} only ranks; tune for one such as ndcg@10")
    given = (
        evaluation
        if isinstance(evaluation, EvaluationConfig)
        else configure(EvaluationConfig, evaluation or {}, "evaluation")
    )
    return given.model_dump(exclude={"k"}) | {
        "k": (k or 10,),
        "on": "valid",
        "candidates": None,  # of the targets of test
        "refit": "train",
        "samples": 100,  # intervals are not read
        "explanations": False,
    }


def _short(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_lower_better(metric: str) -> bool:
    return parse_metric(metric)[0] in LOWER_IS_BETTER


def _plain(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """A value as JSON holds it; the name of its class where it cannot."""
    if isinstance(value, Config):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | float | bool) else type(value).__name__
