"""The cache of fits never hides a change: of the model, of what it imports, of its data, its settings or its seed."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fit_cache
from fit_cache import KEPT, FitCache, dependencies, dependencies_of_model, fit_key, imported_by, source_of
from matinee.data.synthetic import two_groups, two_tastes
from matinee.dataset import Dataset
from matinee.histories import Histories, TrainingData
from matinee.models import MODELS, create, model_class
from matinee.training.run import Run


def toy(name: str) -> tuple[Dataset, TrainingData]:
    data = (two_tastes if model_class(name).predicts_values else two_groups)(24, 12)
    return data, TrainingData(Histories.from_events(data.events, np.arange(24, dtype=np.int32)), 12)


def modules_that_run(name: str, train: TrainingData) -> set[str]:
    """The modules of this package in which a function runs while the model is made, fitted and asked for scores."""
    import torch  # noqa: F401 - imported before the calls are noted, for it makes very many

    for each in MODELS:
        model_class(each)  # a package that is imported now is one whose first lines would be noted
    folder = source_of("matinee").parent
    files: set[str] = set()

    def note(frame: Any, event: str, argument: object) -> None:
        if event == "call":
            files.add(frame.f_code.co_filename)

    sys.setprofile(note)
    settings = {"epochs": 2} if "epochs" in model_class(name).Config.model_fields else {}
    try:
        model = create(name, **settings).fit(train, Run.seeded(1))
        model.score(model.fold_in(Histories.of([[0, 2], [1]])))
    finally:
        sys.setprofile(None)
    paths = [Path(file).relative_to(folder) for file in files if Path(file).is_relative_to(folder)]
    return {".".join(("matinee", *path.with_suffix("").parts)).removesuffix(".__init__") for path in paths}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_module_that_a_fit_runs_is_part_of_its_key(name: str) -> None:
    run = modules_that_run(name, toy(name)[1])
    assert len(run) >= 3
    # the registry makes any model, and the run is passed in: neither computes
    assert run - {"matinee.models", "matinee.training.run"} <= dependencies_of_model(name, {})


@pytest.mark.parametrize("name", ["ease", "lightgcn", "sasrec"])
def test_a_change_of_any_module_it_imports_is_another_key(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    train = toy(name)[1]
    before = fit_key(name, train, 1, {})
    own = model_class(name).__module__
    modules = sorted(dependencies(own))
    assert {own, "matinee.models.base", "matinee.histories", "matinee.config"} <= set(modules)
    sources = {module: source_of(module) for module in modules}
    for module in modules:
        changed = tmp_path / "changed.py"
        changed.write_bytes(sources[module].read_bytes() + b"\n")
        monkeypatch.setattr(fit_cache, "source_of", {**sources, module: changed}.__getitem__)
        assert fit_key(name, train, 1, {}) != before, module
    monkeypatch.undo()
    assert fit_key(name, train, 1, {}) == before


def test_a_change_of_data_settings_or_seed_is_another_key() -> None:
    train = toy("ease")[1]
    keys = {fit_key("ease", train, 1, {}), fit_key("ease", train, 2, {}), fit_key("ease", train, 1, {"l2": 2.0})}
    keys |= {fit_key("ease", TrainingData(train.histories, 13), 1, {}), fit_key("item-knn", train, 1, {})}
    histories = train.histories
    for column in ("starts", "items", "values", "times", "user_rows"):
        columns = {key: getattr(histories, key).copy() for key in ("starts", "items", "values", "times", "user_rows")}
        columns[column][-1] += 1
        keys.add(fit_key("ease", TrainingData(Histories(**columns), 12), 1, {}))
    assert len(keys) == 10


def test_imports_inside_functions_and_of_packages_are_followed() -> None:
    assert "matinee.arrays" in imported_by("matinee.ranking.rank")
    assert any(name.startswith("matinee.nn.") for name in dependencies("matinee.models.graph.lightgcn"))
    assert all(source_of(name).is_file() for name in dependencies("matinee.models.ncf.neumf"))
    assert "matinee.serve.app" not in dependencies("matinee.models.graph.lightgcn")


def test_what_comes_from_the_cache_is_the_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, train = toy("ease")
    fresh = create("ease", l2=3.0).fit(train, Run.seeded(1))
    histories = Histories.of([[0, 2], [1], []])
    scores = fresh.score(fresh.fold_in(histories))
    first = FitCache(tmp_path).fit("ease", data, train, l2=3.0)
    monkeypatch.setattr(type(fresh), "fit", lambda *_: pytest.fail("fitted again"))
    second = FitCache(tmp_path).fit("ease", data, train, l2=3.0)
    for model in (first, second):
        assert model.config == fresh.config
        np.testing.assert_array_equal(model.score(model.fold_in(histories)), scores)


def test_a_fit_that_was_broken_off_is_made_again(tmp_path: Path) -> None:
    data, train = toy("popularity")
    cache = FitCache(tmp_path)
    cache.fit("popularity", data, train)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    (folder / "manifest.json").unlink()
    for path in folder.iterdir():
        path.unlink()
    assert cache.fit("popularity", data, train).name == "popularity"
    assert (folder / "manifest.json").is_file()


def test_the_fits_of_a_model_used_last_are_kept(tmp_path: Path) -> None:
    data, train = toy("item-knn")
    cache = FitCache(tmp_path)
    cache.fit("popularity", *toy("popularity"))
    for neighbours in (2, 3, 4, 5, 2):
        cache.fit("item-knn", data, train, neighbours=neighbours)
        for path in tmp_path.glob("item-knn-*"):
            if not path.suffix:
                os.utime(path, (0, path.stat().st_mtime - 100))  # the next one is later, whatever the clock's grain
    kept = {path.name for path in tmp_path.glob("item-knn-*") if path.is_dir()}
    assert len(kept) == KEPT == 3
    expected = {f"item-knn-{fit_key('item-knn', train, 1, {'neighbours': n})}" for n in (2, 4, 5)}
    assert kept == expected
    assert len([path for path in tmp_path.glob("popularity-*") if path.is_dir()]) == 1
