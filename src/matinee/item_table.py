"""What is known of items beside events: titles, years, lists of words, texts, numbers, links, pictures, credits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.catalogue import Catalogue
from matinee.shown import Framed, Overview, Shown
from matinee.vocab import UNKNOWN, Vocab

Words = tuple[tuple[str, ...], ...]
Texts = tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class ItemTable(Shown, Framed):
    """One row an item, whether anybody has an event with it or not; row r is item `items.id(r)`.

    titles: [n], "" if unknown; years: [n], 0 if unknown. By the name of their column: lists: genres, people, ... [n];
    texts: [n], "" if there is none; numbers: [n], NaN if unknown. links: [n], addresses with blanks between them,
    pictures: [n], credits: whose texts, people and pictures these are, [n]; "" if there is none, or ().
    """

    items: Vocab
    titles: Texts
    years: IntArray
    lists: Mapping[str, Words] = field(default_factory=dict)
    texts: Mapping[str, Texts] = field(default_factory=dict)
    numbers: Mapping[str, FloatArray] = field(default_factory=dict)
    links: Texts = ()
    pictures: Texts = ()
    credits: Texts = ()

    @classmethod
    def of_catalogue(cls, items: Vocab, catalogue: Catalogue) -> "ItemTable":
        """What a data set knows of its items: titles, years, genres and tags."""
        lists = {"genres": catalogue.genres} | ({"tags": catalogue.tags} if catalogue.tags else {})
        return cls(items, catalogue.titles, np.array(catalogue.years, dtype=np.int32), lists)

    @classmethod
    def of_items_with(cls, items: Vocab, catalogue: Catalogue, table: "ItemTable | None") -> "ItemTable":
        """What a table of any items and a catalogue of these items know of them; the table's word counts first."""
        own = cls.of_catalogue(items, catalogue)
        return own if table is None else table.of_items(items).filled_from(own)

    @classmethod
    def described(cls, abouts: Sequence[Mapping[str, Any]], names: "ItemTable") -> "ItemTable":
        """Items as they are kept of a running site, with the columns of another table. abouts: [n]; ids are 0 to n - 1.

        Of each its title, and any of year, genres, link, picture and credit, and of lists, texts and numbers by column.
        """
        lists = {name: tuple(tuple(_described_list(about, name)) for about in abouts) for name in names.lists}
        texts = {name: tuple(about.get("texts", {}).get(name, "") for about in abouts) for name in names.texts}
        numbers = {
            name: np.array([about.get("numbers", {}).get(name, np.nan) for about in abouts], dtype=np.float64)
            for name in names.numbers
        }
        years = np.array([about.get("year") or 0 for about in abouts], dtype=np.int32)
        cells = (tuple(about.get(key, "") for about in abouts) for key in ("link", "picture", "credit"))
        titles = tuple(about["title"] for about in abouts)
        return cls(Vocab(np.arange(len(abouts))), titles, years, lists, texts, numbers, *cells)

    def __len__(self) -> int:
        return len(self.items)

    def overview(self) -> Overview:
        """See Shown: how many items have a cell in each column."""
        frame = self.to_frame()
        rows = [(name, kind, f"{_n_filled(frame[name]):,}") for name, kind in self._columns()]
        headline = f"table of {len(self):,} items"
        return Overview(
            headline, [("column", "what", "items with it"), *rows], (), "mt.load(log, items=table)", "columns"
        )

    def to_frame(self) -> pl.DataFrame:
        """One row an item: item, title, year, and its lists, texts and numbers by column; null where there is none."""
        columns = {"item": self.items.to_series(), "title": pl.Series(self.titles, dtype=pl.String)}
        columns["year"] = pl.Series(self.years)
        for name, words in self.lists.items():
            columns[name] = pl.Series([list(each) for each in words], dtype=pl.List(pl.String))
        for name, texts in self.texts.items():
            columns[name] = pl.Series(texts, dtype=pl.String)
        columns |= {name: pl.Series(column, nan_to_null=True) for name, column in self.numbers.items()}
        for name, cells in self._single.items():
            columns |= {name: pl.Series(cells, dtype=pl.String)} if cells else {}
        frame = pl.DataFrame([column.rename(name) for name, column in columns.items()])
        return frame.with_columns(pl.col(pl.String).replace("", None), year=pl.col("year").replace(0, None))

    def _columns(self) -> list[tuple[str, str]]:
        """Names of the columns of the frame but the id, each with what it is."""
        kinds = (
            {"title": "title", "year": "year"} | dict.fromkeys(self.lists, "list") | dict.fromkeys(self.texts, "text")
        )
        kinds |= dict.fromkeys(self.numbers, "number") | {name: name for name, cells in self._single.items() if cells}
        return list(kinds.items())

    @property
    def _single(self) -> dict[str, Texts]:
        """The columns of which there is one, by their role."""
        return {"link": self.links, "picture": self.pictures, "credit": self.credits}

    def has_features(self, among: BoolArray) -> bool:
        """Whether any of some items has a word, a text, a number or a year. among: [n]."""
        texts = [*self.lists.values(), *self.texts.values()]
        numbers = [np.isfinite(column) for column in self.numbers.values()]
        filled = [np.array([bool(cell) for cell in column], dtype=bool) for column in texts]
        return any((column & among).any() for column in [*filled, *numbers, self.years > 0])

    def of_items(self, items: Vocab) -> "ItemTable":
        """The rows of other items, in their order; empty for those that are not in the table."""
        rows = self.items.rows(items.ids)
        return ItemTable(
            items,
            _take(self.titles, rows, ""),
            _take_array(self.years, rows, 0),
            {name: _take(column, rows, ()) for name, column in self.lists.items()},
            {name: _take(column, rows, "") for name, column in self.texts.items()},
            {name: _take_array(column, rows, np.nan) for name, column in self.numbers.items()},
            *(_take(cells, rows, "") if cells else () for cells in self._single.values()),
        )

    def with_rows(self, rows: IntArray, other: "ItemTable") -> "ItemTable":
        """A copy in which n rows are those of another table, in the columns that this one has. rows: [n]."""
        where, years = rows.tolist(), self.years.copy()
        years[rows] = other.years
        numbers = {name: column.copy() for name, column in self.numbers.items()}
        for name, column in numbers.items():
            column[rows] = other.numbers.get(name, np.nan)
        empty_lists, empty_texts = ((),) * len(other), ("",) * len(other)
        return replace(
            self,
            titles=_put(self.titles, where, other.titles),
            years=years,
            lists={
                name: _put(column, where, other.lists.get(name, empty_lists)) for name, column in self.lists.items()
            },
            texts={
                name: _put(column, where, other.texts.get(name, empty_texts)) for name, column in self.texts.items()
            },
            numbers=numbers,
            links=_put_if_any(self.links, where, other.links, len(self)),
            pictures=_put_if_any(self.pictures, where, other.pictures, len(self)),
            credits=_put_if_any(self.credits, where, other.credits, len(self)),
        )

    def with_columns_of(self, lists: Iterable[str], texts: Iterable[str], numbers: Iterable[str]) -> "ItemTable":
        """A copy that has columns of these names too, empty where they are new."""
        n_items = len(self)
        return replace(
            self,
            lists=dict.fromkeys(lists, ((),) * n_items) | dict(self.lists),
            texts=dict.fromkeys(texts, ("",) * n_items) | dict(self.texts),
            numbers={name: np.full(n_items, np.nan) for name in numbers} | dict(self.numbers),
        )

    def filled_from(self, other: "ItemTable") -> "ItemTable":
        """The same items, with the columns and cells that only another table of the same items has."""
        return ItemTable(
            self.items,
            tuple(own or others for own, others in zip(self.titles, other.titles, strict=True)),
            np.where(self.years > 0, self.years, other.years),
            _merge(self.lists, other.lists),
            _merge(self.texts, other.texts),
            {
                **other.numbers,
                **{name: _known(column, other.numbers.get(name)) for name, column in self.numbers.items()},
            },
            _filled(self.links, other.links),
            _filled(self.pictures, other.pictures),
            _filled(self.credits, other.credits),
        )


