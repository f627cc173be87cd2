"""A trained graph model over the graph of another log."""

from typing import Any, TypeVar

import numpy as np

from matinee.histories import TrainingData
from matinee.models.base import Recommender
from matinee.models.vectors import find_stored_users

ModelT = TypeVar("ModelT", bound=Recommender[Any])


def copy_onto(model: ModelT, known: TrainingData) -> ModelT:
    """A copy of a model with the users and the popularity of another log; layer 0 of unknown users is zero."""
    arrays = {name: getattr(model, name) for name in model.learned}
    users = known.histories.user_rows.astype(np.int32)
    indices, is_stored = find_stored_users(arrays["user_rows"], users, "stored")
    embeddings = np.zeros((len(users), arrays["user_embeddings"].shape[1]), dtype=np.float32)
    embeddings[is_stored] = arrays["user_embeddings"][indices[is_stored]]
    arrays |= {"user_rows": users, "user_embeddings": embeddings, "popularity": known.popularity.astype(np.float32)}
    copy = type(model)(**model.config.model_dump())
    copy.value_map = model.value_map
    for name, value in arrays.items():
        setattr(copy, name, value)
    return copy
