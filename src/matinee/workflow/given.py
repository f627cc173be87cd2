"""What people give a function in place of what it takes: accepted where it is clear, else refused with the call."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from matinee.config import EvaluationConfig, Rerank, configure
from matinee.data.splits import Split
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.models import model_class, model_names
from matinee.models.base import Recommender
from matinee.store.artefact import Artefact
from matinee.store.artefact import load as load_artefact
from matinee.vocab import Id

Fitted: TypeAlias = Artefact | str | Path
"""An artefact, or the folder of one."""
Unfitted: TypeAlias = str | Recommender[Any] | type[Recommender[Any]]
"""A model with its settings, its class or its name."""
Fittable: TypeAlias = Fitted | Unfitted
Reranked: TypeAlias = Rerank | Mapping[str, object] | str
"""Filters and weights of a list, or as text: `novelty=0.5,genres=Comedy|Drama`."""


def artefact_of(model: Fittable, call: str, fit: Callable[[Unfitted], Artefact] | None = None) -> Artefact:
    """An artefact, that of a folder, or what `fit` makes of a model, its class or its name.

    call: how to write it, such as `mt.recommend({}, user=1)`. Raises MatineeError with the call that works for anything
    else, and for a model without `fit`.
    """
    if isinstance(model, Artefact):
        return model
    if isinstance(model, Path) or (isinstance(model, str) and _is_folder(model)):
        return load_artefact(model)
    name = _name_of(model)
    if fit is not None and name is not None:
        return fit(model)
    fitted = f"mt.fit({written(model)}, data)"
    problem = f"this takes a fitted model, not {_kind(model)}" if name is None else f"{name} is not fitted on any data"
    raise MatineeError(f"{problem}; write {call.format(fitted)}, with data = mt.load()")


def class_and_settings(model: Unfitted, settings: Mapping[str, Any]) -> tuple[type[Recommender[Any]], dict[str, Any]]:
    """The class of what is to be fitted, and what it has set besides what is given."""
    if isinstance(model, str):
        return model_class(model), dict(settings)
    if isinstance(model, type) and issubclass(model, Recommender):
        return model, dict(settings)
    if isinstance(model, list | tuple):
        raise MatineeError("fit takes one model, not several; write [mt.fit(each, split) for each in models]")
    if not isinstance(model, Recommender):
        raise MatineeError(f"fit takes a model or its name, not {_kind(model)}; write mt.fit('ease', split)")
    return type(model), model.config.model_dump(exclude_unset=True) | dict(settings)


def require_data(on: object, call: str) -> Split | Dataset:
    """The data set or split. Raises MatineeError with the call that works, such as `mt.fit({})`, otherwise."""
    if isinstance(on, Dataset | Split):
        return on
    function = call.partition("(")[0].removeprefix("mt.")
    if _is_model(on):
        raise MatineeError(f"{function} takes the model first; write mt.{function}({written(on)}, split)")
    raise MatineeError(f"{function} takes a data set or a split, not {_kind(on)}; write {call.format(_loaded(on))}")


def written(model: object) -> str:
    """The name of a model as a call has it; that of ease for what is none."""
    return repr(_name_of(model) or "ease")


def require_dataset(given: object, call: str) -> Dataset:
    """The data set. Raises MatineeError with the call that works, such as `mt.keep({})`, for anything else."""
    if isinstance(given, Dataset):
        return given
    which = f"the split of {given.data.name}" if isinstance(given, Split) else _kind(given)
    raise MatineeError(f"this takes a data set, not {which}; write {call.format(_loaded(given))}")


def require_split(over: object, call: str) -> Split:
    """The split. Raises MatineeError with the call that works for anything else."""
    if isinstance(over, Split):
        return over
    if _is_model(over) and "models" in call:
        raise MatineeError("compare takes a list of models; write mt.compare([one, other], split)")
    if _is_model(over):
        raise MatineeError(f"the model comes first; write {call.format('split')}")
    written = call.format('mt.split(data, "random", seed=42)')
    which = f"the data set {over.name}" if isinstance(over, Dataset) else _kind(over)
    raise MatineeError(f"this takes a split, whose test part is kept from training, not {which}; write {written}")


def require_ratios(method: object, ratios: object) -> None:
    """Raises MatineeError with the call that works for shares that are given as other libraries have them."""
    if isinstance(method, float):
        raise MatineeError(f"the second argument is the method; write mt.split(data, ratios={_three(method)})")
    if isinstance(ratios, float) or (isinstance(ratios, list | tuple) and len(ratios) == 2):
        test = ratios if isinstance(ratios, float) else ratios[1]
        raise MatineeError(f"ratios are those of train, valid and test; write ratios={_three(test)}")


def lengths_of(k: int | Iterable[int]) -> tuple[int, ...]:
    """The list lengths; a single one is one of them. Raises MatineeError for a text, such as a metric."""
    if isinstance(k, str) or not isinstance(k, Iterable | int | np.integer):
        raise MatineeError(f"k is the lengths of lists, not {k!r}; write k=10: a report has every metric")
    return tuple(k) if isinstance(k, Iterable) else (int(k),)


def texts_of(liked: str | Sequence[str] | None) -> list[str] | None:
    """The liked titles; a single one is one of them. Raises MatineeError for what is no text."""
    if liked is None or isinstance(liked, str):
        return None if liked is None else [liked]
    if isinstance(liked, Mapping):
        raise MatineeError("liked is titles without values; write history=[...] and ratings=[...] for ids and values")
    titles = list(liked) if isinstance(liked, Iterable) else [liked]
    if not all(isinstance(each, str) for each in titles):
        raise MatineeError(
            f"liked is titles, not {_short(titles[0])}; write history=[...] for ids of items, and user=... for a user"
        )
    return titles


def ids_of(history: Sequence[Id] | None) -> list[Id] | None:
    """The ids of a history, of a list or an array. Raises MatineeError for a single id."""
    if isinstance(history, Mapping):
        raise MatineeError("history is a list of ids; write history=list(given), ratings=list(given.values())")
    if isinstance(history, str) or not isinstance(history, Iterable | None):
        raise MatineeError(f"history is a list of ids; write history=[{history!r}]")
    return None if history is None else list(history)


def rerank_of(rerank: Reranked | None) -> Rerank | None:
    """Filters and weights of a list, from their text or a mapping too. Raises MatineeError for an unknown one."""
    if rerank is None or isinstance(rerank, Rerank):
        return rerank
    return configure(EvaluationConfig, {"rerank": rerank}, "list").rerank


def require_one_user(user: object) -> None:
    """Raises MatineeError with the call that works for several users."""
    if user is not None and not isinstance(user, str | bytes) and isinstance(user, Iterable):
        raise MatineeError(f"user is one id, not {_kind(user)}; write mt.recommend_all(model, users=[...], k=10)")


def require_text(title: str | None) -> None:
    """Raises MatineeError with the call that works for a title that is no text."""
    if not isinstance(title, str | None):
        raise MatineeError(f"title is text, not {_short(title)}; for an id write item={_short(title, 'id')}")


def _is_model(given: object) -> bool:
    """Whether something is a model, fitted or not, or a model's name."""
    return isinstance(given, Artefact) or (_name_of(given) in model_names() and not isinstance(given, Dataset | Split))


