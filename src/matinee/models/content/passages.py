"""What is known of an item as one passage of text, and the vectors of passages."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from matinee.arrays import FloatArray, IntArray
from matinee.item_table import ItemTable
from matinee.models.content.encoder import Encoder, plain
from matinee.models.vectors import unit
from matinee.titles import spoken_title

MAX_TEXT, MAX_WORDS = 600, 20
"""Characters of a text column and words of a list that stand in a passage."""
MAX_EMBEDDED = 700
"""Characters of a passage that are embedded: later ones add little, and the time grows with them."""
BATCH = 32

OnProgress = Callable[[int, int], None]
"""Called with the number of passages that are embedded, and of all."""


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Vectors of n passages. encoder: the name of what made them; keys: [n], of the texts; vectors: [n, D], float16.

    A passage without any text has the key 0 and a vector of zeros. Raises ValueError for arrays of other shapes.
    """

    encoder: str = ""
    keys: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    vectors: NDArray[np.float16] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float16))

    def __post_init__(self) -> None:
        shapes = self.keys.ndim == 1 and self.vectors.ndim == 2 and len(self.keys) == len(self.vectors)
        if not shapes or self.keys.dtype != np.int64 or self.vectors.dtype != np.float16:
            raise ValueError("the vectors of passages are not as they were written")

    def __len__(self) -> int:
        return len(self.keys)


def passages_of(table: ItemTable) -> list[str]:
    """Each item's title, year, genres, texts and other lists as one passage without HTML; "" if it has none. [n]."""
    lists = {name: [plain(", ".join(words[:MAX_WORDS])) for words in column] for name, column in table.lists.items()}
    genres = lists.pop("genres", [""] * len(table))
    texts = [[plain(text[: 2 * MAX_TEXT])[:MAX_TEXT] for text in column] for column in table.texts.values()]
    titles = [_spoken(title, int(year)) for title, year in zip(table.titles, table.years, strict=True)]
    rows = zip(titles, genres, *texts, *lists.values(), strict=True)
    return [". ".join(filter(None, parts)) for parts in rows]


def embed(
    passages: Sequence[str], encoder: Encoder, known: Embeddings | None = None, on_progress: OnProgress | None = None
) -> Embeddings:
    """The vectors of passages, in their order; only those are computed that `known` does not have."""
    passages = [passage[:MAX_EMBEDDED] for passage in passages]
    keys = _keys(passages)
    vectors = np.zeros((len(keys), encoder.dim), dtype=np.float16)
    missing = keys != 0
    if known is not None and known.encoder == encoder.name and len(known):
        order = np.argsort(known.keys)
        found = order[np.minimum(np.searchsorted(known.keys[order], keys), len(order) - 1)]
        same = known.keys[found] == keys
        vectors[same] = known.vectors[found[same]]
        missing &= ~same
    for done, rows in _batches(passages, np.flatnonzero(missing)):
        vectors[rows] = encoder.passages([passages[row] for row in rows.tolist()])
        if on_progress:
            on_progress(done, int(missing.sum()))
    return Embeddings(encoder.name, keys, vectors)


def centred(vectors: NDArray[np.float16], mean: FloatArray | None = None) -> FloatArray:
    """Vectors less a mean, by default their own, of length 1 again; those of zeros stay. [n, D].

    An encoder's vectors share most of their direction, which says nothing of one text beside another.
    """
    wide = vectors.astype(np.float32)
    known = wide.any(axis=1)
    wide[known] -= mean_of(vectors) if mean is None else mean
    return unit(wide)


def mean_of(vectors: NDArray[np.float16]) -> FloatArray:
    """The mean of the vectors that are not zeros. [D]."""
    known = vectors.any(axis=1)
    mean: FloatArray = vectors[known].mean(axis=0, dtype=np.float32) if known.any() else np.zeros(vectors.shape[1:])
    return mean


def _keys(passages: Sequence[str]) -> NDArray[np.int64]:
    """Hashes of texts; 0 for an empty one. [n]."""
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in passages)
    return np.where([text != "" for text in passages], np.frombuffer(digests, dtype="<i8"), 0)


def _batches(passages: Sequence[str], rows: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Rows of passages of similar length, the shortest first, each with how many are done after it."""
    ordered = rows[np.argsort([len(passages[row]) for row in rows.tolist()], kind="stable")]
    for start in range(0, len(ordered), BATCH):
        batch = ordered[start : start + BATCH]
        yield start + len(batch), batch


def _spoken(title: str, year: int) -> str:
    """`Matrix, The (1999)` -> The Matrix (1999), with another name that it has."""
    if not title:
        return ""
    name = spoken_title(title)
    names = f"{name.name}, {name.other}" if name.other else name.name
    return plain(f"{names} ({year})" if year else names)
