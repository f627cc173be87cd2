"""MovieLens's links.csv: a movie's pages at IMDb and at TMDB."""

import numpy as np
import polars as pl

from matinee.errors import DataError
from matinee.item_table import ItemTable
from matinee.reading.archives import Archive
from matinee.reading.table import read_table
from matinee.vocab import Vocab

FILE = "links.csv"
IMDB, TMDB = "https://www.imdb.com/title/tt{}/", "https://www.themoviedb.org/movie/{}"
_IMDB_DIGITS = 7


def read_links(archive: Archive, folder: str) -> ItemTable | None:
    """The links of a folder's movies; None if links.csv is missing or unreadable, because links are only displayed."""
    name = next((name for name in archive.names() if name.lower() == folder.lower() + FILE), None)
    if name is None:
        return None
    try:
        frame = read_table(archive.read(name), archive.where(name), headed=True).frame
    except DataError:
        return None
    if not {"movieId", "imdbId", "tmdbId"} <= set(frame.columns):
        return None
    whole = r"^\d{1,15}$"
    text = frame.select(pl.col("movieId", "imdbId", "tmdbId").cast(pl.String).str.strip_chars())
    text = text.with_columns(pl.when(pl.all().str.contains(whole)).then(pl.all()))
    imdb = pl.format(IMDB, pl.col("imdbId").str.zfill(_IMDB_DIGITS))
    links = pl.concat_str(imdb, pl.format(TMDB, "tmdbId"), separator=" ", ignore_nulls=True)
    known = (
        text.select(id=pl.col("movieId").cast(pl.Int64), link=pl.when(links != "").then(links))
        .drop_nulls()
        .unique("id")
        .sort("id")
    )
    n = len(known)
    nothing = ("",) * n, np.zeros(n, dtype=np.int32)
    return ItemTable(Vocab(known["id"].to_numpy()), *nothing, links=tuple(known["link"].to_list()))
