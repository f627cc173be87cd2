"""What each model reaches on the protocols of MovieLens, with equal budgets, and by the experiments in configs/.

    python benchmarks/results.py PROTOCOL [MODEL ...]            each model after an equal search; a, b, c or new-users
    python benchmarks/results.py PROTOCOL --verdicts             compare those that are measured
    python benchmarks/results.py PROTOCOL --defaults [MODEL ...] each model by its defaults, in one fit
    python benchmarks/results.py PROTOCOL --configs [NAME ...]   the experiments of configs/PROTOCOL as they are
    python benchmarks/results.py                                 write docs/results.md, and print what is missing

All measure what results.json lacks, and look at the test part once. Equal budgets: the search of `--tuned`, 9 trials on
valid and none begun after 60 seconds, then three seeds, or one fit of a model that draws nothing at random. A model
that takes longer than MINUTES of processor time is named as missing. Trials and fits are kept in runs/results, so that
a stopped run goes on, and each user's NDCG@10 in benchmarks/results_users, so that rows of different days are compared.
"""

import argparse
import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from matinee import workflow
from matinee.arrays import FloatArray, IntArray
from matinee.cli.compare import SEARCH_SECONDS
from matinee.data.splits import Split
from matinee.errors import MatineeError
from matinee.evaluation.bootstrap import Interval
from matinee.evaluation.comparison import compare
from matinee.evaluation.metrics import PerUser
from matinee.evaluation.report import Report
from matinee.experiment import Experiment, read_experiment
from matinee.models import model_class, model_names
from matinee.tensors import read_arrays, write_arrays
from matinee.tuning import Budget
from matinee.tuning.ranges import first_fields
from matinee.workflow.comparing import Course, ModelResult, measure_all
from matinee.workflow.planned_fits import PlannedFit
from matinee.workflow.run_folder import RunFolder
from matinee.workflow.tuning import SHORT, TuningResult, tune_experiment

ROOT = Path(__file__).parents[1]
STORE, PAGE = Path(__file__).with_suffix(".json"), ROOT / "docs" / "results.md"
FITS = ROOT / "runs" / "results"
USERS = Path(__file__).with_name("results_users")
"""PROTOCOL.safetensors: a row of users, and of each model each user's NDCG@10, the mean over its seeds."""
PROTOCOLS = {
    "a": "Protocol A: MovieLens latest-small of January 2016, 30- and 10-core, random 70/15/15",
    "b": "Protocol B: MovieLens 1M, no filter, random 70/15/15",
    "c": "Protocol C: MovieLens 1M, 5-core, leave the last out",
    "new-users": "New users: MovieLens 1M, 15% of the users held out, the first 80% of their events given",
}
METRICS = ("ndcg@10", "recall@10")
SEARCHED, DEFAULTS, CONFIGS = "searched", "defaults", "configs"
SEEDS = (42, 43, 44)
MINUTES = 40.0
"""Of processor time for a model, its search and all its fits: what does not end in it is missing."""
HEAD = """# Results

Written by `python benchmarks/results.py` from `benchmarks/results.json`. Lists are of all items; in brackets are 95%
intervals. Three tables for each protocol:

- **Equal budgets**: each model of the registry after the search of `--tuned`: {trials} trials on valid, none begun
  after {seconds:g} s, the first with its defaults; then the mean of three seeds (± standard deviation), or one fit
  of a model that draws nothing at random. Intervals and verdicts cover users and seeds
  ([how](metrics.md#comparing-models)); models that share a letter do not differ. `python benchmarks/results.py b ease`
  measures a row.
- **Defaults**: the same models with nothing chosen: one fit by their defaults, one seed. A search takes ten fits or
  more, so more models have a row here. `python benchmarks/results.py b --defaults ease` measures one.
- **Experiments of `configs/`**: one fit, one seed, settings chosen on valid by hand or by search, so not with equal
  budgets. `matinee evaluate --config configs/b/ease.toml` gives a row again.
"""
Stored = dict[str, dict[str, dict[str, Any]]]
"""searched, defaults or configs -> protocol -> model or experiment -> what was measured, or why it is missing."""


def measure_searched(protocol: str, names: list[str]) -> None:
    """Search, fit and evaluate the models of a protocol that are not stored."""
    split, course = prepared(protocol)

    def row_of(name: str) -> dict[str, Any]:
        found = searched(protocol, name, split)
        return searched_row(protocol, name, measured(protocol, name, found.summary()["found"], split, course), found)

    measure_missing(SEARCHED, protocol, names, row_of)


