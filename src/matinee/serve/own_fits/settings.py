"""Which settings of a served model a visitor may change, and between which ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from matinee.errors import MatineeError
from matinee.extras import is_installed
from matinee.models import MODELS
from matinee.models.base import HasParts
from matinee.store.artefact import Artefact
from matinee.training.configs import EpochsConfig
from matinee.tuning.ranges import Range, first_fields, ranges_of

MOST = 3
"""Settings of a form, the epochs aside."""
LONGEST = 2
"""Epochs at most, in multiples of those that the served model has."""
DATA = "bundled"
"""The data that every installation has, and that fits are made on."""


@dataclass(frozen=True, slots=True)
class Field:
    """A setting of the form. why: what it does, in a few English words; value: of the served model, empty if off."""

    name: str
    low: float
    high: float
    whole: bool
    value: str
    why: str


class SettingError(MatineeError):
    """A value that a setting cannot have. field: the setting, with its ends; value: as it was sent."""

    def __init__(self, field: Field, value: str) -> None:
        super().__init__(f"{field.name} = {value} is not between {field.low:g} and {field.high:g}")
        self.field, self.value = field, value


def can_be_fitted(artefact: Artefact) -> bool:
    """Whether the settings of a served model can be changed here: it has some, its data are at hand, and torch is."""
    model = artefact.model
    return (
        artefact.path is not None
        and model.name in MODELS
        and artefact.manifest.get("data", {}).get("name") == DATA
        and not isinstance(model, HasParts)
        and (not model.trained_by_torch or is_installed("torch"))
        and bool(first_fields(type(model.config)))
    )


def fields_of(artefact: Artefact) -> list[Field]:
    """The settings that decide most, and the epochs of a model that trains by epochs."""
    config = artefact.model.config
    names = first_fields(type(config))[:MOST]
    ranges = ranges_of(type(config), artefact.name, names)
    if isinstance(config, EpochsConfig):
        ranges["epochs"] = Range(1, LONGEST * config.epochs, False, True, float(config.epochs))
    found = []
    for name, each in ranges.items():
        value = getattr(config, name)
        why = (type(config).model_fields[name].description or "").replace("`", "").partition(". ")[0].rstrip(".")
        low, high = (min(each.low, value), max(each.high, value)) if isinstance(value, int | float) else each.bounds
        found.append(Field(name, low, high, each.whole, "" if value is None else f"{value:g}", why))
    return found


def read_changes(artefact: Artefact, sent: Mapping[str, str]) -> dict[str, float | int]:
    """The settings of a form that differ from those of the served model. Raises SettingError for an impossible one."""
    changes: dict[str, float | int] = {}
    for field in fields_of(artefact):
        text = sent.get(field.name, "").strip()
        if text in ("", field.value):
            continue
        value = _number(text)
        if value is None or not field.low <= value <= field.high or (field.whole and value != int(value)):
            raise SettingError(field, text[:40])
        if f"{value:g}" != field.value:
            changes[field.name] = int(value) if field.whole else value
    return changes


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) and "_" not in text else None
