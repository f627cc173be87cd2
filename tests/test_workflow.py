"""What `import matinee as mt` offers, as a notebook uses it."""

import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

import matinee as mt
from matinee.config import SplitConfig
from matinee.data.synthetic import missing_item, two_groups
from matinee.dataset import Dataset
from matinee.experiment import Experiment
from matinee.store.artefact import Artefact
from matinee.workflow import prepare

COLUMNS = {"user": "who", "item": "what", "value": "stars", "at": "when"}


@pytest.fixture(scope="module")
def columns() -> dict[str, list]:
    return {
        "who": ["ann", "ann", "bob", "bob", "cy", "cy", "dee"],
        "what": ["a", "b", "a", "b", "a", "c", "c"],
        "stars": [5.0, 4.0, 5.0, 3.0, 2.0, 4.0, 1.0],
        "when": [1_600_000_000 + second for second in range(7)],
    }


@pytest.fixture(scope="module")
def groups() -> Dataset:
    return two_groups(24, 12)


@pytest.fixture(scope="module")
def ease(groups: Dataset) -> Artefact:
    return mt.fit("ease", groups, l2=1.0)


def test_every_public_name_is_there() -> None:
    for name in mt.__all__:
        assert getattr(mt, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        _ = mt.lode


@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame, dict, lambda c: {k: np.array(v) for k, v in c.items()}])
def test_frames_of_any_library_give_the_same_data(make: type, columns: dict[str, list]) -> None:
    data = mt.events(make(columns), **COLUMNS)
    assert data.users.ids.tolist() == ["ann", "bob", "cy", "dee"]
    assert data.events.item_rows.tolist() == [0, 1, 0, 1, 0, 2, 2]
    assert data.events.values.tolist() == columns["stars"]
    assert data.fingerprint == mt.events(pl.DataFrame(columns), **COLUMNS).fingerprint


def test_a_missing_column_is_named(columns: dict[str, list]) -> None:
    with pytest.raises(mt.DataError, match="starz"):
        mt.events(columns, **COLUMNS | {"value": "starz"})
    with pytest.raises(mt.MatineeError, match=r"unknown key 'usr'; did you mean 'user'\?"):
        mt.events(columns, usr="who")


def test_keep_filters(columns: dict[str, list]) -> None:
    data = mt.keep(mt.events(columns, **COLUMNS), min_user_events=2, min_value=3)
    assert data.users.ids.tolist() == ["ann", "bob"]
    assert data.notes
    with pytest.raises(mt.MatineeError, match="did you mean 'min_user_events'"):
        mt.keep(data, min_user_event=2)


def test_recommend_by_user_by_history_and_by_title_agree(ease: Artefact, groups: Dataset) -> None:
    for user_row in (0, 5):
        best = int(missing_item(np.array(user_row), 12))
        assert mt.recommend(ease, user=user_row, k=1).movies[0].item_id == best
        own = groups.events.item_rows[groups.user_starts[user_row] : groups.user_starts[user_row + 1]].tolist()
        by_history = mt.recommend(ease, history=own, k=3, explain=True)
        by_title = mt.recommend(ease, liked=[groups.catalogue.titles[row] for row in own], k=3, explain=True)
        assert by_history == by_title
        assert by_history.movies[0].item_id == best
        titles = {title for title, _ in by_history.movies[0].because}
        assert titles
        assert titles <= {groups.catalogue.titles[row] for row in own}


def test_an_empty_history_gets_popular_movies(ease: Artefact) -> None:
    listed = mt.recommend(ease, history=[], k=3)
    assert listed.model == "popularity"
    assert [movie.item_id for movie in listed] == [0, 1, 2]


def test_lists_render_as_text_and_html(ease: Artefact) -> None:
    listed = mt.recommend(ease, history=[0, 2], k=2, explain=True)
    assert len(listed) == 2
    assert "Movie" in str(listed)
    page = listed._repr_html_()
    assert page.count("<tr>") == 3
    assert "&lt;" not in page
    assert mt.similar(ease, item=0, k=2).of == "Movie 0 (2000)"
    assert mt.similar(ease, title="movie 0", k=2) == mt.similar(ease, item=0, k=2)


def test_evaluate_and_compare() -> None:
    split = mt.split(two_groups(60, 30), "random", seed=3)
    models = [mt.fit(name, split) for name in ("ease", "popularity")]
    report = mt.evaluate(models[0], split, k=(1, 5), samples=100)
    assert report.metrics["recall@5"].mean > mt.evaluate(models[1], split, k=(5,), samples=100).metrics["recall@5"].mean
    assert report.fit_seconds is not None
    assert mt.compare(models, split, "ndcg@5", k=(5,), samples=100).rows[0].verdict == "best"
    with pytest.raises(mt.MatineeError, match="fitted on 30 items of two-groups, the split has 6"):
        mt.evaluate(models[0], mt.split(two_groups(24, 6)))


def test_a_saved_artefact_loads_equal_and_replaces_only_artefacts(ease: Artefact, tmp_path: Path) -> None:
    saved = mt.save_artefact(ease, tmp_path / "ease")
    loaded = mt.load_artefact(tmp_path / "ease")
    assert mt.recommend(loaded, user=3, k=5) == mt.recommend(ease, user=3, k=5)
    assert loaded.manifest["config"]["l2"] == 1
    assert saved.path == tmp_path / "ease"
    mt.save_artefact(ease, tmp_path / "ease")  # replaces an artefact
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to-mum.txt").write_text("dear")
    with pytest.raises(mt.MatineeError, match=r"is not an artefact: it holds 'to-mum\.txt'; choose another"):
        mt.save_artefact(ease, tmp_path / "letters")
    assert (tmp_path / "letters" / "to-mum.txt").read_text() == "dear"
    assert not list(tmp_path.glob(".*part"))


