"""The types of the arrays that the mathematics takes and returns."""

from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating[Any]]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
IndexArray: TypeAlias = npt.NDArray[np.intp]
AnyArray: TypeAlias = npt.NDArray[Any]
"""Of any kind of number: data as it was read, or targets that may be class indices."""

CHUNK: Final = 2**16
"""Numbers that are computed with at once where one more array would count."""


def add_product(total: Array, factor: float | Array, vector: Array) -> None:
    """Add factor · vector, number by number, in place and without another array as large."""
    for start in range(0, vector.size, CHUNK):
        part = slice(start, start + CHUNK)
        total[part] += (factor[part] if isinstance(factor, np.ndarray) else factor) * vector[part]
