"""The models that Matinee makes claims about: those with a measured floor.

A new model passes every test without being listed. Once it is, tests also ask for its card, page and experiments.
"""

import tomllib
from pathlib import Path

FLOORS: dict[str, float] = tomllib.loads((Path(__file__).parent / "contract" / "floors.toml").read_text("utf-8"))
RELEASED = sorted(FLOORS)