def _three(share: object) -> str:
    """Ratios of three parts with a share of test, or of train where it is the larger."""
    test = (
        float(share)
        if isinstance(share, float) and 0 < share < 0.5
        else 1 - share
        if isinstance(share, float) and share < 1
        else 0.2
    )
    return f"({1 - test - 0.1:.2g}, 0.1, {test:.2g})"


def _name_of(model: object) -> str | None:
    if isinstance(model, Recommender) or (isinstance(model, type) and issubclass(model, Recommender)):
        return model.name
    return model if isinstance(model, str) else None


def _is_folder(text: str) -> bool:
    """Whether a text is meant as a folder and not as a model's name."""
    return text not in model_names() and (Path(text).expanduser().exists() or "/" in text)


def _loaded(given: object) -> str:
    """The call that makes a data set of what was given in its place."""
    if isinstance(given, Split):
        return "split.data"
    if isinstance(given, str | Path):
        return f"mt.load({str(given)!r})"
    is_table = hasattr(given, "columns") or hasattr(given, "shape") or isinstance(given, Mapping)
    return "mt.events(frame)" if is_table else 'mt.load("bundled")'


def _short(given: Any, name: str = "") -> str:  # noqa: ANN401 - anything that people may pass
    """A single value as Python writes it; for a table or another object its name, or what it is."""
    return repr(given) if isinstance(given, str | bytes | float | int) else name or _kind(given)


def _kind(given: Any) -> str:  # noqa: ANN401 - anything that people may pass
    return "nothing" if given is None else f"a {type(given).__name__}"
