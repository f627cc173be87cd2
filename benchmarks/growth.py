"""How time and memory grow with the number of events: reading, splits, audits, fits, evaluation, lists, artefacts.

    python benchmarks/growth.py                                every stage and model at 10^5, 10^6 and 10^7 events
    python benchmarks/growth.py 1e5 1e6 --models ease ials     these sizes, and these models
    python benchmarks/growth.py --movielens-32m                32 million events of 200,948 users and 87,585 items
    python benchmarks/growth.py 1e8 --bound 4e9                within a bound of memory, long columns in files
    python benchmarks/growth.py 1e6 --needs                    what each model says beforehand that it needs
    python benchmarks/growth.py --page                         figures and tables of docs/growth.md from what is stored

Each stage of each size runs in a process of its own, on a synthetic log (`matinee data synthesize`). Each outcome is
stored in benchmarks/growth.json as it comes, and a later run measures only what is missing (--again: all).
Models that learn by epochs are trained for one. `peak_mb` is the most memory of the stage alone, less that of an empty
process: it holds the data, which are there before, and pages of mapped files. `own_mb` is without these, which are
cache: the most of samples, ten a second.
"""

import argparse
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

HERE = Path(__file__).parent
OUT = HERE / "growth.json"
PAGE, IMAGES = HERE.parent / "docs" / "growth.md", HERE.parent / "docs" / "images"
SIZES = (10**5, 10**6, 10**7)
EVENTS_PER_USER = 160
"""As in MovieLens 32M."""
ITEMS_PER_ROOT = 4
"""Items are 4 times the root of the events: 1,265 of 10^5, 40,000 of 10^8; about as MovieLens 100K, 1M and 10M."""
MOVIELENS_32M = {"events": 32_000_204, "users": 200_948, "items": 87_585}
BEFORE_MODELS = ("load", "split", "audit")
AFTER_MODELS = ("evaluate", "lists", "artefact")
LISTED = "ials"
"""The model whose lists are evaluated and written."""
SHORTEST = 0.05
"""Seconds from which a time is taken for an exponent; shorter ones are those of starting."""
WORST = 1.1
"""Exponent up to which growth is called linear."""
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=float, nargs="*", default=SIZES)
    parser.add_argument("--models", nargs="*", help="fit these only; none: only the stages without a fit")
    parser.add_argument("--stages", nargs="*", help="of load, split, audit, fit, evaluate, lists and artefact")
    parser.add_argument("--movielens-32m", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "growth", help="of the logs")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds of processor of a stage")
    parser.add_argument("--memory", type=float, default=5e9, help="bytes of a stage")
    parser.add_argument("--bound", type=float, help="bytes, as those of --memory of a command")
    parser.add_argument("--needs", action="store_true", help="of all models, without a fit; the logs must be there")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(json.loads(given.one))))
    elif given.page:
        write_page()
    else:
        measure(given)


def measure(given: argparse.Namespace) -> None:
    """Measure what is asked for and not stored yet, and store each outcome."""
    sizes = [MOVIELENS_32M] if given.movielens_32m else [sizes_of(int(n)) for n in given.events]
    for size in sizes:
        for stage, model in stages(given):
            wanted = {"stage": stage, "model": model, **size} | ({"bound": given.bound} if given.bound else {})
            rows = [row for row in stored() if not same(row, wanted)]
            if len(rows) < len(stored()) and not given.again:
                continue
            if stage != "load" and not (columns_of(given.folder, size) / "users.npy").exists():
                in_own_process({"stage": "load", "model": "", **size}, given)
            row = wanted | in_own_process(wanted, given)
            print(json.dumps(row), flush=True)
            OUT.write_text(json.dumps([*rows, row], indent=1) + "\n", "utf-8")


def sizes_of(n_events: int) -> dict[str, int]:
    return {
        "events": n_events,
        "users": n_events // EVENTS_PER_USER,
        "items": round(ITEMS_PER_ROOT * math.sqrt(n_events)),
    }


def columns_of(folder: Path, size: Row) -> Path:
    """Where the columns of a log are kept, beside its files."""
    return folder / f"{size['events']}-{size['items']}"


