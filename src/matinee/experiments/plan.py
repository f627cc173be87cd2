"""Who of a site's visitors gets the lists of which model, decided by a hash: nothing is stored, and nothing changes."""

import re
from collections.abc import Collection, Mapping
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
_VERSION = re.compile(r"v?0*([1-9][0-9]{0,8})")
_LIKE_A_VERSION = re.compile(r"(.*[/@:])?v?[0-9]+", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+")


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment. arms: the share of visitors of each model, in order; of an interleaving, of its two models.

    is_of_versions: whether the arms are versions of a registry, named `v12`, each of which is the whole site of its
    visitors, in place of models of one version.
    name: with the shares, as `read_split` makes it; a visitor is in the same arm as long as it stays. Where the shares
    add up to less than 1, the others get the site's default, outside of the experiment. Raises UsageError for an
    impossible name.
    """

    name: str
    arms: Mapping[str, float]
    is_interleaved: bool = False
    is_of_versions: bool = False

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= LONGEST_NAME or not self.name.isprintable():
            shown = self.name[:LONGEST_NAME]
            raise UsageError(
                f"--experiment {shown!r}: a name and its models have at most {LONGEST_NAME} printable letters"
            )

    @property
    def versions(self) -> dict[str, int]:
        """The number of the version of each arm; none where the arms are models."""
        return {arm: int(arm.removeprefix("v")) for arm in self.arms} if self.is_of_versions else {}

    def arm_of(self, user_id: UserId) -> str | None:
        """A visitor's arm, None outside of the experiment."""
        point, reached = position_of(self.name, str(user_id)), 0.0
        for arm, share in self.arms.items():
            reached += share
            if point < reached or reached > 1 - ROUNDING:
                return arm
        return None

    def require_registry(self, has_registry: bool) -> None:
        """Raises UsageError if the arms are versions and there is no registry that has them."""
        if self.is_of_versions and not has_registry:
            raise UsageError(
                f"--split {','.join(self.arms)}: versions are those of a registry; serve one: "
                "matinee serve --registry DIR --split v12=0.5,v13=0.5"
            )

    def require_served(self, models: Collection[str]) -> None:
        """Raises UsageError if a model of the plan is not among those that are served."""
        for arm in self.arms:
            if arm not in models and not self.is_of_versions:
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
    """`ease=0.5,lightgcn=0.5` or `v12=0.5,v13=0.5` as a plan. Raises UsageError for anything else.

    name: what its name begins with.
    """
    shares = [part.rpartition("=") for part in text.split(",")]
    versions = [_version_in(arm.strip()) for arm, _, _ in shares]
    if any(versions) and not all(versions):
        raise UsageError(f"--split {text.strip()!r}: its arms are either models or versions of a registry, not both")
    arms: dict[str, float] = {}
    for (model, _, share), version in zip(shares, versions, strict=True):
        arm, share = version or model.strip(), share.strip()
        if not arm or not _NUMBER.fullmatch(share) or not 0 < float(share) <= 1 or not isfinite(float(share)):
            shown = f"{model}={share}" if model else share
            raise UsageError(
                f"--split {shown!r}: give each model or version a share from 0 to 1: ease=0.5,lightgcn=0.5"
            )
        if arm in arms:
            raise UsageError(f"--split names {arm} twice")
        arms[arm] = float(share)
    if len(arms) < 2:
        raise UsageError("--split takes two or more models, or versions: ease=0.5,lightgcn=0.5 or v12=0.5,v13=0.5")
    if fsum(arms.values()) > 1 + ROUNDING:
        raise UsageError(f"--split: the shares add up to {fsum(arms.values()):g}; they may add up to 1")
    named = _named(name, ",".join(f"{arm}={share:g}" for arm, share in arms.items()))
    return Plan(named, arms, is_of_versions=all(versions))


def read_interleave(text: str, name: str = "") -> Plan:
    """`ease,lightgcn` as a plan for everybody. name: as of `read_split`. Raises UsageError for anything else."""
    models = [part.strip() for part in text.split(",")]
    for model in models:
        if _LIKE_A_VERSION.fullmatch(model):
            raise UsageError(
                f"--interleave {model}: a draft is of two models of one version, for two versions may have other "
                "items; compare versions with --split v12=0.5,v13=0.5"
            )
    if len(models) != 2 or not all(models) or models[0] == models[1]:
        raise UsageError(f"--interleave {text!r}: give two different models: ease,lightgcn")
    return Plan(_named(name, ",".join(models)), dict.fromkeys(models, 0.5), is_interleaved=True)


def _version_in(arm: str) -> str:
    """`v12` for a version as it may be written: `v12`, `12` or `00012`; empty for a model. Raises UsageError."""
    found = _VERSION.fullmatch(arm)
    if found is None and _LIKE_A_VERSION.fullmatch(arm):
        raise UsageError(
            f"--split {arm}: a version of the registry is named by its number alone, v12 or 12 "
            "(`matinee models list`), and is the whole site of its visitors, with its first model"
        )
    return f"v{found[1]}" if found else ""


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
