"""The folder of a search: what is searched, and a line for each trial, so that the same command goes on."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matinee.errors import MatineeError
from matinee.tuning.trials import Trial
from matinee.writing import make_folder, new_file

STUDY, TRIALS = "study.json", "trials.jsonl"


class StudyFolder:
    """The trials of one search, kept in a folder. about: what is searched, JSON-ready; a folder keeps to one such."""

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path = path
        self._about = json.loads(json.dumps(about))

    @contextmanager
    def opened(self) -> Iterator[list[Trial]]:
        """Yield the trials so far, in order; `add` may be called inside.

        Raises MatineeError for the folder of another search, a damaged one, and while another process searches.
        """
        self._check()
        make_folder(self.path)
        with self._alone():
            if not (self.path / STUDY).exists():
                with new_file(self.path / STUDY, "study") as part:
                    part.write_text(json.dumps(self._about, indent=1) + "\n", encoding="utf-8")
            yield self._read()

    def add(self, trial: Trial) -> None:
        """Append a trial; it survives a power cut when this returns."""
        line = json.dumps(asdict(trial)) + "\n"
        number = os.open(self.path / TRIALS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            os.write(number, line.encode())
            os.fsync(number)
        finally:
            os.close(number)

    def _check(self) -> None:
        """Raises MatineeError unless the folder is new, empty, or of this search."""
        if self.path.exists() and not self.path.is_dir():
            raise MatineeError(f"{self.path} is a file, not the folder of a search; choose another --out")
        file = self.path / STUDY
        if not file.exists():
            if self.path.is_dir() and any(self.path.iterdir()):
                raise MatineeError(f"{self.path} holds other files, and no search of ours; choose another --out")
            return
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            differing = [name for name in self._about if found.get(name) != self._about[name]]
        except (OSError, ValueError, AttributeError):
            raise MatineeError(f"{file} cannot be read; choose another --out, or remove {self.path}") from None
        if differing:
            name = differing[0]
            raise MatineeError(
                f"{self.path} holds another search: its {name} is {_short(found.get(name))}, not "
                f"{_short(self._about[name])}; choose another --out"
            )

    def _read(self) -> list[Trial]:
        """The trials in order; a last line that a kill cut is removed."""
        file = self.path / TRIALS
        if not file.exists():
            return []
        content = file.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(file, len(whole))
        found: dict[int, Trial] = {}
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                trial = Trial(**json.loads(line))
                found[trial.number] = Trial(
                    **asdict(trial) | {"curve": tuple((int(e), float(v)) for e, v in trial.curve)}
                )
            except (ValueError, TypeError):
                raise MatineeError(f"line {number} of {file} is no trial; remove it, or choose another --out") from None
        return [found[number] for number in sorted(found)]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        number = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise MatineeError(
                f"another process searches in {self.path}; wait for it, or choose another --out"
            ) from None
        finally:
            os.close(number)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
