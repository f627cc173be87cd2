"""The live engine behind the lists of a notebook and of the command line."""

from matinee.recommender import Engine
from matinee.store.artefact import Artefact


def engine_of(artefact: Artefact) -> Engine:
    """The engine of one artefact over the users that it knows. Made once for an artefact, and gone with it."""
    kept = vars(artefact)  # as a cached property is: the rooms below this one know no engine
    if "engine" not in kept:
        kept["engine"] = Engine([artefact], artefact.known)
    found: Engine = kept["engine"]
    return found
