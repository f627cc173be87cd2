"""Artefacts that are damaged or made up: each is one line that names the file, and no command or site dies of it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

from matinee import workflow
from matinee.cli.health import model_of
from matinee.cli.running import run
from matinee.data.synthetic import two_groups
from matinee.errors import MatineeError
from matinee.serve.app import create_app
from matinee.serve.pages.model_quality import curves
from matinee.serve.startup import load_compatible
from matinee.store.artefact import load, save
from matinee.store.soundness import is_finite
from matinee.tensors import read_arrays, write_arrays

Damage = Callable[[Path], object]
MANIFEST, ARRAYS, HISTORIES = "manifest.json", "arrays.safetensors", "histories.safetensors"
ITEMS, USERS = "items.parquet", "users.parquet"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artefacts of a model with a sparse array, one with a dense array, and one with stored users."""
    folder = tmp_path_factory.mktemp("sound")
    data = two_groups(24, 12)
    save(workflow.fit("item-knn", data), folder / "item-knn")
    save(workflow.fit("ease", data), folder / "ease")
    save(workflow.fit("bpr", data, epochs=1, dim=4), folder / "bpr")
    return folder


def manifest(**changes: object) -> Damage:
    def edit(folder: Path) -> None:
        found = json.loads((folder / MANIFEST).read_text("utf-8"))
        (folder / MANIFEST).write_text(json.dumps(found | changes), "utf-8")

    return edit


def text(name: str, content: str | bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def cut(name: str, length: int) -> Damage:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:length])


def arrays(name: str, change: Callable[[dict[str, Any]], object]) -> Damage:
    """Change arrays, in an artefact that is old enough to have no fingerprints."""

    def edit(folder: Path) -> None:
        found = {key: np.array(value) for key, value in read_arrays(folder / name).items()}
        change(found)
        write_arrays(folder / name, found)
        manifest(files={})(folder)

    return edit


def values(name: str, array: str, change: Callable[[Any], Any]) -> Damage:
    return arrays(name, lambda found: found.update({array: change(found[array])}))


def put(index: int, value: float) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array.flat[index] = value
        return array

    return change


