"""Partition of samples: into training and test samples, and into one shard per agent.

All functions return row indices, so that they say nothing about how samples are kept.
"""

from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from p2pnet.errors import DataError

Indices = NDArray[np.intp]
PartitionName = Literal["iid", "sorted"]


class Shuffler(Protocol):
    """The random source of the splits; numpy's Generator and RandomState implement it."""

    def permutation(self, x: Any, /) -> Any: ...
    def choice(self, a: Any, /, size: Any = None, replace: bool = True) -> Any: ...


def split_indices(n_samples: int, test_fraction: float, rng: Shuffler) -> tuple[Indices, Indices]:
    """(training, test): a random ⌈test_fraction · n⌉ rows for the test, the others for training."""
    n_test = _n_test(n_samples, test_fraction)
    order: Indices = rng.permutation(n_samples)
    return order[n_test:], order[:n_test]


def stratified_split_indices(labels: ArrayLike, test_fraction: float, rng: Shuffler) -> tuple[Indices, Indices]:
    """(training, test): ⌈test_fraction · n⌉ rows for the test, each label with its share in both, in random order.

    Shares that are no whole numbers are rounded to the likeliest counts, ties at random. Given a RandomState, the
    result is that of scikit-learn's `train_test_split(stratify=labels)`, by which the demo's data sets are defined.
    """
    _, codes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    n_test = _n_test(len(codes), test_fraction)
    n_train_of = _likeliest_counts(counts, len(codes) - n_test, rng)
    n_test_of = _likeliest_counts(counts - n_train_of, n_test, rng)
    train: list[Indices] = []
    test: list[Indices] = []
    rows_of = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    for code, (n_rows, n_train) in enumerate(zip(counts, n_train_of, strict=True)):
        rows = rows_of[code][rng.permutation(n_rows)]
        train.append(rows[:n_train])
        test.append(rows[n_train : n_train + n_test_of[code]])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(test))


def shard_indices(targets: ArrayLike, n_agents: int, partition: PartitionName, seed: int) -> list[Indices]:
    """Partition rows among agents: all rows in an order, cut into `n_agents` parts that differ by one row at most.

    iid: a random order of that seed. sorted: by target (first column), so that an agent sees one or two labels, or a
    small range of values, only; rows of one target stay in their order.
    """
    targets = np.asarray(targets)
    n_samples = len(targets)
    if n_samples < n_agents:
        raise DataError(f"{n_samples} training rows are too few for {n_agents} agents; give more rows or fewer agents")
    if partition == "iid":
        order = np.random.default_rng(seed).permutation(n_samples)
    else:
        order = np.argsort(targets.reshape(n_samples, -1)[:, 0], kind="stable")
    return np.array_split(order, n_agents)


def _n_test(n_samples: int, test_fraction: float) -> int:
    n_test = int(np.ceil(test_fraction * n_samples))
    if not 0 < n_test < n_samples:
        raise DataError(f"{n_samples} rows are too few to keep a part of {test_fraction:g} for the test")
    return n_test


def _likeliest_counts(available: NDArray[np.intp], n_draws: int, rng: Shuffler) -> NDArray[np.intp]:
    """The mode of the counts by label when `n_draws` rows are drawn from the `available` ones, ties broken by `rng`."""
    shares = available / available.sum() * n_draws
    counts: NDArray[np.intp] = np.floor(shares).astype(np.intp)
    n_missing = n_draws - int(counts.sum())
    remainders = shares - counts
    for remainder in np.unique(remainders)[::-1]:
        if n_missing <= 0:
            break
        tied = np.flatnonzero(remainders == remainder)
        n_added = min(len(tied), n_missing)
        counts[rng.choice(tied, size=n_added, replace=False)] += 1
        n_missing -= n_added
    return counts
