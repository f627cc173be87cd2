"""Settings that Blend and Rerank share."""

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, field_validator

from matinee.config import Config


class EnsembleConfig(Config):
    """Settings of every model over several others."""

    parts: Annotated[tuple[str, ...], Field(min_length=2)] = ("ease", "ials", "item-knn")
    """The models, by name: `ease,ials,sasrec`."""
    part_settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of parts, by their name, such as {ease = {l2 = 500}}."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of each user's events that the parts are fitted without at first, to learn from how they rank them."""
    held_out_by: Literal["auto", "random", "last"] = "auto"
    """Which events: random ones, or each user's last one alone; auto takes `last` if a part reads the order."""
    refit_parts: bool = True
    """Whether the parts are fitted again, on held-out events too; false keeps the first fits, at half the cost,
    which is as good where little is held out, such as the last of many events."""
    candidates: PositiveInt = 100
    """The best items of each part, among which the held-out ones are ranked."""
    max_users: PositiveInt = 20_000
    """Users whose held-out events are learned from; of more, a sample."""

    @field_validator("parts", mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("parts")
    @classmethod
    def _are_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if value.count(name) > 1:
                raise ValueError(f"{name} stands {value.count(name)} times; name each part once")
        return value
