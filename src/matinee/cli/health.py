"""The checks of `doctor` on a site: its artefacts, their compatibility, and its database."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matinee.errors import MatineeError

Finding = tuple[str, bool, str, str]
"""Name of a check, whether it passed, what was found, and the fix if it failed."""


def model_of(path: Path) -> str | None:
    """The model of an artefact; None if it cannot be read."""
    from matinee.store.manifest import read_manifest

    try:
        return str(read_manifest(path)["model"])
    except MatineeError:
        return None


def artefact_findings(paths: Sequence[Path]) -> Iterator[Finding]:
    """Check each artefact, by default all in `artefacts`: it loads, and was fitted on the same data as the first."""
    from matinee.store.artefact import load
    from matinee.store.compatible import require_same_items

    chosen = list(paths) or [manifest.parent for manifest in sorted(Path("artefacts").glob("*/manifest.json"))]
    first = None
    for path in chosen:
        try:
            found = load(path)
        except MatineeError as error:
            model = model_of(path) or "MODEL"
            yield f"{path}", False, str(error), f"train it again: matinee train {model} --out {path}"
            continue
        data = found.manifest.get("data", {})
        summary = f"{found.name} on {data.get('name', '?')}, {len(found.items):,} items"
        first = first or found
        try:
            if paths and found is not first:
                require_same_items([first, found])
            yield f"{path}", True, summary, ""
        except MatineeError as error:
            again = (
                f"matinee train {found.name} --data {first.manifest.get('data', {}).get('name', 'DATA')} --out {path}"
            )
            yield f"{path}", False, f"{summary}: {error}", f"fit it on the data of the first: {again}; or leave it out"


def database_findings(url: str) -> Iterator[Finding]:
    """Check the database without writing: its existence, integrity, schema version and content."""
    from matinee.store.health import check_database

    state = check_database(url)
    yield "database", state.ok, state.found, state.fix
