"""What `matinee compare` compares: models with settings of their own, experiments in files, and artefacts."""

from pathlib import Path

import pytest

from matinee.cli.compared import read_plan
from matinee.cli.entries import Entry, entries_of
from matinee.cli.running import run
from matinee.errors import MatineeError, UsageError
from matinee.experiment import Experiment, parse_settings, read_experiment

SPLIT = '[split]\nsplit = "random"\nseed = 7\n'


def file(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def settings(entries: tuple[Entry, ...]) -> list[dict[str, object]]:
    return [entry.experiment.settings for entry in entries]


def of(*pairs: str) -> Experiment:
    return Experiment(settings=parse_settings(pairs))


def test_a_setting_belongs_to_the_model_that_it_names() -> None:
    _, entries = entries_of(
        ["ease", "item-knn", "ials"], of("ease.l2=300", "item-knn.neighbours=20"), frozenset({"set"})
    )
    assert settings(entries) == [{"l2": 300}, {"neighbours": 20}, {}]


@pytest.mark.parametrize(
    ("pair", "problem"),
    [
        ("l2=300", "does not say which model it is for"),
        ("bpr.l2=300", "bpr is not among the models compared, ease, ials"),
        ("ease.l3=300", "l3"),
        ("ease.l2=x", "l2"),
    ],
)
def test_a_setting_for_nobody_or_for_all_is_refused(pair: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        entries_of(["ease", "ials"], of(pair), frozenset({"set"}))


def test_files_bring_settings_data_and_split(tmp_path: Path) -> None:
    one = file(tmp_path, "one", f'model = "ease"\ndata = "bundled"\n{SPLIT}[settings]\nl2 = 5.0\n')
    two = file(tmp_path, "two", f'model = "ease"\ndata = "bundled"\nvalues = "unary"\n{SPLIT}[settings]\nl2 = 50.0\n')
    common, entries = entries_of([one, two, "popularity"], of("ease.l2=7"), frozenset({"set"}))
    assert common.split.seed == 7
    assert [entry.experiment.split.seed for entry in entries] == [7, 7, 7]
    assert settings(entries) == [{"l2": 7}, {"l2": 7}, {}]
    assert [entry.experiment.values.map for entry in entries] == ["default", "unary", "default"]


def test_files_that_disagree_are_refused_unless_an_option_decides(tmp_path: Path) -> None:
    one = file(tmp_path, "one", 'model = "ease"\n[split]\nseed = 7\n')
    two = file(tmp_path, "two", 'model = "ials"\n[split]\nseed = 8\n')
    with pytest.raises(UsageError, match="different split: seed is 7 and 8"):
        entries_of([one, two], Experiment(), frozenset())
    given = Experiment.model_validate({"split": {"seed": 9}})
    common, entries = entries_of([one, two], given, frozenset({"split.seed"}))
    assert [common.split.seed, *(entry.experiment.split.seed for entry in entries)] == [9, 9, 9]


def test_a_file_keeps_its_own_refit(tmp_path: Path) -> None:
    one = file(tmp_path, "one", 'model = "ease"\n[evaluation]\nrefit = "train+valid"\n')
    two = file(tmp_path, "two", 'model = "ease"\n')
    _, entries = entries_of([one, two], Experiment(), frozenset())
    assert [entry.experiment.evaluation.refit for entry in entries] == ["train+valid", "train"]


def test_settings_of_a_file_are_of_its_model_or_in_a_table_of_each(tmp_path: Path) -> None:
    tables = read_experiment(
        Path(file(tmp_path, "all", "[settings.ease]\nl2 = 5.0\n[settings.item-knn]\nneighbours = 9\n"))
    )
    _, entries = entries_of(["ease", "item-knn"], tables, frozenset({"config", "settings"}))
    assert settings(entries) == [{"l2": 5.0}, {"neighbours": 9}]
    one = Experiment(model="ease", settings={"l2": 4.0})
    _, entries = entries_of(["ease", "ials"], one, frozenset({"config", "settings", "model"}))
    assert settings(entries) == [{"l2": 4.0}, {}]


def test_a_setting_that_names_a_config_means_the_one_in_the_folder_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a config may be run from any folder; where only the working folder has it, the path is as it was."""
    own, work = tmp_path / "own", tmp_path / "work"
    own.mkdir()
    work.mkdir()
    for folder, name in ((own, "gmf"), (work, "gmf"), (work, "mlp")):
        file(folder, name, 'model = "ease"\n')
    monkeypatch.chdir(work)
    lines = 'pretrained_gmf = "gmf.toml"\npretrained_mlp = "mlp.toml"\nalpha = 0.3\n'
    alone = read_experiment(Path(file(own, "alone", f"[settings]\n{lines}")))
    assert alone.settings == {"pretrained_gmf": str(own / "gmf.toml"), "pretrained_mlp": "mlp.toml", "alpha": 0.3}
    several = read_experiment(Path(file(own, "several", f"[settings.neumf]\n{lines}")))
    assert several.settings == {"neumf": alone.settings}
    nowhere = file(own, "nowhere", f'[settings]\npretrained_gmf = "{"x" * 300}.toml"\nloss = "bce"\n')
    assert read_experiment(Path(nowhere)).settings == {"pretrained_gmf": f"{'x' * 300}.toml", "loss": "bce"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [("data = 'bundled'\n", "names no model"), ('model = "eese"\n', "ease"), ("model = 1\n", "model"), ("[", "TOML")],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(MatineeError, match=problem):
        entries_of(["ease", file(tmp_path, "wrong", text)], Experiment(), frozenset())


def test_the_same_twice_is_refused(tmp_path: Path) -> None:
    same = file(tmp_path, "same", 'model = "ease"\n')
    for twice in (["ease", "ease"], [same, same], ["ease", same]):
        with pytest.raises(UsageError, match="named twice"):
            entries_of(twice, Experiment(), frozenset())


NONE: frozenset[str] = frozenset()


def test_models_are_named_as_arguments_by_option_or_all() -> None:
    assert read_plan(["ease"], "ials, bpr", Experiment(), NONE).models == ("ease", "ials", "bpr")
    everything = read_plan([], "all", Experiment(), NONE).models
    assert {"ease", "sasrec", "kprn"} <= set(everything)
    for arguments, more in (([], ""), (["ease"], ""), ([], "ease"), (["ease"], "all"), (["all", "ease"], "")):
        with pytest.raises(UsageError):
            read_plan(arguments, more, Experiment(), NONE)


@pytest.mark.parametrize(
    ("arguments", "more", "written"),
    [
        (["ease,ials"], "", "ease,ials"),
        (["ease, ials"], "", "ease,ials"),
        (["ease ials"], "", "ease,ials"),
        ([], "ease ials", "ease,ials"),
    ],
)
def test_several_names_in_one_are_shown_apart(arguments: list[str], more: str, written: str) -> None:
    with pytest.raises(UsageError, match=f"write --models {written}$"):
        read_plan(arguments, more, Experiment(), NONE)


def test_a_file_of_several_models_stands_alone(tmp_path: Path) -> None:
    whole = file(tmp_path, "whole", 'models = ["ease", "ials"]\n')
    for arguments in ([whole, "bpr"], ["bpr", whole]):
        with pytest.raises(UsageError, match=r"whole.toml names several models and stands alone; add bpr"):
            read_plan(arguments, "", Experiment(), NONE)
    assert read_plan([whole], "bpr", Experiment(), NONE).models == ("ease", "ials", "bpr")


def test_a_file_that_is_not_there_is_named() -> None:
    for arguments in (["nothere.toml"], ["nothere.toml", "ease"]):
        with pytest.raises(MatineeError, match=r"no config file nothere\.toml"):
            read_plan(arguments, "", Experiment(), NONE)


def test_a_file_may_be_a_whole_comparison(tmp_path: Path) -> None:
    text = (
        'models = ["ease", "ials"]\nseeds = 3\nmetric = "recall@5"\ntuned = true\ndata = "x.csv"\n[split]\nseed = 7\n'
    )
    path = file(tmp_path, "whole", text + "[settings.ease]\nl2 = 5.0\n")
    plan = read_plan([path], "", of("ials.dim=8"), frozenset({"set"}))
    assert (plan.models, plan.seeds, plan.metric, plan.tuned) == (("ease", "ials"), 3, "recall@5", True)
    assert (plan.experiment.data, plan.experiment.split.seed) == ("x.csv", 7)
    _, entries = entries_of(plan.models, plan.experiment, plan.chosen)
    assert settings(entries) == [{"l2": 5.0}, {"dim": 8}]
    given = Experiment(data="y.csv")
    assert read_plan([path], "", given, frozenset({"data"})).experiment.data == "y.csv"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('models = ["ease"]\n', "two or more models; .* names fewer"),
        ("models = []\n", "two or more models; .* names fewer"),
        ('data = "bundled"\n', "two or more models; .* names fewer"),
        ('models = ["ease", \n', "cannot be read as TOML"),
        ('models = ["ease", "ials"]\nseed = 3\n', "seeds"),
        ('models = "ease"\n', "models"),
        ('models = ["ease", "ials"]\nseeds = "many"\n', "seeds"),
        ('models = ["ease", "ials"]\nseeds = 0\n', "seeds"),
    ],
)
def test_a_wrong_comparison_file_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match=problem):
        read_plan([file(tmp_path, "wrong", text)], "", Experiment(), NONE)


def test_a_file_in_place_of_the_folder_of_fits_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = Path(file(tmp_path, "taken", ""))
    for path, problem in ((taken, "is a file; name a folder"), (taken / "fits", "is a file, not a folder")):
        assert run(["compare", "ease", "ials", "--run", str(path)]) != 0
        assert problem in capsys.readouterr().err
