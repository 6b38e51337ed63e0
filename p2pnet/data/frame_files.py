"""Files of rows to predict for, with a target or without."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np

from p2pnet.data.frame import Column, Frame
from p2pnet.errors import DataError


def read_frame(source: Path) -> Frame:
    """The rows of a .csv with a header line, or of an .npz with X, and feature_names and y if it likes."""
    readers = {".csv": _read_csv, ".npz": _read_npz}
    if source.suffix.lower() not in readers:
        raise DataError(f"{source}: must end in {' or '.join(readers)}")
    try:
        return readers[source.suffix.lower()](source)
    except FileNotFoundError:
        raise DataError(f"{source}: no such file") from None
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror or error}") from error


def _read_csv(source: Path) -> Frame:
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            names = tuple(name.strip() for name in next(reader, []))
            for row in reader:
                if row:
                    rows.append(row)
                    lines.append(reader.line_num)
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: is not UTF-8 text; save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{source}, line {reader.line_num}: is not CSV: {error}") from error
    if not names:
        raise DataError(f"{source}: is empty; it must begin with a header line")
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(names):
            raise DataError(f"{source}, line {line}: has {len(row)} values, the header names {len(names)} columns")
    columns = [_parsed([row[place] for row in rows]) for place in range(len(names))]
    return Frame(str(source), names, columns, len(rows), lines)


def _parsed(texts: list[str]) -> Column:
    """Numbers where all are numbers, else text."""
    values = np.array([text.strip() for text in texts], dtype=str)
    try:
        return values.astype(np.float64)
    except ValueError:
        numbers = [_number(text) for text in values]
        return values if all(isinstance(value, str) for value in numbers) else np.array(numbers, dtype=object)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return str(text)


def _read_npz(source: Path) -> Frame:
    try:
        with np.load(source, allow_pickle=False) as arrays:
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise DataError(f"{source}: is a single array; write X with numpy.savez")
            if "X" not in arrays:
                raise DataError(f"{source}: has no array 'X'; it has {', '.join(arrays) or 'none'}")
            X, names = arrays["X"], arrays.get("feature_names")
            target_name = str(arrays.get("target_name", "y"))
            target = (target_name, arrays["y"].reshape(-1)) if "y" in arrays else None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{source}: is not an NPZ file of plain arrays; write it with numpy.savez") from error
    if X.ndim != 2:
        raise DataError(f"{source}: X must have shape (rows, columns), not {X.shape}")
    if names is not None and names.shape != X.shape[1:]:
        raise DataError(f"{source}: has feature_names of shape {names.shape} for {X.shape[1]} columns of X")
    if target is not None and len(target[1]) != len(X):
        raise DataError(f"{source}: y has {len(target[1])} values, X has {len(X)} rows")
    named = None if names is None else tuple(map(str, names))
    return Frame(str(source), named, list(X.T), len(X), target=target)
