"""NPZ files with an array X, and the target beside it; shapes are checked before an array is unpacked."""

import unicodedata
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.npz_archive import ArrayHeader, array_headers, is_single_array
from p2pnet.data.table import Table, TableRequest, from_arrays, from_samples
from p2pnet.errors import DataError


def read_npz(source: Path, request: TableRequest) -> Table:
    """The columns of X (n_rows, n_columns), called by feature_names or x1, x2, …, and the target beside them; or
    samples X (n_rows, …) of any shape.
    """
    try:
        headers = array_headers(source)
        _check_samples(headers)
        with np.load(source, allow_pickle=False) as arrays:
            name_of_y = str(arrays["target_name"]) if "target_name" in headers else "y"
            target_name = request.target or name_of_y
            target = "y" if target_name == name_of_y else target_name
            beside = {target_name: target}
            if request.weights is not None:
                beside[request.weights] = request.weights
            for array in beside.values():
                _check_beside(headers, array, is_needed=array == request.weights)
            given = {name: _column(arrays[array]) for name, array in beside.items() if array in headers}
            X = arrays["X"]
            if "feature_names" not in headers:
                return from_samples(str(source), X, given, target=target_name)
            called = [str(name) for name in arrays["feature_names"]]
            columns = {unicodedata.normalize("NFC", name): X[:, place] for place, name in enumerate(called)}
            if len(columns) < len(called):
                raise DataError("two columns of X have one name in feature_names")
            for name, values in given.items():
                if name not in columns or name == request.weights:
                    columns[name] = values
    except DataError as error:
        raise DataError(f"{source}: {error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        if is_single_array(source):
            raise DataError(f"{source}: is a single array; write X and y with numpy.savez") from None
        raise DataError(f"{source}: is not an NPZ file of plain arrays; write it with numpy.savez") from error
    return from_arrays(str(source), columns, target=target_name)


def _check_samples(headers: Mapping[str, ArrayHeader]) -> None:
    """DataError where X cannot be samples."""
    if "X" not in headers:
        raise DataError(f"has no array 'X'; it has {', '.join(headers) or 'none'}")
    X, names = headers["X"], headers.get("feature_names")
    if len(X.shape) < 2 or X.dtype.kind not in "fiub":
        raise DataError(f"X must be numbers of shape (samples, features), not {X.dtype} of shape {X.shape}")
    if names is not None and names.shape != X.shape[1:]:
        what = f"{X.shape[1]} columns of X" if len(X.shape) == 2 else f"samples of shape {X.shape[1:]}, which take none"
        raise DataError(f"has {sum(names.shape)} feature_names for {what}")


def _check_beside(headers: Mapping[str, ArrayHeader], name: str, *, is_needed: bool) -> None:
    """DataError where the array of that name is not one value a row of X."""
    if name not in headers:
        if is_needed:
            raise DataError(f"has no array {name!r}; it has {', '.join(headers)}")
        return
    values, n_rows = headers[name], headers["X"].shape[0]
    shape = values.shape[:1] if values.shape[1:] == (1,) else values.shape
    if shape != (n_rows,) or values.dtype.kind not in "fiubU":
        raise DataError(
            f"{name} must be numbers or text of shape ({n_rows},) as X has {n_rows} rows, "
            f"not {values.dtype} of shape {values.shape}"
        )


def _column(values: NDArray[Any]) -> NDArray[Any]:
    return values[:, 0] if values.ndim == 2 else values
