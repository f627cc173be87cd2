"""Optional packages: the extra that installs each, and the one line that says so where it is missing."""

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType

from matinee.errors import MatineeError

EXTRAS = {
    "ray": "cluster",
    "torch": "train",
    "optuna": "train",
    "matplotlib": "figures",
    "lightgbm": "rerank",
    "faiss": "ann",
}
"""Package -> extra. The extras of databases, streams, spreadsheets and texts are named where they are read."""
DISTRIBUTIONS = {"faiss": "faiss-cpu"}
"""Under which name a package is installed, where it is another."""
CPU_ONLY = "on a machine without a GPU add --extra-index-url https://download.pytorch.org/whl/cpu, 0.2 GB instead of 3"

OPENMP = "it loads OpenMP from the system: `apt-get install libgomp1`, `dnf install libgomp` or `brew install libomp`"


def version_of(package: str) -> str:
    """The version of a package that is installed."""
    return version(DISTRIBUTIONS.get(package, package))


def is_installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    return find_spec(package) is not None


def require(package: str, purpose: str) -> None:
    """Raises MatineeError, with the command that installs it, if a package is missing. purpose: what needs it."""
    if not is_installed(package):
        raise missing(package, purpose)


def imported(package: str, purpose: str) -> ModuleType:
    """The package. Raises MatineeError where it is missing, or a library of the system that it loads."""
    require(package, purpose)
    try:
        return import_module(package)
    except OSError as error:
        raise MatineeError(f"{purpose}, which cannot start ({error}); {OPENMP}") from None


def missing(package: str, purpose: str) -> MatineeError:
    """The error for a package that is not installed."""
    more = f"; {CPU_ONLY}" if package == "torch" else ""
    return MatineeError(f"{purpose}, which is not installed: pip install 'matinee[{EXTRAS[package]}]'{more}")
