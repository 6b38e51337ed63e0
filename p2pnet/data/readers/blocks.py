"""Parsers of a block: some whole lines of a CSV file, to columns of numbers or text.

There are two with the same results, the plain one and, where pyarrow is installed, a fast one (`arrow_blocks.py`).
"""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.cells import is_missing, number_of
from p2pnet.data.flaws import Flaw
from p2pnet.data.readers.text_format import TextFormat
from p2pnet.data.table import MAX_TEXTS_KEPT, Column, Numbers, Texts

MAX_FLAWS: Final = 20
"""Of the lines of one block."""


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of some lines."""

    columns: Sequence[Column] = field(repr=False)
    lines: NDArray[np.int64] = field(repr=False)
    """the last line of each row"""
    n_lines: int
    flaws: Sequence[Flaw] = ()


class BlockParser(ABC):
    """Parses blocks of one file."""

    @abstractmethod
    def parse(self, content: bytes, first_line: int) -> Block:
        """The rows of whole lines of UTF-8, of which the first is line `first_line` of the file.

        UnicodeDecodeError where a cell is not UTF-8.
        """

    def close(self) -> None:  # noqa: B027  (not every parser has something to give back)
        """Give back what was needed for parsing."""


@final
class PlainParser(BlockParser):
    """Parses with the standard library."""

    def __init__(self, file_format: TextFormat, n_columns: int, texts: Collection[int]) -> None:
        """`texts` are the places of the columns to be read as text."""
        self._format = file_format
        self._n_columns = n_columns
        self._texts = frozenset(texts)

    def parse(self, content: bytes, first_line: int) -> Block:
        text = content.decode()
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self._format.delimiter, strict=True)
        rows: list[list[str]] = []
        lines: list[int] = []
        flaws: list[Flaw] = []
        try:
            for row in reader:
                line = first_line - 1 + reader.line_num
                if len(row) == self._n_columns:
                    rows.append(row)
                    lines.append(line)
                elif row and len(flaws) < MAX_FLAWS:
                    what = f"line {line}: has {len(row)} values, the header names {self._n_columns} columns"
                    flaws.append(Flaw(what))
        except csv.Error as error:
            flaws.append(Flaw(f"line {first_line - 1 + reader.line_num}: is not CSV: {error}"))
        # Python's own numbers may have underscores, or digits of other scripts.
        is_simple = self._format.decimal == "." and "_" not in text and text.isascii()
        cells = list(zip(*rows, strict=True)) or [()] * self._n_columns
        columns = [
            _texts(column) if place in self._texts else self.numbers(column, is_simple=is_simple)
            for place, column in enumerate(cells)
        ]
        return Block(columns, np.array(lines, dtype=np.int64), reader.line_num, flaws)

    def numbers(self, cells: Sequence[str], *, is_simple: bool = False) -> Numbers:
        """The column of these cells; where they are simple, Python reads them all as `number_of` does."""
        if is_simple:
            try:
                values = np.fromiter(map(float, cells), np.float64, len(cells))
            except ValueError:
                pass
            else:
                if np.isfinite(values).all():
                    return Numbers(values)
        values = np.full(len(cells), np.nan)
        text_rows: list[int] = []
        for row, cell in enumerate(cells):
            number = number_of(cell, self._format.decimal)
            if number is not None:
                values[row] = number
            elif not is_missing(cell):
                text_rows.append(row)
        texts = [cells[row].strip() for row in text_rows[:MAX_TEXTS_KEPT]]
        return Numbers(values, np.array(text_rows, dtype=np.intp), texts)


def _texts(cells: Sequence[str]) -> Texts:
    codes_of: dict[str, int] = {}
    codes = [codes_of.setdefault(cell.strip(), len(codes_of)) for cell in cells]
    return Texts(tuple(codes_of), np.array(codes, dtype=np.int32))
