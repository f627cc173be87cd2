"""Matinee: from a log of who watched what to an honest comparison of models and a live movie site.

import matinee as mt
data = mt.load("bundled")
split = mt.split(data, "random", ratios=(0.70, 0.15, 0.15), seed=42)
model = mt.fit("ease", split, l2=200)
mt.evaluate(model, split, k=(5, 10, 20))
mt.recommend(model, liked=["Alien (1979)", "Blade Runner (1982)"], k=10, explain=True)
"""

from matinee.version import __version__

__all__ = [
    "DataError",
    "MatineeError",
    "__version__",
    "compare",
    "counterfactual",
    "evaluate",
    "events",
    "fit",
    "fit_auto",
    "graph",
    "items",
    "keep",
    "load",
    "load_artefact",
    "recommend",
    "recommend_all",
    "register",
    "save_artefact",
    "similar",
    "similar_all",
    "split",
    "tune",
]

TYPE_CHECKING = False  # typing is slow to import, and Ctrl+C meanwhile would show a trace
if TYPE_CHECKING:
    from matinee.errors import DataError, MatineeError
    from matinee.models import register
    from matinee.store.artefact import load as load_artefact
    from matinee.store.artefact import save as save_artefact
    from matinee.workflow import (
        compare,
        counterfactual,
        evaluate,
        events,
        fit,
        fit_auto,
        graph,
        items,
        keep,
        load,
        recommend,
        recommend_all,
        similar,
        similar_all,
        split,
        tune,
    )

_ELSEWHERE = {
    "DataError": "errors:DataError",
    "MatineeError": "errors:MatineeError",
    "load_artefact": "store.artefact:load",
    "register": "models:register",
    "save_artefact": "store.artefact:save",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use, so that `import matinee` is quick."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module 'matinee' has no attribute {name!r}")
    module, _, attribute = _ELSEWHERE.get(name, f"workflow:{name}").partition(":")
    return getattr(import_module(f"matinee.{module}"), attribute)
