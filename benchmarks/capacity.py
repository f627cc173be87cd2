"""What to run at 10^5 to 10^11 events: each figure measured here, assumed by name, or computed from such by a formula.

    python benchmarks/capacity.py                               write docs/scaling.md and its picture
    python benchmarks/capacity.py --price-core-hour 0.02 ...    print the page with other assumptions
    python benchmarks/capacity.py --solve                       measure the inverse of EASE first, into capacity.json

The load run and the simulations of the page are those of serving_load.py and serving_scenarios.py.
"""

import argparse
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure as Drawing

from capacity_sheet import Figure, Sheet, text_of
from matinee.data.synthetic import zipf_log
from matinee.models.item_strips import count_in_strips
from matinee.models.linear.ease import EASE
from matinee.report.style import AMBER, BLUE, GREY, INK, RED
from matinee.training.run import Run
from matinee.workflow.data import whole
from serving_scenarios import ALONE, TARGET_MS

ROOT = Path(__file__).parents[1]
STORE, PAGE = Path(__file__).with_name("capacity.json"), ROOT / "docs" / "scaling.md"
PICTURE, TEMPLATE = ROOT / "docs" / "images" / "scaling-load.svg", Path(__file__).with_name("capacity.md")
SCALES = {
    "10⁵": {"events": 1e5, "users": 1e3, "items": 1e4},
    "10⁷": {"events": 1e7, "users": 1e5, "items": 5e4},
    "10⁹": {"events": 1e9, "users": 1e7, "items": 1e6},
    "10¹¹": {"events": 1e11, "users": 1e9, "items": 1e7},
}
"""Sizes of the table: 100 events a user, as MovieLens has (165 in ML-1M); the items are assumed."""
ASSUMED = {
    "active": (0.1, "share", "of the users, on a day"),
    "minutes": (5, "min", "of an active user on a day; in each one page, two lists and one event"),
    "peak": (3, "times", "the highest rate of a day over its mean"),
    "dim": (64, "", "dimensions of an embedding"),
    "epochs": (20, "", "of a training from nothing"),
    "probes": (32, "", "cells of an index that a search looks into"),
    "machine_cores": (16, "cores", "of a machine that serves"),
    "gpu_gb": (80, "GB", "memory of a GPU"),
    "retrains": (30, "", "trainings, and lists for everyone, a month"),
    "price_core_hour": (0.04, "$", "a core of a rented machine for an hour"),
    "price_gb_hour": (0.005, "$", "a GB of its memory for an hour"),
    "price_gpu_hour": (3.0, "$", "a GPU for an hour"),
    "price_gb_month": (0.1, "$", "a GB of disk for a month"),
    "price_gb_sent": (0.05, "$", "a GB sent to visitors"),
}
QUALITY = {
    "ease_ndcg": ("configs", "b", "ease"),
    "windows_ndcg": ("configs", "b", "ease-windows"),
    "ials_ndcg": ("configs", "b", "ials"),
    "knn_ndcg": ("configs", "b", "item-knn"),
    "blend_ndcg": ("configs", "c", "blend"),
    "ease_next_ndcg": ("configs", "c", "ease"),
}
Formulas = Mapping[str, tuple[str, str]]
PACE: Formulas = {
    "minute_ms": ("page_ms + 2 * first_ms + event_ms", "core-ms"),
    "gpu_items": ("gpu_gb * 1e9 / (dim * 4 * 3)", "items"),
    "feed_mb": ("gpu_events / sasrec_s * parquet_bytes / 1e6", "MB/s"),
    "exchange_gb": ("gpu_events / sasrec_s * dim * 4 * 2 / 1e9", "GB/s"),
}
"""What is the same at every size."""
DATA: Formulas = {
    "log_gb": ("events * parquet_bytes / 1e9", "GB"),
    "database_gb": ("events * database_bytes / 1e9", "GB"),
    "generate_hours": ("events / made_events * made_s / 3600", "core-hours"),
}
TRAINING: Formulas = {
    "gram_gb": ("items ** 2 * 4 / 1e9", "GB"),
    "solve_hours": ("solve_s * (items / solve_items) ** 3 / 3600", "core-hours"),
    "counts_hours": (
        "counts_s * events / counts_events * (events / users) / (counts_events / counts_users) / 3600",
        "core-hours",
    ),
    "tables_gb": ("(users + items) * dim * 4 * 3 / 1e9", "GB"),
    "item_tables_gb": ("items * dim * 4 * 3 / 1e9", "GB"),
    "table_gpus": ("ceil(tables_gb / gpu_gb)", "GPUs"),
    "item_table_gpus": ("ceil(item_tables_gb / gpu_gb)", "GPUs"),
    "lightgcn_hours": ("epochs * lightgcn_s * events / gpu_events / 3600", "GPU-hours"),
    "sasrec_hours": ("epochs * sasrec_s * events / gpu_events / 3600", "GPU-hours"),
}
RETRIEVAL: Formulas = {
    "items_gb": ("items * dim * 4 / 1e9", "GB"),
    "exact_ms": ("lists_s / lists_users * 1000 * (items * dim) / (lists_items * lists_dim)", "ms"),
    "looked_at": ("min(items, 2 * sqrt(probes * items))", "vectors"),
    "staged_ms": ("exact_ms * looked_at / items", "ms"),
    "everyone_hours": ("users * exact_ms / 3.6e6", "core-hours"),
    "everyone_staged_hours": ("users * staged_ms / 3.6e6", "core-hours"),
}
SERVING: Formulas = {
    "visitors": ("users * active * minutes / 1440 * peak", "at a time"),
    "requests": ("visitors * 4 / 60", "a second"),
    "cores": ("visitors / 60 * minute_ms / 1000", "cores busy"),
    "workers": ("ceil(cores / busy)", "processes"),
    "machines": ("ceil(workers / machine_cores)", "machines"),
    "read_gb": ("visitors / 60 * 2 * items_gb", "GB/s"),
    "read_staged_gb": ("read_gb * looked_at / items", "GB/s"),
    "memory_gb": ("machines * items_gb + workers * own_mb / 1000", "GB"),
    "sent_mbit": ("visitors / 60 * page_bytes * 8 / 1e6", "Mbit/s"),
    "writes": ("visitors / 60", "events a second"),
    "write_cores": ("writes * event_ms / 1000", "cores busy"),
    "batched_cores": ("writes * hundred_ms / 100 / 1000", "cores busy"),
    "per_worker": ("visitors / workers", "at a time"),
    "grows_gb": ("users * active * minutes * database_bytes / 1e9", "GB a day"),
}
COST: Formulas = {
    "serving_cost": ("(workers * price_core_hour + memory_gb * price_gb_hour) * 730", "$ a month"),
    "sending_cost": ("users * active * minutes * 30 * page_bytes / 1e9 * price_gb_sent", "$ a month"),
    "keeping_cost": ("(log_gb + database_gb) * price_gb_month", "$ a month"),
    "counting_cost": ("retrains * (counts_hours + everyone_staged_hours) * price_core_hour", "$ a month"),
    "neural_cost": ("retrains * sasrec_hours * price_gpu_hour", "$ a month"),
}
GROUPS: dict[str, Formulas] = {
    "pace": PACE,
    "data": DATA,
    "training": TRAINING,
    "retrieval": RETRIEVAL,
    "serving": SERVING,
    "cost": COST,
}
LABELS = {
    "log_gb": "log as Parquet",
    "database_gb": "log in the database",
    "generate_hours": "to write such a log (`matinee data synthesize`)",
    "gram_gb": "EASE: its matrix",
    "solve_hours": "EASE: its inverse",
    "counts_hours": "counts of pairs (item-knn)",
    "tables_gb": "embeddings of users and items, with Adam's moments",
    "item_tables_gb": "embeddings of items only, with Adam's moments",
    "table_gpus": "GPUs that hold the first",
    "item_table_gpus": "GPUs that hold the second",
    "lightgcn_hours": "lightgcn, all epochs",
    "sasrec_hours": "sasrec, all epochs",
    "items_gb": "item vectors",
    "exact_ms": "all items scored for one list",
    "looked_at": "vectors looked at through an index",
    "staged_ms": "these scored for one list",
    "everyone_hours": "lists for all users, exactly",
    "everyone_staged_hours": "lists for all users, through an index",
    "visitors": "visitors at the peak",
    "requests": "requests at the peak",
    "cores": "cores at the peak",
    "workers": "workers",
    "machines": "machines",
    "read_gb": "item vectors read, if every list scores all",
    "read_staged_gb": "item vectors read, through an index",
    "memory_gb": "memory of all workers",
    "sent_mbit": "pages sent at the peak",
    "writes": "events at the peak",
    "write_cores": "these written one in a request",
    "batched_cores": "these written a hundred in a request",
    "per_worker": "visitors of a worker",
    "grows_gb": "the database grows by",
    "serving_cost": "serving",
    "sending_cost": "sending pages",
    "keeping_cost": "keeping the log",
    "counting_cost": "counts and lists for everyone, monthly",
    "neural_cost": "sasrec from nothing, monthly",
}


