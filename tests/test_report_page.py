"""The report of a comparison: its page, Markdown, LaTeX and JSON, all from one result."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from matinee.config import configure
from matinee.errors import MatineeError, UsageError
from matinee.evaluation.comparison import compare
from matinee.evaluation.cost import measure_cost
from matinee.experiment import Experiment
from matinee.report.comparison.content import document_of, summary
from matinee.report.comparison.figures import metric_by_k, quality_by_size, quality_by_time
from matinee.report.comparison.files import require_reports, save_figures, save_report
from matinee.report.comparison.labels import place_labels
from matinee.report.comparison.latex import escape as latex
from matinee.report.comparison.markdown import escape as markdown
from matinee.report.comparison.result import Result, metric_name, read_result, seconds
from matinee.report.comparison.tables import segment_table
from matinee.workflow import prepare, run
from matinee.workflow.result import Origin, result_of

VOID = {"meta", "link", "br", "hr", "img", "input"}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Four models on a small log with awkward names, two of them equal."""
    log = tmp_path_factory.mktemp("log") / "a<b> & 100%_log.csv"
    draw = np.random.default_rng(1)
    rows = {(user, int(item)) for user in range(60) for item in draw.zipf(1.4, 30) % 40}
    lines = [f"{user},{item},{draw.integers(1, 6)},{1_000_000 + at}" for at, (user, item) in enumerate(sorted(rows))]
    log.write_text("user,item,rating,time\n" + "\n".join(lines) + "\n", encoding="utf-8")
    base = Experiment(data=str(log))
    split = prepare(base)
    reports, experiments = [], {}
    for name, settings in (("popularity", {}), ("item-knn", {}), ("ease", {"l2": 10.0}), ("ials", {"epochs": 3})):
        experiment = base.model_copy(update={"model": name, "settings": settings})
        fitted, report = run(experiment, split)
        reports.append(replace(report, cost=report.cost | measure_cost(fitted.model, split, base.evaluation)))
        experiments[id(reports[-1])] = experiment
    comparison = compare(reports, "ndcg@10", rng=np.random.default_rng(0), samples=500)
    origin = Origin(experiments, "matinee compare 'a<b> & 100%_log.csv'", 12.5)
    return Result(json.loads(json.dumps(result_of(comparison, split, origin))))


