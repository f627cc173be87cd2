"""Settings of a content map."""

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from matinee.config import Config, Search


class ContentConfig(Config):
    """How new items are predicted from features. Defaults: best on valid of MovieLens 1M."""

    ridge: Annotated[PositiveFloat, Search(0.03, 3, log=True)] = 0.3
    """Ridge strength: how much is averaged over known items that resemble a new one."""
    sharpness: Annotated[NonNegativeFloat, Search(0, 4)] = 1.0
    """The kernel is exp(sharpness (similarity - 1)): above 0, features count more together; 0 is the similarity."""
    text_weight: Annotated[NonNegativeFloat, Search(0, 4)] = 2.0
    """Weight of each text column in the similarity, where a list, the year or a number has 1."""
    scale: Annotated[PositiveFloat, Search(0.25, 4, log=True)] = 1.0
    """Factor of the scores of new items: above 1 they stand higher among all items, which costs hits on known ones."""
    blend: Annotated[NonNegativeFloat, Search(1, 300, log=True)] = 0.0
    """Help for items with few events: one with n gets blend / (blend + n) of what the other items predict for it, added
    to what it has. 0 leaves all items with events as they are."""
    max_known: PositiveInt = 5000
    """Known items that are used, the most popular first: time and memory grow with their square."""
    max_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Words that more of the texts have are left out."""
    kept: PositiveInt = 1000
    """Entries kept of each new item's column where a model's columns are sparse."""
