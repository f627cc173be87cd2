"""Events as files of a folder: each batch is a Parquet or CSV file, complete or not there, and each event once."""

import fcntl
import os
import re
from collections.abc import Callable, Sequence
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
WRITERS: dict[Format, Callable[[pl.DataFrame, Path], None]] = {
    "parquet": lambda frame, path: frame.write_parquet(path),
    "csv": lambda frame, path: frame.write_csv(path),
}


class EventFiles:
    """An EventSink that writes files `NAME-PARTITION-FIRST-LAST.parquet`, by the numbers of their events.

    name: of the stream. The names of the files say up to which number each partition is written, so that a batch which
    comes again, in other pieces too, adds only what is new. Raises MatineeError if the folder cannot be written, if
    another process writes to it, or if it holds another stream or format.
    """

    def __init__(self, folder: Path, name: str, format: Format) -> None:
        require_file(folder / f"{name}.{format}", "--to", any_file=True)
        make_folder(folder)
        self._folder, self._name, self._format = folder, name, format
        self._lock = _lock(folder)
        try:
            self._last = self._find()
        except MatineeError:
            self.close()
            raise

    def write(self, events: Sequence[StreamEvent]) -> int:
        """See EventSink."""
        new: dict[int, list[StreamEvent]] = {}
        for event in events:
            of_partition = new.setdefault(event.partition, [])
            last = of_partition[-1].seq if of_partition else self._last.get(event.partition, 0)
            if event.seq > last:
                of_partition.append(event)
        for partition, fresh in new.items():
            if fresh:
                self._write_file(partition, fresh)
        return sum(len(fresh) for fresh in new.values())

    def close(self) -> None:
        """See EventSink."""
        os.close(self._lock)

    def _find(self) -> dict[int, int]:
        """By partition, the number of the last event that is written."""
        last: dict[int, int] = {}
        for match in filter(None, (_NAME.fullmatch(path.name) for path in self._folder.iterdir())):
            name, partition, _, newest, format = match.groups()
            if (name, format) != (self._name, self._format):
                raise MatineeError(
                    f"{self._folder} holds {format} files of {name}, not {self._format} files of {self._name}; name "
                    "another folder"
                )
            last[int(partition)] = max(last.get(int(partition), 0), int(newest))
        return last

    def _write_file(self, partition: int, events: list[StreamEvent]) -> None:
        frame = pl.DataFrame([columns_of(event) for event in events], schema=SCHEMA)
        path = self._folder / f"{self._name}-{partition}-{events[0].seq}-{events[-1].seq}.{self._format}"
        with new_file(path, "events") as part:
            WRITERS[self._format](frame, part)
        self._last[partition] = events[-1].seq


def _lock(folder: Path) -> int:
    """The open lock of a folder, which ends with its process. Raises MatineeError if another one has it."""
    lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise MatineeError(f"another process writes to {folder}; stop it, or name another folder") from None
    return lock
