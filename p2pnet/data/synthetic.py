"""Synthetic samples, generated shard by shard, for networks larger than available data sets.

A random network with one hidden layer, the teacher, labels standard normal inputs. What agent k holds depends on the
seed and k only, so that no shard needs another.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike, NDArray

from p2pnet.catalogue.losses import Task
from p2pnet.data.samples import Samples
from p2pnet.errors import ConfigError, DataError

PREFIX = "synthetic:"
FORMS = "synthetic:regression:ROWS:INPUTS or synthetic:classification:ROWS:INPUTS:CLASSES"
NOISE = 0.1
"""The standard deviation of the noise added to the teacher's outputs, whose own deviation is about 1."""
TEACHER_WIDTH = 16
MAX_TEST_ROWS = 2000
TEST_FRACTION = 0.2


@dataclass(frozen=True, slots=True)
class SyntheticData:
    """The kind of synthetic samples, and their number over all agents."""

    task: Task
    n_rows: int
    n_inputs: int
    n_classes: int = 0

    @property
    def n_test_rows(self) -> int:
        """The number of test rows, generated besides the training rows."""
        return min(max(int(TEST_FRACTION * self.n_rows), 2), MAX_TEST_ROWS)


def parse_synthetic(text: str) -> SyntheticData:
    """Parse text in one of `FORMS`; ConfigError where it has none."""
    _, kind, *sizes = text.split(":")
    if not all(size.isdigit() and int(size) > 0 for size in sizes):
        raise ConfigError(f"--data {text}: sizes must be whole numbers of at least 1, as in {FORMS}")
    numbers = [int(size) for size in sizes]
    match kind, numbers:
        case "regression", [n_rows, n_inputs]:
            return SyntheticData("regression", n_rows, n_inputs)
        case "classification", [n_rows, n_inputs, n_classes] if n_classes >= 2:
            return SyntheticData("classification", n_rows, n_inputs, n_classes)
    raise ConfigError(f"--data {text}: must be {FORMS}, with at least 2 classes")


def make_synthetic(
    data: SyntheticData, n_agents: int, seed: int, dtype: DTypeLike = np.float64
) -> tuple[Samples, Samples]:
    """Generate (training, test) samples; agent k's are the training samples in `shard_rows(n_rows, n_agents)[k]`.

    They are written shard by shard into one array, whose parts can serve as the shards.
    """
    if data.n_rows < n_agents:
        raise DataError(f"{data.n_rows} rows are too few for {n_agents} agents; give more rows or fewer agents")
    teacher = _Teacher.draw(data, seed)
    train = teacher.empty_samples(data.n_rows, dtype)
    for k, rows in enumerate(shard_rows(data.n_rows, n_agents)):
        train.X[rows], train.Y[rows] = teacher.draw_samples(rows.stop - rows.start, [seed, 1, k])
    test = teacher.empty_samples(data.n_test_rows, dtype)
    test.X[:], test.Y[:] = teacher.draw_samples(data.n_test_rows, [seed, 2])
    return train, test


def shard_rows(n_rows: int, n_agents: int) -> list[slice]:
    """All rows in order, cut into parts that differ by one row at most."""
    bounds = np.linspace(0, n_rows, n_agents + 1).astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(bounds)]


@dataclass(frozen=True, slots=True)
class _Teacher:
    """B tanh(A x), its rows scaled so that outputs have variance 1, about."""

    data: SyntheticData
    A: NDArray[np.float64]
    B: NDArray[np.float64]

    @classmethod
    def draw(cls, data: SyntheticData, seed: int) -> _Teacher:
        rng = np.random.default_rng([seed, 0])
        n_outputs = data.n_classes or 1
        A = rng.standard_normal((TEACHER_WIDTH, data.n_inputs)) / np.sqrt(data.n_inputs)
        B = rng.standard_normal((n_outputs, TEACHER_WIDTH))
        # For a standard normal argument tanh has variance 0.39.
        return cls(data, A, B / np.sqrt(0.39 * np.square(B).sum(axis=1, keepdims=True)))

    def empty_samples(self, n_rows: int, dtype: DTypeLike) -> Samples:
        data = self.data
        X = np.empty((n_rows, data.n_inputs), dtype=dtype)
        Y = np.empty(n_rows, dtype=np.intp) if data.n_classes else np.empty((n_rows, 1), dtype=dtype)
        names = tuple(f"x{column + 1}" for column in range(data.n_inputs))
        classes = tuple(str(label) for label in range(data.n_classes))
        return Samples(X, Y, data.task, classes, names, "y")

    def draw_samples(self, n_rows: int, seed: list[int]) -> tuple[NDArray[np.float64], NDArray[np.generic]]:
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n_rows, self.data.n_inputs))
        outputs = np.tanh(X @ self.A.T) @ self.B.T
        outputs += NOISE * rng.standard_normal(outputs.shape)
        return X, outputs.argmax(axis=1) if self.data.n_classes else outputs
