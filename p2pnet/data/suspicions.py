"""Columns that look as if they were no features: identifiers, row numbers, the target under another name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.samples import Samples

N_ROWS_SEEN: Final = 2000
LEAST_ROWS: Final = 20
LEAK_CORRELATION: Final = 0.9999

_IDENTIFIER: Final = re.compile(r"(?:^|[_\W])(?:id|uuid|guid|key|index|row|nr|no)(?:$|[_\W])|Id$|ID$", re.IGNORECASE)


def suspicions(samples: Samples) -> list[str]:
    """What a person should look at before training, a line each; the first rows are enough to tell."""
    seen = samples.take(slice(N_ROWS_SEEN))
    notes = []
    if samples.task == "classification":
        counts = np.bincount(samples.Y, minlength=len(samples.classes))
        rare = [samples.classes[k] for k in np.flatnonzero(counts == 1)]
        if rare:
            shown = ", ".join(map(repr, rare[:3])) + (", …" if len(rare) > 3 else "")
            notes.append(f"labels with one row only: {shown}")
    if seen.n_samples < LEAST_ROWS:
        return notes
    columns = samples.feature_names if samples.encoding is None else samples.encoding.names
    for name, values in _inputs(seen):
        if name in columns and is_identifier(name, values):  # the days of a date count rows where each day has one
            notes.append(
                f'column {name!r} looks like an identifier or a row number: ignore = ["{name}"] keeps the model from '
                "learning rows by heart"
            )
        elif _is_target(values, seen):
            notes.append(f"column {name!r} tells the target {seen.target_name!r} all by itself: will it be known then?")
    return notes


def _inputs(samples: Samples) -> Iterator[tuple[str, NDArray[np.float64]]]:
    yield from zip(samples.feature_names, samples.X.T, strict=True)
    for category in samples.categories:
        yield category.name, category.codes.astype(np.float64)


def is_identifier(name: str, values: NDArray[np.float64]) -> bool:
    """Whether numbers count the rows, or have a name like one and are all different."""
    if len(values) < LEAST_ROWS:
        return False
    if np.isnan(values).any() or (values != np.floor(values)).any():
        return False
    is_counted = bool((np.diff(values) == 1.0).all())
    return is_counted or (_IDENTIFIER.search(name) is not None and len(np.unique(values)) == len(values))


def _is_target(values: NDArray[np.float64], samples: Samples) -> bool:
    known = ~np.isnan(values)
    values, targets = values[known], samples.Y[known]
    if samples.task == "classification":
        n_labels = len(np.unique(targets))
        pairs = np.unique(np.column_stack([values, targets]), axis=0)
        return n_labels > 1 and len(pairs) == n_labels == len(np.unique(values))
    targets = targets[:, 0]
    if len(values) < LEAST_ROWS or np.ptp(values) == 0 or np.ptp(targets) == 0:
        return False
    return bool(abs(np.corrcoef(values, targets)[0, 1]) > LEAK_CORRELATION)
