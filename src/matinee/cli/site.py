"""The commands demo, serve and doctor."""

import os
import shutil
import socket
import sys
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from matinee.cli.health import Finding, artefact_findings, database_findings, model_of
from matinee.cli.options import Json, wrong_usage
from matinee.cli.output import print_json, progress, say, table, warn
from matinee.cli.server_options import Database, Port, server_options
from matinee.errors import MatineeError, UsageError
from matinee.experiment import Experiment
from matinee.extras import EXTRAS, is_installed, missing, version_of
from matinee.folders import cache_folder, demo_folder, has_home

if TYPE_CHECKING:
    from matinee.data.splits import Split
    from matinee.dataset import Dataset
    from matinee.serve.http.server import ServerSettings
    from matinee.serve.options import SiteOptions
    from matinee.store.artefact import Artefact

DEMO_MODELS: dict[str, dict[str, Any]] = {
    "popularity": {},
    "item-knn": {},
    "user-knn": {},
    "ease": {},
    "ials": {},
    "lightgcn": {},
    "ngcf": {"dim": 32, "epochs": 15},
    "markov": {},
    "sasrec": {"dim": 32, "epochs": 8},
    "vbmf": {"dim": 8, "epochs": 15, "implicit_dim": 30},
}
"""The demo's default models, with settings that differ from the defaults: all are ready in a minute."""
BASELINES = ("popularity", "item-knn", "ease")
"""Models evaluated beside a sequence model, on the same split."""


def demo(
    port: int = Port,
    no_browser: bool = typer.Option(False, "--no-browser", help="Do not open the site in a browser."),
    models: str = typer.Option("", "--models", metavar="A,B,...", help=f"Default: {','.join(DEMO_MODELS)}."),
    lab_fits: bool = typer.Option(
        True, "--lab-fits/--no-lab-fits", help="Let visitors of the lab fit models with other settings."
    ),
) -> None:
    """Train and evaluate some models on the bundled MovieLens, and open a site with them."""
    from matinee.serve.app import serve as serve_site
    from matinee.serve.http.server import ServerSettings, require_free
    from matinee.serve.options import SiteOptions
    from matinee.serve.own_fits.fits import OwnFitOptions
    from matinee.store.manifest import require_destination

    with wrong_usage():
        names = _demo_names(models)
    require_free("127.0.0.1", port)  # fail before training, not after
    folder = demo_folder()
    for name in names:
        require_destination(folder / name, "XDG_DATA_HOME")
    with progress(1 + len(names)) as (on_step, _):
        artefacts = list(_demo_artefacts(folder, names, on_step))
    paths = [artefact.path for artefact in artefacts if artefact.path is not None]

    def on_ready(url: str) -> None:
        _announce(url)
        if not no_browser:
            webbrowser.open(url)

    db = f"sqlite:///{folder / 'visitors.sqlite3'}"
    default = "ease" if "ease" in names else names[0]
    options = SiteOptions(allowed_hosts=(), own_fits=OwnFitOptions() if lab_fits else None)
    serve_site(paths, ServerSettings(port=port), db, on_ready, default=default, options=options)


@server_options
def serve(
    settings: "ServerSettings",
    options: "SiteOptions",
    artefacts: list[Path] = typer.Argument(
        None, metavar="[ARTEFACT...]", help="Folders that `matinee train` wrote.", show_default=False
    ),
    registry: Path | None = typer.Option(
        None, "--registry", metavar="DIR", help="Serve the current version of a registry, and follow its promotions."
    ),
    db: str = Database,
) -> None:
    """Serve artefacts, or a registry, as a site and an API; the first artefact makes the default list."""
    given = artefacts or []
    if bool(given) == (registry is not None):
        raise UsageError(
            "give artefacts or --registry, not both" if given else "give artefacts to serve, or --registry DIR"
        )
    if options.experiment is not None:
        options.experiment.require_registry(registry is not None)
    default = model_of(given[0]) if given else None
    options = replace(options, registry=registry)
    if settings.workers > 1:
        from matinee.serve.workers import SiteTask, serve_by_workers

        serve_by_workers(SiteTask(given, settings, db, default, options), _announce)
    else:
        from matinee.serve.app import serve as serve_site

        serve_site(given, settings, db, _announce, default=default, options=options)


def doctor(
    artefacts: list[Path] = typer.Argument(None, metavar="[ARTEFACT...]", help="Default: artefacts/*."),
    db: str = Database,
    port: int = Port,
    json: bool = Json,
) -> None:
    """Check the installation, threads, data, artefacts, database and port, and suggest fixes."""
    findings = [*_findings(port), *artefact_findings(artefacts or []), *database_findings(db)]
    if json:
        print_json({"ok": all(ok for _, ok, _, _ in findings), "checks": [
            {"check": name, "ok": ok, "found": found, "fix": fix} for name, ok, found, fix in findings
        ]})  # fmt: skip
    else:
        rows = [("✓" if ok else "✗", name, found, "" if ok else fix) for name, ok, found, fix in findings]
        say(table(None, ["", "check", "found", "fix"], rows))
    if not all(ok for _, ok, _, _ in findings):
        raise typer.Exit(1)


def _announce(url: str) -> None:
    say(Text.assemble("Matinee is at ", (url, "bold"), "   (stop with Ctrl+C)"))


