"""The report of a comparison: what it says, in which order, whatever its format."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure

from matinee.evaluation.report import sampled_notes
from matinee.report.comparison import figures, tables
from matinee.report.comparison.document import Block, Cell, Code, Document, Picture, Section, Table
from matinee.report.comparison.result import Result, metric_name, number, seconds

MOST_NAMES = 8
"""Worse models that the summary names."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure that is drawn when it is called: None where there is nothing to draw."""

    draw: Callable[[Result], Figure | None]
    result: Result
    name: str
    title: str
    caption: str

    def __call__(self) -> Picture | None:
        """Draw it."""
        figure = self.draw(self.result)
        return None if figure is None else Picture(self.name, self.title, self.caption, figure)


def document_of(result: Result, *, pictures: bool = True) -> Document:
    """The document of a result. pictures: also draw the figures, which takes a second."""
    first, n = result.first, len(result.models)
    made = result.raw.get("again", {}).get("made", "")
    split = first["split"]
    return Document(
        title=f"{n} models on {first['data']['name']}" if n > 1 else f"{result.labels[0]} on {first['data']['name']}",
        subtitle=f"{first['evaluation']['on']} of split {split['method']}, {result.raw['users']:,} users, "
        f"{'sampled candidates, ' if first.get('candidates') else ''}"
        f"{metric_name(result.metric)} decides{f'; {made}' if made else ''}",
        facts=tuple(_facts(result)),
        sections=tuple(section for section in _sections(result, pictures) if section.blocks),
    )


def summary(result: Result) -> str:
    """What came out, in two sentences, and what stays open."""
    names = {
        verdict: [row["label"] for row in result.models if row["verdict"] == verdict] for verdict in ("tied", "worse")
    }
    text = f"{result.labels[0]} is best with {metric_name(result.metric)} {number(result.value(0, result.metric))}."
    if names["tied"]:
        text += f" Tied with it: {', '.join(names['tied'])}."
    if names["worse"]:
        n = len(names["worse"])
        text += f" Worse: {', '.join(names['worse']) if n <= MOST_NAMES else f'the other {n}'}."
    undecided = [row["label"] for row in result.models if tables.is_undecided(row)]
    if undecided:
        text += (
            f" Undecided rather than equal: {', '.join(undecided)}. The intervals of their differences leave out 0, "
            f"but after correction for {len(result.models) - 1} tests no longer; more seeds or users would decide."
        )
    return text


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    first, times = result.first, result.raw.get("times", {})
    yield "Best", f"{result.labels[0]}, {metric_name(result.metric)} {number(result.value(0, result.metric))}"
    tied = sum(row["verdict"] == "tied" for row in result.models)
    yield "Tied with the best", f"{tied} of {len(result.models) - 1}"
    yield "Users measured", f"{result.raw['users']:,}"
    data = first["data"]
    yield "Data", f"{data['events']:,} events, {data['users']:,} users, {data['items']:,} items"
    fits = sum(max(1, len(report.get("seeds") or [])) for report in result.reports)
    yield "Fits", f"{fits}, {seconds(times['fit_seconds'])} of training" if "fit_seconds" in times else str(fits)


def _sections(result: Result, pictures: bool) -> Iterator[Section]:
    for name, title, blocks in SECTIONS:
        kept = (block for block in blocks(result) if pictures or not isinstance(block, Drawing))
        found = (block() if isinstance(block, Drawing) else block for block in kept)
        yield Section(name, title, tuple(block for block in found if block is not None))


