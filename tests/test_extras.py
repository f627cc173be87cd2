"""Without torch, optuna and matplotlib: what works works, and the rest is one line that names the extra."""

import sys

import pytest

import matinee as mt
from matinee.cli.running import run
from matinee.data.synthetic import two_groups
from matinee.extras import EXTRAS, is_installed
from matinee.models import MODELS, model_class

WITHOUT_TORCH = (
    "popularity",
    "item-knn",
    "user-knn",
    "ease",
    "sparse-ease",
    "rp3beta",
    "svd-ae",
    "linear-next",
    "ials",
    "vbmf",
    "pmi",
    "markov",
)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in filter(is_installed, EXTRAS):  # scipy takes the mark of one that never was for the package itself
        for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
            monkeypatch.setitem(sys.modules, name, None)


def test_these_models_need_no_torch():
    assert not any(model_class(name).trained_by_torch for name in WITHOUT_TORCH)


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_they_are_fitted_measured_and_listed_without_it(name, tmp_path):
    split = mt.split(mt.keep(mt.load("bundled"), min_item_events=60))
    fitted = mt.fit(name, split)
    assert mt.evaluate(fitted, split, k=5, samples=100).users
    mt.save_artefact(fitted, tmp_path / name)
    assert len(mt.recommend(tmp_path / name, liked=["Alien (1979)"], k=3, explain=True)) == 3


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("name", [name for name in MODELS if model_class(name).trained_by_torch])
def test_the_others_name_the_extra_and_the_index_of_small_builds(name):
    message = (
        rf"{name} is trained by torch, which is not installed: pip install 'matinee\[train\]'; .* --extra-index-url"
    )
    with pytest.raises(mt.MatineeError, match=message):
        mt.fit(name, two_groups(60, 30))


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "train lightgcn --out A",
            "lightgcn is trained by torch, which is not installed: pip install 'matinee[train]'",
        ),
        ("evaluate sasrec", "sasrec is trained by torch"),
        ("tune ials --trials 2 --out T", "a search proposes settings by optuna, which is not installed: pip install"),
        ("compare ease popularity --figure F.png", "--figure is drawn by matplotlib, which is not installed"),
        (
            "data audit --figure F.svg",
            "--figure is drawn by matplotlib, which is not installed: pip install 'matinee[fig",
        ),
        ("compare ease popularity --report R.html", "this needs matplotlib, which is not installed"),
        ("demo --models lightgcn --no-browser", "lightgcn is trained by torch"),
    ],
)
def test_a_command_says_it_in_one_line_before_any_work(line, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(line.split()) != 0
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("bare")
def test_a_device_is_the_cpu_or_asks_for_torch():
    assert mt.fit("popularity", two_groups(60, 30), device="auto").name == "popularity"
    with pytest.raises(mt.MatineeError, match="device cuda is found by torch, which is not installed: pip install"):
        mt.fit("popularity", two_groups(60, 30), device="cuda")


@pytest.mark.usefixtures("bare")
def test_the_demo_leaves_out_what_it_cannot_train(capsys):
    from matinee.cli.site import DEMO_MODELS, _demo_names

    assert _demo_names("") == [name for name in DEMO_MODELS if name in WITHOUT_TORCH]
    assert "without lightgcn, ngcf, sasrec: trained by torch, " in capsys.readouterr().err
