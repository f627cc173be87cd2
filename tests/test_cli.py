"""The command line end to end, including errors."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from matinee.cli import main
from matinee.models import model_class
from released import RELEASED


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        """The one JSON object on standard output, and nothing else there."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1
        return json.loads(self.out)


Cli = Callable[..., Done]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Run `matinee ...` in this process, in an empty folder, with empty caches, 200 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("MATINEE_DATA", raising=False)

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["matinee", *arguments])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A small log: 30 users, two tastes, some of it shared."""
    path = tmp_path / "log.csv"
    rows = [
        f"{user},{item},{1 + (user + item) % 5},{1_500_000_000 + 1000 * user + item}"
        for user in range(30)
        for item in range(20)
        if item % 2 == user % 2 or (user + item) % 7 == 0
    ]
    path.write_text("user,item,rating,timestamp\n" + "\n".join(rows) + "\n")
    return path


def test_train_recommend_similar(cli: Cli, log: Path) -> None:
    trained = cli("train", "ease", "--data", str(log), "--set", "l2=5", "--out", "model", "--json").json
    assert trained["artefact"] == "model"
    assert trained["config"]["l2"] == 5
    assert trained["data"]["users"] == 30
    assert trained["split"] is None
    listed = cli("recommend", "model", "--user", "3", "-k", "4", "--json").json
    assert len(listed["movies"]) == 4
    by_history = cli("recommend", "model", "--history", "1,3,5", "--explain", "--json").json
    assert all(int(movie["item_id"]) % 2 == 1 for movie in by_history["movies"][:4])
    assert by_history["movies"][0]["because"]
    table = cli("recommend", "model", "--history", "1,3,5", "--explain").out
    assert "because of" in table
    korean = cli("recommend", "model", "--history", "1,3,5", "--explain", "--language", "ko", "--json").json
    assert korean["movies"][0]["sentence"].endswith("추천해요")
    assert (
        "--language xx is none of en, ko"
        in cli("recommend", "model", "--user", "3", "--explain", "--language", "xx").err
    )
    assert "add --explain" in cli("recommend", "model", "--user", "3", "--language", "ko").err
    nearest = cli("similar", "model", "--item", "4", "--json").json
    assert nearest["of"] == "4"
    assert "similar to 4, by ease" in cli("similar", "model", "--item", "4").out


def test_recommend_takes_exactly_one_of_three_and_names_unknown_ids(cli: Cli, log: Path) -> None:
    cli("train", "item-knn", "--data", str(log), "--out", "model")
    none = cli("recommend", "model")
    assert none.code == 2
    assert "one of --user, --history and --liked" in none.err
    assert cli("recommend", "model", "--user", "1", "--history", "2").code == 2
    unknown = cli("recommend", "model", "--user", "99")
    assert "no user '99' among the 30 known to item-knn" in unknown.err
    assert "no movie with id '99'" in cli("recommend", "model", "--history", "99").err
    some = cli("recommend", "model", "--history", "99,1,98,3", "--json")
    assert some.json["skipped"] == 2
    assert "2 movies of the history are unknown to item-knn and skipped" in some.err
    known = cli("recommend", "model", "--history", "1,3", "--json")
    assert (known.json["movies"], known.json["skipped"], known.err) == (some.json["movies"], 0, "")
    assert "no movie titled 'Alien'" in cli("recommend", "model", "--liked", "Alien").err
    assert "no artefact at nowhere" in cli("recommend", "nowhere", "--user", "1").err
    cli("train", "popularity", "--data", str(log), "--out", "p")
    assert (
        "popularity has no similar items; use a model that has, such as item-knn"
        in cli("similar", "p", "--item", "1").err
    )


def test_evaluate_prints_a_complete_report(cli: Cli, log: Path) -> None:
    report = cli(
        "evaluate", "ease", "--data", str(log), "--set", "l2=5", "-k", "3,5", "--samples", "100", "--json"
    ).json
    assert report["model"] == "ease"
    assert set(report["data"]) == {"name", "users", "items", "events", "fingerprint"}
    assert report["split"]["train"] + report["split"]["valid"] + report["split"]["test"] == report["data"]["events"]
    assert set(report["metrics"]["recall@5"]) == {"mean", "low", "high"}
    for key in ("users", "users_without_targets", "fit_seconds", "rank_seconds", "peak_memory_mb", "config"):
        assert report[key] is not None
    again = cli("evaluate", "ease", "--data", str(log), "--set", "l2=5", "-k", "3,5", "--samples", "100", "--json").json
    assert again["metrics"] == report["metrics"]
    table = cli("evaluate", "ease", "--data", str(log), "-k", "3,5", "--samples", "100").out
    assert "by user activity and item popularity" in table
    assert "ndcg@5" in table


def test_help_shows_the_defaults_of_the_configs(cli: Cli) -> None:
    shown = " ".join(re.sub(r"[│╭╮╰╯─]", " ", cli("evaluate", "--help").out).split())
    assert "Default: 0.7,0.15,0.15." in shown
    assert "Default: 42." in shown
    assert "Default: train+valid." in shown


def test_evaluation_options_change_the_result(cli: Cli, log: Path) -> None:
    base = ["evaluate", "ease", "--data", str(log), "-k", "5", "--samples", "100", "--json"]
    results = {
        name: cli(*base, *extra).json["metrics"]["ndcg@5"]["mean"]
        for name, extra in {
            "plain": (),
            "inputs": ("--inputs", "train"),
            "refit": ("--refit", "train+valid"),
            "valid": ("--on", "valid"),
        }.items()
    }
    assert len(set(results.values())) == 4


@pytest.mark.parametrize("method", ["random", "leave-last", "time", "new-users", "new-items", "k-fold", "session"])
def test_every_split_runs(cli: Cli, log: Path, method: str) -> None:
    report = cli(
        "evaluate", "item-knn", "--data", str(log), "--split", method, "-k", "5", "--samples", "100", "--json"
    ).json
    assert report["split"]["method"] == method
    assert 0 <= report["metrics"]["recall@5"]["low"] <= report["metrics"]["recall@5"]["high"] <= 1


def test_k_fold_pools_its_folds(cli: Cli, log: Path) -> None:
    base = ["evaluate", "item-knn", "--data", str(log), "--split", "k-fold", "--folds", "3", "-k", "5", "--json"]
    every = cli(*base).json
    folds = [cli(*base, "--fold", str(fold)).json for fold in range(3)]
    assert every["split"]["fold"] is None
    assert every["targets"] == sum(fold["targets"] for fold in folds)
    assert every["users"] == 30
    means = [fold["metrics"]["ndcg@5"]["mean"] for fold in folds]
    assert min(means) <= every["metrics"]["ndcg@5"]["mean"] <= max(means)
    coverage = [fold["metrics"]["coverage@5"]["mean"] for fold in folds]
    assert every["metrics"]["coverage@5"]["mean"] == pytest.approx(sum(coverage) / 3)


def test_split_files(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "train.txt").write_text("0 0 1 2\n1 1 2\n2 0 2 3 4\n")
    (tmp_path / "parts" / "test.txt").write_text("0 3\n1 0\n2 1\n")
    report = cli("evaluate", "item-knn", "--split", "files:parts", "-k", "2", "--samples", "100", "--json").json
    assert (report["split"]["train"], report["split"]["test"], report["users"]) == (9, 3, 3)
    assert report["metrics"]["hit-rate@2"]["mean"] == 1


def test_options_override_an_experiment_file(cli: Cli, log: Path, tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(
        f'model = "ease"\ndata = "{log}"\n[split]\nsplit = "leave-last"\n'
        "[settings]\nl2 = 7.0\n[evaluation]\nk = [5]\nsamples = 100\n"
    )
    whole = cli("evaluate", "--config", "e.toml", "--json").json
    assert (whole["config"]["l2"], whole["split"]["method"], next(iter(whole["metrics"]))) == (
        7,
        "leave-last",
        "precision@5",
    )
    over = cli("evaluate", "--config", "e.toml", "--set", "l2=9", "-k", "3", "--split", "random", "--json").json
    assert (over["config"]["l2"], over["split"]["method"], next(iter(over["metrics"]))) == (9, "random", "precision@3")
    other = cli("evaluate", "item-knn", "--config", "e.toml", "--json").json
    assert "l2" not in other["config"]
    (tmp_path / "bad.toml").write_text('model = "ease"\n[split]\nmetod = "time"\n')
    bad = cli("evaluate", "--config", "bad.toml")
    assert bad.code == 1
    assert "unknown key 'split.metod'" in bad.err
    assert "no config file nowhere.toml" in cli("evaluate", "--config", "nowhere.toml").err


def test_an_artefact_is_evaluated_on_its_own_split(cli: Cli, log: Path) -> None:
    common = ["--data", str(log), "--split", "random", "--seed", "7", "--set", "l2=5"]
    trained = cli("train", "ease", *common, "--out", "model", "--json").json
    on_valid = cli("evaluate", "ease", *common, "--on", "valid", "--json").json
    assert trained["metrics"]["ndcg@10"] == on_valid["metrics"]["ndcg@10"]
    assert trained["measured"]["on"] == "valid"
    direct = cli("evaluate", "ease", *common, "-k", "5", "--json").json
    from_artefact = cli("evaluate", "model", "-k", "5", "--json")
    assert from_artefact.json["metrics"] == direct["metrics"]
    assert "may include the targets" not in from_artefact.err
    elsewhere = cli("evaluate", "model", "--data", str(log), "--split", "leave-last", "-k", "5")
    assert "may include the targets of this evaluation" in elsewhere.err
    assert "fitted on 20 items" in cli("evaluate", "model", "--data", "bundled", "--split", "random").err


def test_resume_keeps_a_finished_run(cli: Cli, log: Path) -> None:
    common = ["train", "ease", "--data", str(log), "--out", "model", "--json"]
    first = cli(*common).json
    assert cli(*common, "--resume").json["fit_seconds"] == first["fit_seconds"]
    assert cli(*common, "--resume", "--set", "l2=9").json["config"]["l2"] == 9


def test_compare_gives_verdicts_and_a_figure(cli: Cli, log: Path, tmp_path: Path) -> None:
    compared = cli(
        "compare", "ease", "item-knn", "popularity", "--data", str(log), "-k", "5", "--metric", "ndcg@5",
        "--figure", "figure.png", "--json",
    ).json  # fmt: skip
    verdicts = [row["verdict"] for row in compared["models"]]
    assert verdicts[0] == "best"
    assert set(verdicts[1:]) <= {"tied", "worse"}
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert "verdict" in cli("compare", "ease", "popularity", "--data", str(log), "-k", "5", "--metric", "ndcg@5").out
    assert "did you mean 'ease'" in cli("compare", "ease", "eas", "--data", str(log)).err
    assert "two or more models" in cli("compare", "ease", "--data", str(log)).err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "lightgnc"], "no model 'lightgnc'"),
        (["train"], "no model given"),
        (["evaluate", "ease", "--set", "l3=1"], "unknown key 'l3'"),
        (["evaluate", "ease", "--set", "l2"], "--set 'l2' is not key=value"),
        (["evaluate", "ease", "--set", "l2=much"], "l2 = 'much'"),
        (["evaluate", "ease", "--split", "rndom"], "--split rndom is unknown; did you mean 'random'?"),
        (
            ["evaluate", "ease", "--split", "xyz"],
            "known are: files, k-fold, leave-last, leave-random, new-items, new-users, random, session, time",
        ),
        (["evaluate", "ease", "--ratios", "0.5,0.5"], "ratios"),
        (["evaluate", "ease", "--ratios", "0.5,0.2,0.1"], "ratios"),
        (["evaluate", "ease", "-k", "0"], "-k 0: '0' must be 1 or more"),
        (["evaluate", "ease", "--since", "yesterday"], "yesterday"),
        (["evaluate", "ease", "--data", "bundeld"], "did you mean 'bundled'"),
        (["evaluate", "ease", "--data", "ml-1m"], "matinee data fetch ml-1m"),
        (["evaluate", "some/folder"], "neither a model nor an artefact"),
        (["data", "fetch", "ml-1k"], "no data set 'ml-1k' to fetch"),
        (["data", "show", "bundled", "--of", "9999"], "no user '9999'"),
        (["tarin"], "no such command 'tarin'. Did you mean 'train'?"),
        (["evaluate", "ease", "--min-user-evnts", "3"], "--min-user-events"),
    ],
)
def test_an_error_is_one_clear_message_without_a_traceback(cli: Cli, arguments: list[str], message: str) -> None:
    done = cli(*arguments)
    assert done.code in (1, 2)
    assert message in " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.err).split())
    assert "Traceback" not in done.err
    assert done.out == ""


def test_data_commands(cli: Cli, log: Path, tmp_path: Path) -> None:
    listed = cli("data", "list", "--json").json
    assert listed["here"][0]["name"] == "bundled"
    assert "ml-1m" in listed["to_fetch"]
    assert "bundled" in cli("data", "list").out
    shown = cli("data", "show", str(log), "-k", "3", "--json").json
    assert [row["events"] for row in shown["rows"]] == sorted((row["events"] for row in shown["rows"]), reverse=True)
    of_one = cli("data", "show", str(log), "--of", "3", "-k", "2", "--json").json
    assert of_one["rows"][0]["at"] == "2017-07-14 03:30"
    assert "Forrest Gump (1994)" in cli("data", "show").out
    imported = cli("data", "import", str(log), "--name", "mine", "--min-value", "3", "--json").json
    assert imported["name"] == "mine"
    again = cli("data", "show", "mine", "--json").json
    assert (again["events"], again["users"], again["fingerprint"]) == (
        imported["events"], imported["users"], imported["fingerprint"],
    )  # fmt: skip
    assert "already" in cli("data", "import", str(log), "--name", "mine").err
    assert "use letters, digits and dashes" in cli("data", "import", str(log), "--name", "../mine").err


def test_import_keeps_titles_and_logs_without_ratings_or_times(cli: Cli, tmp_path: Path) -> None:
    cli("data", "import", "bundled", "--name", "small", "--min-item-events", "100")
    assert "Forrest Gump (1994)" in cli("data", "show", "small").out
    (tmp_path / "clicks.csv").write_text("user,item\na,x\nb,y\na,y\n")
    cli("data", "import", "clicks.csv", "--name", "clicks")
    shown = cli("data", "show", "clicks", "--of", "a", "--json").json
    assert [row["id"] for row in shown["rows"]] == ["y", "x"]
    assert shown["rows"][0]["at"] == ""


def test_import_writes_a_file_and_takes_nobodys_place(cli: Cli, log: Path, tmp_path: Path) -> None:
    imported = cli("data", "import", str(log), "--out", "my log.parquet", "--json").json
    assert imported["notes"][0].startswith("columns: user=")
    assert imported["bytes"] == (tmp_path / "my log.parquet").stat().st_size
    assert (
        "use it with --data 'my log.parquet'"
        in cli("data", "import", str(log), "--out", "my log.parquet", "--force").out
    )
    again = cli("data", "show", "my log.parquet", "--json").json
    assert (
        again["fingerprint"] == imported["fingerprint"] == cli("data", "show", str(log), "--json").json["fingerprint"]
    )
    (tmp_path / "theirs.parquet").write_bytes(b"precious")
    for options, message in (
        (["--out", "my log.parquet"], "my log.parquet exists; choose another file, or replace it with --force"),
        (["--out", "theirs.parquet"], "theirs.parquet exists"),
        (["--out", "log.csv"], "end its name in one of: parquet"),
        (["--out", "."], "has no format"),
        (["--name", "mine", "--force"], "--force belongs to --out"),
        (["--name", "mine", "--out", "x.parquet"], "--out FILE.parquet, or --name NAME"),
        ([], "--out FILE.parquet, or --name NAME"),
        (["--out", "x.parquet", "--data", "bundled"], "--data bundled has no effect"),
    ):
        refused = cli("data", "import", str(log), *options)
        assert refused.code in (1, 2)
        assert message in refused.err
    assert (tmp_path / "theirs.parquet").read_bytes() == b"precious"
    assert not (tmp_path / "x.parquet").exists()


def test_an_audit_of_sessions_refuses_settings_that_cut_none(cli: Cli, log: Path) -> None:
    assert cli("data", "audit", str(log), "--sessions", "--gap", "2h", "--min-length", "3").code == 0
    assert cli("data", "audit", str(log), "--sessions", "--split", "session", "--gap", "2h").code == 0
    for option, value in (("--ratios", "0.8,0.1,0.1"), ("--split", "files:parts"), ("--fold", "1")):
        refused = cli("data", "audit", str(log), "--sessions", option, value)
        assert refused.code == 2
        assert "has no effect on --sessions" in refused.err


def test_audit(cli: Cli, log: Path, tmp_path: Path) -> None:
    audit = cli("data", "audit", str(log), "--figure", "audit.png", "--json").json
    assert (tmp_path / "audit.png").read_bytes().startswith(b"\x89PNG")
    assert audit["problems"] == []
    strict = cli("data", "audit", str(log), "--strict")
    assert strict.code == 1
    assert "leaks with --strict" in strict.err
    assert cli("data", "audit", str(log), "--split", "time", "--strict").code == 0


def test_audit_of_sessions(cli: Cli, log: Path, tmp_path: Path) -> None:
    arguments = ["data", "audit", str(log), "--sessions", "--figure", "sessions.png"]
    audit = cli(*arguments, "--json").json
    assert (audit["sessions"], audit["users"], audit["gap_seconds"]) == (30, 30, 3600)  # a user stays for 20 seconds
    assert (tmp_path / "sessions.png").read_bytes().startswith(b"\x89PNG")
    assert "30, 342 events" in cli(*arguments).out
    assert cli(*arguments, "--gap", "1m", "--min-length", "12", "--json").json["sessions"] < 30
    wrong = cli("data", "audit", str(log), "--sessions", "--gap", "400d")
    assert wrong.code == 1
    assert "gap = 400d is longer than the whole of log" in wrong.err


def test_doctor(cli: Cli) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = cli("doctor", "--port", str(port), "--json")
    checks = {check["check"]: check for check in json.loads(done.out)["checks"]}
    assert done.code == 1
    assert not checks[f"port {port}"]["ok"]
    assert f"--port {port + 1}" in checks[f"port {port}"]["fix"]
    assert checks["bundled data"]["found"] == "100,004 events"
    assert "fix" in cli("doctor", "--port", str(port)).out


def test_a_taken_port_is_reported_before_training(cli: Cli, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = cli("demo", "--port", str(taken.getsockname()[1]), "--no-browser")
    assert done.code == 1
    assert "--port" in done.err
    assert not (tmp_path / "share").exists()


@pytest.mark.slow
def test_help_is_fast_and_does_not_import_torch() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", "from matinee.cli import main; main()", "--help"],
            capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip
        seconds.append(time.perf_counter() - started)
    assert done.returncode == 0
    for command in ("demo", "data", "train", "evaluate", "compare", "recommend", "similar", "serve", "doctor"):
        assert command in done.stdout
    trace = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import matinee"],
        capture_output=True, text=True, env=environment, check=True,
    ).stderr  # fmt: skip
    assert "matinee" in trace
    for heavy in ("torch", "numpy", "polars", "scipy"):
        assert not re.search(rf"\| +{heavy}\b", trace)
    assert min(seconds) < 2  # 0.3 s where nothing else runs; benchmarks/backbone.py measures it


@pytest.mark.slow
def test_closed_form_models_are_served_without_torch(cli: Cli, log: Path) -> None:
    cli("train", "ease", "--data", str(log), "--out", "model")
    script = (
        "import sys; from pathlib import Path; from matinee.store.artefact import load; from matinee import workflow;"
        "workflow.recommend(load(Path('model')), history=[1, 3]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_released_model_has_its_experiments() -> None:
    from matinee.experiment import read_experiment

    project = Path(__file__).parents[1]
    for name in RELEASED:
        for protocol in ("c", "c-small") if model_class(name).ordered else ("a", "b"):
            experiment = read_experiment(project / "configs" / protocol / f"{name}.toml")
            assert experiment.model == name
