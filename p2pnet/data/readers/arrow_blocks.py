"""The fast parser of blocks, by pyarrow. What it cannot read exactly as the plain one does, it leaves to that one."""

from __future__ import annotations

import re
from itertools import product
from typing import Any, Final, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from p2pnet.data.cells import MISSING
from p2pnet.data.readers.blocks import Block, BlockParser, PlainParser
from p2pnet.data.readers.text_format import TextFormat, n_occurrences
from p2pnet.data.table import Column, Numbers, Texts

_MISSING: Final = sorted({"".join(each) for word in MISSING for each in product(*({c, c.upper()} for c in word))})
_CHUNK_BYTES: Final = 2**20
_QUOTE, _NEWLINE, _RETURN = b'"\n\r'
_REFUSED_COLUMN: Final = re.compile(r"In CSV column #([0-9]+)")


@final
class ArrowParser(BlockParser):
    """Parses with pyarrow.

    A column that it refuses as numbers, for cells such as `yes`, is read as text from then on, and each distinct text
    is looked at once. A block that it refuses for other reasons goes to the plain parser.
    """

    def __init__(self, file_format: TextFormat, n_columns: int, texts: frozenset[int]) -> None:
        self._format = file_format
        self._plain = PlainParser(file_format, n_columns, texts)
        self._n_columns = n_columns
        self._texts = texts
        self._pool = pa.system_memory_pool()
        """which keeps less of what is given back than others do"""
        self._delimiter = ord(file_format.delimiter)
        self._mixed: set[int] = set()
        """places of columns of numbers with other cells"""

    def parse(self, content: bytes, first_line: int) -> Block:
        n_lines = n_occurrences(b"\n", content) + (not content.endswith(b"\n"))
        is_odd = _has_lone_returns(content) or has_stray_quotes(content, self._delimiter)
        table = None if is_odd else self._read(content)
        if table is None or table.num_rows != n_lines:  # lines may be empty, or within quotes
            return self._plain.parse(content, first_line)
        columns = [self._column(place, table.column(place)) for place in range(self._n_columns)]
        if any(isinstance(column, Numbers) and np.isinf(column.values).any() for column in columns):
            return self._plain.parse(content, first_line)
        return Block(columns, np.arange(first_line, first_line + n_lines, dtype=np.int64), n_lines)

    def close(self) -> None:
        """Give back memory that pyarrow keeps for later."""
        self._pool.release_unused()

    def _read(self, content: bytes) -> Any:
        """The table, with columns that are not all plain numbers as text; None where that cannot be."""
        while True:
            try:
                return self._read_as_known(content)
            except pa.ArrowInvalid as error:
                match = _REFUSED_COLUMN.search(str(error))
                place = -1 if match is None else int(match[1])
                if place in self._mixed | self._texts | {-1}:
                    return None
                self._mixed.add(place)

    def _read_as_known(self, content: bytes) -> Any:
        is_text = [place in self._texts or place in self._mixed for place in range(self._n_columns)]
        names = [str(place) for place in range(self._n_columns)]
        kinds = {name: pa.string() if text else pa.float64() for name, text in zip(names, is_text, strict=True)}
        return csv.read_csv(
            pa.BufferReader(content),
            read_options=csv.ReadOptions(column_names=names, block_size=_CHUNK_BYTES),
            parse_options=csv.ParseOptions(
                delimiter=self._format.delimiter, newlines_in_values=b'"' in content, ignore_empty_lines=True
            ),
            convert_options=csv.ConvertOptions(
                column_types=kinds,
                null_values=_MISSING,
                strings_can_be_null=False,
                decimal_point=self._format.decimal,
            ),
            memory_pool=self._pool,
        )

    def _column(self, place: int, cells: Any) -> Column:
        if place not in self._texts and place not in self._mixed:
            return Numbers(_as_array(cells.combine_chunks()))
        encoded = cells.combine_chunks().dictionary_encode()
        levels = [level.strip() for level in encoded.dictionary.to_pylist()]
        codes = _as_array(encoded.indices)
        if place in self._texts:
            return Texts(tuple(levels), codes.astype(np.int32, copy=False))
        return self._numbers(levels, codes)

    def _numbers(self, levels: list[str], codes: Any) -> Numbers:
        parsed = self._plain.numbers(levels)
        if not len(parsed.text_rows):
            return Numbers(parsed.values[codes])
        return self._plain.numbers([levels[code] for code in codes])


def _as_array(cells: Any) -> NDArray[Any]:
    """The numbers as an array, NaN where one is missing.

    `to_numpy` imports pandas where it is installed, which takes longer than all else until an agent runs.
    """
    return cells.to_numpy(zero_copy_only=False) if cells.null_count else np.from_dlpack(cells)


def has_stray_quotes(content: bytes, delimiter: int) -> bool:
    """Whether a quote of these whole lines neither opens nor closes a value, nor is one of two within a value.

    Quotes open and close in turns. One that does not open a value follows the one that closed it, one that does not
    close a value comes before the one that opens it again: those two stand for one within. No line may end in a lone
    return.
    """
    cells = np.frombuffer(content, np.uint8)
    quotes = np.flatnonzero(cells == _QUOTE)
    opening, closing = quotes[::2], quotes[1::2]
    if len(opening) != len(closing):
        return True
    is_pair = opening[1:] == closing[:-1] + 1
    before = cells[np.maximum(opening - 1, 0)]
    after = cells[np.minimum(closing + 1, len(cells) - 1)]
    opens = (before == delimiter) | (before == _NEWLINE) | (opening == 0)
    closes = (after == delimiter) | (after == _NEWLINE) | (after == _RETURN) | (closing == len(cells) - 1)
    opens[1:] |= is_pair
    closes[:-1] |= is_pair
    return not (opens.all() and closes.all())


def _has_lone_returns(content: bytes) -> bool:
    """Whether lines end as they did on computers of long ago."""
    return b"\r" in content and content.count(b"\r") != content.count(b"\r\n")