def _described_list(about: Mapping[str, Any], name: str) -> Sequence[str]:
    found: Sequence[str] = about.get("genres", ()) if name == "genres" else about.get("lists", {}).get(name, ())
    return found


def _put_if_any(column: Texts, rows: Sequence[int], cells: Texts, n_items: int) -> Texts:
    """As `_put`; a column that nobody has stays away."""
    if not column and not any(cells):
        return ()
    return _put(column or ("",) * n_items, rows, cells or ("",) * len(rows))


def _known(own: FloatArray, other: FloatArray | None) -> FloatArray:
    return own if other is None else np.where(np.isnan(own), other, own)


def _filled(own: Texts, other: Texts) -> Texts:
    if not own or not other:
        return own or other
    return tuple(mine or theirs for mine, theirs in zip(own, other, strict=True))


def _merge(own: Mapping[str, Sequence[Any]], other: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    merged = dict(other) | dict(own)
    for name in own.keys() & other.keys():
        merged[name] = tuple(mine or theirs for mine, theirs in zip(own[name], other[name], strict=True))
    return merged


def _put(column: Sequence[Any], rows: Sequence[int], cells: Sequence[Any]) -> tuple[Any, ...]:
    """A column in which some rows have other cells."""
    changed = list(column)
    for row, cell in zip(rows, cells, strict=True):
        changed[row] = cell
    return tuple(changed)


def _n_filled(column: pl.Series) -> int:
    """Number of cells that say something."""
    return int((column.list.len() > 0).sum()) if column.dtype == pl.List else len(column) - column.null_count()


def _take(column: Sequence[Any], rows: IntArray, missing: object) -> tuple[Any, ...]:
    return tuple(missing if row == UNKNOWN else column[row] for row in rows.tolist())


def _take_array(column: NDArray[Any], rows: IntArray, missing: float) -> NDArray[Any]:
    if len(column) == 0:
        return np.full(len(rows), missing, dtype=column.dtype)
    taken: NDArray[Any] = np.where(rows == UNKNOWN, missing, column[rows]).astype(column.dtype)
    return taken
