"""The samples that an agent holds out, and the metrics of those of the whole network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.samples import Samples
from p2pnet.optim.arrays import Array
from p2pnet.optim.metric_sums import N_BINS, LabelSums, MetricSums, ValueSums
from p2pnet.training.problem import KindOfSamples, Problem

NetworkMetrics: TypeAlias = Mapping[str, Mapping[str, float]]
"""Metrics by name, of the rows for `validation` and for `test` of all agents."""

HELD_OUT: Final = ("validation", "test")


def most_sums(samples: KindOfSamples) -> int:
    """The most numbers that the sums of such samples are, with any loss; of at most as many labels."""
    if samples.task == "regression":
        return len(HELD_OUT) * ValueSums.n_sums
    return len(HELD_OUT) * (3 * samples.n_outputs + 1 + 2 * N_BINS)


@final
class HeldOut:
    """One agent's samples for validation and test, scaled; their sums, and the metrics that follow from anyone's."""

    def __init__(self, problem: Problem, validation: Samples, test: Samples, target_scale: float) -> None:
        self._model = problem.model
        self._sums: MetricSums = (
            LabelSums(problem.loss, test.classes) if test.classes else ValueSums(problem.loss, target_scale)
        )
        self._samples = [
            (np.ascontiguousarray(samples.X, dtype=problem.model.dtype), samples.Y) for samples in (validation, test)
        ]

    @property
    def n_sums(self) -> int:
        """How many numbers all sums are."""
        return len(HELD_OUT) * self._sums.n_sums

    def sums(self, params: Array) -> NDArray[np.float64]:
        """The sums of validation and test, one after the other, (n_sums,), at parameters in the model's precision."""
        parts = [
            self._sums.of(self._model.predict(params, X), Y) if len(X) else np.zeros(self._sums.n_sums)
            for X, Y in self._samples
        ]
        return np.concatenate(parts)

    def metrics(self, sums: Array) -> NetworkMetrics:
        """The metrics of validation and test from sums of all agents, or their mean; one without samples is left out.

        Rounding may leave a sum of nothing a little off 0.
        """
        parts = zip(HELD_OUT, np.split(np.where(np.abs(sums) > 1e-9 * np.abs(sums).max(), sums, 0.0), 2), strict=True)
        found = {name: self._sums.metrics(part) for name, part in parts}
        return {name: metrics for name, metrics in found.items() if metrics}
