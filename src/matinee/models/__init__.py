"""The registry: one line per model, imported on demand, and models from outside the package."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn, TypeVar

import polars as pl

from matinee.errors import MatineeError
from matinee.models.base import Recommender
from matinee.models.other_names import class_hint, hint
from matinee.models.outside import (
    check_model,
    class_path,
    installed_model,
    installed_names,
    installed_path,
    package_of,
)
from matinee.models.whole_frame import WholeFrame

ModelT = TypeVar("ModelT", bound=type[Recommender[Any]])

MODELS = {
    "popularity": "matinee.models.neighbours.popularity:Popularity",
    "item-knn": "matinee.models.neighbours.item_knn:ItemKNN",
    "user-knn": "matinee.models.neighbours.user_knn:UserKNN",
    "ease": "matinee.models.linear.ease:EASE",
    "sparse-ease": "matinee.models.linear.sparse_ease:SparseEASE",
    "svd-ae": "matinee.models.linear.svd_ae:SVDAE",
    "rp3beta": "matinee.models.linear.rp3beta:RP3Beta",
    "ials": "matinee.models.factors.ials:IALS",
    "vbmf": "matinee.models.factors.vbmf:VBMF",
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
    "kprn": "matinee.models.knowledge.kprn:KPRN",
    "blend": "matinee.models.ensembles.blend:Blend",
    "rerank": "matinee.models.ensembles.rerank:Reranker",
    "markov": "matinee.models.sequences.markov:Markov",
    "linear-next": "matinee.models.sequences.linear_next:LinearNext",
    "gru4rec": "matinee.models.sequences.gru4rec:GRU4Rec",
    "sasrec": "matinee.models.sequences.sasrec:SASRec",
    "linear-gru": "matinee.models.sequences.linear_gru:LinearGRU",
}
"""The models of this package, as `module:Class`."""

CLASSES = {path.partition(":")[2]: name for name, path in MODELS.items()}
"""Class -> name."""

_registered: dict[str, type[Recommender[Any]]] = {}


def register(model: ModelT, *, replace: bool = False) -> ModelT:
    """Make a model of one's own available by its name, for this process; usable as a decorator.

    Every command and function that takes a model's name then takes this one. A class that is defined again under the
    same module and name replaces the earlier one.
    Raises MatineeError if the class is not a Recommender with `name`, `Config` and `learned`, or if another model has
    its name and `replace` is not set.
    """
    check_model(model)
    owner = _owner(model.name)
    if owner not in (None, class_path(model)) and not replace:
        raise MatineeError(f"the name {model.name!r} is taken by {owner}; choose another name, or pass replace=True")
    _registered[model.name] = model
    return model


def model_names() -> tuple[str, ...]:
    """Names of all models: those of this package, of installed packages and registered ones. Imports none of them."""
    return tuple(dict.fromkeys((*MODELS, *installed_names(), *_registered)))


def model_class(name: str) -> type[Recommender[Any]]:
    """The class of a name: registered, of this package, or of an installed one, in this order.

    Raises MatineeError with the closest name if there is none, and with the reason if an installed one is broken.
    """
    if name in _registered:
        return _registered[name]
    if name in MODELS:
        module, _, attribute = MODELS[name].partition(":")
        found: type[Recommender[Any]] = getattr(import_module(module), attribute)
        return found
    if (installed := installed_model(name)) is not None:
        return installed
    raise MatineeError(f"no model {name!r}{hint(name, model_names())}")


def class_called(attribute: str) -> type[Recommender[Any]]:
    """A class of this package, such as EASE. Raises AttributeError with the closest if there is none."""
    if attribute not in CLASSES:
        raise AttributeError(f"there is no model {attribute!r}{class_hint(attribute, CLASSES)}")
    return model_class(CLASSES[attribute])


def create(name: str, **settings: object) -> Recommender[Any]:
    """A new, unfitted model. Raises MatineeError for an unknown name, setting or value."""
    return model_class(name)(**settings)


def source_of(model: type[Recommender[Any]]) -> dict[str, str | None] | None:
    """Where a model from outside comes from: its `class` and installed `package`. None for a model of this package."""
    path = class_path(model)
    return None if path in MODELS.values() else {"class": path, "package": package_of(model)}


def _owner(name: str) -> str | None:
    """The class that has a name, as `module:Class`; None if the name is free."""
    if name in _registered:
        return class_path(_registered[name])
    return MODELS.get(name) or installed_path(name)


def listing() -> pl.DataFrame:
    """One row a model: its name, class and family, and what it can do.

    sequence: the order of the history counts; ratings: whether values weigh; predicts_ratings: whether scores are on
    their scale; reasons: exact contributions; new_items: items without an event get scores from what is known of them.
    """
    return WholeFrame([_described(name, model_class(name)) for name in model_names()])


def _described(name: str, model: type[Recommender[Any]]) -> dict[str, object]:
    return {
        "model": name,
        "class": model.__name__,
        "family": model.__module__.split(".")[2] if name in MODELS else model.__module__.split(".")[0],
        "sequence": model.ordered,
        "ratings": model.uses_weights,
        "predicts_ratings": model.predicts_values,
        "reasons": hasattr(model, "explain"),
        "new_items": bool(model.item_arrays),
    }


def settings_of(name: str) -> pl.DataFrame:
    """One row a setting of a model: its name, its default as text, and its meaning. Raises as model_class."""
    fields = model_class(name).Config.model_fields
    return WholeFrame(
        {
            "setting": list(fields),
            "default": [str(field.get_default(call_default_factory=True)) for field in fields.values()],
            "meaning": [" ".join((field.description or "").split()) for field in fields.values()],
        },
        schema=dict.fromkeys(("setting", "default", "meaning"), pl.String),
    )


class _Models(ModuleType):
    """This module, which `mt.models()` calls."""

    def __call__(
        self, model: str | type[Recommender[Any]] | Recommender[Any] | None = None, **of: object
    ) -> pl.DataFrame:
        """See listing; with the name of a model, its class or one with settings see settings_of."""
        if of:
            raise MatineeError('models takes the name of one; write mt.models().filter(pl.col("family") == "linear")')
        if isinstance(model, type | Recommender) and hasattr(model, "name"):
            model = model.name
        if not isinstance(model, str | None):
            raise MatineeError(f"models takes the name of one, not a {type(model).__name__}; write mt.models('ease')")
        return listing() if model is None else settings_of(model)

    def __getattr__(self, name: str) -> NoReturn:
        """Raises AttributeError with the class of a model, where one is meant."""
        by_name = {model.replace("-", "_"): each for each, model in CLASSES.items()}
        meant = name if name in CLASSES else by_name.get(name)
        write = "" if meant is None else f"; write mt.{meant}"
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{write}", name=name, obj=self)

    def __getitem__(self, model: object) -> NoReturn:
        """Raises MatineeError with the call that works."""
        raise MatineeError('models is a function; write mt.models() for all, mt.models("ease") for the settings of one')

    def __repr__(self) -> str:
        return f'{len(model_names())} models; write mt.models() for all, mt.models("ease") for the settings of one'


sys.modules[__name__].__class__ = _Models
