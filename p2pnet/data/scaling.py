"""Standardisation of samples, and its inverse."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from p2pnet.catalogue.losses import LOSSES, losses_for
from p2pnet.data.samples import Samples

Array = NDArray[np.float64]

LEAST_DEVIATION = 1e-12
"""Columns that deviate by less, relative to their mean, differ from it by rounding only."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """(x − mean) / scale, for every feature (n_features,) and for the target; 0 and 1 where a value stays as it is."""

    feature_mean: Array = field(repr=False)
    feature_scale: Array = field(repr=False)
    target_mean: float = 0.0
    target_scale: float = 1.0

    def apply(self, samples: Samples) -> Samples:
        X = (samples.X - self.feature_mean) / self.feature_scale
        Y = samples.Y
        if samples.task == "regression":
            Y = (Y - self.target_mean) / self.target_scale
        return replace(samples, X=X, Y=Y)


def no_scaling(n_features: int) -> Scaling:
    """The identity scaling."""
    return Scaling(np.zeros(n_features), np.ones(n_features))


def scaling_by(mean: Array, variance: Array, n_features: int) -> Scaling:
    """The scaling by mean and deviation of the columns: features, then the target if it is scaled too.

    The scale of a column that does not vary is 1.
    """
    deviation = np.sqrt(variance)
    scale = np.where(deviation > LEAST_DEVIATION * np.abs(mean), deviation, 1.0)
    return Scaling(mean[:n_features], scale[:n_features], *map(float, [*mean[n_features:], *scale[n_features:]]))


def moments(samples: Samples, is_target_scaled: bool) -> tuple[Array, Array]:
    """Compute (mean, variance) of the columns: features, and the target if it is scaled too.

    A sample of weight 2 counts as two samples.
    """
    columns = [samples.X, samples.Y] if is_target_scaled else [samples.X]
    if samples.weights is None:
        mean = np.concatenate([values.mean(axis=0) for values in columns])
        return mean, np.concatenate([values.var(axis=0) for values in columns])
    means = [np.average(values, axis=0, weights=samples.weights) for values in columns]
    variances = [
        np.average((values - mean) ** 2, axis=0, weights=samples.weights)
        for values, mean in zip(columns, means, strict=True)
    ]
    return np.concatenate(means), np.concatenate(variances)


def is_target_scaled(samples: Samples, loss: str) -> bool:
    """Whether the target may be scaled: not a label, nor a number that the loss called `loss` needs as it is.

    `loss` may be `auto`, for the default of the task.
    """
    name = losses_for(samples.task)[0] if loss == "auto" else loss
    return samples.task == "regression" and LOSSES[name].is_target_scaled
