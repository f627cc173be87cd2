"""Where nothing can be written is said before the work, in one line, and the check leaves nothing behind."""

import errno
import os
from pathlib import Path

import pytest

from matinee.destinations import MARK, require_file, require_folder, require_room
from matinee.errors import MatineeError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a file, a link to nowhere and a pipe."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("mine")
    (tmp_path / "loose").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe.png")
    return tmp_path


FOLDERS = {
    ".": "the folder you work in",
    "": "the folder you work in",
    "..": "the folder you work in, or one above",
    "/": "the folder you work in, or one above",
    "x/..": "the folder you work in",
    "/proc": "is a mount point",
    "/proc/x": "nothing can be written in /proc",
    "loose": "a link that leads nowhere",
    "loop": "a link that leads nowhere",
    "file.txt/x": "is a file, not a folder",
    "x" * 250: "name that is too long",
    "ä" * 121: "name that is too long",
    "x" * 300 + "/y": "name that is too long",
    "/".join(["x" * 200] * 20): "name that is too long",
    "x\0y": "a character that no name can have",
}


@pytest.mark.parametrize(("path", "words"), FOLDERS.items())
def test_a_folder_that_cannot_be_is_refused(here: Path, path: str, words: str) -> None:
    before = sorted(os.listdir(here))
    with pytest.raises(MatineeError, match=words) as error:
        require_folder(Path(path), "--out")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300
    assert sorted(os.listdir(here)) == before


@pytest.mark.parametrize("path", ["x", "x/y/z", "x" * 230, "ä" * 120, "folder", "a b", "-x", "日本"])
def test_a_folder_that_can_be_is_not_made_by_the_check(here: Path, path: str) -> None:
    require_folder(Path(path), "--out")
    assert sorted(os.listdir(here)) == ["file.txt", "loop", "loose", "pipe.png"]


FILES = {
    ".": "is a folder|no format",
    "figure": "has no format that can be written; end its name in one of: png, svg",
    "figure.jpg": "has no format",
    "png": "has no format",
    "pipe.png": "not a regular file",
    "loose.png": "a link that leads nowhere",
    "folder.png": "is a folder; name a file in it: --figure folder.png/NAME",
    "strange.png": "exists and was not written by Matinee",
    "file.txt/x.png": "is a file, not a folder",
    "x" * 250 + ".png": "name that is too long",
    "/proc/x.svg": "nothing can be written in /proc",
}


@pytest.mark.parametrize(("path", "words"), FILES.items())
def test_a_file_that_cannot_be_is_refused(here: Path, path: str, words: str) -> None:
    (here / "strange.png").write_bytes(b"\x89PNG of somebody else")
    (here / "folder.png").mkdir()
    (here / "loose.png").symlink_to("nowhere.png")
    with pytest.raises(MatineeError, match=words):
        require_file(Path(path), "--figure", (".png", ".svg"))
    assert (here / "strange.png").read_bytes() == b"\x89PNG of somebody else"


def test_a_file_of_ours_an_empty_one_and_none_can_be_written(here: Path) -> None:
    (here / "ours.png").write_bytes(bytes(10**6) + MARK)
    (here / "empty.png").touch()
    for path in ("ours.png", "empty.png", "new.PNG", "below/new.png"):
        require_file(here / path, "--figure", (".png",))
    require_file(here / "file.txt", "--out", any_file=True)


def test_a_folder_without_write_permission_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> None:  # the tests may run as root, who may write everywhere
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (here / "locked").mkdir(mode=0o500)
    monkeypatch.setattr("matinee.destinations.try_staging", denied)
    with pytest.raises(MatineeError, match=r"nothing can be written in .*locked: Permission denied"):
        require_folder(here / "locked" / "x", "--out")


def test_a_disk_that_is_almost_full_is_refused(here: Path) -> None:
    require_room(here / "not" / "yet", 1, "artefact x")
    with pytest.raises(MatineeError, match=r"^artefact x needs 1,000,000,000,000.0 MB and .* MB free: no space left; "):
        require_room(here, 10**18, "artefact x")
    with pytest.raises(MatineeError, match="no space left"):
        require_folder(here / "x", "--out", 10**18)
