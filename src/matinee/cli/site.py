"""demo, serve, doctor: the live site."""

import os
import shutil
import socket
import sys
import webbrowser
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from matinee.cli.health import Finding, artefact_findings, database_findings, model_of
from matinee.cli.options import Json
from matinee.cli.output import print_json, progress, say, table
from matinee.config import Experiment
from matinee.errors import MatineeError

if TYPE_CHECKING:
    from matinee.data.splits import Split
    from matinee.dataset import Dataset
    from matinee.store.artefact import Artefact

DEMO_MODELS: dict[str, dict[str, Any]] = {
    "popularity": {},
    "item-knn": {},
    "user-knn": {},
    "ease": {},
    "ials": {},
    "lightgcn": {},
    "markov": {},
}
"""What the demo trains unless --models says otherwise, with the settings that differ from the defaults."""
BASELINES = ("popularity", "item-knn", "ease")
"""What stands beside a model of what comes next, measured on its own split."""

Host = typer.Option("127.0.0.1", "--host", help="The address to listen on.")
Port = typer.Option(8000, "--port", min=1, max=65535, help="The port to listen on.")
Database = typer.Option("sqlite:///matinee.sqlite3", "--db", metavar="URL", help="Where visitors' events are kept.")


def demo(
    port: int = Port,
    no_browser: bool = typer.Option(False, "--no-browser", help="Do not open the site in a browser."),
    models: str = typer.Option("", "--models", metavar="A,B,...", help=f"Instead of {', '.join(DEMO_MODELS)}."),
) -> None:
    """Train some models on the bundled MovieLens, measure them, and open a site that recommends movies to you."""
    from matinee.serve.app import require_free
    from matinee.serve.app import serve as serve_site

    names = _demo_names(models)
    require_free("127.0.0.1", port)  # said before the training, not after it
    folder = _demo_folder()
    with progress(1 + len(names)) as (on_step, _):
        artefacts = list(_demo_artefacts(folder, names, on_step))
    paths = [artefact.path for artefact in artefacts if artefact.path is not None]

    def on_ready(url: str) -> None:
        _announce(url)
        if not no_browser:
            webbrowser.open(url)

    db = f"sqlite:///{folder / 'visitors.sqlite3'}"
    default = "ease" if "ease" in names else names[0]
    serve_site(paths, "127.0.0.1", port, db, on_ready, default=default, api_open=True)


def serve(
    artefacts: list[Path] = typer.Argument(..., metavar="ARTEFACT...", help="Folders that `matinee train` wrote."),
    host: str = Host,
    port: int = Port,
    db: str = Database,
    api_open: bool = typer.Option(
        False, "--api-open", help="Let the API read and write any user's events, not one's own."
    ),
) -> None:
    """Serve artefacts as a site and an API; the first of them is what the default list comes from."""
    from matinee.serve.app import serve as serve_site

    serve_site(artefacts, host, port, db, _announce, default=model_of(artefacts[0]), api_open=api_open)


def doctor(
    artefacts: list[Path] = typer.Argument(None, metavar="[ARTEFACT...]", help="Those of a site; else artefacts/*."),
    db: str = Database,
    port: int = Port,
    json: bool = Json,
) -> None:
    """Check the installation, threads, data, artefacts, database and port, and say what to do."""
    findings = [*_findings(port), *artefact_findings(artefacts or []), *database_findings(db)]
    if json:
        print_json({"ok": all(ok for _, ok, _, _ in findings), "checks": [
            {"check": name, "ok": ok, "found": found, "mend": mend} for name, ok, found, mend in findings
        ]})  # fmt: skip
    else:
        rows = [("✓" if ok else "✗", name, found, "" if ok else mend) for name, ok, found, mend in findings]
        say(table(None, ["", "check", "found", "what to do"], rows))
    if not all(ok for _, ok, _, _ in findings):
        raise typer.Exit(1)


def _announce(url: str) -> None:
    say(f"Matinee is at [bold]{url}[/]   (Ctrl+C stops it)")


