"""Rows to predict for, from whatever holds them: arrays, data frames of pandas or polars, dicts.

Columns are told by name where they have names, in any order; a column that is missing, or that is not known, is an
error that names the column.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from p2pnet.data.cells import is_missing
from p2pnet.errors import DataError

Column = NDArray[Any]

_IN_MEMORY: Final = "the rows"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Columns of equal length, each numbers, text or objects."""

    source: str
    """for messages: the file, or what else the rows are from"""
    names: tuple[str, ...] | None
    """of the columns; None where they are told by their place"""
    columns: Sequence[Column] = field(repr=False)
    n_rows: int
    lines: Sequence[int] | None = field(default=None, repr=False)
    """the line of each row in a text file"""
    target: tuple[str, Column] | None = field(default=None, repr=False)
    """a column that stands apart from the features, and its name"""

    def features(self, names: Sequence[str], ignored: Collection[str] = ()) -> NDArray[np.float64]:
        """The columns of these names as finite numbers, (n_rows, len(names)); there may be no others but the ignored.

        Columns without names must be as many, and are taken in their order.
        """
        X = np.empty((self.n_rows, len(names)))
        for place, (name, column) in enumerate(zip(names, self.columns_of(names, ignored), strict=True)):
            X[:, place] = self.numbers(name, column)
        return X

    def column(self, name: str) -> Column:
        """The column of this name; DataError where there is none, or more than one."""
        if self.target is not None and self.target[0] == name:
            return self.target[1]
        names = self.names or ()
        if names.count(name) != 1:
            count = "more than one column" if name in names else "no column"
            known = [*names, *([self.target[0]] if self.target else [])]
            raise DataError(
                f"{self.source}: has {count} {name!r}; its columns are {', '.join(known) or 'without names'}"
            )
        return self.columns[names.index(name)]

    def place(self, row: int) -> str:
        """Where a row is, for messages."""
        return f"{self.source}, " + (f"row {row}" if self.lines is None else f"line {self.lines[row]}")

    def columns_of(self, names: Sequence[str], ignored: Collection[str]) -> Sequence[Column]:
        """The columns of these names; DataError where one is missing, or there are others but the ignored."""
        if self.names is None:
            if len(self.columns) != len(names):
                raise DataError(
                    f"{self.source}: {len(self.columns)} columns without names, where the model takes {len(names)}: "
                    f"{', '.join(names)}"
                )
            return self.columns
        missing = [name for name in names if name not in self.names]
        unknown = [name for name in self.names if name not in {*names, *ignored}]
        if missing:
            close = difflib.get_close_matches(missing[0], unknown, n=1, cutoff=0.5)
            has = f"; it has {close[0]!r}, which is not known" if close else ""
            if unknown and not close:
                has = f"; not known are {', '.join(map(repr, unknown))}"
            raise DataError(f"{self.source}: has no column {missing[0]!r}{has}. The model takes {', '.join(names)}")
        if unknown:
            raise DataError(
                f"{self.source}: column {unknown[0]!r} is not known to the model; leave it out, or have it ignored. "
                f"The model takes {', '.join(names)}"
            )
        return [self.column(name) for name in names]

    def numbers(self, name: str, values: Column, *, may_be_missing: bool = False) -> NDArray[np.float64]:
        """The values of a column as numbers, not a number where one is missing, if that may be."""
        if values.dtype.kind in "fiub" and values.ndim == 1:
            numbers = values.astype(np.float64)
        else:
            numbers = np.array(
                [
                    np.nan if may_be_missing and is_gap(value) else self._number(row, name, value)
                    for row, value in enumerate(values)
                ],
                dtype=np.float64,
            )
        is_finite = ~np.isinf(numbers) if may_be_missing else np.isfinite(numbers)
        if not is_finite.all():
            row = int(np.argmin(is_finite))
            what = "the value is missing" if np.isnan(numbers[row]) else f"{numbers[row]} is not a finite number"
            raise DataError(f"{self.place(row)}, column {name!r}: {what}")
        return numbers

    def _number(self, row: int, name: str, value: object) -> float:
        """A value that is no number is an error, also where it is a number written as text."""
        if isinstance(value, int | float | np.number | np.bool_) and not isinstance(value, np.complexfloating):
            try:
                return float(value)
            except OverflowError:
                return np.inf
        what = "the value is missing" if is_gap(value) else f"{_shown(value)} where a number is needed"
        raise DataError(f"{self.place(row)}, column {name!r}: {what}")