class Page(HTMLParser):
    """The elements of a page that are open at each moment, its ids, links and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.sources: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.sources += [found[name] or "" for name in ("src", "href", "xlink:href", "action") if name in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def test_the_page_is_whole_and_loads_nothing_from_elsewhere(result: Result, tmp_path: Path) -> None:
    raw = json.loads(json.dumps(result.raw))
    raw["models"][0]["label"] = "<script>alert(1)</script>"  # a name is no markup
    save_report(Result(raw), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(source.startswith("#") and source[1:] in page.ids for source in page.sources)
    assert not re.search(r"@import|url\((?!#)|<script", text)
    for part in (
        "Whom it serves",
        "a<b> & 100%_log.csv",
        "fingerprint",
        "popularity decile",
        "Miscalibration",
        "<script>alert(1)",
    ):
        assert part in page.text
    assert text.count("<svg") == text.count("<figure>") >= 7


def test_every_table_has_as_many_cells_as_headings(result: Result) -> None:
    for section in document_of(result, pictures=False).sections:
        for block in section.blocks:
            if hasattr(block, "rows"):
                assert {len(row) for row in block.rows} == {len(block.columns)}, block.caption


def test_json_comes_back_as_the_same_report(result: Result, tmp_path: Path) -> None:
    save_report(result, tmp_path / "result.json")
    again = read_result(tmp_path / "result.json")
    assert again == result
    save_report(again, tmp_path / "result.json")  # a result is written over
    for suffix in (".md", ".tex"):
        save_report(result, tmp_path / f"one{suffix}")
        save_report(again, tmp_path / f"two{suffix}")
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_latex_has_four_tables_with_balanced_braces(result: Result, tmp_path: Path) -> None:
    save_report(result, tmp_path / "report.tex")
    text = (tmp_path / "report.tex").read_text(encoding="utf-8")
    assert re.findall(r"\\label\{tab:(\w+)\}", text) == ["main", "accuracy", "cost", "beyond"]
    bare = re.sub(r"\\[{}\\]", "", text)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"(?<!\\)[&#_](?=\w*_log)|(?<!\\)%_", text.partition("\n")[2].partition("\n")[2])
    for table in re.findall(r"\\toprule\n(.*?)\\bottomrule", text, flags=re.S):
        counts = {len(re.findall(r"(?<!\\)&", line)) for line in table.splitlines() if line.endswith(r"\\")}
        assert len(counts) == 1


def test_special_characters_of_latex_and_markdown() -> None:
    assert latex(r"50% of a_b & {c} ~ \d") == r"50\% of a\_b \& \{c\} \textasciitilde{} \textbackslash{}d"
    assert markdown("a_b | <i> *c*\nd") == r"a\_b \| \<i\> \*c\* d"


def test_the_toml_of_a_model_is_its_experiment(result: Result, tmp_path: Path) -> None:
    import tomllib

    for each, report in zip(result.raw["again"]["experiments"], result.reports, strict=True):
        found = configure(Experiment, tomllib.loads(each["toml"]), "toml")
        assert found.model == report["model"]
        assert found.split.seed == 42
        assert {name: found.settings[name] for name in found.settings} == {
            name: value for name, value in report["config"].items() if value is not None
        }


def test_figures_are_saved_as_files(result: Result, tmp_path: Path) -> None:
    paths = save_figures(result, tmp_path, ".svg")
    assert {path.stem for path in paths} >= {
        "scores",
        "by-k",
        "by-time",
        "by-size",
        "by-decile",
        "curves",
    }
    assert all(b"<svg" in path.read_bytes() for path in paths)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON"),
        ("[1]", "not an object"),
        ("{}", "no 'metric'"),
        ('{"metric": "ndcg@10", "users": 1, "models": [], "reports": []}', "lists of one length"),
        ('{"metric": "ndcg@10", "users": 1, "models": [{}], "reports": [{}]}', "no 'label'"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_another_file_is_refused_in_one_line(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(MatineeError, match=problem) as error:
        read_result(tmp_path / "x.json")
    assert "\n" not in str(error.value)


def test_words_and_numbers() -> None:
    assert metric_name("ndcg@10") == "NDCG@10"
    assert metric_name("liked-ndcg@5") == "Liked NDCG@5"
    assert [seconds(value) for value in (None, 0.0012, 0.5, 42, 300, 7200)] == [
        "–", "1.2 ms", "0.5 s", "42 s", "5.0 min", "2.0 h",
    ]  # fmt: skip


def test_the_summary_names_every_model(result: Result) -> None:
    assert all(label in summary(result) for label in result.labels)


def test_names_of_points_do_not_cover_each_other() -> None:
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    axes = figure.subplots()
    draw = np.random.default_rng(0)
    points = [(float(x), float(y)) for x, y in draw.uniform(0, 1, (20, 2))]
    axes.plot(*zip(*points, strict=True), "o")
    place_labels(axes, points, [f"model-{index}" for index in range(20)])
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    overlaps = sum(a.overlaps(b) for at, a in enumerate(boxes) for b in boxes[:at])
    assert len(boxes) == 20
    assert overlaps <= 1
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


@pytest.fixture
def many(result: Result) -> Result:
    """Sixteen models, whose times and sizes go from small to large."""
    raw = json.loads(json.dumps(result.raw))
    raw["models"] = [row | {"label": f"{row['label']}-{copy}"} for copy in range(4) for row in raw["models"]]
    raw["reports"] = [
        report | {"fit_seconds": 0.02 * 3.0 ** (copy + at), "cost": {"size_mb": 0.7 * 2.0 ** (copy + at)}}
        for copy in range(4)
        for at, report in enumerate(raw["reports"])
    ]
    return Result(raw)


def test_names_on_a_log_axis_are_round_and_apart(many: Result) -> None:
    for draw, known in ((quality_by_time, {"30 ms", "1 s", "10 s"}), (quality_by_size, {"1", "10", "50"})):
        figure = draw(many)
        assert figure is not None
        figure.draw_without_rendering()
        axes = figure.axes[0]
        names = [text for text in axes.get_xticklabels(which="both") if text.get_text()]
        assert known & {text.get_text() for text in names}
        boxes = [text.get_window_extent() for text in names]
        assert 3 <= len(boxes) <= 8
        assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[:at])
        assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_models_without_a_line_of_their_own_share_an_entry(many: Result, result: Result) -> None:
    figure, few = metric_by_k(many), metric_by_k(result)
    assert figure is not None
    assert few is not None
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [*many.labels[:8], "8 further models"]
    assert [text.get_text() for text in few.legends[0].get_texts()] == list(result.labels)


def test_many_models_are_the_rows_of_a_table_of_segments(many: Result, result: Result) -> None:
    wide, few = (segment_table(of, "activity", "ndcg@10", "activity of the user") for of in (many, result))
    assert wide is not None
    assert few is not None
    size, *rows = wide.rows
    assert [row[0].text for row in rows] == list(many.labels)
    assert list(wide.columns[1:]) == [row[0].text for row in few.rows]
    assert [f"{cell.text}; {cell.note}" for cell in size[1:]] == [row[0].note for row in few.rows]
    for at, segment in enumerate(few.rows, start=1):
        assert [row[at].text for row in rows] == [cell.text for cell in segment[1:]] * 4


def test_one_path_for_two_reports_is_refused(tmp_path: Path) -> None:
    one = tmp_path / "report.html"
    (tmp_path / "link.html").symlink_to(one)
    one.touch()
    require_reports([one, tmp_path / "report.json"])
    for other in (one, tmp_path / "." / "report.html", tmp_path / "x" / ".." / "report.html", tmp_path / "link.html"):
        with pytest.raises(UsageError, match=r"--report .* is given twice; give it once"):
            require_reports([one, other])