def _demo_names(models: str) -> list[str]:
    """The requested models, each once; by default those that can be trained here. Raises MatineeError for others."""
    from matinee.models import model_class
    from matinee.workflow.fitting import require_trainer

    names = list(dict.fromkeys(name.strip() for name in models.split(",") if name.strip()))
    for name in names:
        require_trainer(model_class(name))
    able = [name for name in DEMO_MODELS if is_installed("torch") or not model_class(name).trained_by_torch]
    if not names and len(able) < len(DEMO_MODELS):
        left_out = ", ".join(name for name in DEMO_MODELS if name not in able)
        warn(f"without {left_out}: {missing('torch', 'trained by torch')}")
    return names or able


def _demo_artefacts(folder: Path, names: list[str], on_step: Callable[[str], None]) -> Iterator["Artefact"]:
    """Train the demo's artefacts, reusing those of an earlier run with the same data, settings, values and version."""
    from matinee import workflow
    from matinee.store import artefact
    from matinee.values import resolve
    from matinee.version import __version__

    data = workflow.read(Experiment(), on_step)
    value_map = resolve(Experiment().values, data.events.values, data.kind).to_json()
    evaluations = _Evaluations(data)
    for name in names:
        on_step(f"training {name}")
        path, settings = folder / name, DEMO_MODELS.get(name, {})
        same = {"demo": True, "settings": settings, "matinee": __version__, "value_map": value_map}
        try:
            found = artefact.load(path)
            if found.manifest["data"] == data.describe() and same.items() <= found.manifest.items():
                yield found
                continue
        except MatineeError:
            pass  # missing or damaged: train it again
        about = same | evaluations.quality(name)
        fitted = workflow.fit(name, data, **settings)  # again, on all of the data
        fitted = fitted.with_manifest(about | workflow.predicted_values(fitted, data))
        yield artefact.save(fitted, path)


class _Evaluations:
    """Evaluates the demo's models on test of a random split; sequence models on leave-last, beside baselines."""

    def __init__(self, data: "Dataset") -> None:
        self._data = data
        self._splits: dict[str, Split] = {}
        self._baselines: dict[str, dict[str, Any]] = {}

    def quality(self, name: str) -> dict[str, Any]:
        """Evaluation results for the manifest of a model's artefact."""
        from matinee.models import model_class

        if not model_class(name).ordered:
            return self._evaluate(name, "random")
        if not self._baselines:
            self._baselines = {other: self._evaluate(other, "leave-last")["metrics"] for other in BASELINES}
        return self._evaluate(name, "leave-last") | {"baselines": self._baselines}

    def _evaluate(self, name: str, method: str) -> dict[str, Any]:
        from matinee import workflow
        from matinee.workflow.held_out import held_out_quality

        parts = self._splits.setdefault(method, workflow.split(self._data, method))
        return held_out_quality(name, parts, DEMO_MODELS.get(name, {}))


def _findings(port: int) -> Iterator[Finding]:
    python = sys.version_info
    yield "python", python[:2] >= (3, 11), sys.version.split()[0], "install Python 3.11 or later"
    for package in ("matinee", "numpy", "scipy", "polars", "fastapi", "sqlalchemy"):
        try:
            yield package, True, version(package), ""
        except PackageNotFoundError:
            yield package, False, "missing", f"pip install {package}"
    for package, extra in EXTRAS.items():
        found = version_of(package) if is_installed(package) else f"not installed; the extra {extra} has it"
        yield package, True, found, ""
    yield from _threads()
    yield from _data()
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    yield (
        f"port {port}",
        not taken,
        "taken" if taken else "free",
        f"stop the process that listens there, or use --port {port + 1}",
    )


def _threads() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    setting = os.environ.get("OMP_NUM_THREADS", "")
    ok = not setting.isdigit() or int(setting) <= cores
    found = f"{cores} cores, OMP_NUM_THREADS {setting or 'unset'}"
    yield (
        "threads",
        ok,
        found,
        f"set OMP_NUM_THREADS to {cores} or less: more threads than cores are slower",
    )
    kernel = os.environ.get("OPENBLAS_CORETYPE")
    yield (
        "blas",
        True,
        f"OPENBLAS_CORETYPE {kernel}: a forced kernel, possibly slower" if kernel else "detected kernel",
        "",
    )


def _data() -> Iterator[Finding]:
    from matinee.data.loading import available, load

    try:
        bundled = load("bundled")
        yield "bundled data", True, f"{len(bundled.events):,} events", ""
    except MatineeError as error:
        yield "bundled data", False, str(error), "reinstall Matinee: pip install --force-reinstall matinee"
    names = [name for name, *_ in available() if name != "bundled"]
    yield "other data", True, ", ".join(names) or "none; download with `matinee data fetch ml-1m`", ""
    cache = cache_folder()
    existing = next(folder for folder in (cache, *cache.parents) if os.path.lexists(folder))
    yield (
        "cache",
        existing.is_dir() and os.access(existing, os.W_OK),
        str(cache)
        if has_home()
        else f"{cache}: this account has no home folder, so what is kept may be lost; "
        "set XDG_CACHE_HOME and XDG_DATA_HOME",
        "make it writable, or set XDG_CACHE_HOME to a writable folder",
    )
    free = shutil.disk_usage(existing).free
    yield "disk", free > 2**30, f"{free / 2**30:.1f} GB free", "free 1 GB: the demo's artefacts need 350 MB"
