"""Models from outside the package: what makes a class a model, and the models that installed packages offer."""

from importlib.metadata import EntryPoint, EntryPoints, entry_points
from inspect import isabstract, isclass
from re import fullmatch
from typing import Any

from matinee.config import Config
from matinee.errors import MatineeError
from matinee.models.base import Recommender

GROUP = "matinee.models"
"""The entry point group: its names are model names, its values `module:Class`."""


def check_model(model: object) -> type[Recommender[Any]]:
    """The class itself. Raises MatineeError unless it is a model that can be fitted, saved and loaded by name."""
    if not (isclass(model) and issubclass(model, Recommender)):
        raise MatineeError(f"{model!r} is not a model: derive the class from matinee.models.base.Recommender")
    if isabstract(model):
        missing = ", ".join(sorted(model.__abstractmethods__))
        raise MatineeError(f"model {model.__name__} does not implement {missing}")
    name, config, learned = (getattr(model, key, None) for key in ("name", "Config", "learned"))
    if not (isinstance(name, str) and fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)):
        raise MatineeError(f"model {model.__name__}: name = {name!r} is not lower-case words such as 'my-model'")
    if not (isclass(config) and issubclass(config, Config)):
        raise MatineeError(f"model {name}: Config = {config!r} is not a subclass of matinee.config.Config")
    if not (isinstance(learned, tuple) and all(isinstance(each, str) for each in learned)):
        raise MatineeError(f"model {name}: learned = {learned!r} is not a tuple of attribute names")
    return model


def class_path(model: type) -> str:
    """`module:Class`, as an entry point writes it."""
    return f"{model.__module__}:{model.__qualname__}"


def installed_names() -> tuple[str, ...]:
    """Names of the models that installed packages offer, without importing them."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def installed_model(name: str) -> type[Recommender[Any]] | None:
    """The model that an installed package offers under a name, None if there is none.

    Raises MatineeError, one line that names the package, if its class cannot be imported or is not a model, or if two
    packages offer different classes under the name.
    """
    points = list(_points(name))
    if len({point.value for point in points}) > 1:
        raise MatineeError(f"model {name!r} is offered by {' and '.join(map(_package, points))}; uninstall one")
    return _load(points[0]) if points else None


def installed_path(name: str) -> str | None:
    """`module:Class` of the model that an installed package offers under a name, None if there is none."""
    return next((point.value for point in _points(name)), None)


def installed_package(name: str) -> str | None:
    """Name and version of the installed package that offers a model under a name, None if none does."""
    return next(map(_package, _points(name)), None)


def package_of(model: type[Recommender[Any]]) -> str | None:
    """Name and version of the installed package that offers a model, None if none does."""
    return next((_package(point) for point in _points(model.name) if point.value == class_path(model)), None)


def _points(name: str) -> EntryPoints:
    return entry_points(group=GROUP, name=name)


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


def _load(point: EntryPoint) -> type[Recommender[Any]]:
    where = f"model {point.name!r} of package {_package(point)} cannot be used"
    try:
        model = check_model(point.load())
    except MatineeError as error:
        raise MatineeError(f"{where}: {error}") from None
    except Exception as error:
        said = str(error).partition("\n")[0]
        raise MatineeError(f"{where}: importing {point.value} fails with {type(error).__name__}: {said}") from error
    if model.name != point.name:
        raise MatineeError(f"{where}: its class is named {model.name!r}; both names must be the same")
    return model