def sheet_of(assumed: Mapping[str, float]) -> Sheet:
    """All figures but the computed ones. assumed: values in place of those of ASSUMED."""
    sheet = Sheet()
    measure = sheet.measure
    measure("page_ms", "ms", "home page, processor", "serve_speed.json", ALONE, "home", "processor_ms")
    measure("first_ms", "ms", "list after an event", "serve_speed.json", ALONE, "first list, ease", "processor_ms")
    measure("again_ms", "ms", "list that did not change", "serve_speed.json", ALONE, "list, ease", "processor_ms")
    measure("event_ms", "ms", "event, synced", "serve_speed.json", ALONE, "1 event in a request", "processor_ms")
    measure("hundred_ms", "ms", "100 events", "serve_speed.json", ALONE, "100 events in a request", "processor_ms")
    measure("page_bytes", "bytes", "first visit of the home page, all requests", "page_weight.json", "/", "bytes")
    measure("own_mb", "MB", "memory of a worker's own", "capacity.json", "load", "memory", "own_mb")
    measure(
        "start_s",
        "s",
        "until a killed site answers, at most",
        "faults_site.json",
        "kills, seed 51",
        "slowest_seconds_until_ready",
    )
    measure("database_bytes", "bytes", "a stored event, SQLite", "capacity.json", "database", "bytes_per_event")
    measure("parquet_bytes", "bytes", "an event in Parquet", "synthesize.json", "log", "bytes_per_event")
    measure("made_events", "events", "a synthetic log", "synthesize.json", "log", "events")
    measure("made_s", "s", "its processor time", "synthesize.json", "log", "processor_seconds")
    measure("counts_s", "s", "counts of item-knn on one core", "cluster.json", "rows", 2, "one")
    measure("counts_events", "events", "of that log", "cluster.json", "events")
    measure("counts_users", "users", "of that log", "cluster.json", "users")
    measure("solve_s", "s", "inverse of EASE on one core", "capacity.json", "solve", -1, "seconds")
    measure("solve_items", "items", "of it", "capacity.json", "solve", -1, "items")
    measure("lists_s", "s", "lists for everyone on one core", "lists.json", "million", "processor_seconds")
    measure("lists_users", "users", "of them", "lists.json", "million", "users")
    measure("lists_items", "items", "of them", "lists.json", "million", "items")
    measure("lists_dim", "", "dimensions of them", "lists.json", "million", "dim")
    runs = json.loads(STORE.with_name("gpu.json").read_text("utf-8"))["runs"]
    for model in ("lightgcn", "sasrec"):
        number = next(
            n for n, run in enumerate(runs)
            if (run["data"], run["model"]) == ("synthetic", model) and run["device"] != "cpu"
        )  # fmt: skip
        measure(f"{model}_s", "s", f"an epoch of {model}, one H200", "gpu.json", "runs", number, "epoch_seconds")
    measure("gpu_events", "events", "of these epochs", "gpu.json", "runs", number, "events")
    for name in ("ease", "item-knn"):
        measure(
            f"ratio_{name.replace('-', '_')}",
            "times",
            f"full counts of {name} over an update",
            "retrain.json",
            "counts",
            name,
            "ratio",
        )
    measure(
        "caught_up_s",
        "s",
        "a table after kills of every part",
        "faults_stream.json",
        "sqlite, seed 31",
        "caught_up_s",
        "table",
    )
    for name, (kind, protocol, experiment) in QUALITY.items():
        keys = (kind, protocol, experiment, "metrics", "ndcg@10", 0)
        measure(name, "", f"NDCG@10, protocol {protocol.upper()}, {experiment}", "results.json", *keys)
    for name, (value, unit, about) in ASSUMED.items():
        sheet.assume(name, assumed.get(name, value), unit, about)
    return sheet


