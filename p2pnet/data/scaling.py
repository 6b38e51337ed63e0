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

    def inputs(self, X: Array, *, has_gaps: bool = False) -> Array:
        """Scaled inputs, (n_samples, n_features); with gaps, what is not a number becomes 0, the mean."""
        scaled = X - self.feature_mean
        scaled /= self.feature_scale
        if has_gaps:
            np.copyto(scaled, 0.0, where=np.isnan(scaled))
        return scaled

    def apply(self, samples: Samples) -> Samples:
        X = self.inputs(samples.X, has_gaps=samples.has_gaps)
        Y = samples.Y
        if samples.task == "regression":
            Y = (Y - self.target_mean) / self.target_scale
        return replace(samples, X=X, Y=Y)


def no_scaling(n_features: int) -> Scaling:
    """The identity scaling."""
    return Scaling(np.zeros(n_features), np.ones(n_features))


def scaling_by(mean: Array, variance: Array, n_features: int, n_levels: int = 0) -> Scaling:
    """The scaling by mean and deviation of the columns: features, then the target if it is scaled too.

    The scale of a column that does not vary is 1. The last `n_levels` of the features are levels of categories, which
    stay 0 and 1 and have no mean and variance here.
    """
    deviation = np.sqrt(variance)
    scale = np.where(deviation > LEAST_DEVIATION * np.abs(mean), deviation, 1.0)
    n_scaled = n_features - n_levels
    return Scaling(
        np.concatenate([mean[:n_scaled], np.zeros(n_levels)]),
        np.concatenate([scale[:n_scaled], np.ones(n_levels)]),
        *map(float, [*mean[n_scaled:], *scale[n_scaled:]]),
    )


def moments(samples: Samples, is_target_scaled: bool) -> tuple[Array, Array]:
    """Compute (mean, variance) of the columns: features, and the target if it is scaled too.

    A sample of weight 2 counts as two samples; where values may be missing, those that are there count.
    """
    if samples.has_gaps:
        mean, variance, _ = moments_with_gaps(samples, is_target_scaled)
        return mean, variance
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


def moments_with_gaps(samples: Samples, is_target_scaled: bool) -> tuple[Array, Array, Array]:
    """(mean, variance, counts) of the columns over the values that are there, each with its sample's weight.

    Mean and variance of a column without any value are 0.
    """
    columns = [*samples.X.T, *(samples.Y.T if is_target_scaled else ())]
    moments_of = np.zeros((3, len(columns)))
    for place, values in enumerate(columns):
        is_there = ~np.isnan(values)
        weights = is_there.astype(np.float64) if samples.weights is None else samples.weights * is_there
        count = weights.sum()
        if count > 0:
            known = np.where(is_there, values, 0.0)
            mean = weights @ known / count
            moments_of[:, place] = mean, weights @ np.square(known - mean) / count, count
    mean, variance, counts = moments_of
    return mean, variance, counts


def is_target_scaled(samples: Samples, loss: str) -> bool:
    """Whether the target may be scaled: not a label, nor a number that the loss called `loss` needs as it is.

    `loss` may be `auto`, for the default of the task.
    """
    name = losses_for(samples.task)[0] if loss == "auto" else loss
    return samples.task == "regression" and LOSSES[name].is_target_scaled
