"""What a model page says of the fit: its settings, and on what, when and how it was trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matinee.config import Config
from matinee.store.artefact import Artefact


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a model. why: what it does, in English; is_default: whether its value is the config's default."""

    name: str
    value: str
    why: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class FitFacts:
    """How an artefact came to be; empty or 0 where its manifest does not say.

    data: the name of its data, with `users`, `items` and `events`; seconds: of training; fingerprint: of the data;
    served: the version that lists name.
    """

    data: str
    users: int
    items: int
    events: int
    fingerprint: str
    seed: str
    device: str
    seconds: float
    matinee: str
    served: str


def settings_of(config: Config) -> list[Setting]:
    """The settings of a model, in the order of their declaration."""
    return [
        Setting(name, as_text(value), (field.description or "").replace("`", ""), value == field.default)
        for name, field in type(config).model_fields.items()
        for value in (getattr(config, name),)
    ]


def fit_facts(artefact: Artefact, version: str) -> FitFacts:
    """What the manifest of an artefact says. version: as lists name it."""
    manifest, data = artefact.manifest, _table(artefact.manifest.get("data"))
    return FitFacts(
        data=str(data.get("name", "")),
        users=_whole(data.get("users")),
        items=_whole(data.get("items")),
        events=_whole(data.get("events")),
        fingerprint=str(data.get("fingerprint", "")),
        seed=str(manifest.get("seed", "")),
        device=str(manifest.get("device", "")),
        seconds=float(manifest.get("fit_seconds", 0.0) or 0.0),
        matinee=str(manifest.get("matinee", "")),
        served=version,
    )


def split_words(artefact: Artefact) -> tuple[str, str]:
    """The method of the split that an artefact was measured on, and its shares as `70 / 15 / 15`, empty if unknown."""
    split = _table(_table(artefact.manifest.get("measured")).get("split"))
    ratios = split.get("ratios") or ()
    method = str(split.get("method", ""))
    return method, " / ".join(f"{100 * ratio:.0f}" for ratio in ratios) if method == "random" else ""


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def as_text(value: object) -> str:
    """A value as a configuration file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(as_text, value))
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
