"""Who of a site's visitors gets the lists of which model, decided by a hash: nothing is stored, and nothing changes."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import fsum, isfinite

from matinee.errors import UsageError, did_you_mean
from matinee.histories import UserId

LONGEST_NAME = 100
ROUNDING = 1e-9
"""How far shares may add up to more than 1."""
BEGINNING = ": "
"""Between the name that was given and the shares: other shares make another experiment."""
SIDES = ("a", "b")
"""The letters of an interleaved list's two models, in the order of the plan."""
_VERSION = re.compile(r"(.*[/@:])?v?\d+")
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+")


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment. arms: the share of visitors of each model, in order; of an interleaving, of its two models.

    name: with the shares, as `read_split` makes it; a visitor is in the same arm as long as it stays. Where the shares
    add up to less than 1, the others get the site's default, outside of the experiment. Raises UsageError for an
    impossible name.
    """

    name: str
    arms: Mapping[str, float]
    is_interleaved: bool = False

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= LONGEST_NAME or not self.name.isprintable():
            shown = self.name[:LONGEST_NAME]
            raise UsageError(
                f"--experiment {shown!r}: a name and its models have at most {LONGEST_NAME} printable letters"
            )

    def arm_of(self, user_id: UserId) -> str | None:
        """The model of a visitor's arm, None outside of the experiment."""
        point, reached = position_of(self.name, str(user_id)), 0.0
        for arm, share in self.arms.items():
            reached += share
            if point < reached or reached > 1 - ROUNDING:
                return arm
        return None

    def require_served(self, models: Collection[str]) -> None:
        """Raises UsageError if a model of the plan is not among those that are served."""
        for arm in self.arms:
            if arm not in models:
                option = "--interleave" if self.is_interleaved else "--split"
                raise UsageError(
                    f"{option}: no model {arm!r} is served{did_you_mean(arm, models)}; served are {', '.join(models)}"
                )


def position_of(name: str, user_id: str) -> float:
    """Where a visitor stands in an experiment: from 0 to less than 1, uniformly, and independent of other names."""
    digest = sha256(f"{name}\0{user_id}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6]) / 2**48  # a float holds 53 bits


def shares_in(name: str) -> dict[str, float] | None:
    """The shares in a name that `read_split` made, None in any other."""
    try:
        return dict(read_split(name.rpartition(BEGINNING)[2]).arms)
    except UsageError:
        return None


def read_split(text: str, name: str = "") -> Plan:
    """`ease=0.5,lightgcn=0.5` as a plan. name: what its name begins with. Raises UsageError for anything else."""
    arms: dict[str, float] = {}
    _require_no_version("--split", [part.rpartition("=")[0] for part in text.split(",")])
    for part in text.split(","):
        model, _, share = (piece.strip() for piece in part.rpartition("="))
        if not model or not _NUMBER.fullmatch(share) or not 0 < float(share) <= 1 or not isfinite(float(share)):
            raise UsageError(f"--split {part.strip()!r}: give each model a share from 0 to 1: ease=0.5,lightgcn=0.5")
        if model in arms:
            raise UsageError(f"--split names {model} twice")
        arms[model] = float(share)
    if len(arms) < 2:
        raise UsageError("--split takes two or more models: ease=0.5,lightgcn=0.5")
    if fsum(arms.values()) > 1 + ROUNDING:
        raise UsageError(f"--split: the shares add up to {fsum(arms.values()):g}; they may add up to 1")
    return Plan(_named(name, ",".join(f"{model}={share:g}" for model, share in arms.items())), arms)


def read_interleave(text: str, name: str = "") -> Plan:
    """`ease,lightgcn` as a plan for everybody. name: as of `read_split`. Raises UsageError for anything else."""
    models = [part.strip() for part in text.split(",")]
    _require_no_version("--interleave", models)
    if len(models) != 2 or not all(models) or models[0] == models[1]:
        raise UsageError(f"--interleave {text!r}: give two different models: ease,lightgcn")
    return Plan(_named(name, ",".join(models)), dict.fromkeys(models, 0.5), is_interleaved=True)


def _require_no_version(option: str, names: Iterable[str]) -> None:
    for name in map(str.strip, names):
        if _VERSION.fullmatch(name):
            raise UsageError(
                f"{option} {name}: an experiment is of models, not of versions of a registry. Two models, of any "
                "versions: matinee serve REGISTRY/00012/ease REGISTRY/00013/lightgcn --split ease=0.5,lightgcn=0.5. "
                "Two versions of one model: `matinee retrain` compares them on the newest events before the new serves"
            )


def _named(name: str, what: str) -> str:
    if BEGINNING in name:
        raise UsageError(f"--experiment {name[:LONGEST_NAME]!r}: a name is without {BEGINNING!r}")
    return f"{name}{BEGINNING}{what}" if name else what


def read_plan(split: str, interleave: str, name: str = "") -> Plan | None:
    """The plan of the options --split, --interleave and --experiment; None without the first two. Raises UsageError."""
    if split and interleave:
        raise UsageError("give --split or --interleave, not both: a visitor is in one experiment")
    if name and not (split or interleave):
        raise UsageError("--experiment names an experiment: give --split or --interleave with it")
    if split:
        return read_split(split, name)
    return read_interleave(interleave, name) if interleave else None
