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
ELSEWHERE = {
    "bundled": 'mt.load("bundled")',
    "dataset": 'mt.load("bundled")',
    "load_dataset": 'mt.load("bundled")',
    "load_model": "mt.load_artefact(folder)",
    "metrics": "mt.evaluate(model, split).to_frame()",
    "movielens": 'mt.load("bundled")',
    "plot": "mt.evaluate(model, split).plot(); data, splits, audits, comparisons and artefacts have .plot() too",
    "predict": 'mt.recommend(model, liked=["Alien (1979)"])',
    "read_csv": 'mt.load("ratings.csv")',
    "save": "mt.save_artefact(model, folder)",
    "save_model": "mt.save_artefact(model, folder)",
    "topk": "mt.recommend_all(model, k=10)",
    "train": 'mt.fit("ease", split)',
    "train_test_split": "mt.split(data)",
}
"""What people call these in other libraries."""


__all__ = ["__version__", "models", *FUNCTIONS]


def __getattr__(name: str) -> object:
    """A public function, `models`, or the class of a model, such as EASE."""
    from importlib import import_module

    if name in FUNCTIONS:
        module, _, attribute = FUNCTIONS[name].partition(":")
        return getattr(import_module(f"matinee.{module}"), attribute)
    if name == "models" or name[:1].isupper():
        models = import_module("matinee.models")
        return models if name == "models" else models.class_called(name)
    if name.startswith("_"):
        raise AttributeError(f"module 'matinee' has no attribute {name!r}")
    from matinee.errors import did_you_mean

    hint = f"; write {ELSEWHERE[name]}" if name in ELSEWHERE else did_you_mean(name, FUNCTIONS)
    raise AttributeError(f"module 'matinee' has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    """The public names, with the classes of models."""
    from matinee.models import CLASSES

    return sorted([*__all__, *CLASSES])
