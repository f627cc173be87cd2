"""Search ranges: those that a model's config declares, some of them, or others that a user gives."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from types import MappingProxyType
from typing import Any, get_args

from pydantic import ValidationError

from matinee.config import Config, Search
from matinee.errors import UsageError, did_you_mean
from matinee.problems import first_problem

OFF_SHARE = 0.25
"""Length of the stretch below a range that stands for the default, as a share of the range's own length."""


@dataclass(frozen=True, slots=True)
class Range:
    """The values of one field that are tried.

    A default outside the range, such as 0 for "off", gets a stretch below `low`: a point there stands for the default.
    whole: integers only; log: uniform in the logarithm; first: decides much.
    """

    low: float
    high: float
    log: bool
    whole: bool
    default: float | None
    first: bool = False

    @property
    def has_off(self) -> bool:
        """Whether the default is outside the range."""
        return self.default is None or not self.low <= self.default <= self.high

    @property
    def bounds(self) -> tuple[float, float]:
        """What a sampler draws between, in the logarithm if `log`."""
        low, high = self._ends
        return low - OFF_SHARE * (high - low) * self.has_off, high

    @property
    def default_point(self) -> float:
        """The point that stands for the default."""
        if self.has_off or self.default is None:
            return self.bounds[0]
        return log(self.default) if self.log else self.default

    def within(self, share: float) -> float:
        """The point at a share of the way through the range itself."""
        low, high = self._ends
        return low + share * (high - low)

    def moved(self, point: float, share: float) -> float:
        """A point moved by a share of the range, reflected at its ends."""
        low, high = self._ends
        place = abs((point - low) / (high - low) + share) % 2
        return self.within(min(place, 2 - place))

    @property
    def _ends(self) -> tuple[float, float]:
        return (log(self.low), log(self.high)) if self.log else (self.low, self.high)

    def value(self, point: float) -> float | int | None:
        """The value that a point stands for; large ranges keep four digits, so that files are readable."""
        if self.has_off and point < self._ends[0]:
            return self.default
        value = min(max(exp(point) if self.log else point, self.low), self.high)
        return round(value) if self.whole else float(f"{value:.4g}")


def ranges_of(
    config: type[Config],
    model: str,
    chosen: Sequence[str] = (),
    fixed: Collection[str] = (),
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Range]:
    """The ranges to search: of all fields that declare one, or of those chosen, without those that are fixed.

    chosen: fields by name, or with a range of their own, `l2=1:1000` or `l2=1:1000:log`; defaults: those that the data
    give in place of the config's.
    Raises UsageError for an unknown field, a field without a range, a range that is none, and if nothing is left.
    """
    declared = {name: found for name, field in config.model_fields.items() if (found := _declared(field.metadata))}
    if not chosen:
        wanted: Mapping[str, Search] = {name: each for name, each in declared.items() if name not in fixed}
    else:
        wanted = dict(_chosen(text, config, model, declared, fixed) for text in chosen)
        if len(wanted) < len(chosen):
            raise UsageError(f"--search {' --search '.join(chosen)} names a field twice; name each once")
    if not wanted:
        why = (
            "all of its fields with a search range are set" if declared else f"{model} has no field with a search range"
        )
        raise UsageError(f"there is nothing to tune: {why}; give one, such as --search FIELD=LOW:HIGH")
    return {
        name: _range(config, name, each, defaults.get(name, config.model_fields[name].default))
        for name, each in wanted.items()
    }


def first_fields(config: type[Config], fixed: Collection[str] = ()) -> tuple[str, ...]:
    """The fields that a short search changes: those marked `first`, or all with a range if none is."""
    ranges = {name: found for name, field in config.model_fields.items() if (found := _declared(field.metadata))}
    free = [name for name in ranges if name not in fixed]
    return tuple(name for name in free if ranges[name].first) or tuple(free)


def _declared(metadata: Sequence[Any]) -> Search | None:
    return next((each for each in metadata if isinstance(each, Search)), None)


def _chosen(
    text: str, config: type[Config], model: str, declared: Mapping[str, Search], fixed: Collection[str]
) -> tuple[str, Search]:
    """A field and its range, from `l2` or `l2=1:1000:log`."""
    name, equals, given = text.partition("=")
    name = name.strip().replace("-", "_")
    if name not in config.model_fields:
        raise UsageError(f"--search {text}: {model} has no field {name!r}{did_you_mean(name, config.model_fields)}")
    if name in fixed:
        raise UsageError(f"--search {text}: {name} is set to one value as well; leave one of the two out")
    if not equals:
        if name not in declared:
            raise UsageError(f"--search {text}: {name} declares no range; give one, such as {name}=LOW:HIGH")
        return name, declared[name]
    if not _is_number(config, name):
        raise UsageError(f"--search {text}: {name} is no number; --set {name}=VALUE sets it")
    found = _parsed(text, given)
    _check_ends(config, name, found, text)
    return name, found


def _check_ends(config: type[Config], name: str, found: Search, text: str) -> None:
    """Raises UsageError for an end of a range that its field refuses; a trial shows what does not go together."""
    for end in (found.low, found.high):
        value = int(end) if end.is_integer() else end
        try:
            config.model_validate({name: value})
        except ValidationError as error:
            if any(each["loc"][:1] == (name,) for each in error.errors()):
                raise UsageError(first_problem(config, error, f"--search {text}", {})) from None


def _parsed(text: str, given: str) -> Search:
    low, _, rest = given.partition(":")
    high, colon, scale = rest.partition(":")
    try:
        found = Search(float(low), float(high), log=scale == "log")
    except ValueError:
        raise UsageError(f"--search {text} is not FIELD=LOW:HIGH, such as l2=1:1000 or l2=1:1000:log") from None
    if colon and scale != "log":
        raise UsageError(f"--search {text}: a range may end in :log, not in :{scale}")
    if not -float("inf") < found.low < found.high < float("inf"):
        raise UsageError(f"--search {text}: the range must rise from a number to a larger one")
    if found.log and found.low <= 0:
        raise UsageError(f"--search {text}: a range in the logarithm must start above 0")
    return found


def _range(config: type[Config], name: str, found: Search, default: object) -> Range:
    value = float(default) if isinstance(default, int | float) else None
    whole = float not in _kinds(config.model_fields[name].annotation)
    return Range(found.low, found.high, found.log, whole, value, found.first)


def _is_number(config: type[Config], name: str) -> bool:
    kinds = _kinds(config.model_fields[name].annotation)
    return bool(kinds & {int, float}) and tuple not in kinds


def _kinds(annotation: Any) -> set[Any]:  # noqa: ANN401 - any annotation
    """The types that a value may have: `Annotated[PositiveFloat | None, ...]` -> float, NoneType."""
    found = {getattr(annotation, "__origin__", annotation)}
    for each in get_args(annotation):
        found |= _kinds(each) if not isinstance(each, str) else set()
    return found
