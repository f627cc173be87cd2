"""Broken command lines end in one line on standard error and the right exit code, and leave nothing behind.

Some are made for every command and option of the application, so that a new one is tried without being named here.
"""

import io
import json
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from matinee.cli.commands import SWITCHES, build
from matinee.cli.running import run

pytestmark = pytest.mark.slow  # a few milliseconds each, but there are hundreds
FAILED, WRONG_USAGE = 1, 2


class Done(NamedTuple):
    code: int
    out: str
    err: str


def matinee(line: str | list[str]) -> Done:
    """Run `matinee LINE` in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        code = run(shlex.split(line) if isinstance(line, str) else line)
    return Done(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its name, such as ("data list", ...)."""

    def below(prefix: str, command: Any) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield prefix.strip(), command
        for name, each in (inner or {}).items():
            yield from below(f"{prefix} {name}", each)

    return below("", build())


ARGUMENTS = {
    "demo": "--port 0",
    "data fetch": "no-such-set",
    "data import": "log.csv --name /",
    "data audit": "log.csv --split nonsense",
    "data show": "log.csv -k 0",
    "train": "no-such-model",
    "evaluate": "no-such-model",
    "tune": "no-such-model",
    "replay": "no-such-model",
    "compare": "no-such-model ease",
    "recommend": "no-such-artefact --user 1",
    "similar": "no-such-artefact --item 1",
    "map": "no-such-artefact",
    "serve": "no-such-artefact --port 0",
    "doctor": "--port 0",
}
"""For commands that would run as they are: what makes them fail, should a generated line not be refused."""


def generated() -> Iterator[str]:
    """Lines that are wrong whatever the command does."""
    for name, command in commands():
        rest = ARGUMENTS.get(name, "")
        yield f"{name} {rest} --no-such-option"
        yield f"{name} {rest} -Z"
        for option in command.params:
            if option.param_type_name != "option" or option.name == "help":
                continue
            flag = option.opts[0]
            if option.is_flag:
                yield f"{name} {rest} {flag}=sometimes"
            else:
                yield f"{name} {rest} {flag}"
            if flag.startswith("--") and option.name not in SWITCHES:
                yield f"{name} {rest} {flag}x 3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log, artefacts whole and damaged, and experiments right and wrong."""
    path = tmp_path_factory.mktemp("broken")
    rows = [f"{user},{item},{1 + item % 5},{10**9 + user * 50 + item}" for user in range(12) for item in range(8)]
    (path / "log.csv").write_text("user,item,rating,timestamp\n" + "\n".join(rows) + "\n")
    (path / "empty.csv").write_text("")
    (path / "binary.csv").write_bytes(bytes(range(256)) * 40)
    (path / "text.csv").write_text("this is no table\n" * 3)
    (path / "file").write_text("not a folder\n")
    (path / "dir").mkdir()
    (path / "deep.toml").write_text("a = " + "[" * 100_000)
    (path / "broken.toml").write_text("model = ")
    (path / "latin.toml").write_bytes(b"model = '\xe9'\n")
    (path / "types.toml").write_text("split = 3\n")
    (path / "list.toml").write_text("settings = [1, 2]\n")
    (path / "date.toml").write_text("[filters]\nsince = 07:32:00\n")
    (path / "unknown.toml").write_text("[split]\nmetod = 'time'\n")
    (path / "model.toml").write_text("model = 'eese'\n")
    return path


@pytest.fixture(scope="module", autouse=True)
def surroundings(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run in the folder, with empty caches, and with artefacts of the log in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", str(folder / "dir" / "cache"))
        patch.setenv("XDG_DATA_HOME", str(folder / "dir" / "share"))
        patch.setenv("MPLCONFIGDIR", str(tmp_path_factory.mktemp("matplotlib")))
        patch.setenv("COLUMNS", "100")
        patch.delenv("MATINEE_DATA", raising=False)
        for model in ("ease", "popularity"):
            assert matinee(f"train {model} --data log.csv --split random --out {model} -q").code == 0
        _damage(folder)
        yield


def _damage(folder: Path) -> None:
    import shutil

    for name in ("no-arrays", "cut-arrays", "no-json", "other-format", "no-items"):
        shutil.copytree(folder / "ease", folder / name)
    (folder / "no-arrays" / "arrays.safetensors").unlink()
    arrays = folder / "cut-arrays" / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-7])
    (folder / "no-json" / "manifest.json").write_text("[" * 100_000)
    manifest = folder / "other-format" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    (folder / "no-items" / "items.parquet").write_bytes(b"PAR1")


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder below one, files with size and time: whether a folder can be written to is tried in it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        found[str(path.relative_to(folder))] = (0, 0) if path.is_dir() else (about.st_size, about.st_mtime_ns)
    return found


def check(folder: Path, line: str | list[str], code: int, words: str = "") -> None:
    """Run a line and require that it is refused in one line and leaves no trace of itself."""
    before = state(folder)
    done = matinee(line)
    assert done.code == code, done
    assert done.out == "", done
    assert done.err.startswith("error: "), done
    assert done.err.count("\n") == 1, done
    assert "Traceback" not in done.err
    assert "fault of Matinee" not in done.err
    assert words in done.err, done
    assert state(folder) == before


