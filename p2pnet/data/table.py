"""Tables: named columns of numbers or of text, as a reader takes them from a file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.cells import is_missing
from p2pnet.data.flaws import MAX_LINES_NAMED, Flaw
from p2pnet.errors import DataError

MAX_TEXTS_KEPT: Final = 1000
"""Of the cells of a column of numbers that are none."""

_FIRST_ROOM: Final = 2**15
_NO_ROWS: Final = np.empty(0, dtype=np.intp)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TableRequest:
    """What a reader is asked for."""

    target: str | None = None
    """the column to predict; None: the one that the format has for it, such as the last one"""
    is_target_text: bool = True
    """whether the target is read as text, as labels are"""
    weights: str | None = None
    """the column of weights, which is no target"""
    texts: frozenset[str] | None = frozenset()
    """columns to be read as text; None: all"""
    encoding: str = "auto"
    """of a text file, as Python calls it"""
    delimiter: str = "auto"
    decimal: str = "auto"

    def is_text(self, name: str, target: str | None) -> bool:
        """Whether the column of this name is read as text."""
        return self.texts is None or name in self.texts or (self.is_target_text and name == target)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A column of numbers."""

    values: NDArray[np.float64] = field(repr=False)
    """not a number where there is none"""
    text_rows: NDArray[np.intp] = field(default_factory=lambda: _NO_ROWS, repr=False)
    """the rows of cells that are neither numbers nor missing"""
    texts: Sequence[str] = field(default=(), repr=False)
    """what stands in the first of them"""

    def missing_rows(self) -> NDArray[np.intp]:
        """The rows without a value."""
        is_gap = np.isnan(self.values)
        is_gap[self.text_rows] = False
        return np.flatnonzero(is_gap)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """A column of text: its distinct texts, trimmed, and the place of each row's among them."""

    levels: tuple[str, ...] = field(repr=False)
    codes: NDArray[np.int32] = field(repr=False)

    def missing_rows(self) -> NDArray[np.intp]:
        """The rows without a value."""
        is_gap = np.array([is_missing(level) for level in self.levels], dtype=bool)
        return np.flatnonzero(is_gap[self.codes]) if is_gap.any() else np.empty(0, dtype=np.intp)


Column: TypeAlias = Numbers | Texts


@final
@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Columns of equal length."""

    source: str
    """for messages"""
    names: tuple[str, ...]
    columns: list[Column] = field(repr=False)
    n_rows: int
    target: str | None = None
    """the name of the column that is the target where none is asked for"""
    files: Sequence[tuple[str, int]] = ()
    """name and first row of each file of a directory"""
    lines: NDArray[np.int64] | None = field(default=None, repr=False)
    """the line of each row in its file; None where rows are counted from 0"""
    flaws: Sequence[Flaw] = ()
    """rows that could not be read"""
    notes: Sequence[str] = ()
    """what was found out about the format"""
    are_names_given: bool = True
    """whether columns are told by name, not by their place"""
    decimal: str = "."
    """the decimal mark of numbers that are text"""
    shape: tuple[int, ...] = ()
    """of one sample, of whose numbers the columns x1, x2, … are made; empty where they are columns as such"""
    _counts: Counter[str] = field(init=False, repr=False)
    _places: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_counts", Counter(self.names))
        object.__setattr__(self, "_places", {name: place for place, name in enumerate(self.names)})

    def count(self, name: str) -> int:
        """How many columns have this name."""
        return self._counts[name]

    def column(self, name: str) -> Column:
        """The column of this name; DataError where there is none, or more than one."""
        count = self.count(name)
        if count != 1:
            what = "more than one column" if count else "no column"
            raise DataError(f"{self.source}: has {what} {name!r}; its columns are {', '.join(self.names)}")
        return self.columns[self._places[name]]

    def place(self, row: int) -> str:
        """Where a row is, as in `line 7`, or `b.csv line 7` in a directory."""
        file, first = "", 0
        for file_name, first_row in self.files:
            if first_row <= row:
                file, first = f"{file_name} ", first_row
        return f"{file}row {row - first}" if self.lines is None else f"{file}line {self.lines[row]}"

    def places(self, rows: Sequence[int] | NDArray[np.intp]) -> list[str]:
        """Where the first few rows are."""
        return [self.place(int(row)) for row in rows[:MAX_LINES_NAMED]]


def from_arrays(
    source: str, columns: Mapping[str, NDArray[np.generic]], *, target: str | None, are_names_given: bool = True
) -> Table:
    """The table of arrays by name, (n_rows,) each, of numbers, truth values or text."""
    made = [_column(values) for values in columns.values()]
    n_rows = len(next(iter(columns.values()), ()))
    return Table(source, tuple(columns), made, n_rows, target, are_names_given=are_names_given)


def from_samples(
    source: str, X: NDArray[np.generic], beside: Mapping[str, NDArray[np.generic]], *, target: str | None
) -> Table:
    """The table of samples X (n_rows, …) of any shape, with columns x1, x2, …, and of what stands beside it."""
    shape = X.shape[1:]
    flat = X.reshape(len(X), math.prod(shape))
    columns: dict[str, NDArray[np.generic]] = {f"x{place + 1}": flat[:, place] for place in range(flat.shape[1])}
    table = from_arrays(source, columns | dict(beside), target=target, are_names_given=False)
    return replace(table, shape=shape) if len(shape) > 1 else table


def _column(values: NDArray[np.generic]) -> Column:
    if values.dtype.kind in "fb":
        return Numbers(values.astype(np.float64, copy=False))
    if values.dtype.kind in "iu":
        numbers = values.astype(np.float64)
        if np.array_equal(numbers.astype(values.dtype), values):
            return Numbers(numbers)
    levels, codes = np.unique(values.astype(str), return_inverse=True)
    return Texts(tuple(level.strip() for level in levels.tolist()), codes.astype(np.int32))


# Columns that come in parts.


class _Growing:
    """An array to which parts are appended, in room for twice as many each time; memory without values costs none."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self._room: NDArray[Any] = np.empty(_FIRST_ROOM, dtype)
        self.n = 0

    def append(self, part: NDArray[Any]) -> None:
        needed = self.n + len(part)
        if needed > len(self._room):
            room = np.empty(max(2 * len(self._room), needed), self._room.dtype)
            room[: self.n] = self._room[: self.n]
            self._room = room
        self._room[self.n : needed] = part
        self.n = needed

    @property
    def values(self) -> NDArray[Any]:
        return self._room[: self.n]


