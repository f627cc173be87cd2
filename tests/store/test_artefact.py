"""Saving and loading an artefact of a toy: everything comes back, and whatever is wrong is one line."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from matinee import renamed
from matinee.catalogue import Catalogue
from matinee.dataset import Dataset, Events
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.store.artefact import Artefact, load, save
from matinee.tensors import read_arrays
from matinee.training.run import Run
from matinee.version import __version__
from matinee.vocab import Vocab

ARRAYS = "arrays.safetensors"


def toy(*, tags: bool = False, names: bool = False) -> Artefact:
    """ItemKNN, whose similarities are sparse, on four events of two users; item 2 has none."""
    users, items = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 3])
    events = Events.ordered(users, items, np.array([5, 4, 3, 2], dtype=np.float32), np.array([10, 20, 30, 40]))
    catalogue = Catalogue.of(
        ["Alien (1979)", "Brazil (1985)", "Untitled", "Ran (1985)"],
        [["Horror", "Sci-Fi"], [], ["Drama"], ["Drama", "War"]],
        [("space", "cat"), (), ("x",), ()] if tags else (),
    )
    user_ids = ["a", "b"] if names else [7, 9]
    data = Dataset("toy", Vocab.of(user_ids), Vocab.of([100, 200, 300, 400]), events, catalogue)
    train = TrainingData(Histories.from_events(events, np.arange(2)), 4)
    model = create("item-knn", neighbours=2).fit(train, Run.seeded(1))
    return Artefact.of(model, data, train, {"seed": 1, "fit_seconds": 0.5})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save(toy(), tmp_path / "toy")
    return tmp_path / "toy"


def edit(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


@pytest.mark.parametrize("names", [False, True])
@pytest.mark.parametrize("tags", [False, True])
def test_everything_comes_back(tmp_path: Path, tags: bool, names: bool) -> None:
    before = toy(tags=tags, names=names)
    assert save(before, tmp_path / "toy").path == tmp_path / "toy"
    after = load(tmp_path / "toy")
    assert (after.name, after.path) == ("item-knn", tmp_path / "toy")
    assert after.model.config == before.model.config
    (learned,) = before.model.learned
    one, other = (getattr(artefact.model, learned) for artefact in (before, after))
    assert one.nnz > 0
    np.testing.assert_array_equal(one.toarray(), other.toarray())
    assert after.users.ids.tolist() == before.users.ids.tolist()
    assert after.items.ids.tolist() == before.items.ids.tolist()
    for part in ("titles", "years", "genres", "tags"):
        assert getattr(after.catalogue, part) == getattr(before.catalogue, part)
    assert after.popularity.tolist() == before.popularity.tolist() == [1, 2, 0, 1]
    one, other = (artefact.known.histories(before.users.ids.tolist()) for artefact in (before, after))
    for column in ("starts", "items", "weights", "times", "user_rows"):
        np.testing.assert_array_equal(getattr(one, column), getattr(other, column))
    assert one.values.tolist() == [5, 4, 3, 2]
    assert one.times.tolist() == [10, 20, 30, 40]


def test_the_manifest_says_what_was_fitted_on_what(saved: Path) -> None:
    manifest = json.loads((saved / "manifest.json").read_text("utf-8"))
    assert manifest["format"] == 2
    assert manifest["matinee"] == __version__
    assert manifest["model"] == "item-knn"
    assert manifest["config"]["neighbours"] == 2
    assert (manifest["data"]["name"], manifest["data"]["events"]) == ("toy", 4)
    assert (manifest["seed"], manifest["fit_seconds"]) == (1, 0.5)
    assert list(manifest["sparse"].values()) == [[4, 4]]
    assert "model_source" not in manifest  # only a model from outside the package has one
    assert load(saved).manifest == manifest


def test_a_version_is_that_of_one_fit() -> None:
    one = toy()
    assert len(one.version) == 12
    assert int(one.version, 16) >= 0
    assert one.version == toy().version
    for key, value in (
        ("seed", 2),
        ("fit_seconds", 0.6),
        ("split", "x"),
        ("config", {}),
        ("data", {}),
        ("matinee", ""),
    ):
        assert one.with_manifest({key: value}).version != one.version, key
    assert one.with_manifest({"metrics": {"ndcg@10": 0.3}}).version == one.version


def test_an_artefact_is_replaced_and_nothing_is_left_beside_it(saved: Path) -> None:
    (saved / "curves.json").write_text("[]")
    save(toy(names=True), saved)
    assert load(saved).users.ids.tolist() == ["a", "b"]
    assert not (saved / "curves.json").exists()
    assert os.listdir(saved.parent) == ["toy"]


def test_an_empty_folder_is_used_and_folders_above_are_made(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert load(save(toy(), tmp_path / "empty").path or tmp_path).name == "item-knn"
    assert load(save(toy(), tmp_path / "a" / "b" / "c").path or tmp_path).name == "item-knn"


def test_what_is_no_artefact_is_not_overwritten(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("mine")
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(MatineeError, match=r"is a file, not a folder; choose another --out"):
        save(toy(), file)
    with pytest.raises(MatineeError, match=r"is not an artefact: it holds 'mine.txt'; choose another --out"):
        save(toy(), folder)
    assert file.read_text() == (folder / "mine.txt").read_text() == "mine"


def test_a_path_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MatineeError, match=r"/file is a file, not a folder; choose another --out"):
        save(toy(), tmp_path / "file" / "below")
    assert os.listdir(tmp_path) == ["file"]


def test_a_model_that_has_not_been_fitted_makes_no_artefact() -> None:
    fitted = toy()
    with pytest.raises(MatineeError, match="model ease is not fitted"):
        Artefact.of(create("ease"), None, None)  # type: ignore[arg-type]
    assert replace(fitted, path=None).path is None


@pytest.mark.parametrize("name", ["arrays.safetensors", "histories.safetensors", "items.parquet", "users.parquet"])
def test_a_damaged_file_is_one_line_that_names_the_folder(saved: Path, name: str) -> None:
    whole = (saved / name).read_bytes()
    for part in (whole[: len(whole) - 4], whole[:9], b"", b"\xff" * 100):
        (saved / name).write_bytes(part)
        with pytest.raises(MatineeError, match=rf"artefact .*toy is damaged: {name}: .*; train again") as error:
            load(saved)
        assert "\n" not in str(error.value)
    (saved / name).unlink()
    with pytest.raises(MatineeError, match="is damaged"):
        load(saved)


def test_a_manifest_that_lacks_something_is_damaged(saved: Path) -> None:
    for changes in ({"sparse": {}}, {"model": "no-such-model"}):
        before = (saved / "manifest.json").read_text("utf-8")
        edit(saved, **changes)
        with pytest.raises(MatineeError):
            load(saved)
        (saved / "manifest.json").write_text(before, "utf-8")
    (saved / "manifest.json").write_text("{", "utf-8")
    with pytest.raises(MatineeError, match="is damaged"):
        load(saved)


@pytest.mark.parametrize("number", [0, 3])
def test_another_format_is_refused(saved: Path, number: int) -> None:
    edit(saved, format=number)
    with pytest.raises(MatineeError, match=f"has format {number}, .*reads 1 and 2; train again"):
        load(saved)


def test_a_missing_artefact_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match=r"no artefact at .*nowhere: .*`matinee train MODEL --out .*nowhere`"):
        load(tmp_path / "nowhere")


def test_arrays_are_read_only_maps_of_every_kind_of_number(tmp_path: Path) -> None:
    path = tmp_path / "arrays.safetensors"
    kinds = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "?")
    arrays = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in kinds} | {"empty": np.zeros((0, 3), "f4")}
    save_file(arrays, path, metadata={"about": "nothing"})
    found = read_arrays(path)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert isinstance(found["f4"].base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found["f4"][0, 0] = 1


def header(path: Path, **entry: object) -> None:
    """A safetensors file with one array of four float32, described by `entry`."""
    about = json.dumps({"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **entry}}).encode()
    path.write_bytes(len(about).to_bytes(8, "little") + about + bytes(16))


def test_a_header_that_does_not_fit_its_bytes_means_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    header(path)
    assert read_arrays(path)["x"].tolist() == [0, 0, 0, 0]
    for wrong in ({"shape": [3]}, {"shape": [5]}, {"data_offsets": [0, 12]}, {"shape": [5], "data_offsets": [0, 20]}):
        header(path, **wrong)
        with pytest.raises(ValueError, match=r"it is truncated"):
            read_arrays(path)
    for length in (0, 1, 10**6):
        path.write_bytes(length.to_bytes(8, "little") + b"{}")
        with pytest.raises(ValueError, match="truncated"):
            read_arrays(path)
    path.write_bytes((2).to_bytes(8, "little") + b"{}")
    assert read_arrays(path) == {}


def test_names_of_format_1_are_read_as_those_of_today(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting, a value of a setting and a sparse array that had other names."""
    before = load(saved)
    (learned,) = before.model.learned
    config = before.manifest["config"]
    name, value = next((name, value) for name, value in config.items() if isinstance(value, str))
    monkeypatch.setitem(renamed.SETTINGS, "old_neighbours", "neighbours")
    monkeypatch.setitem(renamed.VALUES, (name, "old-value"), value)
    monkeypatch.setitem(renamed.ARRAYS, "item-knn", {"old_array": learned})
    old = {key: each for key, each in config.items() if key != "neighbours"} | {"old_neighbours": 2, name: "old-value"}
    edit(saved, format=1, config=old, files={}, sparse={"old_array": [4, 4]})
    arrays = {key.replace(learned, "old_array"): np.array(each) for key, each in read_arrays(saved / ARRAYS).items()}
    (saved / ARRAYS).unlink()
    save_file(arrays, saved / ARRAYS)
    after = load(saved)
    assert after.manifest == before.manifest | {"files": {}}
    assert after.model.config == before.model.config
    np.testing.assert_array_equal(*(getattr(each.model, learned).toarray() for each in (before, after)))
