"""Models from outside the package: registered classes, and entry points of installed packages."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import matinee as mt
from matinee import models
from matinee.config import Config
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.models import create, model_class, model_names
from matinee.models.base import Recommender
from matinee.models.neighbours.popularity import Popularity
from matinee.ranking.rank import rank
from matinee.store import artefact

NEWEST = """
from matinee.models.neighbours.popularity import Popularity

class Newest(Popularity):
    \"\"\"The newest movies first.\"\"\"

    name = "newest"
"""


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_registered", {})


def subclass(model_name: object = "newest", **attributes: object) -> type[Recommender]:
    return type("Newest", (Popularity,), {"name": model_name, "__module__": "outside"} | attributes)


Installer = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installer]:
    """Puts a module and the metadata of a package with entry points on the path, as pip would."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = set(sys.modules)

    def write(package: str, entry_points: dict[str, str], code: str = NEWEST) -> None:
        (tmp_path / f"{package}.py").write_text(code, "utf-8")
        folder = tmp_path / f"{package}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", "utf-8")
        lines = [f"{name} = {value}" for name, value in entry_points.items()]
        (folder / "entry_points.txt").write_text("\n".join(["[matinee.models]", *lines]), "utf-8")

    yield write
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_a_registered_model_is_fitted_and_listed_by_name(known_movies: Dataset) -> None:
    newest = mt.register(subclass())
    assert model_class("newest") is newest
    assert model_names()[-1] == "newest"
    assert mt.fit("newest", known_movies).name == "newest"
    with pytest.raises(MatineeError, match="no model 'newst'; did you mean 'newest'"):
        create("newst")


def test_register_is_a_decorator() -> None:
    @mt.register
    class Oldest(Popularity):
        name = "oldest"

    assert create("oldest").config == Oldest().config


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Config, "is not a model: derive the class from matinee.models.base.Recommender"),
        (Popularity(), "is not a model"),
        (type("Half", (Recommender,), {"name": "half"}), "model Half does not implement fit, fold_in, score"),
        (subclass(None), "name = None is not lower-case words such as 'my-model'"),
        (subclass("My Model"), "name = 'My Model' is not lower-case words"),
        (subclass(Config=dict), "Config = <class 'dict'> is not a subclass of matinee.config.Config"),
        (subclass(learned="counts"), "learned = 'counts' is not a tuple of attribute names"),
    ],
)
def test_a_class_that_is_no_complete_model_is_refused(model: type[Recommender], message: str) -> None:
    with pytest.raises(MatineeError, match=message):
        mt.register(model)
    assert models._registered == {}


def test_a_name_is_taken_once_unless_it_is_replaced() -> None:
    first, other = subclass(), subclass(__module__="elsewhere")
    mt.register(first)
    with pytest.raises(MatineeError, match="the name 'newest' is taken by outside:Newest; choose another name, or"):
        mt.register(other)
    mt.register(first)
    again = subclass()
    mt.register(again)  # the same class, defined again
    assert model_class("newest") is again
    mt.register(other, replace=True)
    assert model_class("newest") is other
    with pytest.raises(MatineeError, match=r"taken by matinee\.models\.neighbours\.popularity:Popularity"):
        mt.register(subclass("popularity"))
    mt.register(Popularity)


def test_an_installed_package_offers_a_model(install: Installer) -> None:
    install("newest_movies", {"newest": "newest_movies:Newest"})
    assert "newest" in model_names()
    assert "newest_movies" not in sys.modules
    assert model_class("newest").__module__ == "newest_movies"
    with pytest.raises(MatineeError, match="taken by newest_movies:Newest"):
        mt.register(subclass())


