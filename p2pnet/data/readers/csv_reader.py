"""CSV files with a header line."""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.samples import is_number
from p2pnet.data.table import Table, checked
from p2pnet.errors import DataError

_ROWS_AT_A_TIME = 4096  # text of that many rows is held at once, not of the whole file


class _CsvReader(Protocol):
    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


def read_csv(source: Path, target: str | None, weights: str | None) -> Table:
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            weighing = None if weights is None else _column(source, header, weights)
            column = _target_column(source, header, target, weighing)
            # All that are no features.
            apart = sorted({column} if weighing is None else {column, weighing}, reverse=True)
            names = tuple(name for index, name in enumerate(header) if index not in apart)
            blocks: list[NDArray[np.float64]] = [np.empty((0, len(names)))]
            weight_blocks: list[NDArray[np.float64]] = [np.empty((0, 1))]
            texts: list[str] = []
            lines: list[int] = []
            while rows := list(islice(_numbered_rows(reader), _ROWS_AT_A_TIME)):
                _check_lengths(source, rows, len(header))
                lines += [line for line, _ in rows]
                texts += [row[column].strip() for _, row in rows]
                if weighing is not None:
                    weight_blocks.append(
                        _numeric_block(source, [(line, [row[weighing]]) for line, row in rows], [header[weighing]])
                    )
                for index in apart:
                    for _, row in rows:
                        del row[index]
                blocks.append(_numeric_block(source, rows, names))
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: is not UTF-8 text; save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{source}, line {reader.line_num}: is not CSV: {error}") from error
    weight_of = None if weighing is None else np.concatenate(weight_blocks)[:, 0]
    X, texts_of = np.concatenate(blocks), np.array(texts, dtype=str)
    return checked(Table(source, X, texts_of, names, header[column], lines, weight_of), weights)


def _target_column(source: Path, header: Sequence[str], target: str | None, weighing: int | None) -> int:
    """Where the target stands; without a name the last column that is not the weights'."""
    if not header:
        raise DataError(f"{source}: is empty; it must begin with a header line")
    if all(is_number(name) for name in header):
        raise DataError(f"{source}, line 1: holds numbers only; it must be a header that names the columns")
    if len(header) < 2:
        hint = "; values must be separated by commas" if ";" in header[0] or "\t" in header[0] else ""
        raise DataError(f"{source}, line 1: names one column only, features and a target are needed{hint}")
    if target is None:
        return len(header) - (2 if weighing == len(header) - 1 else 1)
    return _column(source, header, target)


def _column(source: Path, header: Sequence[str], name: str) -> int:
    if header.count(name) != 1:
        count = "no column" if name not in header else "more than one column"
        raise DataError(f"{source}: has {count} {name!r}; its columns are {', '.join(header)}")
    return header.index(name)


def _numbered_rows(reader: _CsvReader) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of their last line; blank lines are left out."""
    return ((reader.line_num, row) for row in reader if row)


def _check_lengths(source: Path, rows: Iterable[tuple[int, list[str]]], n_columns: int) -> None:
    for line, row in rows:
        if len(row) != n_columns:
            raise DataError(f"{source}, line {line}: has {len(row)} values, the header names {n_columns} columns")


def _numeric_block(source: Path, rows: Sequence[tuple[int, list[str]]], names: Sequence[str]) -> NDArray[np.float64]:
    """The rows as numbers; where one is none, a slower second pass finds which."""
    try:
        block = np.array([row for _, row in rows], dtype=np.float64)
        if np.isfinite(block).all():
            return block
    except ValueError:
        pass
    for line, row in rows:
        for name, text in zip(names, row, strict=True):
            if not text.strip():
                what = "the value is missing; remove the row or fill it in"
            elif not is_number(text):
                what = f"text {text.strip()!r} where a feature must be a number"
            elif not math.isfinite(float(text)):
                what = f"{text.strip()} is not a finite number"
            else:
                continue
            raise DataError(f"{source}, line {line}, column {name!r}: {what}")
    return np.array([[float(text) for text in row] for _, row in rows])