def table(name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Damage:
    def edit(folder: Path) -> None:
        change(pl.read_parquet(folder / name)).write_parquet(folder / name)
        manifest(files={})(folder)

    return edit


def instead(name: str, make: Callable[[Path], object]) -> Damage:
    def edit(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return edit


def column(name: str, column_name: str, *content: object) -> Damage:
    return table(name, lambda found: found.with_columns(pl.Series(column_name, [*content, *found[column_name]][:12])))


def header(folder: Path, **entry: object) -> None:
    about = json.dumps({"weights": {"dtype": "F32", "shape": [12, 12], "data_offsets": [0, 576], **entry}}).encode()
    (folder / ARRAYS).write_bytes(len(about).to_bytes(8, "little") + about + bytes(576))
    manifest(files={})(folder)


LEARNED = "similarities"
HOSTILE: dict[str, tuple[str, str, Damage]] = {
    "manifest of nothing": ("ease", MANIFEST, text(MANIFEST, "")),
    "manifest not JSON": ("ease", MANIFEST, text(MANIFEST, "{'format': 2}")),
    "manifest cut": ("ease", MANIFEST, cut(MANIFEST, 100)),
    "manifest not UTF-8": ("ease", MANIFEST, text(MANIFEST, b'{"format": 2, "model": "\xff"}')),
    "manifest in UTF-16": ("ease", MANIFEST, lambda f: text(MANIFEST, (f / MANIFEST).read_text().encode("utf-16"))(f)),
    "manifest a list": ("ease", MANIFEST, text(MANIFEST, "[2]")),
    "manifest a number": ("ease", MANIFEST, text(MANIFEST, "2")),
    "manifest nested deeply": ("ease", MANIFEST, text(MANIFEST, "[" * 100_000 + "]" * 100_000)),
    "manifest with an endless number": ("ease", MANIFEST, text(MANIFEST, '{"format": ' + "9" * 5000 + "}")),
    "manifest of somebody else": ("ease", MANIFEST, text(MANIFEST, '{"name": "My app", "icons": []}')),
    "manifest a folder": ("ease", MANIFEST, instead(MANIFEST, Path.mkdir)),
    "manifest a pipe": ("ease", MANIFEST, instead(MANIFEST, os.mkfifo)),
    "format true": ("ease", MANIFEST, manifest(format=True)),
    "format a list": ("ease", "format", manifest(format=[2])),
    "model null": ("ease", MANIFEST, manifest(model=None)),
    "model unknown": ("ease", "no-such-model", manifest(model="no-such-model")),
    "model another": ("ease", ARRAYS, manifest(model="popularity", config={})),
    "config null": ("ease", MANIFEST, manifest(config=None)),
    "config with a huge number": ("ease", MANIFEST, manifest(config={"l2": 10**400})),
    "config of another model": ("ease", MANIFEST, manifest(config={"neighbours": 3})),
    "config that names self": ("ease", MANIFEST, manifest(config={"self": 3})),
    "value map null": ("ease", MANIFEST, manifest(value_map=None)),
    "value map of another kind": ("ease", MANIFEST, manifest(value_map={"map": "magic"})),
    "value map without knots": ("ease", MANIFEST, manifest(value_map={"map": "linear"})),
    "data null": ("ease", MANIFEST, manifest(data=None)),
    "data with a negative size": ("ease", MANIFEST, manifest(data={"name": "x", "users": -1, "items": 1, "events": 1})),
    "metrics null": ("ease", MANIFEST, manifest(metrics=None)),
    "metrics of texts": ("ease", MANIFEST, manifest(metrics={"ndcg@10": {"mean": "high"}})),
    "baselines a list": ("ease", MANIFEST, manifest(baselines=[1])),
    "measured null": ("ease", MANIFEST, manifest(measured=None)),
    "experiment a text": ("ease", MANIFEST, manifest(experiment="x")),
    "fit_seconds a text": ("ease", MANIFEST, manifest(fit_seconds="long")),
    "sparse null": ("item-knn", MANIFEST, manifest(sparse=None)),
    "sparse of three sides": ("item-knn", MANIFEST, manifest(sparse={LEARNED: [12, 12, 12]})),
    "sparse far too large": ("item-knn", MANIFEST, manifest(sparse={LEARNED: [2**70, 12]})),
    "sparse larger than it is": ("item-knn", ARRAYS, manifest(sparse={LEARNED: [13, 12]})),
    "sparse narrower than it is": ("item-knn", ARRAYS, manifest(sparse={LEARNED: [12, 2]})),
    "values null": ("ease", MANIFEST, manifest(values=None)),
    "arrays of nothing": ("ease", ARRAYS, cut(ARRAYS, 0)),
    "arrays cut": ("ease", ARRAYS, cut(ARRAYS, 300)),
    "arrays missing": ("ease", ARRAYS, lambda folder: (folder / ARRAYS).unlink()),
    "arrays a folder": ("ease", ARRAYS, instead(ARRAYS, Path.mkdir)),
    "arrays a pipe": ("ease", ARRAYS, instead(ARRAYS, os.mkfifo)),
    "arrays a link to nowhere": ("ease", ARRAYS, instead(ARRAYS, lambda path: path.symlink_to("nowhere"))),
    "arrays of another fit": ("ease", ARRAYS, text(ARRAYS, b"\x08\0\0\0\0\0\0\0{}      ")),
    "header not JSON": ("ease", ARRAYS, text(ARRAYS, (8).to_bytes(8, "little") + b"not JSON")),
    "header of a list": ("ease", ARRAYS, text(ARRAYS, (2).to_bytes(8, "little") + b"[]")),
    "header with a shape of texts": ("ease", ARRAYS, lambda folder: header(folder, shape=["12", 12])),
    "header with a negative shape": ("ease", ARRAYS, lambda folder: header(folder, shape=[-12, -12])),
    "header with an overflowing shape": ("ease", ARRAYS, lambda folder: header(folder, shape=[2**32, 2**32, 144])),
    "header with an unknown type": ("ease", ARRAYS, lambda folder: header(folder, dtype="F4")),
    "header with offsets null": ("ease", ARRAYS, lambda folder: header(folder, data_offsets=None)),
    "header with offsets before the file": ("ease", ARRAYS, lambda folder: header(folder, data_offsets=[-576, 0])),
    "weights NaN": ("ease", ARRAYS, values(ARRAYS, "weights", put(5, np.nan))),
    "weights infinite": ("ease", ARRAYS, values(ARRAYS, "weights", put(5, np.inf))),
    "weights of another shape": ("ease", ARRAYS, values(ARRAYS, "weights", lambda array: array[:-1])),
    "weights turned": ("ease", ARRAYS, values(ARRAYS, "weights", lambda array: array[:, :-1])),
    "weights of one dimension": ("ease", ARRAYS, values(ARRAYS, "weights", lambda array: array[0])),
    "weights past any use": ("ease", ARRAYS, values(ARRAYS, "weights", lambda array: array * 0 + np.float32(3e38))),
    "weights missing": ("ease", ARRAYS, arrays(ARRAYS, lambda found: found.update(w=found.pop("weights")))),
    "an array too many": ("ease", ARRAYS, arrays(ARRAYS, lambda found: found.update(more=np.zeros(3)))),
    "sparse columns out of range": ("item-knn", ARRAYS, values(ARRAYS, f"{LEARNED}.indices", put(0, 999))),
    "sparse columns negative": ("item-knn", ARRAYS, values(ARRAYS, f"{LEARNED}.indices", put(0, -5))),
    "sparse columns not whole": ("item-knn", ARRAYS, values(ARRAYS, f"{LEARNED}.indices", lambda a: a.astype("f4"))),
    "sparse starts negative": ("item-knn", ARRAYS, values(ARRAYS, f"{LEARNED}.indptr", put(1, -7))),
    "sparse starts past the end": ("item-knn", ARRAYS, values(ARRAYS, f"{LEARNED}.indptr", put(-1, 10**6))),
    "sparse NaN": ("item-knn", ARRAYS, values(ARRAYS, f"{LEARNED}.data", put(0, np.nan))),
    "item vectors of fewer items": ("bpr", ARRAYS, values(ARRAYS, "items", lambda array: array[:-1])),
    "user vectors of fewer users": ("bpr", ARRAYS, values(ARRAYS, "users", lambda array: array[:, :-1])),
    "histories cut": ("ease", HISTORIES, cut(HISTORIES, 200)),
    "histories without times": ("ease", HISTORIES, arrays(HISTORIES, lambda found: found.pop("times"))),
    "histories with items out of range": ("ease", HISTORIES, values(HISTORIES, "items", put(3, 12))),
    "histories with items negative": ("ease", HISTORIES, values(HISTORIES, "items", put(3, -1))),
    "histories with items not whole": ("ease", HISTORIES, values(HISTORIES, "items", lambda a: a.astype("f4"))),
    "histories with users out of range": ("ease", HISTORIES, values(HISTORIES, "user_rows", put(-1, 99))),
    "histories with users out of order": ("ease", HISTORIES, values(HISTORIES, "user_rows", put(0, 3))),
    "histories with infinite weights": ("ease", HISTORIES, values(HISTORIES, "weights", put(0, np.inf))),
    "histories of different lengths": ("ease", HISTORIES, values(HISTORIES, "times", lambda array: array[1:])),
    "items not Parquet": ("ease", ITEMS, text(ITEMS, "id,title\n1,x\n")),
    "items cut": ("ease", ITEMS, cut(ITEMS, 500)),
    "items fewer": ("ease", HISTORIES, table(ITEMS, lambda found: found.head(3))),
    "items without titles": ("ease", ITEMS, table(ITEMS, lambda found: found.drop("title"))),
    "items with a title null": ("ease", ITEMS, column(ITEMS, "title", None)),
    "items with years as texts": ("ease", ITEMS, column(ITEMS, "year", *["1979"] * 12)),
    "items with an id twice": ("ease", ITEMS, table(ITEMS, lambda found: pl.concat([found[:1], found[:1], found[2:]]))),
    "items with ids of dates": ("ease", ITEMS, table(ITEMS, lambda f: f.with_columns(id=pl.date(2020, 1, 1)))),
    "items with negative counts": ("ease", ITEMS, column(ITEMS, "events", -3)),
    "users with an id null": ("ease", USERS, table(USERS, lambda f: pl.DataFrame({"id": [None, *f["id"][1:]]}))),
    "users fewer": ("ease", HISTORIES, table(USERS, lambda found: found.head(2))),
    "users without ids": ("ease", USERS, table(USERS, lambda found: found.rename({"id": "user"}))),
    "users of another artefact": ("ease", USERS, lambda f: pl.DataFrame({"id": range(1, 25)}).write_parquet(f / USERS)),
}  # fmt: skip


@pytest.fixture
def hostile(sound: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    name, _, damage = HOSTILE[request.param]
    shutil.copytree(sound / name, tmp_path / "hostile")
    damage(tmp_path / "hostile")
    return tmp_path / "hostile"


def test_there_are_twenty_and_more() -> None:
    assert len(HOSTILE) > 80


@pytest.mark.parametrize("hostile", HOSTILE, indirect=True)
def test_a_hostile_artefact_is_one_line_that_names_the_file(
    hostile: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    _, file, _ = HOSTILE[request.node.callspec.params["hostile"]]
    with pytest.raises(MatineeError, match=rf".*{file}") as error:
        load(hostile)
    assert "\n" not in str(error.value)
    assert len(str(error.value).replace(str(hostile), "")) < 400
    found, left_out = load_compatible([hostile])
    assert (found, left_out) == ([], ["hostile"])
    assert model_of(hostile) is None or isinstance(model_of(hostile), str)
    for command in (["recommend", "--user", "1"], ["similar", "--item", "1"], ["evaluate"]):
        assert run([command[0], str(hostile), *command[1:]]) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_sound_artefact_passes(sound: Path) -> None:
    assert [load(path).name for path in sorted(sound.iterdir())] == ["bpr", "ease", "item-knn"]


@pytest.mark.slow
def test_a_site_leaves_the_hostile_out_and_says_so(
    sound: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders = []
    for number, (name, _, damage) in enumerate(HOSTILE.values()):
        folders.append(tmp_path / str(number))
        shutil.copytree(sound / name, folders[-1])
        damage(folders[-1])
    served = [*folders, sound / "ease"]
    site = create_app(served, db_url=f"sqlite:///{tmp_path / 'db'}", default=model_of(folders[0]), strict=False)
    assert set(site.state.site.left_out) == {folder.name for folder in folders}
    assert len([line for line in caplog.messages if line.startswith("left out: ")]) == len(folders)
    with TestClient(site) as client:
        assert client.get("/").status_code == 200
        assert client.get("/models").status_code == 200


CURVES = [
    "",
    "{",
    "[" * 100_000,
    "[1, 2]",
    "null",
    "{}",
    '[{"epoch": 1, "loss": 1e999}, {"epoch": 1, "loss": "x"}]',
    '[{"epoch": 1, "loss": 2}, {"epoch": 1, "loss": 3}]',
    '[{"epoch": NaN, "loss": NaN}, {"epoch": 2, "loss": 1}]',
]


@pytest.mark.parametrize("content", CURVES)
def test_hostile_curves_are_not_drawn(sound: Path, tmp_path: Path, content: str) -> None:
    shutil.copytree(sound / "bpr", tmp_path / "bpr")
    (tmp_path / "bpr" / "curves.json").write_text(content)
    assert curves(load(tmp_path / "bpr")) == []


def test_finite_is_what_numpy_calls_finite() -> None:
    rng = np.random.default_rng(1)
    for dtype in ("f2", "f4", "f8"):
        array = rng.normal(size=(3, 1000)).astype(dtype)
        assert is_finite(array)
        for value in (np.nan, np.inf, -np.inf):
            array[1, 500] = value
            assert not is_finite(array)
    largest = np.full(100, np.finfo("f4").max, dtype="f4")
    assert is_finite(largest)  # their sum is not
    largest[:2] = np.inf, -np.inf
    assert not is_finite(largest)
    assert is_finite(np.zeros(0, dtype="f4"))
    assert is_finite(np.array([1, 2]))
