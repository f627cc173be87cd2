"""The vectors of an artefact's passages, in a file of its folder: computed again only where a text changes."""

from pathlib import Path

import numpy as np

from matinee.models.content.passages import Embeddings
from matinee.store.manifest import EMBEDDINGS
from matinee.tensors import read_arrays, write_arrays
from matinee.writing import new_file


def read_embeddings(folder: Path | None) -> Embeddings | None:
    """The saved vectors; None where there are none, or where the file is not one of ours: they are computed again."""
    if folder is None:
        return None
    try:
        arrays = read_arrays(folder / EMBEDDINGS)
        return Embeddings(bytes(arrays["encoder"]).decode(), arrays["keys"], arrays["vectors"])
    except (OSError, ValueError, KeyError):
        return None


def write_embeddings(folder: Path, embeddings: Embeddings) -> None:
    """Save vectors into an artefact's folder, in place of older ones. Raises MatineeError if it cannot be written."""
    with new_file(folder / EMBEDDINGS, "embeddings") as file:
        encoder = np.frombuffer(embeddings.encoder.encode(), dtype=np.uint8)
        write_arrays(file, {"encoder": encoder, "keys": embeddings.keys, "vectors": embeddings.vectors})