@pytest.mark.parametrize(
    ("entry_point", "code", "problem"),
    [
        ("broken:Newest", "import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("broken:Newest", "Newest = 1 / 0", "ZeroDivisionError: division by zero"),
        ("broken:Newst", NEWEST, "AttributeError"),
        ("broken:Newest", "Newest = int", "is not a model"),
        ("broken:Newest", NEWEST.replace('"newest"', '"latest"'), "its class is named 'latest'"),
    ],
)
def test_a_broken_package_is_one_plain_line_and_breaks_nothing_else(
    install: Installer, entry_point: str, code: str, problem: str
) -> None:
    install("broken", {"newest": entry_point}, code)
    install("whole", {"other-newest": "whole:Newest"}, NEWEST.replace('"newest"', '"other-newest"'))
    with pytest.raises(MatineeError) as error:
        create("newest")
    assert str(error.value).startswith("model 'newest' of package broken 1.0 cannot be used: ")
    assert problem in str(error.value)
    assert "\n" not in str(error.value)
    assert create("other-newest").name == "other-newest"
    assert create("popularity").name == "popularity"
    with pytest.raises(MatineeError, match="no model 'papularity'; did you mean 'popularity'"):
        create("papularity")


def test_two_packages_with_one_name_are_refused(install: Installer) -> None:
    install("one", {"newest": "one:Newest"})
    install("two", {"newest": "two:Newest"})
    with pytest.raises(MatineeError, match=r"model 'newest' is offered by (one|two) 1.0 and (one|two) 1.0; uninstall"):
        create("newest")


def test_an_artefact_names_what_must_be_installed_or_registered(
    install: Installer, known_movies: Dataset, tmp_path: Path
) -> None:
    install("newest_movies", {"newest": "newest_movies:Newest"})
    saved = artefact.save(mt.fit("newest", known_movies), tmp_path / "newest")
    assert saved.manifest["model_source"] == {"class": "newest_movies:Newest", "package": "newest_movies 1.0"}
    histories = Histories.of([[0, 1]])
    loaded = artefact.load(tmp_path / "newest")
    np.testing.assert_array_equal(rank(loaded.model, histories, 5).items, rank(saved.model, histories, 5).items)
    (tmp_path / "newest_movies-1.0.dist-info" / "entry_points.txt").unlink()
    with pytest.raises(MatineeError, match=r"\(newest_movies:Newest\) of package newest_movies 1.0, which is not inst"):
        artefact.load(tmp_path / "newest")
    mt.register(subclass())
    saved = artefact.save(mt.fit("newest", known_movies), tmp_path / "registered")
    models._registered.clear()
    with pytest.raises(MatineeError, match=r"\(outside:Newest\), which is not registered; import it and call"):
        artefact.load(tmp_path / "registered")


def test_a_model_of_the_package_has_no_source_in_its_artefact(known_movies: Dataset) -> None:
    assert "model_source" not in mt.fit("popularity", known_movies).manifest


@pytest.mark.slow
def test_a_broken_package_does_not_break_the_import_of_matinee(install: Installer, tmp_path: Path) -> None:
    install("broken", {"newest": "broken:Newest"}, "raise SystemError")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import matinee as mt; mt.load; mt.register"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_command_lists_models_with_their_packages_and_problems(
    install: Installer, capsys: pytest.CaptureFixture[str]
) -> None:
    from json import loads

    from matinee.cli.models import models as command

    install("newest_movies", {"newest": "newest_movies:Newest"})
    install("broken", {"worst": "broken:Worst"}, "import nothing_of_this_name")
    install("bold", {"ease": "bold:Newest"})
    command(json=True)
    found = loads(capsys.readouterr().out)
    assert {"model": "newest", "package": "newest_movies 1.0", "about": "The newest movies first."} in found["models"]
    assert {row["model"] for row in found["models"]} >= {"ease", "sasrec"}
    ignored, broken = found["problems"]
    assert ignored == "model 'ease' of package bold 1.0 is ignored: Matinee has a model of that name"
    assert broken.startswith("model 'worst' of package broken 1.0 cannot be used")
    command(json=False)
    captured = capsys.readouterr()
    assert "newest_movies 1.0" in captured.out
    assert "'worst' of package broken 1.0 cannot be used" in " ".join(captured.err.split())
