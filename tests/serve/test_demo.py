"""`matinee demo` from start to a site that answers; the second start is faster."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

import matinee as mt
from matinee.cli.site import DEMO_MODELS, _demo_artefacts, _demo_names
from matinee.errors import MatineeError
from matinee.store.artefact import load, save


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_demo(folder: Path) -> tuple[float, dict, str]:
    """Seconds until the site is ready, what it then recommends for a history, and what the command printed."""
    port = free_port()
    environment = os.environ | {"XDG_DATA_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    command = [
        sys.executable,
        "-c",
        "from matinee.cli import main; main()",
        "demo",
        "--no-browser",
        "--port",
        str(port),
        "--models",
        "popularity,item-knn,ease,markov",
    ]
    started = time.monotonic()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        try:
            ready = False
            while not ready and time.monotonic() - started < 120:
                assert demo.poll() is None, demo.stderr.read() if demo.stderr else ""
                try:
                    ready = httpx2.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
                except httpx2.TransportError:
                    time.sleep(0.1)
            seconds = time.monotonic() - started
            found = httpx2.get(
                f"http://127.0.0.1:{port}/api/v1/recommendations?history=1214,541&k=5&explain=true"
            ).json()
        finally:
            demo.send_signal(signal.SIGINT)
            out, err = demo.communicate(timeout=30)
    assert "Traceback" not in err
    return seconds, found, out


@pytest.mark.slow
def test_the_demo_trains_serves_and_reuses_its_artefacts(tmp_path: Path) -> None:
    first, found, out = run_demo(tmp_path)
    assert first < 60
    assert "Matinee is at http://" in out
    titles = [item["title"] for item in found["items"]]
    assert "Aliens (1986)" in titles
    again, _, _ = run_demo(tmp_path)
    assert again < first
    assert sorted(path.name for path in (tmp_path / "matinee" / "demo").iterdir() if path.is_dir()) == [
        "ease", "item-knn", "markov", "popularity",
    ]  # fmt: skip
    manifests = {name: load(tmp_path / "matinee" / "demo" / name).manifest for name in ("ease", "markov")}
    assert manifests["ease"]["metrics"]["ndcg@10"]["low"] < manifests["ease"]["metrics"]["ndcg@10"]["mean"]
    assert manifests["markov"]["measured"]["split"]["method"] == "leave-last"
    assert set(manifests["markov"]["baselines"]) == {"popularity", "item-knn", "ease"}


def test_an_unknown_demo_model_is_an_error_before_training() -> None:
    with pytest.raises(MatineeError, match="did you mean 'ease'"):
        _demo_names("popularity,eaze")
    assert _demo_names("ease, ease,markov") == ["ease", "markov"]


def test_the_demo_has_all_its_models_by_default() -> None:
    pytest.importorskip("torch")
    assert _demo_names("") == list(DEMO_MODELS)


@pytest.mark.slow
def test_artefacts_of_another_value_map_are_trained_again(tmp_path: Path) -> None:
    """As those of a demo from before there were value maps, in which every event weighs 1."""
    (first,) = _demo_artefacts(tmp_path, ["ease"], lambda step: None)
    assert first.manifest["value_map"]["map"] == "linear"
    same = {key: first.manifest[key] for key in ("demo", "settings", "matinee")}
    save(mt.fit("ease", mt.load("bundled"), values="unary").with_manifest(same), tmp_path / "ease")
    (second,) = _demo_artefacts(tmp_path, ["ease"], lambda step: None)
    assert second.manifest["value_map"] == first.manifest["value_map"]
    (third,) = _demo_artefacts(tmp_path, ["ease"], lambda step: None)
    assert third.manifest["fit_seconds"] == second.manifest["fit_seconds"]  # reused
