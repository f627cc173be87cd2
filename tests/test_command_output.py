"""What commands print: exact JSON, safe text, errors in one line, and a next step that works as printed."""

import errno
import io
import json
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from matinee.cli import output
from matinee.cli.failures import Terminated, explain
from matinee.cli.running import run
from matinee.errors import DataError, MatineeError, UsageError


def printed(encoding: str, *arguments: str) -> tuple[int, bytes, str]:
    """Exit code, bytes of standard output in an encoding, and standard error, of a command in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with redirect_stdout(out), redirect_stderr(err):
        code = run(arguments)
        out.flush()
        err.flush()
    return code, out.buffer.getvalue(), err.buffer.getvalue().decode()


HOSTILE = "\x1b[31mEvil\x07 \x9b2J \u202egp.exe [bold]x[/] :smile: Amélie 올드보이"


@pytest.fixture
def artefact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of movies, one of which has a title that no terminal should get as it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    folder = tmp_path / "ml"
    folder.mkdir()
    titles = ['"Amélie (2001)"', f'"{HOSTILE}"', "Plain (2000)", "Other (1999)"]
    (folder / "movies.csv").write_text(
        "movieId,title,genres\n" + "\n".join(f"{101 + n},{title},Drama" for n, title in enumerate(titles)), "utf-8"
    )
    rows = [f"{user},{item},4,{10**9 + user}" for user in range(1, 7) for item in range(101, 105) if (user + item) % 4]
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(rows))
    assert run(["train", "item-knn", "--data", "ml", "--out", "art", "-q"]) == 0
    return tmp_path / "art"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8", "utf-16"])
def test_json_is_utf_8_in_any_console(artefact: Path, encoding: str) -> None:
    code, out, err = printed(encoding, "recommend", str(artefact), "--history", "103", "--json")
    assert code == 0, err
    listed = json.loads(out.decode("utf-8"))
    assert HOSTILE in {movie["title"] for movie in listed["movies"]}
    assert out.count(b"\n") == 1
    assert not output.CONTROLS.search(out.decode("utf-8").rstrip("\n"))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_no_control_character_of_a_title_reaches_the_terminal(artefact: Path, encoding: str) -> None:
    for arguments in (
        ["recommend", str(artefact), "--history", "103"],
        ["similar", str(artefact), "--item", "102"],
        ["data", "show", "ml"],
        ["recommend", str(artefact), "--liked", "\x1b]0;title\x07"],
        ["data", "show", "\x1b[2J"],
    ):
        _, out, err = printed(encoding, *arguments)
        for text in (out.decode(encoding), err):
            assert not output.CONTROLS.search(text), arguments
    _, out, _ = printed("utf-8", "recommend", str(artefact), "--history", "103")
    assert "[bold]x[/] :smile: Amélie 올드보이" in out.decode()


def test_json_numbers_are_exact() -> None:
    value = {"big": 2**53, "less": -(2**64), "exact": 2**53 - 1, "nan": float("nan"), "row": [float("inf"), True, None]}
    out = io.TextIOWrapper(io.BytesIO(), "ascii")
    with redirect_stdout(out):
        output.print_json(value | {"id": "\udcff"})
    assert json.loads(out.buffer.getvalue()) == {
        "big": "9007199254740992", "less": "-18446744073709551616", "exact": 9007199254740991,
        "nan": None, "row": [None, True, None], "id": "\udcff",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (DataError("x.csv is empty"), "x.csv is empty", 1),
        (UsageError("--seed -1 must be 0 or more"), "--seed -1 must be 0 or more", 2),
        (MemoryError("Unable to allocate 1.9 GiB for an array with shape (9, 9) and data type float32"),
         "not enough memory: 1.9 GiB for an array with shape (9, 9); ", 1),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
         "not enough memory", 1),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "not enough memory", 1),
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "No space left on device: a/b; free some space", 1),
        (PermissionError(errno.EACCES, "Permission denied", "x" * 5000), f"Permission denied: {'x' * 100}...", 1),
        (RecursionError(), "nested too deeply", 1),
        (KeyboardInterrupt(), "interrupted", 130),
        (Terminated(), "terminated", 143),
        (ZeroDivisionError("by zero\nand more"), "unexpected ZeroDivisionError: by zero; this is", 1),
    ],
)  # fmt: skip
def test_every_error_is_a_line_and_a_code(error: BaseException, line: str, code: int) -> None:
    found, exit_code = explain(error)
    assert line in found
    assert len(found) < 400
    assert "\n" not in found
    assert exit_code == code


def test_a_folder_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, _, err = printed("utf-8", "train", "ease", "--data", "bundled")
    assert (code, err) == (1, "error: the folder you work in no longer exists; change to another\n")


def test_debug_shows_the_trace_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = printed("utf-8", "train", "nothing")
    assert "Traceback" not in plain[2]
    for arguments in (("--debug", "train", "nothing"), ("train", "nothing", "--debug")):
        code, _, err = printed("utf-8", *arguments)
        assert code == 2
        assert "Traceback" in err
        assert err.endswith(plain[2])
    monkeypatch.setenv("MATINEE_DEBUG", "1")
    assert "Traceback" in printed("utf-8", "train", "nothing")[2]
    monkeypatch.setenv("MATINEE_DEBUG", "0")
    assert printed("utf-8", "train", "nothing") == plain


def test_quiet_prints_the_result_alone_and_verbose_every_step(artefact: Path) -> None:
    usual, quiet, verbose = (
        printed("utf-8", "evaluate", "popularity", "--data", "ml", "--samples", "100", *switch)
        for switch in ([], ["-q"], ["-v"])
    )
    assert "columns: user=userId" in usual[2]
    assert quiet[2] == ""
    assert (output.VOICE.level, output.VOICE.debug) == (0, False)  # the next command of this process speaks as usual
    assert quiet[1].splitlines()[:6] == usual[1].splitlines()[:6]
    assert re.search(r"^ +\d+\.\d\d s  fitting popularity$", verbose[2], flags=re.MULTILINE)


def test_versions_of_the_stack() -> None:
    import numpy as np

    from matinee.version import __version__

    lines = printed("utf-8", "--version")[1].decode().splitlines()
    assert lines[0] == f"matinee {__version__}"
    assert f"numpy {np.__version__}" in lines
    found = json.loads(printed("ascii", "--version", "--json")[1])
    assert [f"{name} {version or 'not installed'}" for name, version in found.items()] == lines


@pytest.mark.parametrize(
    ("titles", "out"),
    [
        (None, "model"),
        (['It\'s "1" & $HOME `x` (2001)', "B (2000)", "C (1999)"], "my folder/it's here"),
        (["-x --user (2001)", "", "C (1999)"], "-model"),
        (["\x1b[31mA (2001)", "올드보이 (2003)", "C (1999)"], "모델 [1]"),
        (["Same (2001)", "Same (2001)", "Same (2001)"], "a;b&c"),
    ],
)
def test_the_next_step_works_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, titles: list[str] | None, out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "60")
    data = tmp_path / "own data"
    data.mkdir()
    rows = [f"{user},{item},4,{10**9 + user}" for user in range(1, 7) for item in (7, 8, 9) if user > item - 7]
    (data / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(rows))
    if titles is not None:
        quoted = [f'{7 + n},"{title.replace(chr(34), chr(34) * 2)}",Drama' for n, title in enumerate(titles)]
        (data / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(quoted), "utf-8")
    code, shown, err = printed("utf-8", "train", "item-knn", "--data", "own data", f"--out={out}")
    assert code == 0, err
    line = shown.decode().splitlines()[-1]
    assert line.startswith("next       matinee recommend ")
    program, *arguments = shlex.split(line.removeprefix("next").strip())
    assert program == "matinee"
    code, listed, err = printed("utf-8", *arguments, "--json")
    assert code == 0, err
    assert json.loads(listed)["movies"]


def test_a_list_without_movies_says_why(artefact: Path) -> None:
    everything = printed("utf-8", "recommend", str(artefact), "--history", "101,102,103,104")
    assert everything[0] == 0
    assert "nothing is left to recommend: the history has all 4 items" in everything[2]
    filtered = printed("utf-8", "recommend", str(artefact), "--user", "1", "--rerank", "from_year=2020", "--json")
    assert json.loads(filtered[1])["movies"] == []
    assert "may be listed" in json.loads(filtered[1])["notes"][-1]


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("edlae", "'ease --set dropout=0.5'"),
        ("EDLAE", "'ease --set dropout=0.5'"),
        ("ALS", "'ials'"),
        ("itemknn", "'item-knn'"),
        ("ItemKNN", "'item-knn'"),
        ("MultVAE", "'mult-vae'"),
        ("svd", "nearest here is 'ials'"),
        ("SLIM", "nearest here is 'ease'"),
        ("bert4rec", "nearest here is 'sasrec'"),
        ("eese", "did you mean 'ease'"),
    ],
)
def test_models_by_other_names(name: str, ours: str) -> None:
    assert ours in printed("utf-8", "evaluate", name)[2]


def test_what_is_written_for_another_name_is_a_model_here() -> None:
    from matinee.models import create
    from matinee.models.other_names import NEAREST, SAME

    for ours in (*SAME, *NEAREST):
        name, _, setting = ours.partition(" --set ")
        key, _, value = setting.partition("=")
        create(name, **({key: value} if key else {}))
    others = [other for names in (*SAME.values(), *NEAREST.values()) for other in names]
    assert len(others) == len(set(others))


def test_errors_of_a_config_name_the_field_in_python_too() -> None:
    from matinee.config import EvaluationConfig, SplitConfig, configure

    for kind, values, message in (
        (SplitConfig, {"ratios": (True, 0, 0)}, "split: ratios = [True, 0, 0] is not a number"),
        (SplitConfig, {"seed": 2**53}, "split: seed = 9007199254740992 must be at most"),
        (SplitConfig, {"input_share": float("nan")}, "split: input_share = nan is not a finite number"),
        (EvaluationConfig, {"k": ()}, "split: k = () has too few values"),
        (EvaluationConfig, {"k": (5, 0)}, "split: k = 0 must be 1 or more"),
    ):
        with pytest.raises(MatineeError, match=re.escape(message.replace("[True, 0, 0]", "(True, 0, 0)"))):
            configure(kind, values, "split")


def test_every_command_that_ends_takes_json() -> None:
    from matinee.cli.commands import build

    groups = [build()]
    for group in groups:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                groups.append(command)
            elif name not in ("serve", "demo"):  # which run until they are stopped
                assert "json" in {option.name for option in command.params}, name


def matinee(line: str, **how: object) -> subprocess.CompletedProcess[str]:
    """Run a bash line in which $M is the command."""
    program = f"{shlex.quote(sys.executable)} -m matinee"
    return subprocess.run(
        ["bash", "-c", line.replace("$M", program)], capture_output=True, text=True, timeout=120, check=False, **how
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("$M models > /dev/full", 1, "No space left on device"),
        ("$M models --json > /dev/full", 1, "No space left on device"),
        ("$M models >&-", 1, "standard output is closed"),
        ("$M models --json >&-", 1, "standard output is closed"),
        ("$M train nothing 2>&-", 2, ""),
        ("$M train nothing 2> /dev/full", 2, ""),
        ("set -o pipefail; $M models | sleep 0", 141, ""),
        ("set -o pipefail; $M models --json | sleep 0", 141, ""),
        ("$M models <&- > /dev/null", 0, ""),
        ("COLUMNS=0 $M models | grep -q ease", 0, ""),
        ("COLUMNS=nonsense $M models | grep -q ease", 0, ""),
        ("MATINEE_DATA=/etc/passwd XDG_CACHE_HOME=/dev/null $M data list > /dev/null", 0, ""),
        ("$M data show $'\\xff\\xfe'", 1, "no data set"),
    ],
)  # fmt: skip
def test_streams_and_surroundings(tmp_path: Path, line: str, code: int, words: str) -> None:
    done = matinee(line, cwd=tmp_path)
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    assert words in done.stderr
    assert done.stderr.count("error: ") == bool(words)


FISH = "_MATINEE_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ('_MATINEE_COMPLETE=complete_bash COMP_WORDS="matinee tr" COMP_CWORD=1', "train"),
        ('_MATINEE_COMPLETE=complete_bash COMP_WORDS="matinee train --ou" COMP_CWORD=2', "--out"),
        ('_MATINEE_COMPLETE=complete_zsh _TYPER_COMPLETE_ARGS="matinee data au"', "audit"),
        (FISH + ' _TYPER_COMPLETE_ARGS="matinee comp"', "compare"),
        ("_MATINEE_COMPLETE=source_bash", "complete -o default"),
        ("_MATINEE_COMPLETE=source_zsh", "#compdef matinee"),
        ("_MATINEE_COMPLETE=source_fish", "complete --command matinee"),
    ],
)  # fmt: skip
def test_completion_in_three_shells(variables: str, expected: str) -> None:
    done = matinee(f"{variables} $M")
    assert (done.returncode, done.stderr) == (0, "")
    assert expected in done.stdout
