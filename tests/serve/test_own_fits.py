"""Fits of visitors of the lab: their process and its ends, their settings, who sees them, and what they show."""

import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from matinee import workflow
from matinee.dataset import Dataset
from matinee.errors import UsageError
from matinee.serve.app import create_app
from matinee.serve.options import SiteOptions
from matinee.serve.own_fits import fits as module
from matinee.serve.own_fits.fits import COMMAND, OwnFitOptions
from matinee.serve.own_fits.process import FitProcess
from matinee.serve.own_fits.settings import SettingError, fields_of, read_changes
from matinee.store.artefact import load, save
from site_fixtures import CHEAP, NOW, SiteClient, copying_fit

WAITS = """
import json, sys
print(json.dumps({"stage": "measuring"}), flush=True)
print(json.dumps({"epoch": 1, "epochs": 2, "loss": 0.5}), flush=True)
sys.stdin.read()
"""
"""Is never done."""


COPY = copying_fit()[-1]


def command(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def ended(text: str, seconds: float = 20.0) -> FitProcess:
    process = FitProcess(command(text), {"seed": 1}, seconds, time.monotonic)
    process.join()
    return process


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("import json; print(json.dumps({'done': True}))", "done"),
        ("print('[1, 2'); print('null'); print('{\"epoch\": \"x\"}'); print('{\"done\": true}')", "done"),
        ("pass", "failed"),
        ("import sys; print('{\"done\": true}', flush=True); sys.exit(3)", "failed"),
        ("import os; os.kill(os.getpid(), 9)", "failed"),
        ("print('{\"done\": 1}')", "failed"),
    ],
)
def test_a_fit_is_done_if_it_says_so_and_ends_well(text: str, state: str) -> None:
    assert ended(text).state == state


def test_a_fit_that_takes_too_long_or_is_cancelled_is_ended() -> None:
    assert ended(WAITS, seconds=0.3).state == "too_long"
    process = FitProcess(command(WAITS), {}, 20, time.monotonic)
    process.end()
    process.join()
    process.end("too_long")
    assert process.state == "cancelled"  # the first end counts
    assert process.seconds < 20


def test_a_fit_says_how_far_it_is() -> None:
    process = ended(f"import sys; sys.stdin.readline()\n{WAITS.replace('sys.stdin.read()', '')}")
    assert process.progress.share == pytest.approx(0.05 + 0.45 / 2)
    assert process.progress.curve == [{"epoch": 1.0, "loss": 0.5}]
    assert ended('print(\'{"error": "no memory"}\')').progress.error == "no memory"


def test_only_numbers_between_the_ends_are_settings(artefact_paths: list[Path]) -> None:
    artefact = load(artefact_paths[1])
    neighbours, shrinkage = fields_of(artefact)
    assert (neighbours.name, neighbours.value, neighbours.low, neighbours.high) == ("neighbours", "100", 10, 500)
    assert read_changes(artefact, {"neighbours": " 50 ", "shrinkage": shrinkage.value, "weighting": "x"}) == {
        "neighbours": 50
    }
    assert read_changes(artefact, {"neighbours": "1e2"}) == {}
    for text in ("9", "501", "nan", "inf", "-inf", "1e999", "50.5", "5_0", "١٢x", "fifty", "0x20", "50;", "<b>"):
        with pytest.raises(SettingError):
            read_changes(artefact, {"neighbours": text})


@pytest.fixture
def lab(artefact_paths: list[Path], tmp_path: Path) -> Iterator[Callable[[str], FastAPI]]:
    """Makes sites whose fits are made by a program."""
    apps: list[FastAPI] = []

    def make(text: str) -> FastAPI:
        options = SiteOptions(own_fits=OwnFitOptions(command=command(text)))
        url = f"sqlite:///{tmp_path}/lab{len(apps)}.db"
        apps.append(create_app(artefact_paths, db_url=url, clock=lambda: NOW, hasher=CHEAP, options=options))
        return apps[-1]

    yield make
    for app in apps:
        app.state.site.own_fits.stop()
        app.state.site.database.close()


