"""Newton's method on φ with a smooth penalty: gradient, second derivative and line search.

The second derivative of φ is scale·Jᵀ∇²h J + (τ + ∇²r) I. For the squared loss it is constant and one Newton step
solves the problem: then the solvers are plain conjugate gradients and plain ridge regression.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array
from p2pnet.optim.penalties.base import SmoothPenalty
from p2pnet.optim.surrogates.base import Tangents, combined
from p2pnet.optim.surrogates.problem import SurrogateProblem


@dataclass(frozen=True, slots=True, eq=False)
class NewtonPoint:
    """A step d, with value, gradient and tangents at it."""

    step: Array
    tangents: Tangents
    value: float
    gradient: Array
    residual: float


@final
class SmoothNewton:
    """φ with a smooth penalty: its gradient and Newton's line search."""

    def __init__(self, problem: SurrogateProblem) -> None:
        if not isinstance(problem.penalty, SmoothPenalty):
            raise ConfigError(f"Newton's method needs a smooth penalty (none, l2), not {problem.penalty.describe()}")
        self.problem = problem
        self.penalty: SmoothPenalty = problem.penalty
        self.diagonal = problem.proximal_weight + self.penalty.curvature_in_precision_of(problem.params)
        """τ + ∇²r"""

    def origin(self) -> NewtonPoint:
        problem = self.problem
        gradient = problem.direction.copy()
        gradient += self.penalty.gradient(problem.params)
        return NewtonPoint(
            step=np.zeros_like(problem.params),
            tangents=problem.local_model.no_tangents(),
            value=self.penalty.value(problem.params),
            gradient=gradient,
            residual=float(np.linalg.norm(gradient)),
        )

    def point(self, step: Array, tangents: Tangents, value: float) -> NewtonPoint:
        gradient = self.problem.smooth_gradient_at(step, self.problem.local_model.slopes_at(tangents))
        gradient += self.penalty.gradient(self.problem.params + step)
        return NewtonPoint(step, tangents, value, gradient, float(np.linalg.norm(gradient)))

    def moved(self, start: NewtonPoint, change: Array, change_tangents: Tangents) -> NewtonPoint:
        """The point along `change` that Armijo's rule accepts, full length first; `start` itself if none gains.

        change_tangents: J change. Tangents are linear in the length, so that trials need no products with J.
        """
        slope = float(start.gradient @ change)
        # Where φ's decrease drowns in rounding, long before its gradient does, the gradient has to judge.
        is_lost_in_rounding = -slope <= 100.0 * float(np.finfo(change.dtype).eps) * abs(start.value)
        length = 1.0
        while length > 1e-9:
            step = start.step + length * change
            tangents = combined(start.tangents, length, change_tangents)
            value = self.problem.smooth_value_at(step, tangents) + self.penalty.value(self.problem.params + step)
            if is_lost_in_rounding:
                end = self.point(step, tangents, value)
                return end if end.residual < start.residual else start
            if value <= start.value + 1e-4 * length * slope:
                return self.point(step, tangents, value)
            length *= 0.5
        return start

    def is_stalled(self, before: NewtonPoint, after: NewtonPoint) -> bool:
        """Whether a solved system gained nothing: with a quadratic φ, one ought to have been enough."""
        return after is before or (self.problem.local_model.is_quadratic and after.residual > 0.5 * before.residual)
