"""Reading of samples from files, with the reader that the suffix names.

Rows are checked while they are read; the first that cannot be trained on is named by file, line and column.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, final

import numpy as np

from p2pnet.catalogue.readers import READERS, has_reader, reader_name, suffixes
from p2pnet.data.samples import Samples, in_order
from p2pnet.data.table import Table
from p2pnet.errors import DataError

TaskChoice: TypeAlias = Literal["auto", "regression", "classification"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """Where an agent's samples are, and which column is what."""

    source: Path
    target: str | None
    """the column to predict; None: the last one, or y of an .npz"""
    weights: str | None
    """the column of the samples' weights; None: all alike"""
    task: TaskChoice
    classes: tuple[str, ...] | None
    """all labels in order; None: those found"""
    test_source: Path | None
    test_fraction: float
    """part of `source` that is kept for the test where there is no `test_source`"""
    seed: int
    """of the split into training and test samples"""


def load_data(options: DataOptions) -> tuple[Samples, Samples]:
    """(training, test) samples: those of test_source where there is one, else a part of source.

    Where no classes are given, the classes of both are the labels found in either.
    """
    samples = read_samples(options.source, options.target, options.task, options.classes, options.weights)
    if options.test_source is None:
        try:
            return samples.split(options.test_fraction, np.random.default_rng(options.seed))
        except DataError as error:
            raise DataError(f"{options.source}: {error}") from error
    test = read_samples(options.test_source, options.target, samples.task, options.classes, options.weights)
    if test.n_features != samples.n_features:
        raise DataError(
            f"{options.test_source}: has {test.n_features} feature columns, {options.source} has "
            f"{samples.n_features}; they must have the same"
        )
    if options.source.suffix == options.test_source.suffix and test.feature_names != samples.feature_names:
        pairs = zip(test.feature_names, samples.feature_names, strict=True)
        mine, theirs = next(pair for pair in pairs if pair[0] != pair[1])
        raise DataError(f"{options.test_source}: has column {mine!r} where {options.source} has {theirs!r}")
    if samples.task == "classification":
        classes = in_order({*samples.classes, *test.classes}) if options.classes is None else options.classes
        return samples.with_classes(classes), test.with_classes(classes)
    return samples, test


def read_samples(
    source: Path,
    target: str | None = None,
    task: TaskChoice = "auto",
    classes: Sequence[str] | None = None,
    weights: str | None = None,
) -> Samples:
    """Read the samples of a file.

    `target` is the column to predict (default: the last one; in an .npz the array y), `weights` that of the samples'
    weights, if they have any. Task auto is classification when `classes` are given, when a target is text, and when all
    are whole numbers of which at most 20 differ and which come twice on average; else regression. Without `classes`,
    the classes are the labels found, in the order of the numbers or of the alphabet. DataError names the file, the line
    and the column.
    """
    if not has_reader(source):
        raise DataError(f"{source}: must end in {suffixes()}")
    try:
        table: Table = READERS[reader_name(source)].load()(source, target, weights)
    except FileNotFoundError:
        raise DataError(f"{source}: no such file") from None
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror or error}") from error
    if not len(table.X):
        raise DataError(f"{source}: has no rows")
    if task == "auto":
        task = "classification" if classes or table.has_labels else "regression"
    if task == "regression":
        return table.with_values()
    return table.with_labels(classes)


def write_npz(samples: Samples, path: Path) -> None:
    """Write samples so that `read_samples` gives them back (for classification: given the same classes)."""
    y = np.array(samples.classes)[samples.Y] if samples.task == "classification" else samples.Y[:, 0]
    names = np.array(samples.feature_names)
    if samples.weights is None:
        np.savez(path, X=samples.X, y=y, feature_names=names, target_name=samples.target_name)
    else:
        weights = samples.weights
        np.savez(path, X=samples.X, y=y, feature_names=names, target_name=samples.target_name, weights=weights)
