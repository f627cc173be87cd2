"""Optional packages: the extra that installs each, and the one line that says so where it is missing."""

from importlib.util import find_spec

from matinee.errors import MatineeError

EXTRAS = {"torch": "train", "optuna": "train", "matplotlib": "figures"}
"""Package -> extra. The extras of databases, streams, spreadsheets and texts are named where they are read."""
CPU_ONLY = "on a machine without a GPU add --extra-index-url https://download.pytorch.org/whl/cpu, 0.2 GB instead of 3"


def is_installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    return find_spec(package) is not None


def require(package: str, purpose: str) -> None:
    """Raises MatineeError, with the command that installs it, if a package is missing. purpose: what needs it."""
    if not is_installed(package):
        raise missing(package, purpose)


def missing(package: str, purpose: str) -> MatineeError:
    """The error for a package that is not installed."""
    more = f"; {CPU_ONLY}" if package == "torch" else ""
    return MatineeError(f"{purpose}, which is not installed: pip install 'matinee[{EXTRAS[package]}]'{more}")
