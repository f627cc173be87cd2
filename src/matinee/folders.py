"""The folders that Matinee keeps files in: the cache of data sets, and the demo's artefacts and database."""

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """The cache of data sets: `matinee` in XDG_CACHE_HOME, by default ~/.cache."""
    return _folder("XDG_CACHE_HOME", ".cache")


def demo_folder() -> Path:
    """The demo's artefacts and database: `matinee/demo` in XDG_DATA_HOME, by default ~/.local/share."""
    return _folder("XDG_DATA_HOME", ".local/share") / "demo"


def has_home() -> bool:
    """Whether this account has a home folder; in a container it may have none."""
    try:
        return Path.home().is_absolute()
    except RuntimeError:
        return False


def _folder(variable: str, below_home: str) -> Path:
    """`matinee` in the folder that a variable names, else in the home folder, else a temporary one of this account."""
    if named := os.environ.get(variable):
        return Path(named) / "matinee"
    if has_home():
        return Path.home() / below_home / "matinee"
    return Path(tempfile.gettempdir()) / f"matinee-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
