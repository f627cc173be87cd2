"""The versions of Matinee and of what it runs on."""

import platform
from importlib.metadata import PackageNotFoundError, version

from matinee.cli.output import print_json, say
from matinee.version import __version__

STACK = (
    "numpy",
    "scipy",
    "polars",
    "torch",
    "pydantic",
    "safetensors",
    "matplotlib",
    "fastapi",
    "uvicorn",
    "sqlalchemy",
)


def versions() -> dict[str, str | None]:
    """Name -> version, None for a package that is not installed. Imports none of them."""
    return {
        "matinee": __version__,
        "python": platform.python_version(),
        **{name: _installed(name) for name in STACK},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def print_version(json: bool) -> None:
    """Print `matinee 0.1.0` and a line for each part of the stack."""
    found = versions()
    if json:
        print_json(found)
        return
    say("\n".join(f"{name} {'not installed' if number is None else number}" for name, number in found.items()))


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
