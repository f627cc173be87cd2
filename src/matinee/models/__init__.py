"""The registry: one line a model, imported on demand."""

from importlib import import_module
from typing import Any

from matinee.errors import MatineeError, did_you_mean
from matinee.models.base import Recommender

MODELS = {
    "popularity": "matinee.models.popularity:Popularity",
    "item-knn": "matinee.models.item_knn:ItemKNN",
    "user-knn": "matinee.models.user_knn:UserKNN",
    "ease": "matinee.models.ease:EASE",
    "ials": "matinee.models.ials:IALS",
    "movie-pairs": "matinee.models.movie_pairs:MoviePairs",
    "pmi": "matinee.models.pmi:PMI",
    "item2vec": "matinee.models.item2vec:Item2Vec",
    "bpr": "matinee.models.bpr:BPR",
    "lightgcn": "matinee.models.lightgcn:LightGCN",
    "ngcf": "matinee.models.ngcf:NGCF",
    "gmf": "matinee.models.gmf:GMF",
    "mlp": "matinee.models.mlp:MLP",
    "neumf": "matinee.models.neumf:NeuMF",
    "autorec": "matinee.models.autorec:AutoRec",
    "cdae": "matinee.models.cdae:CDAE",
    "mult-vae": "matinee.models.mult_vae:MultVAE",
    "markov": "matinee.models.markov:Markov",
    "gru4rec": "matinee.models.gru4rec:GRU4Rec",
    "sasrec": "matinee.models.sasrec:SASRec",
}


def model_class(name: str) -> type[Recommender[Any]]:
    """The class behind a name. Raises MatineeError with the closest name where there is none."""
    if name not in MODELS:
        raise MatineeError(f"no model {name!r}{did_you_mean(name, MODELS)}")
    module, _, attribute = MODELS[name].partition(":")
    found: type[Recommender[Any]] = getattr(import_module(module), attribute)
    return found


def create(name: str, **settings: object) -> Recommender[Any]:
    """A model that has learned nothing yet. Raises MatineeError for an unknown name, key or value."""
    return model_class(name)(**settings)
