"""How many packages an installation takes, and how many bytes. Prints one JSON object.

    python benchmarks/install.py > benchmarks/install.json

pip's dry run in a new environment, which downloads but installs nothing: the packages that it would install and the
sizes of their files, with the pinned versions and with those that pip takes by itself. Limits without extras: 45
packages, 150 MB.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

PROJECT = Path(__file__).parents[1]
WANTED = {"matinee": ".", "matinee[train]": ".[train]"}
VERSIONS = {"pinned": ("-c", "constraints.txt"), "newest": ()}


def would_install(python: Path, wanted: str, options: tuple[str, ...]) -> dict[str, Any]:
    """What pip would install, in MB of files to fetch, the five largest by name."""
    command = [python, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", *options, wanted]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
    packages = [each for each in json.loads(done.stdout)["install"] if each["metadata"]["name"] != "matinee"]
    sizes = {each["metadata"]["name"]: size_of(each["download_info"]["url"]) for each in packages}
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:5]
    return {
        "packages": len(sizes),
        "mb": megabytes(sum(sizes.values())),
        "largest_mb": {name: megabytes(sizes[name]) for name in largest},
    }


def size_of(url: str) -> int:
    """Bytes of a file on this machine or on a server."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path)).stat().st_size
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=60) as answer:
        return int(answer.headers["Content-Length"])


def megabytes(n_bytes: int) -> float:
    return round(n_bytes / 1e6, 1)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder, "bin", "python")
        found = {
            versions: {name: would_install(python, wanted, options) for name, wanted in WANTED.items()}
            for versions, options in VERSIONS.items()
        }
    print(json.dumps({"python": ".".join(map(str, sys.version_info[:2])), **found}, indent=2))


if __name__ == "__main__":
    main()
