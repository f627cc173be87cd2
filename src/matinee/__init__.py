"""Matinee: from a log of who watched what to an honest comparison of models and a live movie site.

    import matinee as mt
    data = mt.load("bundled")
    split = mt.split(data, "random", ratios=(0.70, 0.15, 0.15), seed=42)
    model = mt.fit("ease", split, l2=200)
    mt.evaluate(model, split, k=(5, 10, 20))
    mt.recommend(model, liked=["Alien (1979)", "Blade Runner (1982)"], k=10, explain=True)
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from matinee.errors import DataError as DataError
    from matinee.errors import MatineeError as MatineeError
    from matinee.store.artefact import load as open_artefact
    from matinee.store.artefact import save as save_artefact
    from matinee.workflow import compare as compare
    from matinee.workflow import evaluate as evaluate
    from matinee.workflow import events as events
    from matinee.workflow import fit as fit
    from matinee.workflow import keep as keep
    from matinee.workflow import load as load
    from matinee.workflow import recommend as recommend
    from matinee.workflow import similar as similar
    from matinee.workflow import split as split

_PLACES = {
    "DataError": "errors",
    "MatineeError": "errors",
    "compare": "workflow",
    "evaluate": "workflow",
    "events": "workflow",
    "fit": "workflow",
    "keep": "workflow",
    "load": "workflow",
    "open_artefact": "store.artefact:load",
    "recommend": "workflow",
    "save_artefact": "store.artefact:save",
    "similar": "workflow",
    "split": "workflow",
}
"""Public name -> module (and its name there, where that differs): imported when first used, so that importing is quick."""

__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'matinee' has no attribute {name!r}")
    module, _, there = _PLACES[name].partition(":")
    return getattr(import_module(f"matinee.{module}"), there or name)
