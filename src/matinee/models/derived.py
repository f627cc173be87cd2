"""What a model computes from its learned arrays once, not with each list: Gram matrices, copies in float64."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Derived(Generic[T]):
    """A property of a model that is computed again only after a fit or a load put other arrays in place of some.

    Learned arrays are replaced, never changed in place. Two threads may both compute the first value.
    """

    def __init__(self, names: tuple[str, ...], compute: Callable[[Any], T]) -> None:
        self._names, self._compute = names, compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        """The attribute of a model that keeps the arrays and the value."""
        self._kept_as = f"{name}_kept"

    def __get__(self, model: Any, owner: type) -> T:  # noqa: ANN401 - any model that has the arrays
        """The value for the arrays that the model has now."""
        arrays = [getattr(model, name) for name in self._names]
        kept, value = model.__dict__.get(self._kept_as, ((), None))
        if len(kept) != len(arrays) or any(old is not new for old, new in zip(kept, arrays, strict=True)):
            value = self._compute(model)
            model.__dict__[self._kept_as] = arrays, value
        return value  # type: ignore[no-any-return]


def derived(*names: str) -> Callable[[Callable[[Any], T]], Derived[T]]:
    """A property that follows from the learned arrays of these names."""
    return lambda compute: Derived(names, compute)