def _result(result: Result) -> Iterator[Block | Drawing]:
    yield summary(result)
    yield from (f"{note[0].upper()}{note[1:]}." for note in sampled_notes(result.first.get("candidates")))
    for failed in result.raw.get("failed", []):
        yield f"{failed['model']} is missing: {failed['error']}"
    yield from _picture(
        figures.scores,
        result,
        "scores",
        f"{metric_name(result.metric)} of each model",
        f"Bars: 95% intervals over users{' and seeds' if _is_seeded(result) else ''}. "
        "Green: the best; amber: tied with it; grey: worse. Two models "
        "that share a letter do not differ where all pairs are tested at once, which corrects for more tests than the "
        "colours. Small ticks: single seeds.",
    )
    yield tables.main_table(result)
    yield _method(result)


def _method(result: Result) -> str:
    raw = result.raw
    seeds = (
        " A user's value is the mean over the seeds; the standard error of that mean, times Student's t, is "
        "added to each resample, "
        "so that intervals and the first p cover users and seeds."
        if _is_seeded(result)
        else " One fit each: another seed of a model that draws at random may differ by as much as a small "
        "difference here "
        "(`--seeds 3` measures it)."
    )
    return (
        f"Difference: from the best, paired by user, {raw['samples']:,} bootstrap samples. Two tests: the "
        "bootstrap, and an exchange "
        f"of the two models at random for each user; both with Holm's correction over {len(result.models) - 1} tests. "
        f"Worse: both p at most {raw['alpha']:g}; else tied. "
        f"Groups: all pairs at once, by the largest gap of any pair.{seeds}"
    )


def _is_seeded(result: Result) -> bool:
    """Whether a model was fitted with several seeds."""
    return any(len(report.get("seeds") or []) > 1 for report in result.reports)


def _quality(result: Result) -> Iterator[Block | Drawing]:
    table = tables.metrics_table(result, tables.ACCURACY, f"Finding targets in the first {result.k}", "accuracy")
    yield from () if table is None else (table,)
    yield from _picture(
        figures.metric_by_k,
        result,
        "by-k",
        "Quality by list length",
        "The longest list is made once; shorter ones are its first items.",
    )
    table = tables.metrics_table(
        result, tables.OF_VALUES, "What users thought of the listed targets, and predicted values", "values"
    )
    yield from () if table is None else (table,)
    yield from _picture(
        figures.calibration,
        result,
        "calibration",
        "Predicted and actual values",
        "Ten groups of target events by prediction; dashed: exact.",
    )
    yield tables.every_metric(result)


def _cost(result: Result) -> Iterator[Block | Drawing]:
    yield from _picture(
        figures.quality_by_time,
        result,
        "by-time",
        "Quality and training time",
        "Line: what is reached in so much time. Logarithmic.",
    )
    yield from _picture(
        figures.quality_by_size,
        result,
        "by-size",
        "Quality and model size",
        "The bytes of the arrays that were learned. Logarithmic.",
    )
    yield tables.cost_table(result)
    times = result.raw.get("times", {})
    if "evaluate_seconds" in times and times.get("fit_seconds"):
        share = times["evaluate_seconds"] / times["fit_seconds"]
        yield (
            f"Training took {seconds(times['fit_seconds'])} in all, evaluation "
            f"{seconds(times['evaluate_seconds'])}: {share:.0%} of it. "
            f"The command ran for {seconds(times.get('wall_seconds'))}, without what an earlier run had finished."
        )


def _training(result: Result) -> Iterator[Block | Drawing]:
    table = tables.search_table(result)
    if table is not None:
        yield table
        how = result.raw.get("again", {}).get("facts", {}).get("tuned", "yes, on valid")
        yield f"Tuned {how.removeprefix('yes, ')}. A search never sees test."
    yield from _picture(
        figures.curves,
        result,
        "curves",
        "Training curves",
        "Models that train by epochs, with their first seed; the best epoch on valid is kept.",
    )


