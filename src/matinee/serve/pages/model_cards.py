"""Model cards: what the site says about a model, in a TOML file beside the model's module, with the same stem.

A card is optional, and so is each of its fields. A model registered from another package brings its own.
"""

import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from matinee.config import Config, configure
from matinee.errors import MatineeError, did_you_mean
from matinee.models.base import Recommender
from matinee.serve.art.models import NEUTRAL, PICTURES
from matinee.serve.pages.i18n import DEFAULT
from matinee.serve.pages.mathml import mathml

Condition = bool | str | int | float


class Formula(Config):
    """One line of mathematics in the small TeX of `mathml`."""

    tex: str
    when: dict[str, Condition | tuple[Condition, ...]] = Field(default_factory=dict)
    """Settings that the model must have for the line to be shown: a value, or several of which one must match.

    `true` matches any setting that is on (not null, false or 0), `false` any that is off.
    """

    @field_validator("tex")
    @classmethod
    def _parses(cls, tex: str) -> str:
        mathml(tex)
        return tex

    def holds_for(self, config: Config) -> bool:
        """Whether the model's settings meet every condition."""
        return all(_matches(getattr(config, name), wanted) for name, wanted in self.when.items())


class Words(Config):
    """A model in one language."""

    words: str = ""
    """A few words, without a full stop."""
    plain: str = ""
    """A paragraph for a film lover."""
    when: str = ""
    """When to use the model."""
    review: str = ""
    """The model in a page's length, paragraphs apart by an empty line: idea, strengths, limits, what it does here."""

    @property
    def paragraphs(self) -> list[str]:
        """Those of the review."""
        return [" ".join(part.split()) for part in self.review.split("\n\n") if part.strip()]

    def filled(self, fill: Callable[[str], str]) -> "Words":
        """With the site's own words for `[item]` and the like."""
        return Words(words=fill(self.words), plain=fill(self.plain), when=fill(self.when), review=fill(self.review))


class ModelCard(Config):
    """Everything the site says about a model."""

    label: str = ""
    """The name as printed; of a card without one, the name of the class."""
    paper: str = ""
    """Author. Year. Title. Venue."""
    url: str = ""
    """The address of the paper, https."""
    picture: str = NEUTRAL
    """A drawing of `serve/art/models.py`."""
    formulas: tuple[Formula, ...] = ()
    words: dict[str, Words] = Field(default_factory=dict)
    """By language."""

    @field_validator("picture")
    @classmethod
    def _is_drawn(cls, picture: str) -> str:
        if picture not in PICTURES:
            raise ValueError(f"there is no such picture{did_you_mean(picture, PICTURES)}")
        return picture

    def formulas_for(self, config: Config) -> list[str]:
        """The TeX of the formulas that a model with these settings computes."""
        return [formula.tex for formula in self.formulas if formula.holds_for(config)]

    def words_in(self, language: str) -> Words:
        """The words in a language, in English if the card lacks it, empty if it has neither."""
        return self.words.get(language) or self.words.get(DEFAULT) or Words()


@cache
def model_card(model: type[Recommender[Any]]) -> ModelCard:
    """The card of a model. Without one: the name of the class and the first line of its docstring.

    Raises MatineeError for a card that is not TOML, or has an unknown key, picture or setting, or a broken formula.
    """
    path = card_path(model)
    if path is None or not path.is_file():
        first_line = (model.__doc__ or "").strip().partition("\n")[0].rstrip(".")
        return ModelCard(label=model.__name__, words={DEFAULT: Words(words=first_line)})
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MatineeError(f"model card {path} cannot be read as TOML: {error}") from None
    card = configure(ModelCard, {"label": model.__name__} | values, f"model card {path}")
    settings = model.Config.model_fields
    for unknown in (name for formula in card.formulas for name in formula.when if name not in settings):
        raise MatineeError(
            f"model card {path}: {model.name} has no setting {unknown!r}{did_you_mean(unknown, settings)}"
        )
    return card


def card_path(model: type[Recommender[Any]]) -> Path | None:
    """Where the card of a model is, if it has one; None for a class that comes from no file."""
    file = getattr(sys.modules.get(model.__module__), "__file__", None)
    return Path(file).with_suffix(".toml") if file else None


def _matches(value: object, wanted: object) -> bool:
    if isinstance(wanted, tuple):
        return any(_matches(value, one) for one in wanted)
    return bool(value) is wanted if isinstance(wanted, bool) else value == wanted