def prepared(protocol: str) -> tuple[Split, Course]:
    """The split of a protocol, and how its fits run and are kept."""
    split = workflow.prepare(base_of(protocol, "popularity"))
    return split, Course(folder=RunFolder(FITS / protocol / "fits", split.data.fingerprint))


def searched(protocol: str, name: str, split: Split) -> TuningResult:
    """The short search of `--tuned`, which goes on from the trials that are kept."""
    experiment, folder = base_of(protocol, name), FITS / protocol / "searches" / name
    fields = first_fields(model_class(name).Config)
    return tune_experiment(experiment, split, Budget(SHORT, SEARCH_SECONDS), fields=fields, folder=folder)


def measured(protocol: str, name: str, settings: dict[str, Any], split: Split, course: Course) -> ModelResult:
    """The fits of a model on a protocol: those that are kept, and the others now."""
    return measure_all([planned(protocol, name, settings)], SEEDS, split, course)[0]


def planned(protocol: str, name: str, settings: dict[str, Any]) -> PlannedFit:
    """The first fit of a model with the settings found."""
    return PlannedFit(name, base_of(protocol, name).model_copy(update={"settings": settings}), SEEDS[0])


def base_of(protocol: str, name: str) -> Experiment:
    """The experiment of a protocol with a model and none of its settings."""
    found = read_experiment(ROOT / "configs" / protocol / "popularity.toml")
    return found.model_copy(update={"model": name, "settings": {}})


def searched_row(protocol: str, name: str, result: ModelResult, search: TuningResult) -> dict[str, Any]:
    """What is stored of a model's search and fits; each user's value goes into a file of its own."""
    report = report_of(result)
    if report is None:
        return {"missing": result.problems[0]}
    keep_users(protocol, name, report)
    summary = search.summary()
    kept = {name: summary[name] for name in ("defaults", "valid", "trials", "seconds", "found")}
    own = [each["metrics"][METRICS[0]] for each in report.seeds]
    return plain_row(report) | {"seeds": own, "search": kept, "problems": result.problems}


def keep_users(protocol: str, name: str, report: Report) -> None:
    """Store each user's value of the first metric, beside those of the other models."""
    path = USERS / f"{protocol}.safetensors"
    arrays = read_arrays(path) if path.exists() else {"users": np.asarray(report.user_rows, dtype=np.int32)}
    if not np.array_equal(arrays["users"], report.user_rows):
        raise MatineeError(f"{path} is of other users; remove it and measure its models again")
    USERS.mkdir(exist_ok=True)
    values = np.asarray(report.per_user[METRICS[0]].values, dtype=np.float32)
    write_arrays(path, {each: np.array(column) for each, column in arrays.items()} | {name: values})  # no longer mapped


def report_of(result: ModelResult) -> Report | None:
    """One report over the seeds that were fitted."""
    return result.report(SEEDS, np.random.default_rng(SEEDS[0]))


def plain_row(report: Report) -> dict[str, Any]:
    """The metrics of a report with their intervals, its users and its time."""
    ends = {name: report.metrics[name] for name in METRICS}
    metrics = {name: [each.mean, each.low, each.high] for name, each in ends.items()}
    return {"users": report.users, "metrics": metrics, "fit_seconds": report.fit_seconds}


def add_verdicts(protocol: str) -> None:
    """Compare the models that are measured, and store who is best, tied or worse."""
    arrays, rows = read_arrays(USERS / f"{protocol}.safetensors"), rows_of(SEARCHED, protocol)
    known = [
        kept_report(name, row, arrays["users"], arrays[name])
        for name, row in rows.items()
        if "metrics" in row and name in arrays
    ]
    if len(known) < 2:
        return
    found = compare(known, METRICS[0], rng=np.random.default_rng(SEEDS[0]))
    for verdict, report in zip(found.rows, found.reports, strict=True):
        name = report.model
        about = {"verdict": verdict.verdict, "group": verdict.group, "compared": len(known)}
        store(SEARCHED, protocol, name, rows[name] | about, say=False)


def kept_report(name: str, row: dict[str, Any], users: IntArray, values: FloatArray) -> Report:
    """What compare() reads of a report, from what is stored."""
    metric = METRICS[0]
    of_seeds = tuple({"seed": seed, "metrics": {metric: each}} for seed, each in zip(SEEDS, row["seeds"], strict=False))
    return Report(
        model=name,
        config=row["search"]["found"],
        data={"name": "", "fingerprint": ""},
        split={"method": ""},
        evaluation={"on": "test", "inputs": "history", "refit": "train"},
        value_map={},
        metrics={metric: Interval(*row["metrics"][metric])},
        users=row["users"],
        users_without_targets=0,
        targets=0,
        targets_seen_before=0,
        rank_seconds=0.0,
        seeds=of_seeds,
        user_rows=users,
        per_user={metric: PerUser(values.astype(np.float64))},
    )