def computed(sheet: Sheet, stored: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """By scale the value of every figure."""
    formulas = {name: each for group in GROUPS.values() for name, each in group.items()}
    busy = max(row["busy"] for row in stored["simulated"]["load"] if row["bursts p99_ms"] <= TARGET_MS)
    return {label: sheet.compute(formulas, busy=busy, **sizes) for label, sizes in SCALES.items()}


def table(sheet: Sheet, values: Mapping[str, Mapping[str, float]], group: Formulas) -> list[str]:
    """A row for each figure of a group and a column for each scale, and the formulas below."""
    lines = ["| events | " + " | ".join(values) + " |", "|---" * (1 + len(values)) + "|"]
    for name in group:
        unit = sheet.formulas[name].unit
        cells = [text_of(known[name]) for known in values.values()]
        lines.append(f"| {LABELS[name]}, {unit} (`{name}`) | " + " | ".join(cells) + " |")
    return [*lines, "", "; ".join(f"`{name} = {formula}`" for name, (formula, _) in group.items()) + "."]


def origins(figures: Iterable[Figure], header: str) -> list[str]:
    """Each figure with where it is from."""
    lines = [f"| figure | value | what | {header} |", "|---|---|---|---|"]
    for each in figures:
        about = each.about if each.unit in each.about else f"{each.about}, {each.unit}" if each.unit else each.about
        lines.append(f"| `{each.name}` | {text_of(each.value)} | {about} | `{each.origin}` |")
    return lines


def rows_of(rows: Iterable[Mapping[str, float]], columns: Mapping[str, str]) -> list[str]:
    """A table of stored rows. columns: heading -> key."""
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    return lines + ["| " + " | ".join(text_of(row[key]) for key in columns.values()) + " |" for row in rows]


def compared(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The load run beside its simulations, a line a rate and a kind."""
    lines = ["| share of capacity | requests | machine slower | | p50, ms | p95 | p99 | 503 |", "|---" * 8 + "|"]
    for row in rows:
        head = f"{row['times_capacity']} | {row['requests']:,} | {row['slower']:.1f} times"
        for label, key in (("measured", "measured"), ("simulated", "simulated"), ("simulated, slower", "slowed")):
            found = row[key]
            cells = [f"{found[name]:.1f}" for name in ("p50_ms", "p95_ms", "p99_ms")] + [
                f"{100 * found['share_503']:.1f}%"
            ]
            lines.append(f"| {head if key == 'measured' else ' | | '} | {label} | " + " | ".join(cells) + " |")
    return lines


def alone_lines(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """What was measured on a machine of its own beside the simulation of it."""
    lines = ["| requests | a second | p50, ms: measured, simulated | p95 | p99 | 503 |", "|---" * 6 + "|"]
    for row in rows:
        pairs = [(row["measured"][name], row["simulated"][name]) for name in ("p50_ms", "p95_ms", "p99_ms")]
        cells = [f"{text_of(one)}, {text_of(other)}" for one, other in pairs]
        cells.append(", ".join(f"{100 * row[of]['share_503']:.1f}%" for of in ("measured", "simulated")))
        lines.append(f"| {row['what']} | {row['rate']:,} | " + " | ".join(cells) + " |")
    return lines


def said_of_runs(stored: Mapping[str, Any]) -> dict[str, str]:
    """Single figures of the load run and of the simulations that stand in sentences."""
    loaded, simulated = stored["load"], stored["simulated"]
    first, lock = simulated["alone"][0], simulated["locked"]["write"]
    measured = json.loads(STORE.with_name("overload.json").read_text("utf-8"))[ALONE]["lock"]["write"]
    refused = measured["answers"]["503"] / sum(measured["answers"].values())
    figures = {
        "target": TARGET_MS,
        "outside_first": first["measured"]["p50_ms"] - first["simulated"]["p50_ms"],
        "load_visitors": loaded["visitors"],
        "day_p99": simulated["day"]["p99_ms"],
        "peak_p99": simulated["day"]["peak p99_ms"],
        "lock_ms": lock["p50_of_503"],
        "lock_ms_measured": measured["ms_of_503"]["p50"],
    } | {name: loaded[name] for name in ("together_ms", "alone_ms", "capacity_per_second", "refusal_ms")}
    figures["load_average"] = max(row["load_average"] for row in loaded["rows"])
    shares = {"lock_503": f"{lock['share_503']:.0%}", "lock_503_measured": f"{refused:.0%}"}
    return {name: text_of(value) for name, value in figures.items()} | shares | ratios_of(loaded["rows"])


def ratios_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """How far the simulation of the slower core is off, below the capacity and from there on: least to most."""
    found = {}
    for label, chosen in (
        ("below", [r for r in rows if r["times_capacity"] < 1]),
        ("above", [r for r in rows if r["times_capacity"] >= 1]),
    ):
        for name in ("p50", "p95", "p99"):
            ratios = [row["slowed"][f"{name}_ms"] / row["measured"][f"{name}_ms"] for row in chosen]
            found[f"{label}_{name}"] = f"{min(ratios):.2f} to {max(ratios):.2f} times"
        off = [abs(row["slowed"]["share_503"] - row["measured"]["share_503"]) for row in chosen]
        found[f"{label}_503"] = f"{100 * max(off):.0f} points"
    return found


def page(assumed: Mapping[str, float] | None = None) -> str:
    """docs/scaling.md, from capacity.md and the stored figures."""
    stored = json.loads(STORE.read_text("utf-8"))
    sheet = sheet_of(assumed or {})
    values, simulated = computed(sheet, stored), stored["simulated"]
    lines = {f"table_{name}": table(sheet, values, group) for name, group in GROUPS.items() if group is not PACE}
    lines |= {name: rows_of(simulated[name], columns) for name, columns in COLUMNS.items()}
    lines |= {
        "pace": [
            "- `{} = {}`: {} {}".format(name, each, text_of(values["10⁵"][name]), unit)
            for name, (each, unit) in PACE.items()
        ],
        "sizes": [
            "| {} | {} | {} | {} |".format(label, *map(text_of, sizes.values())) for label, sizes in SCALES.items()
        ],
        "alone": alone_lines(simulated["alone"]),
        "compared": compared(stored["load"]["rows"]),
        "measured": origins(sheet.measured.values(), "file and keys in `benchmarks/`"),
        "assumed": origins(sheet.assumed.values(), "option"),
    }
    flat = {name: text_of(each.value) for name, each in (sheet.measured | sheet.assumed).items()}
    for known in values.values():
        exponent = len(str(int(known["events"]))) - 1
        flat |= {f"{name}_at_{exponent}": text_of(value) for name, value in known.items()}
    texts = {name: "\n".join(each) for name, each in lines.items()}
    return TEMPLATE.read_text("utf-8").format(**texts, **flat, **said_of_runs(stored))


def draw(stored: Mapping[str, Any]) -> None:
    """The p99 of one worker by its load: simulated steadily and in bursts, and measured."""
    figure = Drawing(figsize=(8, 4.2), facecolor="white", layout="constrained")
    axes = figure.subplots()
    rows, load = stored["simulated"]["load"], stored["load"]["rows"]
    shares = [row["busy"] for row in rows]
    axes.plot(shares, [row["p99_ms"] for row in rows], color=BLUE, label="simulated, a core of its own")
    axes.plot(shares, [row["bursts p99_ms"] for row in rows], color=AMBER, label="simulated, in bursts")
    tried = [row["times_capacity"] for row in load]
    axes.plot(
        tried,
        [row["slowed"]["p99_ms"] for row in load],
        "x",
        color=BLUE,
        label="simulated, as slow as the machine of the load run",
    )
    axes.plot(tried, [row["measured"]["p99_ms"] for row in load], "o", color=RED, label="measured")
    axes.set(yscale="log", xlabel="requests, as a share of what one worker can", ylabel="p99 of an answer, ms")
    axes.axhline(TARGET_MS, color=GREY, linewidth=0.8, linestyle=":")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, labelcolor=INK)
    with rc_context({"svg.hashsalt": "scaling", "svg.fonttype": "none"}):
        figure.savefig(PICTURE, metadata={"Date": None, "Creator": None})


LOAD_COLUMNS = {
    "share of capacity": "busy",
    "p50, ms": "p50_ms",
    "p95": "p95_ms",
    "p99": "p99_ms",
    "503": "share_503",
    "bursts: p50": "bursts p50_ms",
    "p95 in bursts": "bursts p95_ms",
    "p99 in bursts": "bursts p99_ms",
    "503 in bursts": "bursts share_503",
}
COLUMNS = {
    "load": LOAD_COLUMNS,
    "workers": {
        "requests a second": "rate",
        "any worker, 1,300 states kept": "any, 1300",
        "the visitor's own": "own, 1300",
        "any worker, 20,000 kept": "any, 20000",
        "the visitor's own, 20,000": "own, 20000",
    },
    "states": {"visitors at a time": "visitors", "states kept": "states", "made before, share": "found"},
    "killed": {
        "workers": "workers",
        "requests lost": "lost",
        "p50, ms": "p50_ms",
        "p95": "p95_ms",
        "p99": "p99_ms",
        "503, share": "share_503",
    },
}
"""Of the tables of simulations: heading -> key."""


def measure_solve() -> list[dict[str, float]]:
    """Processor seconds of what EASE does after counting, by items; for one thread, so with OMP_NUM_THREADS=1."""
    rows = []
    for n_items in (1000, 2000, 4000):
        train = whole(zipf_log(20_000, n_items, 500_000, np.random.default_rng(1))).training()
        model = EASE()
        counts = count_in_strips(model.strips(train))
        begun = time.process_time()
        model.fit_counts(counts, train, Run.seeded(1))
        rows.append({"items": n_items, "seconds": round(time.process_time() - begun, 3)})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solve", action="store_true", help="measure the inverse of EASE, and store it")
    for name, (value, unit, about) in ASSUMED.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=float, help=f"{about} ({value:g} {unit})".replace("%", "%%")
        )
    options = vars(parser.parse_args())
    if options.pop("solve"):
        stored = json.loads(STORE.read_text("utf-8")) | {"solve": measure_solve()}
        STORE.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")
    assumed = {name: value for name, value in options.items() if value is not None}
    if assumed:
        print(page(assumed))
    else:
        PAGE.write_text(page(), "utf-8")
        draw(json.loads(STORE.read_text("utf-8")))


if __name__ == "__main__":
    main()
