"""What people give a function in place of what it takes: accepted where it is clear, else refused with the call."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

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
    fitted = f"mt.fit({(name or 'ease')!r}, data)"
    problem = f"this takes a fitted model, not {_kind(model)}" if name is None else f"{name} is not fitted on any data"
    raise MatineeError(f"{problem}; write {call.format(fitted)}, with data = mt.load()")


def class_and_settings(model: Unfitted, settings: Mapping[str, Any]) -> tuple[type[Recommender[Any]], dict[str, Any]]:
    """The class of what is to be fitted, and what it has set besides what is given."""
    if isinstance(model, str):
        return model_class(model), dict(settings)
    if isinstance(model, type):
        return model, dict(settings)
    return type(model), model.config.model_dump(exclude_unset=True) | dict(settings)


def require_data(on: object, model: object) -> None:
    """Raises MatineeError with the call that works for what is no data set and no split."""
    if not isinstance(on, Dataset | Split):
        data = f"mt.load({on!r})" if isinstance(on, str) else 'mt.load("bundled")'
        name = _name_of(model) or "ease"
        raise MatineeError(f"fit takes a data set or a split, not {_kind(on)}; write mt.fit({name!r}, {data})")


def require_split(over: object, call: str) -> Split:
    """The split. Raises MatineeError with the call that works for anything else."""
    if isinstance(over, Split):
        return over
    written = call.format('mt.split(data, "random", seed=42)')
    which = f"the data set {over.name}" if isinstance(over, Dataset) else _kind(over)
    raise MatineeError(f"this takes a split, whose test part is kept from training, not {which}; write {written}")


def lengths_of(k: int | Iterable[int]) -> tuple[int, ...]:
    """The list lengths; a single one is one of them."""
    return (k,) if isinstance(k, int) else tuple(k)


def texts_of(liked: str | Sequence[str] | None) -> list[str] | None:
    """The liked titles; a single one is one of them. Raises MatineeError for what is no text."""
    if liked is None or isinstance(liked, str):
        return None if liked is None else [liked]
    titles = list(liked) if isinstance(liked, Iterable) else [liked]
    if not all(isinstance(each, str) for each in titles):
        raise MatineeError(
            f"liked is titles, not {titles[0]!r}; write history=[...] for ids of items, and user=... for a user"
        )
    return titles


def ids_of(history: Sequence[Id] | None) -> list[Id] | None:
    """The ids of a history, of a list or an array. Raises MatineeError for a single id."""
    if isinstance(history, str) or not isinstance(history, Iterable | None):
        raise MatineeError(f"history is a list of ids; write history=[{history!r}]")
    return None if history is None else list(history)


def require_text(title: str | None) -> None:
    """Raises MatineeError with the call that works for a title that is no text."""
    if not isinstance(title, str | None):
        raise MatineeError(f"title is text, not {title!r}; for an id write item={title!r}")


def _name_of(model: object) -> str | None:
    if isinstance(model, Recommender) or (isinstance(model, type) and issubclass(model, Recommender)):
        return model.name
    return model if isinstance(model, str) else None


def _is_folder(text: str) -> bool:
    """Whether a text is meant as a folder and not as a model's name."""
    return text not in model_names() and (Path(text).expanduser().exists() or "/" in text)


def _kind(given: Any) -> str:  # noqa: ANN401 - anything that people may pass
    return "nothing" if given is None else f"a {type(given).__name__}"
