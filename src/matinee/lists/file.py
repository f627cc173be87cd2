"""Lists in a file: written part by part in bounded memory, continued after a kill, and whole or not there.

Parts are kept in a hidden folder beside the file until all are there, each written to a temporary name and renamed:

    .lists.parquet.parts/plan.json          what the lists hold; a run with another plan starts from the first part
    .lists.parquet.parts/00000.parquet      the first part

They are then joined to a file that is whole or not there, and the folder is removed. Parts are computed by a runner,
which may have workers on other machines: they return the bytes of a part, and only this process writes.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import polars as pl

from matinee.destinations import require_file
from matinee.errors import MatineeError
from matinee.lists.everyone import Lists, OnPart
from matinee.scale.runner import Here, Runner
from matinee.writing import make_folder, new_file, sync_file

FORMATS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
COLUMNS = ({"user", "rank", "item", "score"}, {"item", "rank", "similar", "score"})
"""The columns of files that Matinee has written, beside a title: only such a file is replaced."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. parts: number of parts; continued: those an earlier run left; notes: those of the lists."""

    path: Path
    parts: int
    continued: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartBytes:
    """The job of a runner: from the number of a part to the bytes of its file."""

    lists: Lists
    kind: str

    def __call__(self, index: int) -> bytes:
        """The same bytes in every process."""
        frame, file = self.lists.part(index), BytesIO()
        if self.kind == "parquet":
            frame.write_parquet(file)
        elif self.kind == "csv":
            frame.write_csv(file, include_header=index == 0)
        else:
            frame.write_ndjson(file)
        return file.getvalue()


def write(lists: Lists, out: Path, on_part: OnPart = lambda done, total: None, runner: Runner | None = None) -> Written:
    """Write lists to a Parquet, CSV or JSON lines file, by its ending. runner: computes the parts; by default here.

    A file of lists is replaced when the new one is complete. Raises MatineeError for another ending, for a file or
    folder that is anything else, if another run is writing it, or if it cannot be written.
    """
    require_file_of_lists(out)
    kind = FORMATS[out.suffix.lower()]
    folder = out.with_name(f".{out.name}.parts")
    try:
        make_folder(folder)
        with _only_run(folder, out):
            continued = _begin(folder, lists)
            parts = [folder / f"{index:05d}{out.suffix}" for index in range(len(lists))]
            missing = [index for index, path in enumerate(parts) if not path.is_file()]
            for done in range(len(parts) - len(missing)):
                on_part(done + 1, len(parts))
            computed = (runner or Here()).map(PartBytes(lists, kind), missing)
            for done, (index, content) in enumerate(zip(missing, computed, strict=True), len(parts) - len(missing)):
                _write_part(content, parts[index])
                on_part(done + 1, len(parts))
            with new_file(out, "lists") as whole:
                _join(parts, whole, kind)
            shutil.rmtree(folder)
    except (OSError, pl.exceptions.PolarsError) as error:
        said = getattr(error, "strerror", None) or error
        kept = f"; finished parts are kept in {folder}, and the same command continues" if folder.is_dir() else ""
        raise MatineeError(f"lists {out} cannot be written: {said}{kept}") from None
    return Written(out, len(parts), continued, lists.notes)


def require_file_of_lists(out: Path) -> None:
    """Raises MatineeError unless lists can be written to a file, over none or over one of lists."""
    try:
        is_ours = out.is_file() and _columns(out) - {"title"} in COLUMNS
    except (OSError, ValueError, pl.exceptions.PolarsError):
        is_ours = False
    require_file(out, "--out", tuple(FORMATS), any_file=is_ours)


def _columns(path: Path) -> set[str]:
    kind = FORMATS.get(path.suffix.lower())
    if kind == "parquet":
        return set(pl.read_parquet_schema(path))
    with path.open(encoding="utf-8") as file:
        head = file.readline(10_000)
    return set(json.loads(head)) if kind == "jsonl" else set(head.strip().split(","))


@contextmanager
def _only_run(folder: Path, out: Path) -> Iterator[None]:
    """Refuse a second run on the same file. The lock of a process that dies ends with it."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MatineeError(f"another run is writing {out}; wait for it, or choose another --out") from None
        yield


def _begin(folder: Path, lists: Lists) -> int:
    """Keep the finished parts of the same lists, and remove what is left of others. Returns how many are kept."""
    plan, text = folder / "plan.json", json.dumps(lists.describe(), sort_keys=True)
    same = plan.is_file() and plan.read_text("utf-8") == text
    kept = 0
    for path in folder.iterdir():
        if same and path.stem.isdigit():
            kept += 1
        elif path.name not in {"lock", "plan.json"}:
            path.unlink()
    if not same:
        part = folder / f"plan.{os.getpid()}.part"
        part.write_text(text, "utf-8")
        part.replace(plan)
    return kept


def _write_part(content: bytes, path: Path) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    sync_file(part)  # a part of which a power cut left the name alone would be taken for a whole one
    part.replace(path)


def _join(parts: list[Path], whole: Path, kind: str) -> None:
    """One file of all parts, in their order and in bounded memory."""
    if kind == "parquet":
        pl.scan_parquet(parts, glob=False).sink_parquet(whole)
        return
    with whole.open("wb") as file:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, file)
