"""The program that fits a model for a visitor of a site's lab: `python -m matinee.workflow.own_fit`.

It reads its order, a line of JSON, from standard input, and writes what it does as lines of JSON to standard output:
`stage`, `epoch`, `epochs`, `loss`, `valid`; at the end `done`, or `error` with one line. It ends when its standard
input does, so that it never outlives the site that started it.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from matinee.config import ValuesConfig
from matinee.data.loading import load as load_data
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.models import create
from matinee.store import artefact
from matinee.store.artefact import Artefact
from matinee.values import resolve
from matinee.workflow.data import split
from matinee.workflow.fitting import fit
from matinee.workflow.held_out import held_out_quality

Say = Callable[..., None]
NICE = 10
"""How far the process stands back behind the site that started it."""


def fit_own(order: Mapping[str, Any], say: Say) -> None:
    """Measure a model with other settings as the demo measures its models, then fit it on all of the data and save it.

    order: `like`, the folder of the artefact whose settings are changed; `settings`, the changes; `seed`; `out`, the
    folder to write. Raises MatineeError if the data are not those of the artefact, or a setting is impossible.
    """
    say(stage="reading")
    like = artefact.load(order["like"])
    data = load_data(like.manifest["data"]["name"])
    require_same_data(like, data)
    settings = _changed(like, order["settings"])
    values, seed = _values(like, data), int(order["seed"])

    def on_epoch(epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        say(epoch=epoch, epochs=epochs, **{name: metrics[name] for name in ("loss", "valid") if name in metrics})

    say(stage="measuring")
    parts = split(data, "leave-last" if like.model.ordered else "random")
    about = held_out_quality(like.name, parts, settings, seed=seed, values=values, on_epoch=on_epoch)
    say(stage="fitting")
    fitted = fit(create(like.name, **settings), data, seed=seed, values=values, on_epoch=on_epoch, threads=1)
    say(stage="saving")
    artefact.save(fitted.with_manifest(about), order["out"])


def require_same_data(like: Artefact, data: Dataset) -> None:
    """Raises MatineeError if an artefact was fitted on other data than these."""
    if like.manifest["data"] != data.describe():
        raise MatineeError(f"{like.name} was fitted on other data than {data.name} holds now; train it again")


def _values(like: Artefact, data: Dataset) -> ValuesConfig:
    """How the events of an artefact weigh: the default, which each part resolves by itself, or as they did."""
    default = ValuesConfig()
    own = like.model.value_map.config
    return default if resolve(default, data.events.values, data.kind).config == own else own


def _changed(like: Artefact, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an artefact that differ from the defaults, with changes."""
    fields = type(like.model.config).model_fields
    own = like.model.config.model_dump()
    differing = {name: value for name, value in own.items() if value != fields[name].default}
    return differing | dict(changes)


def main() -> None:
    """Carry out the order on standard input."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_site, daemon=True).start()
    _stand_back(int(order["memory_mb"]))
    try:
        fit_own(order, _say)
    except MatineeError as error:
        _say(error=str(error))
    except (MemoryError, RuntimeError) as error:  # torch has no error of its own for memory
        if isinstance(error, RuntimeError) and "alloc" not in str(error):
            raise
        _say(error=f"the fit needs more than the {order['memory_mb']} MB that it may use; take smaller settings")
    else:
        _say(done=True)


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201 - what the program is for


def _end_with_site() -> None:
    """The site holds the other end of standard input open for as long as it wants the fit."""
    while os.read(0, 1):  # past sys.stdin, whose lock would be held when the interpreter ends
        pass
    os._exit(1)


def _stand_back(memory_mb: int) -> None:
    """Run behind everything else, and within a limit of memory where the system has one."""
    try:
        import resource
    except ImportError:  # Windows
        return
    os.nice(NICE)
    limit = memory_mb * 2**20
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    main()
