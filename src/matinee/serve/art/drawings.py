"""Which drawings a cover of each genre may have."""

from collections.abc import Callable
from random import Random

from matinee.serve.art import patterns, scenes
from matinee.serve.art.shapes import Colours

Drawing = Callable[[Random, Colours], list[str]]

DRAWINGS: dict[str, tuple[Drawing, ...]] = {
    "Action": (patterns.rays, patterns.speed, patterns.burst),
    "Adventure": (scenes.horizon, scenes.waves, patterns.rays),
    "Animation": (patterns.mosaic, scenes.petals, patterns.bowls),
    "Children": (patterns.mosaic, patterns.confetti, scenes.petals),
    "Comedy": (patterns.bowls, scenes.smile, patterns.confetti, scenes.record),
    "Crime": (patterns.blinds, scenes.windows, scenes.keyhole),
    "Documentary": (patterns.halftone, patterns.bars),
    "Drama": (scenes.arches, scenes.waves, scenes.windows, scenes.stairs, patterns.pair),
    "Fantasy": (scenes.crescent, scenes.petals, patterns.maze),
    "Film-Noir": (patterns.blinds, scenes.stairs),
    "Horror": (scenes.eye, scenes.teeth),
    "IMAX": (scenes.horizon, scenes.orbits),
    "Musical": (patterns.bars, scenes.record),
    "Mystery": (scenes.keyhole, patterns.maze, scenes.stairs),
    "Romance": (patterns.pair, scenes.petals, scenes.waves),
    "Sci-Fi": (scenes.orbits, patterns.slices, patterns.halftone),
    "Thriller": (patterns.vertigo, patterns.slices, scenes.eye, scenes.stairs),
    "War": (patterns.chevrons, scenes.searchlights),
    "Western": (scenes.mesa, scenes.horizon),
}
WITHOUT_GENRE: tuple[Drawing, ...] = (scenes.projector,)
