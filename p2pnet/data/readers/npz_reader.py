"""NPZ files with arrays X and y."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from p2pnet.data.npz_archive import ArrayHeader, array_headers, is_single_array
from p2pnet.data.table import Table, checked
from p2pnet.errors import DataError


def read_npz(source: Path, target: str | None, weights: str | None) -> Table:
    target = target or "y"
    try:
        headers = array_headers(source)
        _check(headers, target, weights)
        with np.load(source, allow_pickle=False) as arrays:
            X, y = arrays["X"], arrays[target]
            names, target_name = arrays.get("feature_names"), str(arrays.get("target_name", target))
            weight_of = None if weights is None else arrays[weights]
    except DataError as error:
        raise DataError(f"{source}: {error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        if is_single_array(source):
            raise DataError(f"{source}: is a single array; write X and y with numpy.savez") from None
        raise DataError(f"{source}: is not an NPZ file of plain arrays; write it with numpy.savez") from error
    if y.ndim == 2:
        y = y[:, 0]
    feature_names = tuple(str(name) for name in names) if names is not None else _default_names(X.shape[1])
    if len(feature_names) != X.shape[1]:
        raise DataError(f"{source}: has {len(feature_names)} feature_names for {X.shape[1]} columns of X")
    X = np.ascontiguousarray(X, dtype=np.float64)
    if not np.isfinite(X).all():
        row, column = (int(index) for index in np.argwhere(~np.isfinite(X))[0])
        what = f"{X[row, column]} is not a finite number"
        raise DataError(f"{source}, row {row}, column {feature_names[column]!r}: {what}")
    y = y if y.dtype.kind == "U" else y.astype(np.float64)
    weight_of = None if weight_of is None else weight_of.astype(np.float64)
    return checked(Table(source, X, y, feature_names, target_name, None, weight_of), weights)


def _check(headers: Mapping[str, ArrayHeader], target: str, weights: str | None) -> None:
    """DataError where the arrays are not those of samples, before any of them is unpacked."""
    for name in ("X", target, weights):
        if name is not None and name not in headers:
            raise DataError(f"has no array {name!r}; it has {', '.join(headers) or 'none'}")
    X, y = headers["X"], headers[target]
    if len(X.shape) != 2 or X.dtype.kind not in "fiub":
        raise DataError(f"X must be numbers of shape (samples, features), not {X.dtype} of shape {X.shape}")
    shape = y.shape[:1] if y.shape[1:] == (1,) else y.shape
    n_rows = X.shape[0]
    if shape != (n_rows,) or y.dtype.kind not in "fiubU":
        raise DataError(
            f"{target} must be numbers or text of shape ({n_rows},) as X has {n_rows} rows, "
            f"not {y.dtype} of shape {y.shape}"
        )
    weight_of = None if weights is None else headers[weights]
    if weight_of is not None and (weight_of.shape != (n_rows,) or weight_of.dtype.kind not in "fiub"):
        raise DataError(
            f"{weights} must be numbers of shape ({n_rows},) as X has {n_rows} rows, "
            f"not {weight_of.dtype} of shape {weight_of.shape}"
        )


def _default_names(n_features: int) -> tuple[str, ...]:
    return tuple(f"x{index + 1}" for index in range(n_features))
