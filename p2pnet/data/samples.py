"""Samples to train or test on, in memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from p2pnet.catalogue.losses import Task
from p2pnet.data.cells import plain_number
from p2pnet.data.encoding import Category, Encoding
from p2pnet.data.sharding import Indices, split_indices, stratified_split_indices
from p2pnet.errors import DataError


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples to train or test on.

    X (n_samples, n_features) float64. Y: for classification the class indices (n_samples,) intp into `classes`, for
    regression the values (n_samples, 1) float64, `classes` being empty. Weights (n_samples,), 0 or more, say how much
    each counts in training; None: all the same.

    By `encoding` columns of dates, categories and missing values become inputs; None where X holds the columns as they
    are. X is not a number where a value is missing. Categories are not yet among the inputs, for want of the network's
    levels; `with_levels` puts them there.
    """

    X: NDArray[np.float64]
    Y: NDArray[Any]
    task: Task
    classes: tuple[str, ...]
    feature_names: tuple[str, ...]
    target_name: str
    weights: NDArray[np.float64] | None = None
    encoding: Encoding | None = None
    categories: tuple[Category, ...] = ()
    notes: tuple[str, ...] = ()
    """what a person should know of the table"""
    shape: tuple[int, ...] = ()
    """of one sample, whose numbers are then the features in their order; empty where it is a row of a table"""
    split_keys: NDArray[np.float64] | None = None
    """(n_samples,): the part or the time by which rows are split; None where that is not by a column"""

    @property
    def has_gaps(self) -> bool:
        """Whether values may be missing."""
        return self.encoding is not None and self.encoding.fills_gaps

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

    def split_by_label(self, classes: Sequence[str]) -> tuple["Samples", "Samples"]:
        """(samples with these labels, samples with others), each with classes of its own."""
        is_known = np.array([label in classes for label in self.classes], dtype=bool)
        return self._of_classes(is_known), self._of_classes(~is_known)

    def _of_classes(self, is_chosen: NDArray[np.bool_]) -> "Samples":
        chosen = self.take(np.flatnonzero(is_chosen[self.Y]))
        classes = tuple(label for label, is_one in zip(self.classes, is_chosen, strict=True) if is_one)
        return replace(chosen, Y=(np.cumsum(is_chosen) - 1)[chosen.Y], classes=classes)

    def own_levels(self) -> dict[str, tuple[str, ...]]:
        """The levels of each category that occur here, by the column's name: those to train by where all is here."""
        return {category.name: in_order(category.levels) for category in self.categories}

    def with_levels(self, levels: Mapping[str, Sequence[str]]) -> "Samples":
        """Put the levels of the categories, given by the columns' names, among the inputs."""
        if self.encoding is None or not self.categories:
            return self
        encoding = self.encoding.with_levels(levels)
        X = np.hstack([self.X, encoding.levels(self.categories)])
        return replace(self, X=X, feature_names=encoding.inputs, encoding=encoding, categories=())

    def take(self, rows: Indices | slice) -> "Samples":
        """Select rows, in this order; views for a slice."""
        weights = None if self.weights is None else self.weights[rows]
        categories = tuple(category.take(rows) for category in self.categories)
        keys = None if self.split_keys is None else self.split_keys[rows]
        return replace(self, X=self.X[rows], Y=self.Y[rows], weights=weights, categories=categories, split_keys=keys)

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
    numbers = [plain_number(label) for label in labels]
    if any(number is None for number in numbers):
        return tuple(labels)
    return tuple(label for _, label in sorted(zip(numbers, labels, strict=True)))
