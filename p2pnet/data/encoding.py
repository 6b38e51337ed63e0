"""From the columns of a table to the inputs of a network.

A number is one input. A date is seven: the days since 1970, and where in the year, in the week and in the day it is, as
points of a circle. A category is one input for each of its levels, 1 or 0; a level that the network does not know, or
that is rare wherever it occurs, is `other`, for which all of them are 0. Where `missing` is `indicator`, every column
has one input more that says whether its value is missing. Inputs are ordered so: numbers and dates in the order of the
columns, then the indicators, then levels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, Protocol, TypeAlias, final, get_args

import numpy as np
from numpy.typing import NDArray

from p2pnet.errors import ModelError

Array = NDArray[np.float64]
Kind: TypeAlias = Literal["number", "date", "category"]
MissingRule: TypeAlias = Literal["refuse", "drop", "mean", "indicator"]

DATE_PARTS: Final = ("days", "year sin", "year cos", "week sin", "week cos", "day sin", "day cos")

_ROWS_AT_A_TIME: Final = 4096


@final
@dataclass(frozen=True, slots=True, eq=False)
class Category:
    """A column of levels, by their places in `levels`; −1 where the value is missing."""

    name: str
    levels: tuple[str, ...]
    codes: NDArray[np.int32]

    def take(self, rows: Any) -> Category:
        """Select rows, in this order."""
        return replace(self, codes=self.codes[rows])


class ColumnValues(Protocol):
    """The values of a table's columns, all of which can be encoded."""

    @property
    def n_rows(self) -> int: ...

    def numbers(self, name: str) -> Array:
        """(n_rows,); not a number where the value is missing."""

    def days(self, name: str) -> Array:
        """The dates as days since 1970, (n_rows,); not a number where the value is missing."""

    def category(self, name: str) -> Category: ...


@dataclass(frozen=True, slots=True)
class EncodedColumn:
    """What one column is taken for."""

    name: str
    kind: Kind
    levels: tuple[str, ...] = ()
    """of a category, once the network has agreed on them"""

    def __str__(self) -> str:
        return self.name if self.kind == "number" else f"{self.name} ({self.kind})"


@final
@dataclass(frozen=True, slots=True)
class Encoding:
    """How columns become inputs; the same at all agents."""

    columns: tuple[EncodedColumn, ...]
    missing: MissingRule = "refuse"

    @classmethod
    def plain(cls, names: Sequence[str]) -> Encoding:
        """Each column is one number, and none is missing."""
        return cls(tuple(EncodedColumn(name, "number") for name in names))

    @property
    def is_plain(self) -> bool:
        """Whether inputs are the columns as they are."""
        return self.fills_gaps is False and all(column.kind == "number" for column in self.columns)

    @property
    def fills_gaps(self) -> bool:
        """Whether missing values become the network's means."""
        return self.missing in ("mean", "indicator")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def categories(self) -> tuple[EncodedColumn, ...]:
        """The columns that are categories, in their order."""
        return tuple(column for column in self.columns if column.kind == "category")

    @property
    def numeric_inputs(self) -> tuple[str, ...]:
        """The names of the inputs that are known before levels are."""
        names: list[str] = []
        for column in self.columns:
            if column.kind == "number":
                names.append(column.name)
            elif column.kind == "date":
                names += [f"{column.name}: {part}" for part in DATE_PARTS]
        if self.missing == "indicator":
            names += [f"{column.name} is missing" for column in self.columns]
        return tuple(names)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of all inputs."""
        levels = [f"{column.name} = {level}" for column in self.categories for level in column.levels]
        return (*self.numeric_inputs, *levels)

    def with_levels(self, levels: Mapping[str, Sequence[str]]) -> Encoding:
        """The same with the levels of each category by its name."""
        columns = [
            replace(column, levels=tuple(levels.get(column.name, ()))) if column.kind == "category" else column
            for column in self.columns
        ]
        return replace(self, columns=tuple(columns))

    def numeric(self, values: ColumnValues) -> Array:
        """The inputs without the levels, (n_rows, len(numeric_inputs)); not a number where a value is missing."""
        inputs: list[NDArray[Any]] = []
        is_missing: list[NDArray[np.bool_]] = []
        for column in self.columns:
            if column.kind == "number":
                first = values.numbers(column.name)
                inputs.append(first)
            elif column.kind == "date":
                first = values.days(column.name)
                inputs += date_parts(first)
            if self.missing == "indicator":
                has_codes = column.kind == "category"
                is_missing.append(values.category(column.name).codes < 0 if has_codes else np.isnan(first))
        return _side_by_side([*inputs, *is_missing], values.n_rows)

    def levels(self, categories: Sequence[Category]) -> Array:
        """The inputs of the levels, (n_rows, number of levels), of categories in the order of the columns."""
        parts = []
        for column, category in zip(self.categories, categories, strict=True):
            place_of = {level: place for place, level in enumerate(column.levels)}
            # One row more, of zeros, for what is missing or of another level.
            rows = np.zeros((len(category.levels) + 1, len(column.levels)))
            for code, level in enumerate(category.levels):
                if level in place_of:
                    rows[code, place_of[level]] = 1.0
            parts.append(rows[category.codes])
        return np.hstack(parts) if parts else np.empty((0, 0))

    def to_json(self) -> str:
        """As text for the model file."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Encoding:
        """From the text of a model file; ModelError where it is none that is known here."""
        try:
            found = json.loads(text)
            columns = tuple(
                EncodedColumn(str(each["name"]), each["kind"], tuple(map(str, each["levels"])))
                for each in found["columns"]
            )
            encoding = cls(columns, found["missing"])
        except (ValueError, TypeError, KeyError, RecursionError):
            encoding = None
        if (
            encoding is None
            or encoding.missing not in get_args(MissingRule)
            or not all(column.kind in get_args(Kind) for column in encoding.columns)
        ):
            raise ModelError(
                f"encoding {text[:40]!r} is not known to this p2pnet; install the release that has written it"
            )
        return encoding


def date_parts(days: Array) -> list[Array]:
    """The seven inputs of days since 1970, (n_rows,) each, in the order of DATE_PARTS."""
    known = np.where(np.isnan(days), 0.0, days)
    whole = np.floor(known)
    day = whole.astype(np.int64).astype("datetime64[D]")
    year = day.astype("datetime64[Y]")
    first, last = year.astype("datetime64[D]"), (year + 1).astype("datetime64[D]")
    of_year = ((day - first).astype(np.float64) + known - whole) / (last - first).astype(np.float64)
    turns = [of_year, (known + 3.0) % 7.0 / 7.0, known - whole]  # 1970 began on a Thursday
    parts = [known, *(wave(2.0 * np.pi * turn) for turn in turns for wave in (np.sin, np.cos))]
    return [np.where(np.isnan(days), np.nan, part) for part in parts]


def _side_by_side(columns: Sequence[NDArray[Any]], n_rows: int) -> Array:
    """One array of the columns, (n_rows, n_columns), filled a few thousand rows at a time, which stay in the cache."""
    X = np.empty((n_rows, len(columns)))
    for start in range(0, n_rows, _ROWS_AT_A_TIME):
        rows = slice(start, start + _ROWS_AT_A_TIME)
        for place, column in enumerate(columns):
            X[rows, place] = column[rows]
    return X
