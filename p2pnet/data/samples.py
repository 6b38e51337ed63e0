"""Samples to train or test on, in memory."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from p2pnet.catalogue.losses import Task
from p2pnet.data.sharding import Indices, split_indices, stratified_split_indices
from p2pnet.errors import DataError


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples to train or test on.

    X (n_samples, n_features) float64. Y: for classification the class indices (n_samples,) intp into `classes`, for
    regression the values (n_samples, 1) float64, `classes` being empty. Weights (n_samples,), 0 or more, say how much
    each counts in training; None: all the same.
    """

    X: NDArray[np.float64]
    Y: NDArray[Any]
    task: Task
    classes: tuple[str, ...]
    feature_names: tuple[str, ...]
    target_name: str
    weights: NDArray[np.float64] | None = None

    @property
    def n_samples(self) -> int:
        return len(self.X)

    @property
    def n_features(self) -> int:
        return int(self.X.shape[1])

    @property
    def n_outputs(self) -> int:
        """The number of outputs of a model for these samples: one per class, or one for regression."""
        return len(self.classes) or 1

    def with_classes(self, classes: Sequence[str]) -> "Samples":
        """Encode labels as indices into `classes`; DataError for a label that is none of them."""
        index_of = {label: index for index, label in enumerate(classes)}
        unknown = [label for label in self.classes if label not in index_of]
        if unknown:
            raise DataError(f"label {unknown[0]!r} is none of the classes {', '.join(classes)}")
        Y = np.array([index_of[label] for label in self.classes], dtype=np.intp)[self.Y]
        return replace(self, Y=Y, classes=tuple(classes))

    def take(self, rows: Indices | slice) -> "Samples":
        """Select rows, in this order; views for a slice."""
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, X=self.X[rows], Y=self.Y[rows], weights=weights)

    def split(
        self, test_fraction: float, rng: np.random.Generator | np.random.RandomState
    ) -> tuple["Samples", "Samples"]:
        """Split at random into (training, test), stratified by class."""
        if self.task == "classification":
            train, test = stratified_split_indices(self.Y, test_fraction, rng)
        else:
            train, test = split_indices(self.n_samples, test_fraction, rng)
        return self.take(train), self.take(test)


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Sort labels, numerically if all are numbers, else alphabetically."""
    labels = sorted(labels)
    return tuple(sorted(labels, key=float) if all(map(is_number, labels)) else labels)


def is_number(text: str) -> bool:
    """Whether the text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
