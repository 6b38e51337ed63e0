"""Targets as a data file gives them, checked and brought into the form that losses take."""

import numpy as np
import numpy.typing as npt

from p2pnet.errors import DataError
from p2pnet.optim.arrays import AnyArray, Array


def regression_targets(Y: AnyArray, n_outputs: int, name: str) -> Array:
    targets = np.asarray(Y, dtype=np.result_type(Y, np.float32))
    if targets.ndim == 1:
        targets = targets[:, np.newaxis]
    if targets.ndim != 2 or targets.shape[1] != n_outputs:
        raise DataError(f"{name}: targets have shape {np.shape(Y)}; expected (n_samples, {n_outputs})")
    if not np.all(np.isfinite(targets)):
        raise DataError(f"{name}: a target is not a finite number; leave such rows out")
    return targets


def class_indices(Y: AnyArray, n_classes: int, name: str) -> npt.NDArray[np.intp]:
    given = np.asarray(Y)
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.ndim != 1:
        raise DataError(f"{name}: targets have shape {np.shape(Y)}; expected class indices, (n_samples,)")
    with np.errstate(invalid="ignore"):
        classes = given.astype(np.intp)
    if not np.array_equal(classes, given) or (classes.size and not 0 <= classes.min() <= classes.max() < n_classes):
        raise DataError(f"{name}: targets must be the whole numbers 0 to {n_classes - 1}")
    return classes
