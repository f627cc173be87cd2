"""A registry of versions: added whole or not at all, promoted only if sound, and never without the two that matter."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import matinee as mt
from matinee.errors import MatineeError
from matinee.store.artefact import Artefact
from matinee.store.versions import Pointer, Registry


@pytest.fixture(scope="module")
def artefacts() -> list[Artefact]:
    rng = np.random.default_rng(0)
    log = {
        "user": rng.integers(30, size=400),
        "item": rng.integers(20, size=400),
        "value": rng.integers(1, 6, size=400),
    }
    data = mt.events(log)
    return [mt.fit("ease", data, l2=5.0), mt.fit("popularity", data)]


@pytest.fixture
def registry(artefacts: list[Artefact], tmp_path: Path) -> Registry:
    """Two versions, of which the first serves."""
    registry = Registry.create(tmp_path / "registry")
    registry.add(artefacts)
    registry.promote(1)
    registry.add(artefacts[:1], "the second")
    return registry


def test_a_version_is_loaded_as_it_was_added(registry: Registry, artefacts: list[Artefact]) -> None:
    found = registry.load(1)
    assert [artefact.version for artefact in found] == [artefact.version for artefact in artefacts]
    np.testing.assert_array_equal(found[0].model.weights, artefacts[0].model.weights)
    assert registry.version(2).note == "the second"


def test_promoting_and_rolling_back_move_one_pointer(registry: Registry) -> None:
    assert registry.pointer() == Pointer(1)
    with pytest.raises(MatineeError, match="none to go back to"):
        registry.rollback()
    assert registry.promote(2) == Pointer(2, 1)
    assert registry.rollback() == Pointer(1, 2)
    assert registry.rollback() == Pointer(2, 1) == registry.pointer()
    assert registry.promote(2) == Pointer(2, 1)  # once more changes nothing


def test_what_is_no_registry_is_refused_in_one_line(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "photo.jpg").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for path, why in (
        (tmp_path / "missing", "there is no registry"),
        (tmp_path / "empty", "is empty"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "other", "'photo.jpg'"),
        (registry.folder(1) / "ease", "is an artefact"),
    ):
        with pytest.raises(MatineeError, match=why):
            Registry(path)
    for path in (tmp_path / "file", tmp_path / "other", registry.folder(1) / "ease"):
        with pytest.raises(MatineeError):
            Registry.create(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"current": "2"}', '{"current": 0}', '{"current": true}', "\xff"])
def test_a_damaged_pointer_is_named_and_mended_by_a_promotion(registry: Registry, text: str) -> None:
    pointer = registry.path / "serving.json"
    pointer.write_text(text, "latin-1")
    with pytest.raises(MatineeError, match=r"is damaged .* matinee models promote"):
        registry.pointer()
    assert registry.prune(1) == []  # nobody knows what serves
    assert registry.promote(2) == Pointer(2)
    pointer.unlink()
    with pytest.raises(MatineeError, match="is missing"):
        registry.pointer()
    assert registry.promote(1) == Pointer(1)


def half_copied(folder: Path) -> None:
    file = folder / "ease" / "arrays.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def without_a_file(folder: Path) -> None:
    (folder / "ease" / "users.parquet").unlink()


def without_an_artefact(folder: Path) -> None:
    shutil.rmtree(folder / "ease")


def not_finished(folder: Path) -> None:
    (folder / "version.json").unlink()


def not_json(folder: Path) -> None:
    (folder / "version.json").write_text("{")


def other_lists(folder: Path) -> None:
    about = json.loads((folder / "version.json").read_text())
    about["self_tests"]["ease"][0]["items"].reverse()
    (folder / "version.json").write_text(json.dumps(about))


def other_artefact(folder: Path) -> None:
    path = folder / "ease" / "manifest.json"
    path.write_text(path.read_text().replace('"seed": 42', '"seed": 43'))


@pytest.mark.parametrize(
    "damage",
    [half_copied, without_a_file, without_an_artefact, not_finished, not_json, other_lists, other_artefact],
)
def test_a_broken_version_is_not_promoted(registry: Registry, damage) -> None:
    damage(registry.folder(2))
    with pytest.raises(MatineeError) as refused:
        registry.promote(2)
    assert "\n" not in str(refused.value)
    assert registry.pointer() == Pointer(1)


def test_a_missing_version_names_those_that_are_there(registry: Registry) -> None:
    with pytest.raises(MatineeError, match="no version 9; there are: 1, 2"):
        registry.promote(9)


def test_a_version_of_another_catalogue_is_not_promoted(registry: Registry) -> None:
    rng = np.random.default_rng(1)
    columns = {"user": rng.integers(30, size=400), "value": rng.integers(1, 6, size=400)}
    for items, why in (
        (1000 + rng.integers(20, size=400), "has 0 of the"),
        (np.char.add("a", rng.integers(20, size=400).astype(str)), "numbers for ids"),
    ):
        other = registry.add([mt.fit("popularity", mt.events(columns | {"item": items.tolist()}))])
        with pytest.raises(MatineeError, match=rf"of another catalogue than version 1, which serves: .*{why}"):
            registry.promote(other.number)
    data = mt.events(columns | {"item": rng.integers(20, size=400)})
    books = tuple(f"book {n}" for n in range(20))
    other = registry.add([mt.fit("popularity", replace(data, catalogue=replace(data.catalogue, titles=books)))])
    with pytest.raises(MatineeError, match="20 of 20 items that have the same id have another title"):
        registry.promote(other.number)


def test_two_promotions_at_once_leave_one_of_them(registry: Registry, artefacts: list[Artefact]) -> None:
    registry.add(artefacts)
    with ThreadPoolExecutor(4) as pool:
        pointers = list(pool.map(registry.promote, [2, 3, 2, 3]))
    assert registry.pointer() in pointers
    assert {registry.pointer().current, registry.pointer().previous} == {2, 3}
    with pytest.raises(MatineeError, match="serves now, not 1"):
        registry.promote(2, over=1)


def test_old_versions_go_but_not_those_that_matter(registry: Registry, artefacts: list[Artefact]) -> None:
    for _ in range(3):
        registry.add(artefacts[1:])
    registry.promote(2)
    assert registry.prune(1) == [3, 4]
    assert registry.numbers() == [1, 2, 5]
    assert registry.add(artefacts[1:]).number == 6  # a number is not used again


def test_what_a_killed_process_left_is_swept_and_strangers_stay(registry: Registry, artefacts: list[Artefact]) -> None:
    for number, name in ((3, "arrays.safetensors"), (4, "notes.txt")):
        folder = registry.folder(number) / "ease"
        folder.mkdir(parents=True)
        (folder / name).write_text("half")
    assert registry.numbers() == [1, 2]
    assert registry.add(artefacts[1:]).number == 5
    assert not registry.folder(3).exists()
    assert (registry.folder(4) / "ease" / "notes.txt").exists()


def test_a_version_that_cannot_be_written_leaves_nothing(
    registry: Registry, artefacts: list[Artefact], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matinee.store.artefact.write_arrays", full)
    with pytest.raises(MatineeError, match="No space left on device"):
        registry.add(artefacts)
    assert sorted(os.listdir(registry.path)) == [".lock", "00001", "00002", "serving.json"]


def test_artefacts_of_different_data_make_no_version(registry: Registry, artefacts: list[Artefact]) -> None:
    with pytest.raises(MatineeError, match="two artefacts hold the model"):
        registry.add([artefacts[0], artefacts[0]])
    other = mt.fit("popularity", mt.events({"user": [1, 1, 2], "item": [1, 2, 2], "value": [1, 2, 3]}))
    with pytest.raises(MatineeError, match="other data"):
        registry.add([artefacts[0], other])
    assert registry.numbers() == [1, 2]


def test_a_self_test_forgives_rounding_alone(registry: Registry) -> None:
    path = registry.folder(2) / "version.json"
    about = json.loads(path.read_text())
    first = about["self_tests"]["ease"][0]
    for factor, passes in ((1 + 1e-6, True), (1.01, False)):
        changed = first | {"scores": [score * factor for score in first["scores"]]}
        path.write_text(json.dumps(about | {"self_tests": {"ease": [changed]}}))
        if passes:
            registry.load(2)
        else:
            with pytest.raises(MatineeError, match="fails its self-test"):
                registry.load(2)
