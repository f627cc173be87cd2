"""An encoder whose answers are known: a word of either language stands for one direction."""

import re
import zlib
from collections.abc import Sequence

import numpy as np

from matinee.arrays import FloatArray

CONCEPTS = ("space", "monster", "toy", "love", "ship", "cook")
MEANS = {
    "우주에서": "space", "우주": "space", "괴물과": "monster", "괴물": "monster", "장난감이": "toy", "사랑": "love",
    "배에서": "ship", "creature": "monster", "planet": "space", "doll": "toy", "romance": "love", "kitchen": "cook",
    "aboard": "ship",
}  # fmt: skip


class ToyEncoder:
    """Counts what it embeds. A text without a known word has a direction of its own."""

    name, dim = "toy", 2048

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.embedded: list[str] = []

    def query(self, text: str) -> FloatArray:
        self.queries.append(text)
        return self._vector(text)

    def passages(self, texts: Sequence[str]) -> FloatArray:
        self.embedded += texts
        return np.array([self._vector(text) for text in texts], dtype=np.float32).reshape(-1, self.dim)

    def _vector(self, text: str) -> FloatArray:
        rng = np.random.default_rng(zlib.crc32(text.encode(errors="replace")))
        vector = 0.007 * rng.standard_normal(self.dim, dtype=np.float32)  # length 0.3
        for word in re.findall(r"\w+", text.lower()):
            concept = MEANS.get(word, word.rstrip("s"))
            if concept in CONCEPTS:
                vector[CONCEPTS.index(concept)] += 1
        return vector / np.linalg.norm(vector)