def measure_configs(protocol: str, names: list[str]) -> None:
    """Fit and evaluate the experiments of a protocol that are not stored."""
    split, prepared_for = None, None
    for path in experiments(protocol):
        if (names and path.stem not in names) or path.stem in rows_of(CONFIGS, protocol):
            continue
        experiment = read_experiment(path)
        shared = experiment.model_dump(include={"data", "columns", "items", "filters", "split"})
        if shared != prepared_for:
            split, prepared_for = workflow.prepare(experiment), shared
        assert split is not None
        row = fitted_row(experiment, split)
        store(CONFIGS, protocol, path.stem, row)


def measure_defaults(protocol: str, names: list[str]) -> None:
    """Fit and evaluate, by their defaults, the models of a protocol that are not stored."""
    split, _ = prepared(protocol)
    measure_missing(DEFAULTS, protocol, names, lambda name: fitted_row(base_of(protocol, name), split))


def measure_missing(kind: str, protocol: str, names: list[str], row_of: Callable[[str], dict[str, Any]]) -> None:
    """Store the row of each model that is not stored, or why there is none: no time, or an error."""
    for name in names or models_by_time():
        if name in rows_of(kind, protocol):
            continue
        try:
            with processor_limit(MINUTES * 60):
                row = row_of(name)
        except TimeoutError:
            row = {"missing": f"not finished after {MINUTES:g} minutes of one core"}
        except MatineeError as error:
            row = {"missing": str(error)}
        store(kind, protocol, name, row)


def fitted_row(experiment: Experiment, split: Split) -> dict[str, Any]:
    """What is stored of one fit of an experiment."""
    started = time.process_time()
    fitted, report = workflow.run(experiment, split)
    row = plain_row(report) | {"model": fitted.name, "seed": fitted.manifest["seed"]}
    return row | {"processor_seconds": round(time.process_time() - started, 1)}


def experiments(protocol: str) -> list[Path]:
    """The files of a protocol."""
    return sorted((ROOT / "configs" / protocol).glob("*.toml"))


def models_by_time() -> list[str]:
    """All models of the registry, those first that took the shortest on the bundled log."""
    stored = json.loads((ROOT / "benchmarks" / "compare_all.json").read_text(encoding="utf-8"))
    seconds = {row["model"]: row["fit_seconds"] for row in stored["models"]}
    return sorted(model_names(), key=lambda name: seconds.get(name, float("inf")))


