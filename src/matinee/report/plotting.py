"""The figure of each object that has one: what `.plot()` draws."""

from functools import singledispatch
from pathlib import Path
from typing import TYPE_CHECKING

from matinee.data.audit import Audit, audit
from matinee.data.graph_audit import GraphAudit
from matinee.data.session_audit import SessionAudit
from matinee.data.splits import Split
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.evaluation.comparison import Comparison
from matinee.evaluation.report import Report
from matinee.extras import require
from matinee.report.files import require_figure, save_figure
from matinee.report.item_map import ItemMap
from matinee.store.artefact import Artefact
from matinee.workflow.tuning import TuningResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot(drawn: object, path: str | Path | None = None) -> "Figure":
    """See Plotted.plot."""
    require("matplotlib", ".plot() is drawn by matplotlib")
    if path is not None:
        require_figure(Path(path), ".plot()")
    figure = figure_of(drawn)
    if path is not None:
        save_figure(figure, Path(path), dpi=160, bbox_inches="tight")
    return figure


@singledispatch
def figure_of(drawn: object) -> "Figure":
    """The figure of an object. Matplotlib, slow to import, is imported by those that draw."""
    raise MatineeError(f"{type(drawn).__name__} has no figure")


@figure_of.register(Report)
def _report(drawn: Report) -> "Figure":
    from matinee.report.report_plot import plot_report

    return plot_report(drawn)


@figure_of.register(Comparison)
def _comparison(drawn: Comparison) -> "Figure":
    from matinee.report.plots import plot_comparison

    return plot_comparison(drawn)


@figure_of.register(Artefact)
def _artefact(drawn: Artefact) -> "Figure":
    from matinee.report.plots import plot_curves

    if not drawn.model.curves:
        raise MatineeError(
            f"{drawn.name} is not trained in epochs, so it has no curve; write mt.evaluate(model, split).plot()"
        )
    return plot_curves({drawn.name: drawn.model.curves}, getattr(drawn.model.config, "monitor", "valid"))


@figure_of.register(Audit)
def _audit(drawn: Audit) -> "Figure":
    from matinee.report.audit_plot import plot_audit

    return plot_audit(drawn)


@figure_of.register(Dataset)
def _dataset(drawn: Dataset) -> "Figure":
    return figure_of(audit(drawn))


@figure_of.register(Split)
def _split(drawn: Split) -> "Figure":
    return figure_of(audit(drawn.data, drawn))


@figure_of.register(SessionAudit)
def _session_audit(drawn: SessionAudit) -> "Figure":
    from matinee.report.session_plot import plot_sessions

    return plot_sessions(drawn)


@figure_of.register(GraphAudit)
def _graph_audit(drawn: GraphAudit) -> "Figure":
    from matinee.report.graph_plot import plot_graph

    return plot_graph(drawn)


@figure_of.register(TuningResult)
def _tuning(drawn: TuningResult) -> "Figure":
    from matinee.report.tuning_plot import plot_search

    return plot_search(drawn)


@figure_of.register(ItemMap)
def _map(drawn: ItemMap) -> "Figure":
    from matinee.report.map_plot import plot_map

    return plot_map(drawn)
