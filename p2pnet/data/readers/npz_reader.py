"""NPZ files with an array X, or with a column in each array."""

import unicodedata
import zipfile
from pathlib import Path

import numpy as np

from p2pnet.data.table import Table, TableRequest, from_arrays
from p2pnet.errors import DataError


def read_npz(source: Path, request: TableRequest) -> Table:
    """The columns of X (n_rows, n_columns), called by feature_names or x1, x2, …, and the target beside them."""
    try:
        arrays = np.load(source, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise DataError(f"{source}: is a single array; write X and y with numpy.savez")
        with arrays:
            found = {name: arrays[name] for name in arrays}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{source}: is not an NPZ file of plain arrays; write it with numpy.savez") from error
    if "X" not in found:
        raise DataError(f"{source}: has no array 'X'; it has {', '.join(found) or 'none'}")
    X, names = found["X"], found.get("feature_names")
    if X.ndim != 2 or X.dtype.kind not in "fiub":
        raise DataError(f"{source}: X must be numbers of shape (samples, features), not {X.dtype} of shape {X.shape}")
    if names is not None and names.shape != X.shape[1:]:
        raise DataError(f"{source}: has {names.size} feature_names for {X.shape[1]} columns of X")
    called = [f"x{place + 1}" for place in range(X.shape[1])] if names is None else [str(name) for name in names]
    columns = {unicodedata.normalize("NFC", name): X[:, place] for place, name in enumerate(called)}
    if len(columns) < len(called):
        raise DataError(f"{source}: two columns of X have one name in feature_names")
    name_of_y = str(found.get("target_name", "y"))
    target_name = request.target or name_of_y
    target = "y" if target_name == name_of_y else target_name
    if target in found and target_name not in columns:
        columns[target_name] = _beside(source, target, found[target], X)
    if request.weights is not None:
        if request.weights not in found:
            raise DataError(f"{source}: has no array {request.weights!r}; it has {', '.join(found)}")
        columns[request.weights] = _beside(source, request.weights, found[request.weights], X)
    return from_arrays(str(source), columns, target=target_name, are_names_given=names is not None)


def _beside(source: Path, name: str, values: "np.ndarray", X: "np.ndarray") -> "np.ndarray":
    """An array of one value a row."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != X.shape[:1] or values.dtype.kind not in "fiubU":
        raise DataError(
            f"{source}: {name} must be numbers or text of shape ({len(X)},) as X has {len(X)} rows, "
            f"not {values.dtype} of shape {values.shape}"
        )
    return values
