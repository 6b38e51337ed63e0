"""Other scales for a training that goes on: what is tracked to know when, and the same function by others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.samples import Samples
from p2pnet.data.scaling import Scaling, moments_with_gaps
from p2pnet.optim.models.base import Model
from p2pnet.optim.models.mlp import Mlp


def moment_sums(samples: Samples, scaling: Scaling, *, is_target_scaled: bool) -> NDArray[np.float64]:
    """Sums over the samples of the scaled columns and of their squares, and their number, (2 n_columns + 1,).

    Columns are the features, without levels, and the target where it is scaled. Missing values count as the mean of
    those that are there; of a column without any nothing is known, so that it counts as what it is scaled by.
    """
    n_samples = float(samples.n_samples if samples.weights is None else samples.weights.sum())
    mean, variance, counts = moments_with_gaps(samples, is_target_scaled)
    n_features = samples.n_features
    center, unit = scaling.feature_mean[:n_features], scaling.feature_scale[:n_features]
    if is_target_scaled:
        center, unit = np.append(center, scaling.target_mean), np.append(unit, scaling.target_scale)
    means = np.where(counts > 0, (mean - center) / unit, 0.0)
    squares = np.where(counts > 0, variance / np.square(unit) + np.square(means), 1.0)
    return np.asarray(n_samples * np.concatenate([means, squares, [1.0]]), dtype=np.float64)


def rescaled(model: Model, params: NDArray[np.float64], before: Scaling, after: Scaling) -> NDArray[np.float64]:
    """The parameters that give the same function of raw samples with another scaling; exact, but for rounding.

    Inputs x of before are u x' + v with u = σ'/σ, v = (μ' − μ)/σ; outputs of a scaled target likewise. Missing values,
    which stand at the mean, are then at another one.
    """
    if not isinstance(model, Mlp):
        raise AssertionError(f"{model.describe()} keeps its scales")
    unit = before.feature_scale
    inputs = after.feature_scale / unit, (after.feature_mean - before.feature_mean) / unit
    outputs = (
        before.target_scale / after.target_scale,
        (before.target_mean - after.target_mean) / after.target_scale,
    )
    return model.transformed(params, inputs, outputs).astype(np.float64, copy=False)
