"""Tables that a function of one's own returns: `source = "package.module:function"`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.frame import Column, frame_of, is_gap
from p2pnet.data.frame_columns import text_of
from p2pnet.data.table import Table, TableRequest, from_arrays, from_samples
from p2pnet.errors import DataError


def read_function(source: Path, request: TableRequest) -> Table:
    """The rows that the function returns, called without arguments: columns by name, dicts, or a data frame; or by the
    names X and y samples of any shape and their target.

    The name of `source` is `package.module:function`; a module may stand in the directory of `source`, beside the
    settings. DataError says what is wrong with it.
    """
    module_name, _, function_name = source.name.partition(":")
    with _importable(source.parent):
        module = _imported(module_name)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise DataError(f"{source.name}: module {module_name} has no function {function_name}")
    try:
        rows = function()
    except Exception as error:  # a user's function may raise anything
        raise DataError(f"{source.name}: failed: {type(error).__name__}: {error}") from error
    if isinstance(rows, Mapping) and np.ndim(rows.get("X", 0)) > 1:
        return _samples(source.name, rows, request)
    try:
        frame = frame_of(rows)
    except DataError as error:
        raise DataError(f"{source.name}: {error}") from error
    names = frame.names or tuple(f"x{place + 1}" for place in range(len(frame.columns)))
    if len(set(names)) < len(names):
        raise DataError(f"{source.name}: two columns have one name: {', '.join(names)}")
    columns = {name: _values(column) for name, column in zip(names, frame.columns, strict=True)}
    target = request.target or (names[-1] if names else None)
    return from_arrays(source.name, columns, target=target, are_names_given=frame.names is not None)


def _samples(name: str, arrays: Mapping[str, Any], request: TableRequest) -> Table:
    given = {key: np.asarray(values) for key, values in arrays.items()}
    X = given.pop("X")
    for key, values in given.items():
        if values.shape != (len(X),):
            raise DataError(f"{name}: {key} has shape {values.shape}; one value for each of {len(X)} samples is needed")
    return from_samples(name, X, given, target=request.target or "y")


def _values(column: Column) -> NDArray[np.generic]:
    """Numbers, or text as it would stand in a file, with empty cells for gaps."""
    if column.dtype.kind in "fiub":
        return column
    if all(is_gap(value) or isinstance(value, int | float | np.number) for value in column):
        return np.array([np.nan if is_gap(value) else float(value) for value in column])
    return np.array(["" if is_gap(value) else text_of(value) for value in column], dtype=str)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # a user's module may raise anything
        raise DataError(f"importing {name} failed: {type(error).__name__}: {error}") from error


@contextmanager
def _importable(directory: Path) -> Iterator[None]:
    """Modules in the directory can be imported meanwhile."""
    sys.path.insert(0, str(directory))
    try:
        yield
    finally:
        sys.path.remove(str(directory))