@pytest.mark.parametrize("line", list(generated()))
def test_every_option_of_every_command_is_refused_where_it_is_wrong(folder: Path, line: str) -> None:
    check(folder, line, WRONG_USAGE)


WRONG = r"""
tarin
data nothing
--json
--version extra
train
train ease extra
train lightgnc
train edlae
train als
train ""
train ease --set l2
train ease --set =5
train ease --set l3=1
train ease --set l2=1e999
train ease --set l2=-1
train ease --set l2=nan
train ease --set l2=true
train ease --set "l2=[1]"
train ease --set l2=1 --set l2=2
train ease --set l2=
train ease --set dropout=1
train ease --set "l2=1979-05-27"
train lightgcn --set epochs=2.5
train lightgcn --set epochs=-1
train lightgcn --set dim=0
train lightgcn --set dim=99999999999999999999
train ease --seed -1
train ease --seed x
train ease --seed 1.5
train ease --seed 99999999999999999999999
train ease --ratios 0.5,0.5
train ease --ratios 1,2,3
train ease --ratios a,b,c
train ease --ratios nan,0.5,0.5
train ease --split rndom
train ease --split files:
train ease --fold 99
train ease --split k-fold --fold 99
train ease --split k-fold --folds 2
train ease --split k-fold --folds 1
train ease --gap "1 year"
train ease --split session --gap "1 year"
train ease --split session --gap -5m
train ease --split session --min-length 1
train ease --split session --earlier maybe
train ease --split time --split-at yesterday
train ease --split time --ratios 0.7,0.1,0.2 --split-at 2001
train ease --split leave-last --ratios 0.7,0.1,0.2
train ease --split new-users --input-share 1
train ease --min-user-events -1
train ease --min-user-events 1e3
train ease --min-item-events 99999999999999999999
train ease --filter-order backwards
train ease --min-value many
train ease --min-value inf
train ease --sample-users 0
train ease --scale 5,1
train ease --scale 5
train ease --scale a,b
train --config model.toml
train ease --values foo
train ease --values linear:1
train ease --values linear:5=1,1=2
evaluate
evaluate eese
evaluate ease -k 0
evaluate ease -k ""
evaluate ease -k 5,x
evaluate ease -k -5
evaluate ease -k 1.5
evaluate ease -k 99999999999999999999
evaluate ease --samples 1
evaluate ease --samples 99999999999
evaluate ease --on train
evaluate ease --inputs all
evaluate ease --refit test
evaluate ease --on valid --refit train+valid
evaluate ease --predict last
evaluate ease --repeat perhaps
evaluate ease --rerank foo
evaluate ease --rerank novelty=5
evaluate ease --rerank novlty=0.5
evaluate ease --rerank from_year=2000,to_year=1990
evaluate ease --liked-from much
evaluate ease --relevant-from nan
evaluate ease --set l2=5 --data log.csv --fold 3
evaluate ./ease --set l2=5
evaluate ./ease --auto
evaluate ease --auto --set l2=1 --set dropout=0 --set user_power=0 --set item_power=0 --set closeness=0 --set span=9
evaluate ./ease --refit train+valid
tune
tune eese
tune ease --trials 0
tune ease --trials -1
tune ease --trials many
tune ease --seconds 0
tune ease --seconds nan
tune ease --jobs 0
tune ease --jobs -2
tune ease --metric foo
tune ease --metric coverage@10
tune ease --metric rmse
tune ease --search l3
tune ease --search weigh_training
tune ease --search weigh_training=0:1
tune ease --search l2=5
tune ease --search l2=9:5
tune ease --search l2=0:5:log
tune ease --search l2 --search l2=1:2
tune ease --search l2 --set l2=5
tune ease --set l3=5
tune ease --set l2=1 --set dropout=0 --set user_power=0 --set item_power=0 --set closeness=0 --set span=9
tune ./ease
compare ease
compare ease ease
compare ease eese
compare ease popularity --metric foo
compare ease popularity --metric ndcg
compare ease popularity --metric ndcg@0
compare ease popularity --metric ndcg@7
compare ease popularity --metric rmse@5
compare ease popularity --set l2=5
compare ease ials --set l2=300
compare ease ials --set bpr.l2=300
compare ease ials --set ease.=300
compare ease ials --set .l2=300
compare ease ials --set ease.nothing=1
compare ease ials --set ials.l2=many
compare ease ials --set ease.l2=1 --set ease.l2=2
compare ease ./ease --set l2=5
compare ./ease ./ease
compare ease model.toml
models extra
recommend
recommend ease
recommend ease --user 1 --history 2
recommend ease --user 1 --rerank foo
recommend ease --user 1 --rerank ""
recommend ease --users all
recommend ease --users all --user 1 --out x.csv
recommend ease --user 1 --out x.csv
recommend ease --user 1 --titles
similar ease
similar ease --item 1 --title x
similar ease --all
similar ease --item 1 -k -1
serve
serve nowhere --port 0
serve ease --port 99999
serve ease --port x
serve ease --host "" --port 70000
doctor --port 0
doctor --port -1
demo --port 0
data list extra
data show log.csv --pairs ease
data fetch
data import
data import log.csv
data audit log.csv --split xyz
data show log.csv -k 0
evaluate ease --rebuild-graph true
recommend ease --history ""
recommend ease --history ,,,
recommend ease --user 1 -k 0
recommend ease --user 1 -k x
compare ease popularity --metric rmse
demo --models nothing --no-browser
demo --models ease,eese --no-browser
data audit log.csv --fold 99
"""
"""Lines that are wrong in themselves."""

