"""Forgetting: which rows of a table are new enough to be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Self, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.cells import days_of, is_missing, plain_number
from p2pnet.data.table import Texts

SECONDS_A_DAY: Final = 86_400.0

AHEAD_DAYS: Final = 1.0
"""By how much a row's time may be ahead of this machine's clock: times without a zone are taken as they are."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The newest rows: so many, or those of so many days.

    Rows are in the order of their time, the newest last; without a column of times, as they stand, which in a directory
    is file by file in the order of names. Days end with the newest row, not with the present: what a machine has read
    does not depend on when it was read, and one that gets no rows any more forgets none.
    """

    length: float
    unit: Literal["rows", "days"]
    by: str | None = None
    """the column of times; None: the order of the rows, and for days the one column of dates"""
    clock: Callable[[], float]
    """the seconds since the beginning of 1970; a row of the future does not make all others old"""

    @classmethod
    def parse(cls, text: str, clock: Callable[[], float]) -> Self:
        """The window that a setting says, as in `5000 rows`, `30 days` or `30 days by admitted`."""
        length, unit, *by = text.split(maxsplit=3)
        return cls(
            length=float(length),
            unit="rows" if unit.startswith("row") else "days",
            by=by[1].strip() if by else None,
            clock=clock,
        )

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that are read as text."""
        return () if self.by is None else (self.by,)

    def keys(self, texts: Texts, decimal: str) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """(time of each row, rows without one): dates as days since 1970, and where rows are counted numbers too."""
        are_dates = self.unit == "days"
        of_levels = [days_of(text) if are_dates else time_of(text, decimal) for text in texts.levels]
        keys = np.array([np.nan if key is None else key for key in of_levels], dtype=np.float64)
        found = keys[texts.codes] if len(keys) else np.empty(0)
        return found, np.flatnonzero(np.isnan(found))

    def newest(self, keys: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which rows are within, (n_rows,), by their times."""
        if self.unit == "rows":
            is_newest = np.zeros(len(keys), dtype=bool)
            is_newest[np.argsort(keys, kind="stable")[-int(self.length) :]] = True
            return is_newest
        present = keys[keys <= self.clock() / SECONDS_A_DAY + AHEAD_DAYS]
        # A machine whose clock is behind all of them knows nothing better than the newest.
        end = float(np.max(present if len(present) else keys, initial=-np.inf))
        return keys > end - self.length


def time_of(text: str, decimal: str) -> float | None:
    """Days since 1970 of a date, or the number that stands there; None where the text is neither."""
    if is_missing(text):
        return None
    days = days_of(text)
    return plain_number(text, decimal) if days is None else days
