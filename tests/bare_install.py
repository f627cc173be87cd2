"""What an installation without extras can do; `make test-bare` runs it in an environment that has no pytest either.

Checks the number of distributions, that nothing of the extras is there, each model that needs no torch from data to a
list, and the site over HTTP.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib.metadata import distributions
from pathlib import Path

import matinee as mt
from matinee.extras import EXTRAS, is_installed
from matinee.models import MODELS, model_class

MOST_DISTRIBUTIONS = 45
TOOLS = {"pip", "setuptools", "matinee"}
MATINEE = Path(sys.executable).with_name("matinee")
PORTS = {"newest": 8418, "lowest": 8419}
"""Of the site in the environments that may be tested at the same time; 8417 of any other."""
START_SECONDS = 120


def main() -> None:
    names = {each.metadata["Name"].lower() for each in distributions()} - TOOLS
    assert len(names) <= MOST_DISTRIBUTIONS, sorted(names)
    assert not any(map(is_installed, EXTRAS)), "an extra is installed"
    split = mt.split(mt.keep(mt.load("bundled"), min_item_events=20))
    with tempfile.TemporaryDirectory() as folder:
        trained = [name for name in MODELS if not (model_class(name).trained_by_torch or model_class(name).packages)]
        for name in trained:
            fitted = mt.save_artefact(mt.fit(name, split), Path(folder) / name)
            ndcg = mt.evaluate(fitted, split, k=10, samples=100).metrics["ndcg@10"].mean
            assert len(mt.recommend(fitted, "Alien (1979)", k=3)) == 3
            print(f"{name}: ndcg@10 {ndcg:.3f}")
        refused = subprocess.run([MATINEE, "train", "lightgcn"], capture_output=True, text=True, cwd=folder)
        assert refused.returncode == 1, refused
        assert "pip install 'matinee[train]'" in refused.stderr, refused.stderr
        _serve(Path(folder))
    print(f"{len(names)} distributions, {len(trained)} models, the site: right")


def _serve(folder: Path) -> None:
    """Start the site with a saved model, and read a list from it."""
    port = PORTS.get(Path(sys.prefix).name.rpartition("-")[2], 8417)
    command = [MATINEE, "serve", folder / "ease", "--port", str(port), "--db", f"sqlite:///{folder / 'site.db'}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as site:
        try:
            listed = _answer(f"http://127.0.0.1:{port}/api/v1/recommendations?history=1214&k=3")
            assert len(listed["items"]) == 3, listed
        finally:
            site.terminate()


def _answer(url: str) -> dict:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


if __name__ == "__main__":
    main()
