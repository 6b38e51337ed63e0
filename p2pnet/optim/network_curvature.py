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

MAX_PARAMS_BY_DEFAULT: Final = 320
"""Of a model whose curvature is tracked where nothing is set: each step takes as many gradients."""

MAX_PARAMS_OF_FEW: Final = 256
"""The same where samples are few, but no others than elsewhere: less is gained then, for as many bytes."""

FIRST_MEASURED_ROUND: Final = 50
"""The first round in which agents measure their own curvature: the means are known ten rounds later."""

FIRST_STEP_ROUND: Final = 60
"""The first round with a step along the network's curvature: that from which steps have more exchanges between them."""

ROUNDS_TO_SPREAD: Final = 10
"""For so long an agent has heard of curvature before it steps along it: what has come first is of few agents."""

N_GROUPS: Final = 8
"""Of an agent's samples, between which gradients show how much is chance."""

BEYOND_CHANCE: Final = 9.0
"""The least square of a difference of gradients, relative to what chance makes of it, that is none."""

LEAST_DIFFERENCE: Final = 0.01
"""The least square of a difference of gradients, relative to the variance of those of single samples, that matters."""

REACH: Final = 1e-2
"""A curvature holds for parameters that are nearer than this part of 1 + ‖w‖."""


def check_size(model: Model) -> None:
    """ConfigError where the model is too large for its curvature to be tracked."""
    if model.n_params > MAX_PARAMS:
        raise ConfigError(
            f"algorithm.weighting: network curvature takes n²/2 numbers a share for a model of n parameters, at most "
            f"{MAX_PARAMS}; {model.describe()} has {model.n_params}: make it smaller, or choose proxy"
        )


def n_tracked(n_params: int) -> int:
    """How many numbers are tracked beside the gradient."""
    return n_params + n_params * (n_params + 1) // 2


def is_needed(objective: LocalObjective, params: Array, gradient: Array, direction: Array) -> bool:
    """Whether own curvature is a poor stand-in for the network's: where the agent has fewer samples than
    parameters, of which there are not many, or where its gradient at w is farther from the network's, the direction,
    than samples dealt at random make it.

    With s² the variance of the gradient of one sample, estimated from groups of samples, chance makes
    ‖∇mean_k − ŷ‖² about s²/n_k.
    """
    n_samples = objective.n_samples
    if n_samples < len(params) <= MAX_PARAMS_OF_FEW:
        return True
    difference = gradient - direction
    variance = gradient_variance(objective, params)
    least = max(BEYOND_CHANCE / n_samples, LEAST_DIFFERENCE) * variance
    return float(difference @ difference) > least


def gradient_variance(objective: LocalObjective, params: Array) -> float:
    """s², the trace of the covariance of the gradients of single samples, from those of a few groups."""
    samples = objective.samples
    groups = [samples.taken(slice(k, None, N_GROUPS)) for k in range(min(N_GROUPS, len(samples.X)))]
    gradients = np.array([objective.of(group).gradient(params) for group in groups if group.total_weight > 0.0])
    between = np.square(gradients - gradients.mean(axis=0)).sum() / max(len(gradients) - 1, 1)
    return float(between) * objective.n_samples / len(gradients)


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

    Nothing until the agent begins, which it does in its own time.
    """

    def __init__(self, objective: LocalObjective) -> None:
        self._objective = objective
        n = objective.model.n_params
        self._upper = np.triu_indices(n)
        self._own: Array = np.zeros((n, n))
        self._measured_at: Array | None = None
        self._heard_in: int | None = None
        """The first round in which there was curvature of the network."""
        self.has_begun = False

    def begin(self) -> None:
        """Measure own curvature from now on."""
        self.has_begun = True

    def is_known(self, round_: int, tracked: Array) -> bool:
        """Whether what is tracked of curvature in this round is the network's, and to be stepped along."""
        if not tracked.size:
            return False
        if self._heard_in is None:
            self._heard_in = round_
        return round_ >= max(FIRST_STEP_ROUND, self._heard_in + ROUNDS_TO_SPREAD)

    def measure(self, params: Array, gradient: Array) -> None:
        """Find H_k, unless the last one still holds; `gradient` is that of the own objective."""
        if self._measured_at is not None:
            distance = float(np.linalg.norm(params - self._measured_at))
            if distance <= REACH * (1.0 + float(np.linalg.norm(params))):
                return
        self._own, self._measured_at = hessian(self._objective, params, gradient), params

    def tracked(self, params: Array) -> Array:
        """What is to be tracked at these parameters, for each sample; nothing before it is measured."""
        if self._measured_at is None:
            return np.zeros(0)
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
        sizes = np.abs(eigenvalues)
        # What is less is rounding, and leaves nothing to be solved where the proximal weight is as small.
        sizes = np.maximum(sizes, n * np.finfo(np.float64).eps * sizes.max(initial=0.0))
        factor = np.sqrt(sizes)[:, np.newaxis] * vectors.T
        return estimate, QuadraticModel(factor, 0.0, estimate)