@contextmanager
def processor_limit(seconds: float) -> Iterator[None]:
    """Raises TimeoutError within once so much processor time has passed."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def load() -> Stored:
    """What is stored."""
    found: Stored = json.loads(STORE.read_text(encoding="utf-8"))
    return found


def rows_of(kind: str, protocol: str) -> dict[str, dict[str, Any]]:
    """The stored rows of a protocol."""
    return load().get(kind, {}).get(protocol, {})


def store(kind: str, protocol: str, name: str, row: dict[str, Any], *, say: bool = True) -> None:
    """Store a row at once, beside what other processes stored."""
    FITS.mkdir(parents=True, exist_ok=True)
    with (FITS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stored = load()
        stored.setdefault(kind, {}).setdefault(protocol, {})[name] = row
        whole = FITS / "results.json"
        whole.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        whole.replace(STORE)  # nobody reads half of it
    if say:
        print(protocol, name, row.get("missing") or row["metrics"], flush=True)


def page(stored: Stored) -> str:
    """docs/results.md: for each protocol the models with equal budgets, and the experiments of configs/."""
    lines = [HEAD.format(trials=SHORT, seconds=SEARCH_SECONDS).rstrip()]
    for protocol, title in PROTOCOLS.items():
        lines += ["", f"## {title}"]
        lines += _searched_lines(stored.get(SEARCHED, {}).get(protocol, {}))
        lines += _defaults_lines(stored.get(DEFAULTS, {}).get(protocol, {}))
        lines += _configs_lines(protocol, stored.get(CONFIGS, {}).get(protocol, {}))
    return "\n".join(lines) + "\n"


def _searched_lines(rows: dict[str, dict[str, Any]]) -> list[str]:
    """The table of equal budgets, best first, and what is missing, and why."""
    lines = ["", "### Equal budgets", ""]
    found = _best_first({name: row for name, row in rows.items() if "metrics" in row})
    if found:
        lines += ["| model | NDCG@10 | ± seeds | verdict | recall@10 | on valid: default, tuned | trials | fit |"]
        lines += ["|---|---|---|---|---|---|---|---|", *(_searched_line(*each) for each in found), ""]
    lines += _missing_lines(rows)
    return lines if lines[-1] else lines[:-1]


def _missing_lines(rows: dict[str, dict[str, Any]]) -> list[str]:
    """Which models of the registry have no row, and why."""
    not_ended = [f"{name} ({row['missing']})" for name, row in rows.items() if "missing" in row]
    left = [name for name in model_names() if name not in rows]
    lines = [f"Missing: {'; '.join(not_ended)}."] if not_ended else []
    return lines + ([f"Not measured yet, for want of processor time: {', '.join(left)}."] if left else [])


def _searched_line(name: str, row: dict[str, Any]) -> str:
    search, seeds = row["search"], row["seeds"]
    deviation = f"{np.std(seeds, ddof=1):.4f}" if len(seeds) > 1 else ""
    values = " → ".join("–" if value is None else f"{value:.4f}" for value in (search["defaults"], search["valid"]))
    if model_class(name).predicts_values:
        values += " (RMSE)"  # by which its search chooses
    verdict = f"{row['verdict']} {row['group']}" if "verdict" in row else "–"
    metrics = [_interval(row, metric) for metric in METRICS]
    cells = (name, metrics[0], deviation, verdict, metrics[1], values, search["trials"], f"{row['fit_seconds']:.1f} s")
    return f"| {' | '.join(map(str, cells))} |"


def _defaults_lines(rows: dict[str, dict[str, Any]]) -> list[str]:
    """The table of one fit each by defaults, best first, and what is missing."""
    if not rows:
        return []
    lines = ["", "### Defaults, one fit", ""]
    lines += ["| model | NDCG@10 | recall@10 | fit and evaluation, processor |", "|---|---|---|---|"]
    for name, row in _best_first({name: row for name, row in rows.items() if "metrics" in row}):
        ndcg, recall = (_interval(row, metric) for metric in METRICS)
        lines.append(f"| {name} | {ndcg} | {recall} | {row['processor_seconds']:.1f} s |")
    missing = _missing_lines(rows)
    return [*lines, "", *missing] if missing else lines


def _configs_lines(protocol: str, rows: dict[str, dict[str, Any]]) -> list[str]:
    """The table of the experiments, best first, and those that are not measured."""
    files = [path.stem for path in experiments(protocol)]
    if not rows:
        return []
    lines = ["", "### Experiments of `configs/`", ""]
    lines += ["| experiment | model | NDCG@10 | recall@10 | fit |", "|---|---|---|---|---|"]
    for name, row in _best_first(rows):
        ndcg, recall = (_interval(row, metric) for metric in METRICS)
        lines.append(f"| {name} | {row['model']} | {ndcg} | {recall} | {row['fit_seconds']:.1f} s |")
    left = [name for name in files if name not in rows]
    return [*lines, "", f"Not measured yet: {', '.join(left)}."] if left else lines


def _best_first(rows: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return sorted(rows.items(), key=lambda each: -each[1]["metrics"][METRICS[0]][0])


def _interval(row: dict[str, Any], metric: str) -> str:
    return "{:.4f} ({:.4f}–{:.4f})".format(*row["metrics"][metric])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("protocol", nargs="?", choices=PROTOCOLS)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--verdicts", action="store_true", help="compare the models that are measured")
    parser.add_argument("--defaults", action="store_true", help="each model by its defaults, in one fit")
    parser.add_argument("--configs", action="store_true", help="the experiments of configs/, as they are")
    options = parser.parse_intermixed_args()  # names may come after --configs
    os.chdir(ROOT)
    if options.protocol and options.verdicts:
        add_verdicts(options.protocol)
    elif options.protocol:
        measures = measure_configs if options.configs else measure_defaults if options.defaults else measure_searched
        measures(options.protocol, options.names)
    stored = load()
    PAGE.write_text(page(stored), encoding="utf-8")
    for protocol in PROTOCOLS:
        left = [name for name in model_names() if name not in stored.get(SEARCHED, {}).get(protocol, {})]
        print(f"{protocol}: {len(left)} models not measured: {', '.join(left)}")


if __name__ == "__main__":
    main()