def stages(given: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Stage and model, empty without one. The logs and the model of the lists come before what reads them."""
    if given.needs:
        return iter([("need", "")])
    from matinee.models import model_names

    models = list(model_names()) if given.models is None else given.models
    every = [*((stage, "") for stage in BEFORE_MODELS), *(("fit", name) for name in models)]
    every += [(stage, LISTED) for stage in AFTER_MODELS]
    return (pair for pair in every if given.stages is None or pair[0] in given.stages)


def stored() -> list[Row]:
    return json.loads(OUT.read_text("utf-8")) if OUT.exists() else []


def same(row: Row, wanted: Row) -> bool:
    return all(row.get(name) == wanted.get(name) for name in ("stage", "model", "events", "users", "items", "bound"))


def in_own_process(wanted: Row, given: argparse.Namespace) -> Row:
    """The outcome of a stage: what it took, or the words with which it was refused."""
    given.folder.mkdir(parents=True, exist_ok=True)
    task = wanted | {"folder": str(given.folder), "memory": given.memory, "limit": given.limit}
    command = [sys.executable, __file__, "--one", json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGXCPU:
        return {"refused": f"stopped after {given.limit:g} s of processor"}
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    last = next(reversed(done.stderr.strip().splitlines()), f"ended with code {done.returncode}")
    return {"refused": last.removeprefix("matinee.errors.MatineeError: ").removeprefix("matinee.errors.DataError: ")}


def measured(task: Row) -> Row:
    """Do one stage, and say what it took. Runs in a process of its own."""
    imported(task)
    from matinee.memory import bounded

    empty, own_empty = memory_mb("VmRSS"), memory_mb("RssAnon")
    resource.setrlimit(resource.RLIMIT_DATA, (int(task["memory"]),) * 2)
    with bounded(int(task["bound"]) if "bound" in task else None):
        work = prepared(task)
        forget_peak()
        limit = math.ceil(processor_seconds() + task["limit"])
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        held, started, busy = memory_mb("VmRSS"), perf_counter(), processor_seconds()
        with most_of_own() as own:
            more = work() or {}
        seconds, busy = perf_counter() - started, processor_seconds() - busy
        peak = memory_mb("VmHWM")
    found = {"seconds": seconds, "processor_seconds": busy, "held_mb": held - empty, "peak_mb": peak - empty}
    found |= {"own_mb": max(own) - own_empty} | more
    rounded = {name: value if isinstance(value, dict) else round(value, 3) for name, value in found.items()}
    return rounded | {"load": round(os.getloadavg()[0], 1)}


def imported(task: Row) -> None:
    """Import what the stage would import, so that it counts neither as time nor as memory."""
    import matinee as mt
    from matinee.models import model_class

    mt.split(mt.load("bundled"))
    if task["stage"] == "fit" and model_class(task["model"]).trained_by_torch:
        import torch  # noqa: F401


def prepared(task: Row) -> Callable[[], Row | None]:
    """A stage, with all that it needs in memory."""
    import matinee as mt
    from matinee.lists.everyone import for_users
    from matinee.lists.file import write
    from matinee.models import model_class

    folder, stage, name = columns_of(Path(task["folder"]), task), task["stage"], task["model"]
    if stage == "load":
        log = written(folder, task)

        def load() -> None:
            kept(mt.load(log), folder)

        return load
    data = reopened(folder, mapped="bound" in task)
    if stage == "split":
        return lambda: forgotten(mt.split(data))
    if stage == "audit":
        return lambda: forgotten(mt.audit(data))
    split = mt.split(data)
    if stage == "need":
        return lambda: {"needs": needs(split, int(task["memory"]))}
    if stage == "fit":
        by_epochs = "epochs" in model_class(name).Config.model_fields
        settings = {"epochs": 1} if by_epochs else {}

        def fit() -> Row:
            fitted = mt.fit(name, split, **settings)
            epoch = {"epoch_seconds": fitted.model.curves[0]["seconds"]} if fitted.model.curves else {}
            return epoch | {"fit_seconds": fitted.manifest["fit_seconds"]}

        return fit
    model = mt.fit(name, split, epochs=1)
    if stage == "evaluate":
        return lambda: forgotten(mt.evaluate(model, split))
    if stage == "lists":
        return lambda: forgotten(write(for_users(model, "all", 10), folder / "lists.parquet"))
    return lambda: {"bytes": saved(model, folder / "artefact")}


def needs(split: Any, bound: int) -> dict[str, Row]:
    """What each model says before a fit that it needs, and the words with which it is refused within a bound."""
    import matinee as mt
    from matinee.errors import MatineeError
    from matinee.models import model_class, model_names
    from matinee.models.base import sized_defaults

    train, found = split.training(), {}
    for name in model_names():
        kind = model_class(name)
        n_bytes = kind(**sized_defaults(kind, train, {})).least_memory(train)
        found[name] = {"need_mb": round(n_bytes / 1e6)}
        if n_bytes > bound:
            try:
                mt.fit(name, split, memory=bound)
            except MatineeError as error:
                found[name]["refused"] = str(error)
    return found


def forgotten(result: object) -> None:
    """Nothing: of a stage only its cost is wanted."""


def written(folder: Path, task: Row) -> Path:
    """The log in Parquet files, drawn unless it is there."""
    from matinee.data.synthesis.files import write_parts
    from matinee.workflow import population_of

    write_parts(population_of(task["users"], task["items"], task["events"], seed=42), folder / "log")
    return folder / "log"


def kept(data: Any, folder: Path) -> None:
    """Keep a data set's columns for the stages after it."""
    import numpy as np

    events = data.events
    columns = {"users": events.user_rows, "items": events.item_rows, "values": events.values, "times": events.times}
    for name, column in (columns | {"user_ids": data.users.ids, "item_ids": data.items.ids}).items():
        np.save(folder / f"{name}.npy", column)


def reopened(folder: Path, *, mapped: bool = False) -> Any:
    """The data set whose columns `kept` wrote, in memory or mapped."""
    import numpy as np

    from matinee.catalogue import Catalogue
    from matinee.dataset import Dataset, Events
    from matinee.vocab import Vocab

    names = ("users", "items", "values", "times", "user_ids", "item_ids")
    mode = "r" if mapped else None
    columns = [np.asarray(np.load(folder / f"{name}.npy", mmap_mode=mode)) for name in names]
    users, items, values, times, user_ids, item_ids = columns
    n_items = len(item_ids)
    catalogue = Catalogue.of([str(each) for each in item_ids.tolist()], [()] * n_items)
    catalogue = catalogue.with_counts(np.bincount(items, minlength=n_items))
    return Dataset(folder.name, Vocab(user_ids), Vocab(item_ids), Events(users, items, values, times), catalogue)


def saved(model: Any, folder: Path) -> int:
    """Bytes of an artefact on disk."""
    import matinee as mt

    mt.save_artefact(model, folder)
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def most_of_own() -> Iterator[list[float]]:
    """While it is open, gathers what this process holds beside mapped files, ten times a second. In MB."""
    found, done = [memory_mb("RssAnon")], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            found.append(memory_mb("RssAnon"))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def forget_peak() -> None:
    """Start the peak of memory from here: what came before was preparation."""
    Path("/proc/self/clear_refs").write_text("5")


def memory_mb(field: str) -> float:
    """VmRSS, what this process holds, RssAnon, that of no file, or VmHWM, the most that it held, in MB."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / 1e6


def write_page() -> None:
    """Draw the figures, and write the tables of the page between its marks."""
    whole = [row for row in stored() if "bound" not in row]
    grown = [row for row in whole if row["items"] == sizes_of(row["events"])["items"]]
    large = [row for row in whole if all(row[name] == value for name, value in MOVIELENS_32M.items())]
    bounded = [row for row in stored() if "bound" in row]
    draw(grown, "stages", lambda row: row["stage"] not in ("fit", "need"))
    draw(grown, "models", lambda row: row["stage"] == "fit")
    text = PAGE.read_text("utf-8")
    tables = {
        "growth": growth_table(grown),
        "movielens-32m": large_table(large),
        "bounded": bounded_table(bounded, grown),
    }
    for name, lines in tables.items():
        head, mark, rest = text.partition(f"<!-- {name} -->\n")
        text = (
            head
            + mark
            + "".join(f"{line}\n" for line in lines)
            + f"<!-- end of {name} -->"
            + rest.partition(f"<!-- end of {name} -->")[2]
        )
    PAGE.write_text(text, "utf-8")


def label(row: Row) -> str:
    return row["model"] if row["stage"] == "fit" else row["stage"]


def by_label(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows of each stage or model, by size."""
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["events"]):
        found.setdefault(label(row), []).append(row)
    return found


