"""A site over the bundled data and a browser to walk it, for benchmarks of its pages."""

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import Browser, sync_playwright

import matinee as mt
from matinee.store import artefact
from matinee.store.artefact import Artefact
from matinee.workflow import quality

MODELS = ("ease", "item-knn", "popularity", "markov")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SECONDS_TO_START = 120


def measured(name: str) -> Artefact:
    """A model of the bundled data with its scores, as the demo has it."""
    split = mt.split(mt.load("bundled"))
    fitted = mt.fit(name, split)
    return fitted.with_manifest(quality(mt.evaluate(fitted, split, k=(10,))))


def plain(name: str) -> Artefact:
    """A model of the bundled data."""
    return mt.fit(name, mt.load("bundled"))


@contextmanager
def bundled_site(
    models: Sequence[str] = MODELS, fitted: Callable[[str], Artefact] = plain, *, lab_fits: bool = False
) -> Iterator[str]:
    """The address of a new site over the bundled data, which ends with the block.

    lab_fits: whether visitors may fit models with other settings, as in the demo.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in models]
        for name, path in zip(models, paths, strict=True):
            artefact.save(fitted(name), path)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "matinee", "serve", *map(str, paths), "--port", str(port)]
        command += ["--db", f"sqlite:///{folder}/site.sqlite3", *(["--lab-fits"] if lab_fits else [])]
        site = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(address)
            yield address
        finally:
            site.terminate()
            site.wait()


def wait_for(address: str) -> None:
    """Wait until a site answers."""
    until = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            with urlopen(f"{address}/health/ready"):
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGUMENTS))
        yield browser
        browser.close()


def print_measured(about: str | None, measure: Callable[[str], object]) -> None:
    """The command of a walk: print what it measures of a site that runs (--address), or of a new one, as JSON."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="of a site that runs")
    given = parser.parse_args()
    if given.address:
        print(json.dumps(measure(given.address.rstrip("/")), indent=1))
    else:
        with bundled_site() as address:
            print(json.dumps(measure(address), indent=1))
