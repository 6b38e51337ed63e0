"""Which rows an agent trains on, and which the network's metrics are of.

A row's part is a function of what stands in it, so that it is the same in every run, whatever the order of the rows,
and a row that stands at two agents, or twice at one, is not tested on where it is trained on elsewhere. By time, the
newest rows of each agent are for the test, those before them for the validation.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.cells import label_text
from p2pnet.data.encoding import Category
from p2pnet.data.samples import Samples
from p2pnet.data.sharding import Indices
from p2pnet.data.table import Texts
from p2pnet.data.window import time_of
from p2pnet.errors import DataError

Hashes = NDArray[np.uint64]

PARTS: Final = ("train", "validation", "test")


class Parts(NamedTuple):
    """The samples of one agent by their use."""

    train: Samples
    test: Samples
    validation: Samples | None = None
    """None where no split is set, and so there are no metrics of the network"""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How rows become parts: by fractions, of what stands in the row or of a time, or by a column."""

    validation: float = 0.0
    test: float = 0.0
    column: str | None = None
    """that says which part a row is of"""
    time: str | None = None

    @property
    def name(self) -> str | None:
        """The column that it needs."""
        return self.column or self.time

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that are read as text."""
        return () if self.name is None else (self.name,)

    def __str__(self) -> str:
        if self.column is not None:
            return f"column {self.column}"
        by = "by content" if self.time is None else f"newest {self.time} last"
        return f"validation {self.validation:g}, test {self.test:g}, {by}"

    def keys(self, texts: Texts, decimal: str) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """(key of each row, rows without one): the place among PARTS, or the time, by what stands in the column."""
        is_part = self.column is not None
        keys = [_part_of(level) if is_part else time_of(level, decimal) for level in texts.levels]
        of_levels = np.array([np.nan if key is None else key for key in keys], dtype=np.float64)
        found = of_levels[texts.codes] if len(of_levels) else np.empty(0)
        return found, np.flatnonzero(np.isnan(found))

    def apply(self, samples: Samples, seed: int) -> Parts:
        """The parts of the samples; DataError where none is left to train on."""
        train, validation, test = map(samples.take, self._rows(samples, seed))
        return Parts(train, test, validation)

    def _rows(self, samples: Samples, seed: int) -> list[Indices]:
        """The rows of each part, in the order of PARTS."""
        place = self._places(samples, seed)
        rows: list[Indices] = [np.flatnonzero(place == k) for k in range(len(PARTS))]
        if not len(rows[0]):
            raise DataError(f"split leaves none of {samples.n_samples} rows to train on; ask for less of them")
        return rows

    def _places(self, samples: Samples, seed: int) -> Any:
        """The place among PARTS of each row."""
        keys = samples.split_keys
        if self.column is not None:
            return keys
        if keys is None:
            drawn = row_hashes(samples, seed) / 2.0**64
            starts = [self.test, self.test + self.validation]
            return np.sum([drawn < start for start in starts], axis=0)
        # Rows of one time stay together, in the later part.
        order = np.sort(keys)
        firsts = [len(order) - round(part * len(order)) for part in (self.test, self.test + self.validation)]
        return np.sum([keys >= order[first] for first in firsts if first < len(order)], axis=0)


def row_hashes(samples: Samples, seed: int) -> Hashes:
    """A number below 2⁶⁴ of what stands in each row, (n_samples,), the same wherever the row stands.

    The bits of its numbers and the text of its label and levels go in, each mixed as in splitmix64.
    """
    rows = np.full(samples.n_samples, _text_hash(str(seed)))
    for values in samples.X.T:
        rows = _mixed(rows ^ _bits(values))
    for category in samples.categories:
        rows = _mixed(rows ^ _of_texts(category))
    if samples.classes:
        labels = np.array([_text_hash(label) for label in samples.classes], dtype=np.uint64)
        return _mixed(rows ^ labels[samples.Y])
    return _mixed(rows ^ _bits(samples.Y[:, 0]))


def _bits(values: NDArray[np.float64]) -> Hashes:
    """One pattern for both zeros, and one for all that is no number."""
    plain: Hashes = np.where(np.isnan(values), np.nan, values + 0.0).view(np.uint64)
    return plain


def _of_texts(category: Category) -> Hashes:
    levels = np.array([*map(_text_hash, category.levels), _text_hash("")], dtype=np.uint64)
    return levels[category.codes]  # -1, a missing value, is the last


def _text_hash(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


def _mixed(rows: Hashes) -> Hashes:
    """The finalizer of splitmix64 (Steele, Lea and Flood 2014); products are modulo 2⁶⁴."""
    rows = rows + np.uint64(0x9E3779B97F4A7C15)
    rows = (rows ^ (rows >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    rows = (rows ^ (rows >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return rows ^ (rows >> np.uint64(31))


def _part_of(text: str) -> float | None:
    name = label_text(text).casefold()
    return float(PARTS.index(name)) if name in PARTS else None
