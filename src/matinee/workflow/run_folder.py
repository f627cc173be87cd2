"""The folder of a run: each finished fit with its evaluation, so that an interrupted comparison goes on.

FOLDER/MODEL-SEED-KEY/measured.json and per_user.safetensors; beside it, while a model trains by epochs, a checkpoint.
KEY is a hash of all that decides about the result, so a changed setting has a fit of its own.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from matinee.errors import MatineeError
from matinee.evaluation.bootstrap import Interval
from matinee.evaluation.explanations import ExplanationTest
from matinee.evaluation.metrics import PerUser
from matinee.evaluation.predicted_values import CalibrationBin
from matinee.evaluation.report import Report
from matinee.evaluation.segments import Segment
from matinee.tensors import read_arrays, write_arrays
from matinee.workflow.planned_fits import Measured, PlannedFit, key_of
from matinee.writing import new_folder

FILES = frozenset({"measured.json", "per_user.safetensors"})
APART = ("user_rows", "per_user")
"""Fields of a report that are arrays."""
MOST_CHANGES = 3
"""Changed settings that a note names."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Fits that are kept. fingerprint: of the data and split that they were measured on."""

    path: Path
    fingerprint: str

    def find(self, planned: PlannedFit) -> Measured | None:
        """The result of a fit that is finished; None if there is none, or it is damaged."""
        folder = self._folder(planned)
        try:
            return _read(folder)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, planned: PlannedFit, measured: Measured) -> None:
        """Keep the result of a fit. Raises MatineeError if it cannot be written."""
        with new_folder(self._folder(planned), "run", FILES) as folder:
            _write(folder, planned.about(self.fingerprint), measured)
        self.checkpoint(planned).unlink(missing_ok=True)

    def checkpoint(self, planned: PlannedFit) -> Path:
        """The file that the training of a fit continues from."""
        folder = self._folder(planned)
        return folder.with_name(f"{folder.name}.checkpoint")

    def forget(self, planned: PlannedFit) -> None:
        """Remove what is kept of a fit, and the folder once nothing is left in it."""
        shutil.rmtree(self._folder(planned), ignore_errors=True)
        self.checkpoint(planned).unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()
            self.path.parent.rmdir()

    def changes(self, planned: PlannedFit) -> str | None:
        """What differs from a finished fit of the same model and seed; None if there is none, or no difference."""
        mine = planned.about(self.fingerprint)
        for about in self._others(planned):
            found = list(_differences(about, mine))
            if found:
                more = f" and {len(found) - MOST_CHANGES} more" if len(found) > MOST_CHANGES else ""
                return f"{'; '.join(found[:MOST_CHANGES])}{more}"
        return None

    def _others(self, planned: PlannedFit) -> Iterator[dict[str, Any]]:
        for path in sorted(self.path.glob(f"{_stem(planned)}-*/measured.json")):
            with suppress(OSError, ValueError, KeyError):
                yield json.loads(path.read_text(encoding="utf-8"))["about"]

    def _folder(self, planned: PlannedFit) -> Path:
        return self.path / f"{_stem(planned)}-{key_of(planned.about(self.fingerprint))}"


def _stem(planned: PlannedFit) -> str:
    return f"{re.sub('[^A-Za-z0-9_]+', '-', planned.label).strip('-')[-60:]}-seed{planned.seed}"


def _differences(one: Mapping[str, Any], other: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """What changed between two descriptions: `l2 was 200 and is 300`."""
    for name in dict.fromkeys([*one, *other]):
        before, now = one.get(name), other.get(name)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _differences(before, now, name)
        elif before != now:
            yield f"{name} was {_shown(before)} and is {_shown(now)}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Mapping):
        return f"on with {', '.join(f'{name} = {_shown(each)}' for name, each in value.items())}"
    return "the default" if value is None else str(value)


def _write(folder: Path, about: Mapping[str, Any], measured: Measured) -> None:
    report = measured.report
    plain = {name: value for name, value in vars(report).items() if name not in APART}
    plain["metrics"] = {name: list(vars_of(interval)) for name, interval in report.metrics.items()}
    plain["segments"] = [asdict(segment) for segment in report.segments]
    plain["calibration"] = [asdict(each) for each in report.calibration]
    plain["explanations"] = report.explanations and asdict(report.explanations)
    text = {
        "about": about,
        "report": plain,
        "roots": [name for name, each in report.per_user.items() if each.root],
        "drew": measured.drew,
        "settings": measured.settings,
        "search": measured.search,
    }
    (folder / "measured.json").write_text(json.dumps(text, default=_scalar), encoding="utf-8")
    arrays = {"user_rows": np.asarray(report.user_rows)}
    for name, each in report.per_user.items():
        arrays[f"values.{name}"] = np.asarray(each.values, dtype=np.float64)
        if each.weights is not None:
            arrays[f"weights.{name}"] = np.asarray(each.weights, dtype=np.float64)
    write_arrays(folder / "per_user.safetensors", arrays)


def vars_of(interval: Interval) -> tuple[float, float, float]:
    """Mean, low and high."""
    return interval.mean, interval.low, interval.high


def _read(folder: Path) -> Measured:
    text = json.loads((folder / "measured.json").read_text(encoding="utf-8"))
    arrays = {name: np.array(array) for name, array in read_arrays(folder / "per_user.safetensors").items()}
    plain, roots = text["report"], set(text["roots"])
    tests = plain["explanations"]
    if tests is not None:
        tests["measures"] = {name: Interval(**each) for name, each in tests["measures"].items()}
    per_user = {
        name: PerUser(values, arrays.get(f"weights.{name}"), name in roots)
        for name, values in _under("values.", arrays)
    }
    known = {field.name for field in fields(Report)}
    report = Report(
        **{name: value for name, value in plain.items() if name in known}
        | {
            "metrics": {name: Interval(*ends) for name, ends in plain["metrics"].items()},
            "segments": tuple(Segment(**each) for each in plain["segments"]),
            "calibration": tuple(CalibrationBin(**each) for each in plain["calibration"]),
            "explanations": None if tests is None else ExplanationTest(**tests),
            "user_rows": arrays["user_rows"],
            "per_user": {name: per_user[name] for name in per_user},
        }
    )
    # JSON has lists where a report has tuples
    report = replace(
        report, curves=tuple(report.curves), seeds=tuple(report.seeds), read_notes=tuple(report.read_notes)
    )
    return Measured(report, text["drew"], text["settings"], text["search"])


def _under(prefix: str, arrays: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, array in arrays.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), array


def _scalar(value: Any) -> Any:  # noqa: ANN401 - a numpy scalar
    if isinstance(value, np.generic):
        return value.item()
    raise MatineeError(f"a report holds a {type(value).__name__}, which has no JSON")
