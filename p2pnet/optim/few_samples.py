"""Few samples: the mean loss over a bounded number of an agent's samples, which were chosen once.

What it costs does not grow with the samples: one pass forward over 256 of them at most.
"""

from __future__ import annotations

from typing import Final, final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.local_objective import LocalObjective

MAX_ROWS: Final = 256


@final
class FewSamples:
    """Rows at equal distances among those that count, so that files in some order are seen from end to end."""

    def __init__(self, objective: LocalObjective, max_rows: int = MAX_ROWS) -> None:
        samples = objective.samples
        counting = np.arange(len(samples.X)) if samples.weights is None else np.flatnonzero(samples.weights)
        places = np.linspace(0, len(counting) - 1, min(max_rows, len(counting))).round().astype(int)
        self._samples = samples if len(places) == len(samples.X) else samples.taken(counting[places])
        self._objective = objective

    def loss(self, params: Array) -> float:
        """The mean loss at these parameters; not a number or infinite where it overflows."""
        samples, objective = self._samples, self._objective
        with np.errstate(all="ignore"):
            predictions = objective.model.predict(params, samples.X)
            return float(objective.loss.value(predictions, samples.targets, samples.weights))
