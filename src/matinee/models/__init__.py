"""The registry: one line a model, imported on demand."""

from importlib import import_module
from typing import Any

from matinee.errors import MatineeError, did_you_mean
from matinee.models.base import Recommender

MODELS = {
    "popularity": "matinee.models.neighbours.popularity:Popularity",
    "item-knn": "matinee.models.neighbours.item_knn:ItemKNN",
    "user-knn": "matinee.models.neighbours.user_knn:UserKNN",
    "ease": "matinee.models.linear.ease:EASE",
    "ials": "matinee.models.factors.ials:IALS",
    "movie-pairs": "matinee.models.cooccurrence.movie_pairs:MoviePairs",
    "pmi": "matinee.models.cooccurrence.pmi:PMI",
    "item2vec": "matinee.models.cooccurrence.item2vec:Item2Vec",
    "bpr": "matinee.models.factors.bpr:BPR",
    "lightgcn": "matinee.models.graph.lightgcn:LightGCN",
    "ngcf": "matinee.models.graph.ngcf:NGCF",
    "gmf": "matinee.models.ncf.gmf:GMF",
    "mlp": "matinee.models.ncf.mlp:MLP",
    "neumf": "matinee.models.ncf.neumf:NeuMF",
    "autorec": "matinee.models.autoencoders.autorec:AutoRec",
    "cdae": "matinee.models.autoencoders.cdae:CDAE",
    "mult-vae": "matinee.models.autoencoders.mult_vae:MultVAE",
    "markov": "matinee.models.sequences.markov:Markov",
    "gru4rec": "matinee.models.sequences.gru4rec:GRU4Rec",
    "sasrec": "matinee.models.sequences.sasrec:SASRec",
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
