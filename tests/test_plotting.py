"""`.plot()` of everything that has a figure: what is drawn, what is saved, and what it answers when it cannot draw."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import BarContainer

import matinee as mt
from matinee.data.audit import audit
from matinee.data.splits import Split
from matinee.data.synthetic import two_groups
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.shown import Plotted
from matinee.store.artefact import Artefact


@pytest.fixture(scope="module")
def data() -> Dataset:
    return two_groups(24, 12)


def halves(data: Dataset) -> Split:
    return mt.split(data, "random", ratios=(0.5, 0.25, 0.25))


@pytest.fixture(scope="module")
def fitted(data: Dataset) -> Artefact:
    return mt.fit("bpr", halves(data), dim=4, epochs=3, patience=2)


def test_a_report_is_drawn_with_its_own_numbers(data: Dataset, fitted: Artefact) -> None:
    split = halves(data)
    report = mt.evaluate(fitted, split, k=(1, 2, 5))
    left, right = report.plot().axes
    drawn = {tuple(line.get_ydata()) for line in left.lines}
    assert tuple(report.metrics[f"ndcg@{k}"].mean for k in (1, 2, 5)) in drawn
    assert left.get_xlabel() == "list length k"
    widths = [bar.get_width() for group in right.containers if isinstance(group, BarContainer) for bar in group]
    users = [each for each in report.segments if each.of == "users" and each.size]
    np.testing.assert_allclose(widths, [each.metrics["ndcg@5"] for each in users])


def test_one_list_length_gives_a_row_for_each_metric(data: Dataset, fitted: Artefact) -> None:
    report = mt.evaluate(fitted, halves(data), k=3)
    left = report.plot().axes[0]
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == ["NDCG@3", "Recall@3", "Precision@3", "Hit rate@3", "MRR@3", "MAP@3"]
    drawn = [tuple(line.get_xdata()) for line in left.lines]
    assert (report["hit-rate@3"].low, report["hit-rate@3"].high) in drawn


def test_labels_and_list_lengths_do_not_overlap(data: Dataset) -> None:
    split = mt.split(data, "leave-last")  # one target each: hit rate is recall, MAP is MRR
    figure = mt.evaluate("popularity", split, k=(1, 2, 3, 5, 50)).plot()
    figure.draw_without_rendering()
    panel = figure.axes[0]
    for labels in (panel.texts, panel.get_xticklabels()):
        boxes = [label.get_window_extent() for label in labels]
        assert len(boxes) >= 5
        assert not any(one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[:n])


def test_curves_show_the_loss_and_valid_beside_it(fitted: Artefact) -> None:
    loss, valid = fitted.plot().axes
    assert list(loss.lines[0].get_ydata()) == [row["loss"] for row in fitted.model.curves]
    assert list(valid.lines[0].get_ydata()) == [row["valid"] for row in fitted.model.curves if "valid" in row]
    assert loss.get_xlabel() == valid.get_xlabel() == "epoch"


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_everything_with_a_figure_is_shown_and_saved(
    data: Dataset, fitted: Artefact, suffix: str, tmp_path: Path
) -> None:
    split = halves(data)
    comparison = mt.compare([fitted, "popularity"], split, "ndcg@5", k=5)
    drawn: list[Plotted] = [data, split, audit(data), comparison, fitted, mt.item_map(fitted)]
    for number, each in enumerate(drawn):
        figure = each.plot(tmp_path / f"{number}{suffix}")
        assert (tmp_path / f"{number}{suffix}").stat().st_size > 1000
        if suffix == ".png":
            assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_what_cannot_be_drawn_is_said_in_one_line(data: Dataset, fitted: Artefact, tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="ease is not trained in epochs"):
        mt.fit("ease", data).plot()
    with pytest.raises(MatineeError, match=r"end its name in one of: png, svg, pdf"):
        fitted.plot(tmp_path / "curve.gif")
    with pytest.raises(MatineeError, match="ials is not fitted"):
        mt.item_map("ials")


def test_without_matplotlib_the_extra_is_named(fitted: Artefact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matinee.extras.is_installed", lambda package: package != "matplotlib")
    with pytest.raises(MatineeError, match=r"pip install 'matinee\[figures\]'"):
        fitted.plot()