def _segments(result: Result) -> Iterator[Block | Drawing]:
    k = result.k
    yield from _picture(
        lambda of: figures.segment_lines(of, "history", f"ndcg@{k}", "Length of the history"),
        result,
        "by-history",
        "By length of the history",
        "New: up to 5 events of input; short: up to 20; medium: up to 100; long: more.",
    )
    yield from _picture(
        lambda of: figures.segment_lines(
            of, "decile", f"recall@{k}", "Popularity decile of the target (1: most popular)"
        ),
        result,
        "by-decile",
        "By popularity of the target",
        "Each decile has a tenth of the training events; the first has the fewest items.",
    )
    for by, metric, caption in (
        ("history", "ndcg", "length of the history"),
        ("activity", "ndcg", "activity of the user"),
        ("popularity", "recall", "popularity class of the target"),
        ("decile", "recall", "popularity decile of the target"),
        ("genre", "recall", "genre of the target"),
        ("era", "recall", "era of the target"),
    ):
        table = tables.segment_table(result, by, f"{metric}@{k}", caption)
        if table is not None:
            yield table


def _beyond(result: Result) -> Iterator[Block | Drawing]:
    yield from _picture(
        figures.popularity,
        result,
        "popularity",
        "Quality and popularity of the lists",
        "Further right: lists of more popular items than the user's own.",
    )
    table = tables.metrics_table(result, tables.BEYOND, f"Properties of the first {result.k}", "beyond")
    if table is not None:
        yield table
        yield (
            "Coverage: share of the catalogue in any list. Gini: 0 if all items are listed equally often, 1 if "
            "one is. Novelty: in bits. "
            "Diversity: of genres within a list. Popularity lift: against the user's history. Miscalibration: of "
            "genres, against the history."
        )


def _unseen(result: Result) -> Iterator[Block | Drawing]:
    found = tables.unseen_table(result)
    if found is None:
        return
    table, users = found
    yield table
    yield (
        f"{users:,} users were left out of a second fit, and got lists from the same histories: the difference is what "
        "a model loses on a visitor it was not trained on, paired by user, with its 95% interval. Both fits have the "
        "first seed."
    )


def _audit(result: Result) -> Iterator[Block | Drawing]:
    audit = result.raw.get("audit")
    if audit:
        rows = tuple((Cell(label), Cell(value)) for label, value in audit["rows"])
        yield Table("The log and its split", ("", ""), rows, "audit")
        leaks = audit.get("leaks") or []
        yield f"Leaks: {'; '.join(leaks)}." if leaks else "No leak was found in the split."
    for note in dict.fromkeys(note for report in result.reports for note in report.get("notes") or []):
        yield f"Note: {note}"


def _again(result: Result) -> Iterator[Block | Drawing]:
    again = result.raw.get("again") or {}
    if "command" in again:
        yield Code("Command", again["command"])
    for each in again.get("experiments", []):
        yield Code(
            f"{each['label']}: as a file for `matinee evaluate --config` and `matinee compare`",
            each["toml"],
            folded=True,
        )
    facts = [("Data fingerprint", result.first["data"]["fingerprint"])]
    facts += [(name.capitalize(), str(value)) for name, value in again.get("facts", {}).items()]
    facts += [(name, str(value)) for name, value in again.get("versions", {}).items() if value is not None]
    yield Table("Versions, seeds and machine", ("", ""), tuple((Cell(a), Cell(b)) for a, b in facts), "versions")


def _picture(
    draw: Callable[[Result], Figure | None], result: Result, name: str, title: str, caption: str
) -> Iterator[Drawing]:
    yield Drawing(draw, result, name, title, caption)


SECTIONS: tuple[tuple[str, str, Callable[[Result], Iterator[Block | Drawing]]], ...] = (
    ("result", "Result", _result),
    ("quality", "Quality", _quality),
    ("cost", "Quality and cost", _cost),
    ("training", "Training", _training),
    ("segments", "Whom it serves", _segments),
    ("beyond", "Beyond accuracy", _beyond),
    ("unseen", "Known and unseen users", _unseen),
    ("data", "Data and audit", _audit),
    ("again", "Run it again", _again),
)
"""Name of the anchor, title, and what makes the blocks."""
