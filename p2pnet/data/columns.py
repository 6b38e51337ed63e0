"""The columns of a table taken for what they are to be: numbers, dates, categories. What does not fit is a problem."""

from __future__ import annotations

from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.cells import days_of, has_comma, is_missing, label_text, number_of, text_of_number
from p2pnet.data.encoding import Array, Category, EncodedColumn
from p2pnet.data.flaws import Flaw, named
from p2pnet.data.table import MAX_TEXTS_KEPT, Numbers, Table, Texts

MANY_LEVELS: Final = 50
"""A column of as many different texts, each of them almost once, is no category."""

ADVICE_ON_COMMAS: Final = 'with decimal = "," it has a decimal comma; a comma between thousands must be taken out'


@final
class CheckedColumns:
    """The columns of a table by name, as `ColumnValues`; problems are collected."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.flaws: list[Flaw] = []
        self.gaps: dict[str, NDArray[np.intp]] = {}
        """the rows in which a column has no value, of those columns that lack some"""
        self._kept: NDArray[np.bool_] | None = None
        self._numbers: dict[str, Array] = {}
        self._categories: dict[str, Category] = {}

    @property
    def n_rows(self) -> int:
        """Of the rows that are kept."""
        return self._table.n_rows if self._kept is None else int(self._kept.sum())

    def keep(self, is_kept: NDArray[np.bool_]) -> None:
        """Leave out all other rows from now on."""
        self._kept = is_kept

    def kept(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """The values of the rows that are kept."""
        return values if self._kept is None else values[self._kept]

    # As ColumnValues.

    def numbers(self, name: str) -> Array:
        values = self._numbers[name]
        return values if self._kept is None else values[self._kept]

    def days(self, name: str) -> Array:
        return self.numbers(name)

    def category(self, name: str) -> Category:
        category = self._categories[name]
        return category if self._kept is None else category.take(self._kept)

    # The checks.

    def take(self, column: EncodedColumn) -> None:
        """Take a column for what it is to be."""
        match column.kind:
            case "number":
                self._numbers[column.name] = self.as_numbers(column.name)
            case "date":
                self._numbers[column.name] = self._as_days(column.name)
            case "category":
                self._categories[column.name] = self.as_category(column.name)

    def as_numbers(self, name: str) -> Array:
        """The column as numbers, (n_rows,) of all rows."""
        column = self._table.column(name)
        if isinstance(column, Texts):
            column = _parsed(column, self._table.decimal)
        if not len(column.text_rows) and np.isfinite(column.values).all():
            return column.values
        self._note_gaps(name, column.missing_rows())
        is_infinite = np.isinf(column.values)
        if is_infinite.any():
            rows = np.flatnonzero(is_infinite)
            what = f"{column.values[rows[0]]} in {self._rows(rows)} is no finite number"
            self.flaws.append(Flaw(f"column {name!r}: {what}", column=name))
        if len(column.text_rows):
            self.flaws.append(self._text_flaw(name, column))
        return column.values

    def as_category(self, name: str) -> Category:
        """The column as levels."""
        column = self._table.column(name)
        if isinstance(column, Numbers):
            column = as_texts(column)
        places: dict[str, int] = {}
        codes = [-1 if is_missing(text) else places.setdefault(label_text(text), len(places)) for text in column.levels]
        of_rows = np.array(codes, dtype=np.int32)[column.codes]
        self._note_gaps(name, np.flatnonzero(of_rows < 0))
        return Category(name, tuple(places), of_rows)

    def _as_days(self, name: str) -> Array:
        column = self._table.column(name)
        if isinstance(column, Numbers):
            column = as_texts(column)
        days = [None if is_missing(text) else days_of(text) for text in column.levels]
        is_gap = np.array([is_missing(text) for text in column.levels], dtype=bool)
        is_wrong = np.array([day is None for day in days], dtype=bool) & ~is_gap
        rows = np.flatnonzero(is_wrong[column.codes])
        if len(rows):
            text = column.levels[column.codes[rows[0]]]
            self.flaws.append(
                Flaw(
                    f"column {name!r}: {text!r} in {self._rows(rows)} is no date; write dates as in 2025-03-31, "
                    "2025-03-31 14:30 or 31.03.2025",
                    column=name,
                )
            )
        self._note_gaps(name, np.flatnonzero(is_gap[column.codes]))
        values = np.array([np.nan if day is None else day for day in days], dtype=np.float64)
        return values[column.codes]

    def _note_gaps(self, name: str, rows: NDArray[np.intp]) -> None:
        if len(rows):
            self.gaps[name] = rows

    def _rows(self, rows: NDArray[np.intp]) -> str:
        return named(self._table.places(rows), len(rows))

    def _text_flaw(self, name: str, column: Numbers) -> Flaw:
        texts, n_texts = column.texts, len(column.text_rows)
        where = self._rows(column.text_rows)
        begins = f"column {name!r}: text {_shown(texts[0])} in {where} where a number is needed"
        distinct = set(texts)
        if all(days_of(text) is not None for text in distinct):
            return Flaw(f'{begins}; dates = ["{name}"] makes inputs of dates', {"dates": [name]}, name)
        if all(has_comma(text) for text in distinct):
            return Flaw(f"{begins}; {ADVICE_ON_COMMAS}", {"decimal": ","}, name)
        if n_texts == self._table.n_rows - len(self.gaps.get(name, ())) and is_identifying(len(distinct), len(texts)):
            return Flaw(f'{begins}; as an identifier, leave it out: ignore = ["{name}"]', {"ignore": [name]}, name)
        advice = f'categorical = ["{name}"] makes an input of each of its levels, ignore = ["{name}"] leaves it out'
        return Flaw(f"{begins}; {advice}", {"categorical": [name]}, name)


def is_identifying(n_distinct: int, n_values: int) -> bool:
    """Whether a column with so many different texts names its rows rather than kinds of them."""
    return n_distinct >= MANY_LEVELS and 2 * n_distinct > n_values


def as_texts(column: Numbers) -> Texts:
    """Numbers as the labels that they are; a missing one is an empty text."""
    found, codes = np.unique(column.values, return_inverse=True)
    levels = tuple("" if np.isnan(value) else text_of_number(value) for value in found.tolist())
    return Texts(levels, codes.astype(np.int32))


def _parsed(column: Texts, decimal: str) -> Numbers:
    numbers = [number_of(text, decimal) for text in column.levels]
    is_text = np.array(
        [number is None and not is_missing(text) for number, text in zip(numbers, column.levels, strict=True)],
        dtype=bool,
    )
    values = np.array([np.nan if number is None else number for number in numbers], dtype=np.float64)
    rows = np.flatnonzero(is_text[column.codes]) if is_text.any() else np.empty(0, dtype=np.intp)
    texts = [column.levels[code] for code in column.codes[rows[:MAX_TEXTS_KEPT]]]
    return Numbers(values[column.codes], rows, texts)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