@pytest.mark.parametrize("name", ["arrays.safetensors", "items.parquet", "manifest.json", "histories.safetensors"])
def test_a_damaged_artefact_is_named(name: str, ease: Artefact, tmp_path: Path) -> None:
    mt.save_artefact(ease, tmp_path / "ease")
    file = tmp_path / "ease" / name
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(mt.MatineeError, match="is damaged"):
        mt.load_artefact(tmp_path / "ease")
    file.unlink()
    with pytest.raises(mt.MatineeError, match=r"is damaged|no artefact"):
        mt.load_artefact(tmp_path / "ease")


def test_an_artefact_of_another_format_or_model_is_refused(ease: Artefact, tmp_path: Path) -> None:
    manifest = tmp_path / "ease" / "manifest.json"
    mt.save_artefact(ease, tmp_path / "ease")
    text = manifest.read_text()
    manifest.write_text(text.replace('"format": 2', '"format": 99'))
    with pytest.raises(mt.MatineeError, match="format 99"):
        mt.load_artefact(tmp_path / "ease")
    manifest.write_text(text.replace('"model": "ease"', '"model": "eaze"'))
    with pytest.raises(mt.MatineeError, match="did you mean 'ease'"):
        mt.load_artefact(tmp_path / "ease")


def test_an_empty_training_part_is_an_error(groups: Dataset) -> None:
    with pytest.raises(mt.MatineeError, match="nothing to train on"):
        mt.fit("ease", groups.keep(np.zeros(len(groups.events), dtype=bool)))


def test_of_two_movies_with_one_title_the_better_known_is_taken_with_a_word_on_the_other() -> None:
    users = [*range(12), 0, 12, 12]
    movies = [501] * 12 + [77, 502, 77]
    titles = {501: "War of the Worlds (2005)", 502: "War of the Worlds (2005)", 77: "Heat (1995)"}
    log = {"user": users, "item": movies, "title": [titles[movie] for movie in movies]}
    model = mt.fit("item-knn", mt.events(log))
    note = (
        "several movies are titled 'war of the worlds': taken is War of the Worlds (2005) [id 501, 12 events], not "
        "War of the Worlds (2005) [id 502, 1 event]"
    )
    assert mt.recommend(model, liked=["war of the worlds", "Heat"]).notes == (note,)
    similar = mt.similar(model, title="war of the worlds")
    assert similar.notes == (note,)
    assert similar.movies == mt.similar(model, item=501).movies
    assert mt.recommend(model, liked=["Heat"]).notes == ()


def test_an_option_that_the_split_does_not_use_is_refused_before_the_log_is_read() -> None:
    for settings, data in (({"gap": "2h"}, "no-such-log"), ({"split": "files", "path": "parts"}, "bundled")):
        experiment = Experiment(data=data, split=SplitConfig(**settings))
        with pytest.raises(mt.MatineeError, match="has no effect"):
            prepare(experiment)
    with pytest.raises(mt.MatineeError, match=r"this takes a data set, not a str; write mt.split\(mt.load\('parts'\)"):
        mt.split("parts")


def test_a_split_from_files_takes_the_columns_and_filters_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("who,what,stars\nann,a,5\nann,b,1\nbob,a,4\n")
    (tmp_path / "test.csv").write_text("who,what,stars\nann,c,5\nbob,b,2\n")
    split = mt.split(str(tmp_path), "files", user="who", item="what", min_value=2)
    assert split.sizes() == {"train": 2, "valid": 0, "test": 2}
    assert any(note.startswith("min_value 2 dropped") for note in split.data.notes)
    with pytest.raises(mt.MatineeError, match=r"ratios = .* has no effect on split files"):
        mt.split(tmp_path, "files", user="who", item="what", ratios=(0.8, 0.1, 0.1))


def test_every_public_function_that_takes_a_path_takes_a_text_too() -> None:
    functions = [getattr(mt, name) for name in mt.__all__ if inspect.isfunction(getattr(mt, name))]
    found = {
        f"{each.__name__}({name})": annotation
        for each in functions
        for name, parameter in inspect.signature(each).parameters.items()
        if "Path" in (annotation := str(parameter.annotation)) and "Callable" not in annotation
    }
    assert len(found) >= 8, found
    assert [name for name, annotation in found.items() if "str" not in annotation] == []


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("place", ["home", "folder", "blank"])
def test_artefacts_are_saved_and_loaded_by_text_and_by_path(
    kind: type, place: str, ease: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    given = kind({"home": "~/kept", "folder": f"{tmp_path}/kept/", "blank": "new folder/kept"}[place])
    mt.save_artefact(ease, given)
    loaded = mt.load_artefact(given)
    assert mt.recommend(loaded, user=3, k=5) == mt.recommend(ease, user=3, k=5)
    assert loaded.path == Path(given).expanduser()
    with pytest.raises(mt.MatineeError, match="no artefact at nowhere: it has no manifest"):
        mt.load_artefact(kind("nowhere"))


def test_a_checkpoint_is_given_by_text(tmp_path: Path) -> None:
    data = mt.events({"user": ["a", "a", "b", "b"], "item": ["x", "y", "y", "z"]})

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mt.fit("lightgcn", data, checkpoint=f"{tmp_path}/state", epochs=3, on_epoch=interrupt)
    assert (tmp_path / "state").is_file()
    resumed = mt.fit("lightgcn", data, checkpoint=f"{tmp_path}/state", resume=True, epochs=3)
    assert len(resumed.model.curves) == 3
