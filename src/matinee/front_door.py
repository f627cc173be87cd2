"""How `import matinee as mt` answers a call that does not fit a function: in one line, with a call that works."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from inspect import Parameter, Signature, signature
from operator import index
from typing import Any

from matinee.elsewhere import key_hint
from matinee.errors import MatineeError

CALLS = {
    "advise": "mt.advise(split)",
    "compare": 'mt.compare(["ease", "popularity"], split)',
    "counterfactual": 'mt.counterfactual(model, user=1, title="Alien (1979)")',
    "evaluate": "mt.evaluate(model, split)",
    "events": 'mt.events(frame, user="user_id", item="item_id")',
    "fit": 'mt.fit("ease", split)',
    "fit_auto": 'mt.fit_auto("ease", split)',
    "keep": "mt.keep(data, min_user_events=5)",
    "load": 'mt.load("ratings.csv", user="user_id")',
    "load_artefact": "mt.load_artefact(folder)",
    "metric": '@mt.metric("rare-recall") above a function',
    "recommend": "mt.recommend(model, user=1, k=10)",
    "recommend_all": "mt.recommend_all(model, k=10)",
    "save_artefact": "mt.save_artefact(model, folder)",
    "similar": 'mt.similar(model, "Alien (1979)")',
    "split": 'mt.split(data, "random", seed=42)',
    "tune": 'mt.tune("ease", split)',
}
"""A call of a function that works."""


@cache
def answering(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function under its public name, but a call that does not fit its arguments is a MatineeError of one line."""
    expected = signature(function)

    @wraps(function)
    def called(*values: object, **named: object) -> object:
        try:
            expected.bind(*values, **named)
        except TypeError:
            raise MatineeError(_problem(name, expected, values, named)) from None
        if "seed" in expected.parameters and not _is_seed(named.get("seed", 0)):
            raise MatineeError(f"{name}: seed = {named['seed']!r} is not a whole number, 0 or more; write seed=42")
        return function(*values, **named)

    return called


def _is_seed(given: object) -> bool:
    try:
        return not isinstance(given, bool) and index(given) >= 0  # type: ignore[arg-type]  # that is the question
    except TypeError:
        return False


def _problem(name: str, expected: Signature, values: Sequence[object], named: Mapping[str, object]) -> str:
    """What of a call does not fit, and what to write."""
    arguments = expected.parameters.values()
    positional = [each.name for each in arguments if each.kind is Parameter.POSITIONAL_OR_KEYWORD]
    known = [each.name for each in arguments if each.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)]
    write = f"; write {CALLS[name]}" if name in CALLS else ""
    for key in named if len(known) == len(expected.parameters) else ():  # others take any key
        if key not in known:
            if name == "recommend" and key in ("item", "item_id", "movie", "title"):
                return f"recommend: unknown argument {key!r}; write mt.similar(model, item=1), or liked=[title]"
            return f"{name}: unknown argument {key!r}{key_hint(key, known)}"
    if len(values) > len(positional):
        taken = ", ".join(positional)
        return f"{name} takes {taken} without a name and no more, but has {len(values)} values{write}"
    for key in positional[: len(values)]:
        if key in named:
            return f"{name} has {key!r} twice{write}"
    given = {*positional[: len(values)], *named}
    required = [each.name for each in arguments if each.default is Parameter.empty and each.name in known]
    return f"{name}: {next(each for each in required if each not in given)!r} is missing{write}"
