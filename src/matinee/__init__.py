"""Matinee: from a log of who watched what to an honest comparison of models and a live movie site.

import matinee as mt
data = mt.load("bundled")
split = mt.split(data, "random", ratios=(0.70, 0.15, 0.15), seed=42)
model = mt.fit("ease", split, l2=200)
mt.evaluate(model, split, k=(5, 10, 20))
mt.recommend(model, liked=["Alien (1979)", "Blade Runner (1982)"], k=10, explain=True)
"""

from matinee.version import __version__

FUNCTIONS = {
    "DataError": "errors:DataError",
    "MatineeError": "errors:MatineeError",
    "advise": "workflow:advise",
    "audit": "workflow:audit",
    "check_advice": "workflow:check_advice",
    "compare": "workflow:compare",
    "counterfactual": "workflow:counterfactual",
    "evaluate": "workflow:evaluate",
    "events": "workflow:events",
    "fit": "workflow:fit",
    "fit_auto": "workflow:fit_auto",
    "graph": "workflow:graph",
    "item_map": "report.item_map:item_map",
    "items": "workflow:items",
    "keep": "workflow:keep",
    "load": "workflow:load",
    "load_artefact": "store.artefact:load",
    "metric": "evaluation.own_metrics:metric",
    "recommend": "workflow:recommend",
    "recommend_all": "workflow:recommend_all",
    "register": "models:register",
    "replay": "workflow:replay",
    "save_artefact": "store.artefact:save",
    "similar": "workflow:similar",
    "similar_all": "workflow:similar_all",
    "split": "workflow:split",
    "synthesize": "workflow:synthesize",
    "tune": "workflow:tune",
}
"""Public names -> where they are. They are imported on first use, so that `import matinee` is quick."""

__all__ = ["__version__", "models", *FUNCTIONS]


def __getattr__(name: str) -> object:
    """A public function, `models`, or the class of a model, such as EASE."""
    from importlib import import_module
    from importlib.util import find_spec

    if name in FUNCTIONS:
        module, _, attribute = FUNCTIONS[name].partition(":")
        found = getattr(import_module(f"matinee.{module}"), attribute)
        return found if isinstance(found, type) else import_module("matinee.front_door").answering(found, name)
    from matinee.elsewhere import FUNCTIONS as OTHERS

    if name in OTHERS:
        raise AttributeError(f"module 'matinee' has no attribute {name!r}; write {OTHERS[name]}")
    if name == "models" or name[:1].isupper():
        models = import_module("matinee.models")
        return models if name == "models" else models.class_called(name)
    if name.startswith("_") or find_spec(f"matinee.{name}"):  # a module that an import statement goes on to find
        raise AttributeError(f"module 'matinee' has no attribute {name!r}")
    from matinee.errors import did_you_mean

    if import_module("matinee.models.other_names").same(name) is not None:
        import_module("matinee.models").class_called(name)  # raises
    raise AttributeError(f"module 'matinee' has no attribute {name!r}{did_you_mean(name, FUNCTIONS)}")


def __dir__() -> list[str]:
    """The public names, with the classes of models."""
    from matinee.models import CLASSES

    return sorted([*__all__, *CLASSES])