def exponent(rows: list[Row], field: str, least: float) -> float | None:
    """The slope of the logarithm of a field over that of the events, by least squares; None of fewer than two."""
    points = [(math.log(row["events"]), math.log(row[field])) for row in rows if row.get(field, 0) >= least]
    if len(points) < 2:
        return None
    mean = [sum(each) / len(points) for each in zip(*points, strict=True)]
    covariance = sum((x - mean[0]) * (y - mean[1]) for x, y in points)
    return covariance / sum((x - mean[0]) ** 2 for x, _ in points)


def growth_table(rows: list[Row]) -> list[str]:
    """A line for each stage and model: seconds and memory at each size, and how they grow."""
    said = {row["events"]: row["needs"] for row in rows if row["stage"] == "need"}
    rows = [row for row in rows if row["stage"] != "need"]
    sizes = sorted({row["events"] for row in rows})
    heads = [f"10^{math.log10(size):g}" if math.log10(size) % 1 == 0 else f"{size:,}" for size in sizes]
    lines = [
        f"| | {' | '.join(f'{head} events' for head in heads)} | seconds as n^ | memory as n^ | said / held |",
        "|---|" + "---|" * (len(sizes) + 3),
    ]
    for name, own in by_label(rows).items():
        cells = [
            next((cell(row) for row in own if row["events"] == size), not_done(name, said.get(size))) for size in sizes
        ]
        growth = (exponent(own, "processor_seconds", SHORTEST), exponent(own, "peak_mb", 10))
        slopes = ["" if each is None else f"**{each:.2f}**" if each > WORST else f"{each:.2f}" for each in growth]
        ratios = [
            ratio(row, said[row["events"]], rows) for row in own if row["stage"] == "fit" and row["events"] in said
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {' | '.join(slopes)} | {next(reversed(ratios), '')} |")
    return lines


def not_done(name: str, said: dict[str, Row] | None) -> str:
    """The cell of what was not measured: refused, if the model says so beforehand."""
    return "refused" if said and "refused" in said.get(name, {}) else ""


def ratio(row: Row, said: dict[str, Row], rows: list[Row]) -> str:
    """What a model said that it needs over the most that its fit added to what a fit of popularity holds."""
    least = next((each for each in rows if same(each, row | {"model": "popularity"})), {})
    added = row.get("peak_mb", 0) - row.get("held_mb", 0) - least.get("peak_mb", 0) + least.get("held_mb", 0)
    need = said.get(row["model"], {}).get("need_mb")
    return f"{need / added:.1f}" if added > 0 and need else ""


def cell(row: Row) -> str:
    """`12 s, 340 MB`, or the word for what was not done."""
    if "refused" in row:
        return "stopped" if row["refused"].startswith("stopped") else "refused"
    size = f", {row['bytes'] / 1e6:,.1f} MB on disk" if "bytes" in row else ""
    return f"{seconds_text(row['processor_seconds'])}, {row['peak_mb']:,.0f} MB{size}"


def seconds_text(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


def large_table(rows: list[Row]) -> list[str]:
    """A line for each stage and model at the size of MovieLens 32M: its cost, or the words of the refusal."""
    said = next((row["needs"] for row in rows if row["stage"] == "need"), {})
    done = {label(row): row for row in rows if row["stage"] != "need"}
    lines = ["| | processor, s | most memory, MB | said to need, MB | within 12 GB |", "|---|---|---|---|---|"]
    for name in [*(name for name in done if name not in said), *said]:
        row, need = done.get(name, {}), said.get(name, {})
        cost = [f"{row[field]:,.0f}" if field in row else "" for field in ("processor_seconds", "peak_mb")]
        needed = f"{need['need_mb']:,}" if need else ""
        verdict = (
            need.get("refused")
            or row.get("refused")
            or ("yes" if "peak_mb" in row else "fits by what it says; not run")
        )
        lines.append(f"| {name} | {' | '.join(cost)} | {needed} | {verdict} |")
    return lines


def bounded_table(rows: list[Row], whole: list[Row]) -> list[str]:
    """A line for each stage within a bound: what it took there, and what it takes without one."""
    lines = [
        "| | within the bound | its own memory, MB | with mapped pages, MB | without a bound |",
        "|---|---|---|---|---|",
    ]
    for name, own in by_label(rows).items():
        row = own[-1]
        free = next((each for each in whole if label(each) == name and each["events"] == row["events"]), None)
        without = "" if free is None else cell(free)
        if "refused" in row:
            lines.append(f"| {name} | {row['refused']} | | | {without} |")
            continue
        cost = f"{row['own_mb']:,.0f} | {row['peak_mb']:,.0f}"
        lines.append(f"| {name} | {seconds_text(row['processor_seconds'])} | {cost} | {without} |")
    return lines


def draw(rows: list[Row], name: str, chosen: Callable[[Row], bool]) -> None:
    """Seconds and memory over events, both in logarithms, a line for each stage or model."""
    from matinee.report.files import save_figure
    from matinee.report.picture import Picture
    from matinee.report.style import set_title

    figure = Picture(figsize=(11, 5.4), layout="constrained", facecolor="white")
    panels = figure.subplots(1, 2)
    done = [row for row in rows if chosen(row) and "refused" not in row]
    for panel, field, title in zip(
        panels, ("processor_seconds", "peak_mb"), ("Seconds of processor", "Most memory, MB"), strict=True
    ):
        for index, (each, own) in enumerate(by_label(done).items()):
            style = ("-", "--", ":")[index // 10 % 3]
            values = [max(row[field], 1e-3) for row in own]
            panel.loglog([row["events"] for row in own], values, style, marker="o", markersize=3.5, label=each)
        set_title(panel, title, "by events, both in logarithms")
        panel.set_xlabel("events")
        panel.grid(color="#e3e6ea")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8.5)
    save_figure(figure, IMAGES / f"growth-{name}.svg", dpi=160, bbox_inches="tight")


if __name__ == "__main__":
    main()
