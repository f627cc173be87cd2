"""A file or folder is written whole or not at all, and nothing of others is touched."""

import errno
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from matinee import writing
from matinee.errors import MatineeError
from matinee.writing import exchange, make_folder, new_file, new_folder, recover

NAMES = frozenset({"a", "b"})


def fill(path: Path, **content: str) -> None:
    with new_folder(path, "thing", NAMES) as folder:
        for name, text in content.items():
            (folder / name).write_text(text)


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture(params=["exchange", "two renames"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "two renames":
        monkeypatch.setattr(writing, "exchange", lambda one, other: False)


@pytest.mark.usefixtures("either_way")
def test_a_folder_takes_the_place_of_the_old_one_and_nothing_is_left(tmp_path: Path) -> None:
    fill(tmp_path / "new" / "below", a="1")
    fill(tmp_path / "new" / "below", b="2")
    assert content(tmp_path / "new" / "below") == {"b": "2"}
    assert os.listdir(tmp_path / "new") == ["below"]


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), KeyError()])
def test_a_failure_leaves_the_old_one_alone(tmp_path: Path, error: BaseException) -> None:
    def fail(path: Path) -> None:
        path.write_text("new")
        raise error

    fill(tmp_path / "x", a="old")
    (tmp_path / "file").write_text("old")
    with pytest.raises((MatineeError, type(error))), new_folder(tmp_path / "x", "thing", NAMES) as folder:
        fail(folder / "a")
    with pytest.raises((MatineeError, type(error))), new_file(tmp_path / "file", "thing") as part:
        fail(part)
    assert content(tmp_path / "x") == {"a": "old"}
    assert (tmp_path / "file").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["file", "x"]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    one_line = pytest.raises(MatineeError, match=r"^figure .*/file cannot be written: No space left on device$")
    with one_line, new_file(tmp_path / "file", "figure"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_an_exchange_swaps_two_folders_in_one_step(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert exchange(tmp_path / "one", tmp_path / "other")
    assert (os.listdir(tmp_path / "one"), os.listdir(tmp_path / "other")) == (["other"], ["one"])
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "one", tmp_path / "nothing")


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_modes_follow_the_umask_but_for_private_files(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with new_folder(tmp_path / "x", "thing", NAMES) as folder:
            for name, mode in (("a", 0o600), ("b", 0o666)):
                os.close(os.open(folder / name, os.O_CREAT, mode))
        with new_file(tmp_path / "file", "thing") as part:
            os.close(os.open(part, os.O_CREAT, 0o600))
        with new_file(tmp_path / "private", "thing", private=True) as part:
            part.touch()
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "x", *tmp_path.rglob("*")]}
    assert modes == {
        "x": 0o777 & ~umask, "a": 0o666 & ~umask, "b": 0o666 & ~umask, "file": 0o666 & ~umask, "private": 0o600
    }  # fmt: skip


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    fill(tmp_path / "target", a="old")
    (tmp_path / "link").symlink_to("target")
    fill(tmp_path / "link", b="new")
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "target") == {"b": "new"}
    assert sorted(os.listdir(tmp_path)) == ["link", "target"]


STUCK = """
import sys, time
from pathlib import Path
from matinee.writing import new_folder
with new_folder(Path(sys.argv[1]), "thing", frozenset({"a", "b"})) as folder:
    (folder / "a").write_text("half")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_what_a_dead_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", STUCK, str(tmp_path / "x")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        left = Path(child.stdout.readline().strip()).parent
        fill(tmp_path / "x", a="mine")
        assert left.is_dir()
        child.send_signal(signal.SIGKILL)
    assert left.is_dir()
    fill(tmp_path / "other", a="mine")
    assert left.is_dir()  # the leftovers of another name are not looked at
    fill(tmp_path / "x", a="again")
    assert sorted(os.listdir(tmp_path)) == ["other", "x"]


@pytest.mark.parametrize("name", [".x.part", ".x.123.part", ".x.0123456.part", ".x.0123456g.part", "x.01234567.part"])
def test_folders_with_other_names_are_not_leftovers(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    fill(tmp_path / "x", a="1")
    assert sorted(os.listdir(tmp_path)) == sorted(["x", name])


def test_a_leftover_with_a_file_of_somebody_else_is_kept(tmp_path: Path) -> None:
    left = tmp_path / ".x.01234567.part" / "new"
    left.mkdir(parents=True)
    (left / "thesis.txt").touch()
    fill(tmp_path / "x", a="1")
    assert (left / "thesis.txt").exists()


def test_a_file_that_comes_into_the_old_folder_meanwhile_is_kept(tmp_path: Path) -> None:
    fill(tmp_path / "x", a="old")
    refused = pytest.raises(MatineeError, match=r"x is saved, but thesis\.txt came into the old one: see ")
    with refused as error, new_folder(tmp_path / "x", "thing", NAMES) as folder:
        (folder / "a").write_text("new")
        (tmp_path / "x" / "thesis.txt").touch()
    assert content(tmp_path / "x") == {"a": "new"}
    assert (Path(str(error.value).partition(": see ")[2]) / "thesis.txt").exists()


@pytest.mark.parametrize("has_new", [True, False])
def test_two_renames_that_were_cut_in_the_middle_are_finished(tmp_path: Path, has_new: bool) -> None:
    staging = tmp_path / ".x.01234567.part"
    for inner in ("old", *(["new"] if has_new else [])):
        (staging / inner).mkdir(parents=True)
        (staging / inner / "a").write_text(inner)
    recover(tmp_path / "x")
    assert content(tmp_path / "x") == {"a": "new" if has_new else "old"}
    recover(tmp_path / "x")  # nothing more to do
    fill(tmp_path / "x", b="1")
    assert os.listdir(tmp_path) == ["x"]


def test_without_an_old_one_set_aside_there_is_nothing_to_recover(tmp_path: Path) -> None:
    (tmp_path / ".x.01234567.part" / "new").mkdir(parents=True)
    recover(tmp_path / "x")
    recover(tmp_path / "nowhere" / "x")
    assert not (tmp_path / "x").exists()


def test_folders_above_are_made_and_a_file_among_them_is_an_error(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "file" / "x")


@pytest.mark.usefixtures("either_way")
def test_several_writers_to_one_place_leave_one_whole_folder(tmp_path: Path) -> None:
    def write(name: str) -> None:
        for number in range(8):
            with suppress(MatineeError):  # two renames cannot both find the old one in its place
                fill(tmp_path / "x", a=f"{name} {number}", b=f"{name} {number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "ABCD"))
    fill(tmp_path / "y", a="1")
    assert content(tmp_path / "x")["a"] == content(tmp_path / "x")["b"]
    fill(tmp_path / "x", a="last")
    assert sorted(os.listdir(tmp_path)) == ["x", "y"]