def is_gap(value: object) -> bool:
    """Whether a value stands for none: None, not a number, pandas' own, or a text that says so."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return value != value if isinstance(value, float | np.floating) else isinstance(value, str) and is_missing(value)


def frame_of(rows: Any) -> Frame:
    """The frame of an array (n_rows, n_columns), a data frame of pandas or polars, dicts by name, or columns by name.

    DataError for anything else. Nothing of pandas or polars is imported: a caller with a data frame has done that.
    """
    if isinstance(rows, Frame):
        return rows
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(rows, pandas.DataFrame):
        columns = [rows.iloc[:, place].to_numpy() for place in range(rows.shape[1])]
        is_named = not isinstance(rows.columns, pandas.RangeIndex)
        names = _names(rows.columns) if is_named else None
        return Frame(_IN_MEMORY, names, columns, len(rows))
    if polars is not None and isinstance(rows, polars.DataFrame):
        return Frame(_IN_MEMORY, tuple(rows.columns), [series.to_numpy() for series in rows], rows.height)
    if isinstance(rows, Mapping):
        return _of_columns(rows)
    if isinstance(rows, Sequence) and rows and all(isinstance(row, Mapping) for row in rows):
        return _of_dicts(rows)
    return _of_array(rows)


def _of_columns(columns: Mapping[Any, Any]) -> Frame:
    arrays = [_vector(name, values) for name, values in columns.items()]
    lengths = {len(values) for values in arrays}
    if len(lengths) > 1:
        raise DataError(f"{_IN_MEMORY}: columns of {min(lengths)} and of {max(lengths)} values; all must have as many")
    return Frame(_IN_MEMORY, _names(columns), arrays, lengths.pop() if lengths else 0)


def _of_dicts(rows: Sequence[Mapping[Any, Any]]) -> Frame:
    names = _names(rows[0])
    for number, row in enumerate(rows):
        if row.keys() == rows[0].keys():
            continue
        absent = [name for name in names if name not in row]
        if absent:
            raise DataError(f"{_IN_MEMORY}, row {number}: has no {absent[0]!r}, which row 0 has")
        extra = next(name for name in row if name not in rows[0])
        raise DataError(f"{_IN_MEMORY}, row {number}: has {extra!r}, which row 0 has not")
    return Frame(_IN_MEMORY, names, [_vector(name, [row[name] for row in rows]) for name in names], len(rows))


def _of_array(rows: ArrayLike) -> Frame:
    try:
        X = np.asarray(rows)
    except ValueError as error:
        raise DataError(f"{_IN_MEMORY}: are no array: {error}") from error
    if X.dtype.names is not None and X.ndim == 1:
        return Frame(_IN_MEMORY, X.dtype.names, [X[name] for name in X.dtype.names], len(X))
    if X.shape == (0,):
        return Frame(_IN_MEMORY, None, [], 0)
    if X.ndim != 2:
        raise DataError(
            f"{_IN_MEMORY}: {type(rows).__name__} of shape {X.shape}; give an array (rows, columns), a data frame, or "
            "a list of dicts"
        )
    return Frame(_IN_MEMORY, None, list(X.T), len(X))


def _vector(name: object, values: Any) -> Column:
    """One value a row; objects where they are of several kinds, so that a number in text is not taken for a number."""
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
        values = list(values) if isinstance(values, Collection) and not isinstance(values, str) else None
    if values is None:
        raise DataError(f"{_IN_MEMORY}: {name!r} is no column of values; give a list of dicts for single rows")
    array = np.asarray(values) if isinstance(values, np.ndarray) else np.fromiter(values, object, len(values))
    if array.ndim != 1:
        raise DataError(f"{_IN_MEMORY}: column {name!r} has shape {array.shape}; one value a row is needed")
    return array


def _names(names: Collection[Any]) -> tuple[str, ...]:
    for name in names:
        if not isinstance(name, str):
            raise DataError(f"{_IN_MEMORY}: column {name!r} is no text; name the columns as the model does")
    return tuple(names)


def _shown(value: object) -> str:
    text = repr(value) if not isinstance(value, str) else f"text {value!r}"
    return text if len(text) <= 60 else f"{text[:57]}..."