@final
class NumbersBuilder:
    """Puts a column of numbers together."""

    def __init__(self) -> None:
        self._values = _Growing(np.float64)
        self._text_rows: list[NDArray[np.intp]] = []
        self._texts: list[str] = []

    def add(self, part: Column) -> None:
        """Append the rows of a part."""
        if not isinstance(part, Numbers):
            raise TypeError("a column of numbers has a part of text")
        self._texts += part.texts[: MAX_TEXTS_KEPT - len(self._texts)]
        self._text_rows.append(self._values.n + part.text_rows)
        self._values.append(part.values)

    def column(self) -> Numbers:
        """The whole column."""
        return Numbers(self._values.values, np.concatenate([_NO_ROWS, *self._text_rows]), self._texts)


@final
class TextsBuilder:
    """Puts a column of text together."""

    def __init__(self) -> None:
        self._codes_of: dict[str, int] = {}
        self._codes = _Growing(np.int32)

    def add(self, part: Column) -> None:
        """Append the rows of a part."""
        if not isinstance(part, Texts):
            raise TypeError("a column of text has a part of numbers")
        codes_of = self._codes_of
        codes = [codes_of.setdefault(level, len(codes_of)) for level in part.levels]
        self._codes.append(np.array(codes, dtype=np.int32)[part.codes])

    def column(self) -> Texts:
        """The whole column."""
        return Texts(tuple(self._codes_of), self._codes.values)


Builder: TypeAlias = NumbersBuilder | TextsBuilder


def builder(kind: Literal["numbers", "texts"]) -> Builder:
    """An empty builder of this kind."""
    return NumbersBuilder() if kind == "numbers" else TextsBuilder()


def joined(source: str, tables: Sequence[tuple[str, Table]]) -> Table:
    """One table of the rows of several files, with the columns of the first, by name in whatever order.

    DataError names a column that a file lacks, or has more.
    """
    (first_name, first), *others = tables
    for name, table in others:
        if sorted(table.names) != sorted(first.names):
            odd = sorted({*table.names} ^ {*first.names}) or ["twice in one of them"]
            raise DataError(f"{source}: {first_name} and {name} differ in their columns: {', '.join(odd)}")
    columns: list[Column] = []
    for name in first.names:
        parts = [table.column(name) for _, table in tables]
        is_number = [isinstance(part, Numbers) for part in parts]
        if len(set(is_number)) > 1:
            other = tables[is_number.index(not is_number[0])][0]
            raise DataError(
                f"{source}, column {name!r}: is text in one of {first_name} and {other}, numbers in the other"
            )
        whole = builder("numbers" if is_number[0] else "texts")
        for part in parts:
            whole.add(part)
        columns.append(whole.column())
    for name, table in others:
        if table.shape != first.shape:
            raise DataError(f"{source}: samples of {first_name} have shape {first.shape}, of {name} {table.shape}")
    starts = np.cumsum([0, *(table.n_rows for _, table in tables)])
    lines = [table.lines for _, table in tables if table.lines is not None]
    return Table(
        source,
        first.names,
        columns,
        int(starts[-1]),
        first.target,
        [(name, int(start)) for (name, _), start in zip(tables, starts, strict=False)],
        np.concatenate(lines) if len(lines) == len(tables) else None,
        [replace(each, text=f"{name}, {each.text}") for name, table in tables for each in table.flaws],
        [f"{name}: {note}" for name, table in tables for note in table.notes],
        first.are_names_given,
        first.decimal,
        first.shape,
    )
