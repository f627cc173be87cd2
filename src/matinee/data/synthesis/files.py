"""A synthetic log as Parquet files, one for each part, written one after the other in bounded memory."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl

from matinee.data.synthesis.draw import Drawn, Population, draw_part
from matinee.errors import MatineeError
from matinee.writing import new_file

OnPart = Callable[[int, int], None]
"""Called with the number of parts that are written, and of all parts."""
FACTS = "synthetic"
"""Fact in each file: what it was drawn from, so that a later run knows its own."""


def write_parts(population: Population, folder: Path, on_part: OnPart = lambda done, total: None) -> int:
    """Write each part to `part-00000.parquet` and so on; those that an interrupted run has written stay.

    Returns the number of files. Raises MatineeError if the folder has anything else.
    """
    parts = population.parts()
    names = [f"part-{number:05}.parquet" for number in range(len(parts))]
    facts = _facts(population)
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    for name in sorted(there):
        if name not in names or _facts_of(folder / name) != facts:
            raise MatineeError(f"{folder} has {name}, which is of something else; choose another folder, or remove it")
    for number, (name, users) in enumerate(zip(names, parts, strict=True)):
        if name not in there:
            with new_file(folder / name, "part") as part:
                frame_of(draw_part(population, number, users)).write_parquet(part, metadata={FACTS: facts})
        on_part(number + 1, len(parts))
    return len(parts)


def frame_of(drawn: Drawn) -> pl.DataFrame:
    """Columns user and item, numbers from 1 as MovieLens has them, value and at."""
    return pl.DataFrame(
        {
            "user": drawn.user_rows + np.int32(1),
            "item": drawn.item_rows + np.int32(1),
            "value": drawn.values,
            "at": drawn.times,
        }
    )


def _facts(population: Population) -> str:
    sizes = {"users": len(population.n_events), "items": len(population.by_taste), "seed": population.seed}
    shape = {name: np.asarray(value).round(6).tolist() for name, value in asdict(population.shape).items()}
    return json.dumps(sizes | {"events": int(population.n_events.sum())} | shape)


def _facts_of(path: Path) -> str:
    """What a file says it was drawn from, empty if nothing."""
    try:
        return pl.read_parquet_metadata(path).get(FACTS, "")
    except (OSError, pl.exceptions.PolarsError):
        return ""
