"""Events as files of a folder: each batch is a Parquet or CSV file, complete or not there, and each event once."""

import fcntl
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from matinee.destinations import require_file
from matinee.errors import MatineeError
from matinee.store.streams.messages import columns_of
from matinee.store.streams.protocols import StreamEvent
from matinee.writing import make_folder, new_file

Format = Literal["parquet", "csv"]
_NAME = re.compile(r"(.+)-(\d+)-(\d+)-(\d+)\.(parquet|csv)")
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "seq": pl.Int64, "user_id": pl.String, "item_id": pl.String, "kind": pl.String, "value": pl.Float64,
    "at": pl.Int64, "event_id": pl.String, "model": pl.String, "list_id": pl.String, "position": pl.Int64,
    "version": pl.String,
}  # fmt: skip
Span = tuple[int, int]
"""The least and the greatest number in a file."""
WRITERS: dict[Format, Callable[[pl.DataFrame, Path], None]] = {
    "parquet": lambda frame, path: frame.write_parquet(path),
    "csv": lambda frame, path: frame.write_csv(path),
}
READERS: dict[Format, Callable[[Path], Iterable[int]]] = {
    "parquet": lambda path: pl.read_parquet(path, columns=["seq"])["seq"],
    "csv": lambda path: pl.read_csv(path, columns=["seq"])["seq"],
}


class EventFiles:
    """An EventSink that writes files `NAME-PARTITION-FIRST-LAST.parquet`, by the least and greatest number of an event.

    name: of the stream. An event whose number lies between those of a file is looked up in it, so that each is written
    once, in whatever order and pieces events come, and none is taken for written because a later one is. Raises
    MatineeError if the folder cannot be written, if another process writes to it, or if it holds another stream or
    format.
    """

    def __init__(self, folder: Path, name: str, format: Format) -> None:
        require_file(folder / f"{name}.{format}", "--to", any_file=True)
        make_folder(folder)
        self._folder, self._name, self._format = folder, name, format
        self._lock = _lock(folder)
        try:
            self._written = self._find()
        except MatineeError:
            self.close()
            raise

    def write(self, events: Sequence[StreamEvent]) -> int:
        """See EventSink."""
        by_partition: dict[int, dict[int, StreamEvent]] = {}
        for event in events:
            by_partition.setdefault(event.partition, {}).setdefault(event.seq, event)
        n_new = 0
        for partition, by_seq in by_partition.items():
            known = self._known(partition, min(by_seq), max(by_seq))
            fresh = [by_seq[seq] for seq in sorted(by_seq.keys() - known)]
            n_new += len(fresh)
            if fresh:
                self._write_file(partition, fresh)
        return n_new

    def close(self) -> None:
        """See EventSink."""
        os.close(self._lock)

    def _find(self) -> dict[int, list[Span]]:
        """By partition, what its files span."""
        found: dict[int, list[Span]] = {}
        for match in filter(None, (_NAME.fullmatch(path.name) for path in self._folder.iterdir())):
            name, partition, first, last, format = match.groups()
            if (name, format) != (self._name, self._format):
                raise MatineeError(
                    f"{self._folder} holds {format} files of {name}, not {self._format} files of {self._name}; name "
                    "another folder"
                )
            found.setdefault(int(partition), []).append((int(first), int(last)))
        return found

    def _known(self, partition: int, least: int, greatest: int) -> set[int]:
        """The numbers from least to greatest that are written, and perhaps further ones."""
        known: set[int] = set()
        for first, last in self._written.get(partition, ()):
            if first <= greatest and last >= least:
                known |= self._numbers(partition, first, last)
        return known

    def _numbers(self, partition: int, first: int, last: int) -> set[int]:
        """The numbers in a file; all from its first to its last if somebody took it away."""
        try:
            return set(READERS[self._format](self._path(partition, first, last)))
        except FileNotFoundError:
            return set(range(first, last + 1))
        except pl.exceptions.PolarsError as error:
            path = self._path(partition, first, last)
            raise MatineeError(
                f"{path} cannot be read ({str(error).splitlines()[0]}); put it back, or name another folder"
            ) from None

    def _write_file(self, partition: int, events: list[StreamEvent]) -> None:
        frame = pl.DataFrame([columns_of(event) for event in events], schema=SCHEMA)
        span = events[0].seq, events[-1].seq
        with new_file(self._path(partition, *span), "events") as part:
            WRITERS[self._format](frame, part)
        self._written.setdefault(partition, []).append(span)

    def _path(self, partition: int, first: int, last: int) -> Path:
        return self._folder / f"{self._name}-{partition}-{first}-{last}.{self._format}"


def _lock(folder: Path) -> int:
    """The open lock of a folder, which ends with its process. Raises MatineeError if another one has it."""
    lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise MatineeError(f"another process writes to {folder}; stop it, or name another folder") from None
    return lock