FAILS = r"""
train lightgcn --set dim=9007199254740991 --data log.csv --out new
train ease --split files:nowhere --out new
train ease --split files:dir --out new
train ease --split files:log.csv --out new
train ease --since yesterday --data log.csv --out new
train ease --data nowhere.csv --out new
train ease --data bundeld --out new
train ease --data dir --out new
train ease --data empty.csv --out new
train ease --data binary.csv --out new
train ease --data text.csv --out new
train ease --data file --out new
train ease --data log.csv --user nobody --out new
train ease --data log.csv --item "" --out new
train ease --data log.csv --min-user-events 1000 --out new
train ease --data log.csv --until 1990-01-01 --out new
train ease --data ~nosuchuser/x --out new
train ease --data LONG --out new
train ease --data log.csv --out .
train ease --data log.csv --out /
train ease --data log.csv --out ..
train ease --data log.csv --out file
train ease --data log.csv --out file/below
train ease --data log.csv --out LONG
train ease --data log.csv --out /proc/nothing
train ease --data log.csv --out /dev/null
train ease --config nowhere.toml
train ease --config dir
train ease --config deep.toml
train ease --config broken.toml
train ease --config latin.toml
train ease --config types.toml
train ease --config list.toml
train ease --config date.toml
train ease --config unknown.toml
train ease --config log.csv
evaluate some/folder
evaluate dir
evaluate log.csv
evaluate ease --config types.toml
evaluate no-arrays
evaluate cut-arrays
evaluate no-json
evaluate other-format
evaluate no-items
evaluate ./ease --data bundled --split random
tune ease --ratios 0.8,0,0.2
tune ease --out file
tune ease --out file/below
compare ease popularity --figure x.xyz
compare ease popularity --figure x
compare ease popularity --figure dir
compare ease popularity --figure file/x.png
compare ease popularity --figure log.csv
recommend nowhere --user 1
recommend ease --user 99
recommend ease --user ""
recommend ease --history 99
recommend ease --liked ""
recommend ease --liked Alien
recommend ease --user 1 --rerank genres=Nothing
recommend ease --user 1 --among nowhere.csv
recommend ease --user 1 --among ""
recommend ease --users all --out x.xyz
recommend ease --users all --out dir
recommend ease --users nowhere.csv --out x.csv
recommend no-arrays --user 1
recommend cut-arrays --user 1
recommend no-json --user 1
recommend other-format --user 1
recommend no-items --user 1
recommend log.csv --user 1
recommend dir --user 1
recommend LONG --user 1
similar ease --item 99
similar ease --title ""
similar popularity --item 1
map nowhere
map popularity --out new.html
serve ease --host 999.1.1.1
serve ease --host HOST300
data fetch ""
data import log.csv --name ../x
data import log.csv --name bundled
data import log.csv --name LONG
data import nowhere.csv --name x
data import empty.csv --name x
data audit nowhere
data audit log.csv --figure x.xyz
data audit log.csv --figure dir
data audit log.csv --sessions --gap year
data show nowhere
data show log.csv --of 99
data show --pairs nowhere
data show --pairs dir
train ease --data "" --out new
data import log.csv --name ""
data fetch ml-1k
map ease
evaluate ease --rerank genres=Comdy -q
evaluate ease --ratios 1,0,0 --data log.csv -q
train ease --data log.csv --ratios 0,0.5,0.5 --out new -q
evaluate ease --split leave-last --data bundled -q
"""
"""Lines that are well formed, and fail on what they name. LONG: a name of 5,000 letters; HOST: one of 300."""


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


@pytest.mark.parametrize("line", lines(WRONG))
def test_wrong_usage_ends_in_one_line_and_2(folder: Path, line: str) -> None:
    check(folder, line, WRONG_USAGE)


@pytest.mark.parametrize("line", lines(FAILS))
def test_a_failure_ends_in_one_line_and_1(folder: Path, line: str) -> None:
    check(folder, line.replace("LONG", "x" * 5000).replace("HOST300", "h" * 300), FAILED)


def test_there_are_more_than_two_hundred_broken_lines() -> None:
    assert len({*generated(), *lines(WRONG), *lines(FAILS)}) >= 400