def begin(client: SiteClient, **settings: str) -> str:
    """The address of the page of a new fit."""
    answer = client.post("/lab/fits", data={"model": "item-knn", "neighbours": "20"} | settings, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def wait(app: FastAPI) -> None:
    for fit in list(app.state.site.own_fits._fits.values()):
        fit.process.join()


def test_a_fit_goes_from_the_form_to_lists_beside_the_served_ones(lab: Callable[[str], FastAPI]) -> None:
    app = lab(COPY)
    client = SiteClient(app)
    client.post("/mark", data={"item_id": "1214", "mark": "5"})
    assert 'id="own-neighbours"' in client.get("/models/item-knn").text
    assert 'id="refit"' not in client.get("/models/sasrec").text
    path = begin(client)
    wait(app)
    page = client.get(path).text
    assert "ItemKNN · neighbours 20" in page
    assert "12 of 12 movies are in both" in page  # the same model again
    assert 'class="curve"' not in page
    assert path not in client.get("/models/ease").text.partition('id="list"')[0]
    assert "Kept:" in client.post("/lab/fits/change", data={"fit_id": path.rpartition("/")[2], "action": "keep"}).text
    assert path in client.get("/models/ease").text.partition('id="list"')[0]
    own = f"own-{path.rpartition('/')[2]}"
    assert f'id="by-{own}"' in client.get(f"/compare?models=ease&models={own}").text
    lists = {str(one["model"]) for one in app.state.site.accounts.lists(_user(app))}
    assert lists <= {"popularity", "item-knn", "ease"}  # what an own fit lists is nobody's impression


def test_a_kept_fit_makes_the_list_of_the_home_page_until_it_no_longer_does(lab: Callable[[str], FastAPI]) -> None:
    app = lab(COPY)
    client, other = SiteClient(app), SiteClient(app)
    for item in ("1214", "2571"):
        client.post("/mark", data={"item_id": item, "mark": "5"})
    fit_id = begin(client).rpartition("/")[2]
    wait(app)
    client.post("/lab/fits/change", data={"fit_id": fit_id, "action": "keep"})
    assert "your own fit" not in client.get("/").text
    home = client.post("/lab/fits/change", data={"fit_id": fit_id, "action": "home"})
    assert home.url.path == "/"
    assert f'by <a class="by" href="/lab/fits/{fit_id}">ItemKNN · neighbours 20</a>, your own fit' in home.text
    assert f'name="model" value="own-{fit_id}"' in home.text
    wanted = items_of(client.get("/?model=item-knn&novelty=0.25").text)
    assert items_of(home.text) == wanted  # the fit is a copy of the served model
    assert wanted != items_of(client.get("/?model=ease&novelty=0.25").text)
    assert items_of(client.get("/?never=Action").text)
    client.post("/mark", data={"item_id": wanted[0], "mark": "4", "model": f"own-{fit_id}"})
    assert wanted[0] not in items_of(client.get("/").text)
    assert "own-" not in other.get("/").text
    again = client.post("/lab/fits/change", data={"fit_id": fit_id, "action": "not_home"}).text
    assert "your own fit" not in again
    client.post("/lab/fits/change", data={"fit_id": fit_id, "action": "home"})
    shutil.rmtree(app.state.site.own_fits._fits[fit_id].path)
    app.state.site.own_fits._fits[fit_id].__dict__.pop("artefact", None)
    app.state.site.own_fits._fits[fit_id]._engine = None
    assert client.get("/").status_code == 200  # the served model makes the list


def items_of(page: str) -> list[str]:
    """The items of the home page's list, with the first three."""
    section = page.partition('id="tonight"')[2].partition('class="shelf')[0]
    return re.findall(r'data-item="(\d+)"', section)[:27]


def _user(app: FastAPI) -> str:
    with app.state.site.database.read() as connection:
        return str(connection.exec_driver_sql("SELECT user_id FROM events").scalar_one())


def test_a_fit_is_seen_by_its_visitor_alone_and_can_be_thrown_away(lab: Callable[[str], FastAPI]) -> None:
    app = lab(COPY)
    mine, other = SiteClient(app), SiteClient(app)
    path = begin(mine)
    wait(app)
    begin(other)
    wait(app)
    fit_id = path.rpartition("/")[2]
    assert other.get(path).status_code == 404
    assert other.get(f"/compare?models=ease&models=own-{fit_id}").status_code == 404
    for action in ("cancel", "keep", "discard"):
        assert other.post("/lab/fits/change", data={"fit_id": fit_id, "action": action}).status_code == 404
    folder = app.state.site.own_fits._fits[fit_id].path
    assert folder.is_dir()
    assert mine.post("/lab/fits/change", data={"fit_id": fit_id, "action": "discard"}).status_code == 200
    assert not folder.exists()
    assert mine.get(path).status_code == 404


def test_a_made_up_secret_owns_no_fit(lab: Callable[[str], FastAPI]) -> None:
    app = lab(COPY)
    mine, visitor = SiteClient(app), TestClient(app)
    path = begin(mine)
    wait(app)
    for planted in (b"", b"x", b"\xe9", b"'; --", b"a" * 31, b"a" * 32, b"a" * 33):
        headers = {"cookie": b"matinee_own_fits=" + planted}
        assert visitor.get(path, headers=headers).status_code == 404
        assert visitor.get("/models/item-knn", headers=headers).status_code == 200
    planter = SiteClient(app, cookies={"matinee_own_fits": "x"})
    begin(planter)
    wait(app)
    assert {len(fit.owner) for fit in app.state.site.own_fits._fits.values()} == {32}


def test_over_https_the_secret_of_a_fit_comes_from_this_host_alone(lab: Callable[[str], FastAPI]) -> None:
    app = lab(COPY)
    secure = SiteClient(app, base_url="https://testserver")
    path = begin(secure)
    wait(app)
    token = secure.cookies["__Host-matinee_own_fits"]
    assert secure.get(path).status_code == 200
    planted = SiteClient(app, base_url="https://testserver", cookies={"matinee_own_fits": token})
    assert planted.get(path).status_code == 404


def test_one_fit_runs_at_a_time_and_can_be_cancelled(lab: Callable[[str], FastAPI]) -> None:
    app = lab(WAITS)
    mine, other = SiteClient(app), SiteClient(app)
    path = begin(mine)
    page = mine.get(path).text
    assert 'http-equiv="refresh"' in page
    assert "data-running" in page
    busy = other.post("/lab/fits", data={"model": "item-knn", "neighbours": "20"})
    assert (busy.status_code, "Another fit is running" in busy.text) == (429, True)
    page = mine.post("/lab/fits/change", data={"fit_id": path.rpartition("/")[2], "action": "cancel"}).text
    assert "You cancelled this fit" in page
    wait(app)
    begin(other)


def test_what_cannot_be_fitted_is_refused_in_a_sentence(
    lab: Callable[[str], FastAPI], client: SiteClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 'id="refit"' not in client.get("/models/item-knn").text  # off unless it is switched on
    assert client.post("/lab/fits", data={"model": "item-knn", "neighbours": "20"}).status_code == 404
    app = lab(COPY)
    mine = SiteClient(app)
    for data, status, said in (
        ({"model": "item-knn", "neighbours": "9"}, 422, "whole number from 10 to 500"),
        ({"model": "item-knn", "shrinkage": "nan"}, 422, "from 0.1 to 1000"),
        ({"model": "item-knn"}, 422, "Change at least one"),
        ({"model": "eaze", "l2": "1"}, 404, "eaze"),
        ({}, 404, ""),
        ({"model": "item-knn", "neighbours": "<script>"}, 422, "&lt;script&gt;"),
    ):
        answer = mine.post("/lab/fits", data=data)
        assert answer.status_code == status, data
        assert said in answer.text, data
    assert mine.post("/lab/fits/change", data={"fit_id": "../x", "action": "discard"}).status_code == 404
    assert mine.post("/lab/fits/change", data={"fit_id": "x", "action": "burn"}).status_code == 422
    monkeypatch.setattr(module, "FREE_BYTES", 2**62)
    assert "no room on its disk" in mine.post("/lab/fits", data={"model": "item-knn", "neighbours": "20"}).text


def test_fits_are_few_and_forgotten_when_nobody_looks(
    lab: Callable[[str], FastAPI], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = lab(COPY)
    fits, mine = app.state.site.own_fits, SiteClient(app)
    for neighbours in ("20", "30", "40", "50"):
        begin(mine, neighbours=neighbours)
        wait(app)
    assert "four fits" in mine.post("/lab/fits", data={"model": "item-knn", "neighbours": "60"}).text
    folders = [fit.path for fit in fits._fits.values()]
    ticks = fits._ticks
    fits._ticks = lambda: ticks() + module.IDLE_SECONDS + 1
    begin(mine, neighbours="60")
    assert len(fits._fits) == 1
    assert not any(folder.exists() for folder in folders)
    wait(app)
    monkeypatch.setattr(fits.limit, "take", lambda key: 60)
    assert mine.post("/lab/fits", data={"model": "item-knn", "neighbours": "70"}).status_code == 429


@pytest.mark.slow
def test_the_program_measures_fits_and_saves(bundled: Dataset, tmp_path: Path) -> None:
    """Its settings, seed and figures are those of a fit by hand; with little memory it says so."""
    parts = workflow.split(bundled)
    served = workflow.fit("ials", bundled, epochs=2, dim=16)
    save(served, tmp_path / "ials")
    order = {"like": str(tmp_path / "ials"), "settings": {"l2": 0.02}, "seed": 42, "out": str(tmp_path / "own")}
    process = FitProcess(COMMAND, order | {"memory_mb": 3000}, 120, time.monotonic)
    process.join()
    assert (process.state, process.progress.error) == ("done", "")
    own, by_hand = load(tmp_path / "own"), workflow.fit("ials", bundled, epochs=2, dim=16, l2=0.02)
    assert own.model.config == by_hand.model.config
    assert (own.model.items == by_hand.model.items).all()
    report = workflow.evaluate(workflow.fit("ials", parts, epochs=2, dim=16, l2=0.02), parts, k=(10,))
    assert own.manifest["metrics"]["ndcg@10"]["mean"] == pytest.approx(report.metrics["ndcg@10"].mean)
    less = replace_data(tmp_path / "ials")
    process = FitProcess(COMMAND, order | {"memory_mb": 3000, "like": str(less)}, 120, time.monotonic)
    process.join()
    assert (process.state, "other data" in process.progress.error) == ("failed", True)


def replace_data(path: Path) -> Path:
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["data"]["fingerprint"] = "0" * 16
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def test_workers_cannot_share_fits() -> None:
    from matinee.cli.server_options import OPTIONS, _read

    given = {name: getattr(option, "default", option) for name, (_, option) in OPTIONS.items()}
    with pytest.raises(UsageError, match="--lab-fits needs --workers 1"):
        _read(given | {"lab_fits": True, "workers": 2})
    assert _read(given)[1].own_fits is None
    assert _read(given | {"lab_fits": True})[1].own_fits == OwnFitOptions()