def _demo_folder() -> Path:
    """Where the demo keeps its artefacts and visitors: `matinee/demo` in XDG_DATA_HOME."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "matinee" / "demo"


def _demo_names(models: str) -> list[str]:
    """The models asked for, each once. Raises MatineeError for one that there is not."""
    from matinee.models import model_class

    names = list(dict.fromkeys(name.strip() for name in models.split(",") if name.strip())) or list(DEMO_MODELS)
    for name in names:
        model_class(name)
    return names


def _demo_artefacts(folder: Path, names: list[str], on_step: Callable[[str], None]) -> Iterator["Artefact"]:
    """The demo's artefacts: those of an earlier run where data, settings and version are the same."""
    from matinee import workflow
    from matinee.store import artefact
    from matinee.version import __version__

    data = workflow.read(Experiment(), on_step)
    trials = _Trials(data)
    for name in names:
        on_step(f"training {name}")
        path, settings = folder / name, DEMO_MODELS.get(name, {})
        same = {"demo": True, "settings": settings, "matinee": __version__}
        try:
            found = artefact.load(path)
            if found.manifest["data"] == data.describe() and same.items() <= found.manifest.items():
                yield found
                continue
        except MatineeError:
            pass  # not there, or damaged: it is made anew
        about = same | trials.quality(name)
        fitted = workflow.fit(name, data, **settings).with_manifest(about)  # once more, on everything
        yield artefact.save(fitted, path)
        if fitted.model.curves:
            (path / "curves.json").write_text(dumps(list(fitted.model.curves)) + "\n", "utf-8")


class _Trials:
    """The demo's models on test: a random split; of what comes next the last event, beside others on the same."""

    def __init__(self, data: "Dataset") -> None:
        self._data = data
        self._splits: dict[str, Split] = {}
        self._baselines: dict[str, dict[str, Any]] = {}

    def quality(self, name: str) -> dict[str, Any]:
        """What an artefact keeps of it."""
        from matinee.models import model_class

        if not model_class(name).ordered:
            return self._measure(name, "random")
        if not self._baselines:
            self._baselines = {other: self._measure(other, "leave-last")["metrics"] for other in BASELINES}
        return self._measure(name, "leave-last") | {"baselines": self._baselines}

    def _measure(self, name: str, method: str) -> dict[str, Any]:
        from matinee import workflow

        parts = self._splits.setdefault(method, workflow.split(self._data, method))
        return workflow.quality(workflow.evaluate(workflow.fit(name, parts, **DEMO_MODELS.get(name, {})), parts))


def _findings(port: int) -> Iterator[Finding]:
    python = sys.version_info
    yield "python", (3, 11) <= python[:2] <= (3, 13), sys.version.split()[0], "install Python 3.11, 3.12 or 3.13"
    for package in ("matinee", "numpy", "scipy", "polars", "fastapi", "sqlalchemy"):
        try:
            yield package, True, version(package), ""
        except PackageNotFoundError:
            yield package, False, "missing", f"pip install {package}"
    yield from _threads()
    yield from _data()
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    yield (
        f"port {port}",
        not taken,
        "taken" if taken else "free",
        f"stop what listens there, or choose another: --port {port + 1}",
    )


def _threads() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    well = not asked.isdigit() or int(asked) <= cores
    found = f"{cores} cores, OMP_NUM_THREADS {asked or 'unset'}"
    yield (
        "threads",
        well,
        found,
        f"set OMP_NUM_THREADS to {cores} at most: more threads than cores slow each other down",
    )
    kernel = os.environ.get("OPENBLAS_CORETYPE")
    yield "blas", True, f"OPENBLAS_CORETYPE {kernel}: a forced kernel, maybe slower" if kernel else "its own choice", ""


def _data() -> Iterator[Finding]:
    from matinee.data.fetch import cache_folder
    from matinee.data.loading import available, load

    try:
        bundled = load("bundled")
        yield "bundled data", True, f"{len(bundled.events):,} events", ""
    except MatineeError as error:
        yield "bundled data", False, str(error), "install Matinee again: pip install --force-reinstall matinee"
    names = [name for name, *_ in available() if name != "bundled"]
    yield "other data", True, ", ".join(names) or "none; `matinee data fetch ml-1m` gets more", ""
    cache = cache_folder()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    yield (
        "cache",
        os.access(existing, os.W_OK),
        str(cache),
        "make it writable, or set XDG_CACHE_HOME to a folder that is",
    )
    free = shutil.disk_usage(existing).free
    yield "disk", free > 2**30, f"{free / 2**30:.1f} GB free", "free 1 GB: the demo's artefacts take 350 MB"
