"""Rows to predict for, as the columns that an encoding takes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any, final

import numpy as np

from p2pnet.data.cells import days_of, label_text, text_of_number
from p2pnet.data.encoding import Array, Category, Encoding
from p2pnet.data.frame import Column, Frame, is_gap
from p2pnet.errors import DataError


@final
class FrameColumns:
    """The columns of a frame as `ColumnValues`; DataError names the first value that cannot be encoded."""

    def __init__(self, frame: Frame, encoding: Encoding, ignored: Collection[str]) -> None:
        self._frame = frame
        self._fills_gaps = encoding.fills_gaps
        columns = frame.columns_of(encoding.names, ignored)
        self._columns: dict[str, Column] = dict(zip(encoding.names, columns, strict=True))

    @property
    def n_rows(self) -> int:
        return self._frame.n_rows

    def numbers(self, name: str) -> Array:
        return self._frame.numbers(name, self._columns[name], may_be_missing=self._fills_gaps)

    def days(self, name: str) -> Array:
        days = np.full(self.n_rows, np.nan)
        known: dict[str, float | None] = {}
        for row, value in enumerate(self._columns[name]):
            if self._is_gap(row, name, value):
                continue
            text = text_of(value)
            if text not in known:
                known[text] = days_of(text)
            day = known[text]
            if day is None:
                raise DataError(f"{self._frame.place(row)}, column {name!r}: {text!r} is no date as in 2025-03-31")
            days[row] = day
        return days

    def category(self, name: str) -> Category:
        codes = np.full(self.n_rows, -1, dtype=np.int32)
        places: dict[str, int] = {}
        for row, value in enumerate(self._columns[name]):
            if not self._is_gap(row, name, value):
                codes[row] = places.setdefault(label_text(text_of(value)), len(places))
        return Category(name, tuple(places), codes)

    def _is_gap(self, row: int, name: str, value: object) -> bool:
        if not is_gap(value):
            return False
        if not self._fills_gaps:
            raise DataError(f"{self._frame.place(row)}, column {name!r}: the value is missing")
        return True


def text_of(value: Any) -> str:
    """The value as it would stand in a file."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return text_of_number(float(value))
    if isinstance(value, np.datetime64):
        return str(value)
    return value.isoformat() if isinstance(value, date) else str(value)
