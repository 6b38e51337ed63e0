"""The curvature of the network's mean loss, tracked beside its gradient.

An agent's gradient is nearly affine: g_k(v) ≈ g_k(w_k) + H_k (v − w_k) with H_k = ∇²mean_k near w_k. So is the mean of
all: with ȳ, c̄ and H̄ the tracked means of g_k(w_k), H_k w_k and H_k,

    ŷ(w) = ȳ − c̄ + H̄ w

is the network's gradient at w, and H̄ its curvature. Each agent evaluates both at its own parameters. A step along own
curvature changes ȳ by H_k d at first, before the changes of others have come to cancel what differs from H̄ d; that
bounds the proximal weight from below (`docs/algorithm.md`). ŷ does not see it: H_k d − H_k d = 0. As long
as H_k stays, only what is not affine in the gradients is left to be tracked, whatever the steps.

H_k need not be exact: what it lacks stays in ȳ − c̄. It is found again where an agent has moved far enough.
"""

from typing import Final, final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.models.base import Model
from p2pnet.optim.surrogates.quadratic import QuadraticModel

MAX_PARAMS: Final = 512
"""Of a model whose curvature is tracked: 131,000 numbers in each share."""

FIRST_MEASURED_ROUND: Final = 50
"""The first round in which agents measure their own curvature: the means are known ten rounds later."""

FIRST_STEP_ROUND: Final = 60
"""The first round with a step along the network's curvature: that from which steps have more exchanges between them."""

REACH: Final = 1e-3
"""A curvature holds for parameters that are nearer than this part of 1 + ‖w‖."""


def check_size(model: Model) -> None:
    """ConfigError where the model is too large for its curvature to be tracked."""
    if model.n_params > MAX_PARAMS:
        raise ConfigError(
            f"algorithm.weighting: network curvature takes n²/2 numbers a share for a model of n parameters, at most "
            f"{MAX_PARAMS}; {model.describe()} has {model.n_params}: make it smaller, or choose proxy"
        )


def n_curvature(n_params: int) -> int:
    """How many numbers are tracked beside the gradient."""
    return n_params + n_params * (n_params + 1) // 2


def hessian(objective: LocalObjective, params: Array, gradient: Array) -> Array:
    """∇²mean_k(w), (n_params, n_params), from differences of the gradient along each parameter.

    `gradient` is that at w. The relative error is about the root of the model's precision.
    """
    n = len(params)
    length = np.sqrt(objective.model.epsilon) * (1.0 + float(np.abs(params).max(initial=0.0)))
    rows = np.empty((n, n))
    for k in range(n):
        moved = params.copy()
        moved[k] += length
        rows[k] = (objective.gradient(moved) - gradient) / (float(moved[k]) - float(params[k]))
    return 0.5 * (rows + rows.T)


@final
class NetworkCurvature:
    """What one agent tracks of curvature: H_k w_k and the upper triangle of H_k, one after the other, (n_tracked,).

    Zero until it is measured for the first time, so that agents may begin in different rounds.
    """

    def __init__(self, objective: LocalObjective) -> None:
        self._objective = objective
        n = objective.model.n_params
        self._upper = np.triu_indices(n)
        self._own: Array = np.zeros((n, n))
        self._measured_at: Array | None = None

    @property
    def n_tracked(self) -> int:
        return n_curvature(self._objective.model.n_params)

    def measure(self, params: Array, gradient: Array) -> None:
        """Find H_k, unless the last one still holds; `gradient` is that of the own objective."""
        if self._measured_at is not None:
            distance = float(np.linalg.norm(params - self._measured_at))
            if distance <= REACH * (1.0 + float(np.linalg.norm(params))):
                return
        self._own, self._measured_at = hessian(self._objective, params, gradient), params

    def tracked(self, params: Array) -> Array:
        """What is to be tracked at these parameters, for each sample."""
        return np.concatenate([self._own @ params, self._own[self._upper]])

    def model(self, params: Array, direction: Array, tracked: Array) -> tuple[Array, QuadraticModel]:
        """ŷ(w) and the quadratic model of the network's mean loss with curvature |H̄|: eigenvalues count by their size,
        since a direction of negative curvature is no reason for a long step. `tracked` are c̄ and H̄; where H̄ is not
        finite, since training diverges or a member lies, the model has no curvature.
        """
        n = len(params)
        mean = np.zeros((n, n))
        mean[self._upper] = tracked[n:]
        mean = mean + np.triu(mean, 1).T
        estimate = direction - tracked[:n] + mean @ params
        if not np.isfinite(mean).all():
            return estimate, QuadraticModel(np.zeros((1, n)), 0.0, estimate)
        eigenvalues, vectors = np.linalg.eigh(mean)
        factor = np.sqrt(np.abs(eigenvalues))[:, np.newaxis] * vectors.T
        return estimate, QuadraticModel(factor, 0.0, estimate)
