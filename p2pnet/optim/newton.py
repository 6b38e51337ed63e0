"""Solvers for smooth penalties: Newton's method on φ, its systems solved by conjugate gradients or directly.

The second derivative of φ is scale·Jᵀ∇²h J + (τ + ∇²r) I. For the squared loss it is constant and one Newton step
solves the problem: then these are plain conjugate gradients and plain ridge regression.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array
from p2pnet.optim.linear_system import FIRST_FORCING, LinearSystem
from p2pnet.optim.penalties import SmoothPenalty
from p2pnet.optim.solving import Solve, Solver
from p2pnet.optim.surrogates import Curvature, SurrogateProblem, Tangents, combined


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """A step d with all that was computed at it."""

    step: Array
    tangents: Tangents
    value: float
    gradient: Array
    residual: float


class _Newton:
    """φ with a smooth penalty: its gradient and Newton's line search."""

    def __init__(self, problem: SurrogateProblem) -> None:
        if not isinstance(problem.penalty, SmoothPenalty):
            raise ConfigError(f"Newton's method needs a smooth penalty (none, l2), not {problem.penalty.describe()}")
        self.problem = problem
        self.penalty: SmoothPenalty = problem.penalty
        self.diagonal = problem.proximal_weight + self.penalty.curvature()
        """τ + ∇²r"""

    def origin(self) -> _Point:
        problem = self.problem
        gradient = problem.direction + self.penalty.gradient(problem.params)
        return _Point(
            step=np.zeros_like(problem.params),
            tangents=problem.local_model.no_tangents(),
            value=self.penalty.value(problem.params),
            gradient=gradient,
            residual=float(np.linalg.norm(gradient)),
        )

    def point(self, step: Array, tangents: Tangents, value: float) -> _Point:
        gradient = self.problem.smooth_gradient_at(step, self.problem.local_model.slopes_at(tangents))
        gradient += self.penalty.gradient(self.problem.params + step)
        return _Point(step, tangents, value, gradient, float(np.linalg.norm(gradient)))

    def moved(self, start: _Point, change: Array, change_tangents: Tangents) -> _Point:
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

    def is_stalled(self, before: _Point, after: _Point) -> bool:
        """Whether a solved system gained nothing: with a quadratic φ, one ought to have been enough."""
        return after is before or (self.problem.local_model.is_quadratic and after.residual > 0.5 * before.residual)


class Preconditioner(ABC):
    """A diagonal that conjugate gradients divide by."""

    @abstractmethod
    def diagonal(self, problem: SurrogateProblem, curvature: Curvature, damping: float | Array) -> float | Array:
        """The diagonal, positive; `damping` is τ + ∇²r."""


@final
class DampingPreconditioner(Preconditioner):
    """τ + ∇²r: free of cost, and the best for networks on standardised inputs, whose curvature has a few large
    eigenvalues that no diagonal sees.
    """

    def diagonal(self, problem: SurrogateProblem, curvature: Curvature, damping: float | Array) -> float | Array:
        return damping


@final
class JacobiPreconditioner(Preconditioner):
    """The diagonal of the second derivative of φ (Jacobi): several times fewer steps for linear models whose inputs
    have unequal scales; for networks it costs more than it gains.
    """

    def diagonal(self, problem: SurrogateProblem, curvature: Curvature, damping: float | Array) -> Array:
        result: Array = problem.scale * curvature.diagonal() + damping
        return result


@final
class ConjugateGradients(Solver):
    """Truncated Newton: each Newton system is solved by preconditioned conjugate gradients, matrix-free, to the
    accuracy that its place in the outer iteration deserves (Dembo, Eisenstat and Steihaug 1982).
    """

    def __init__(self, name: str = "cg", preconditioner: Preconditioner | None = None) -> None:
        self.name = name
        self._preconditioner = preconditioner or DampingPreconditioner()

    def start(self, problem: SurrogateProblem, tolerance: float) -> "_TruncatedNewton":
        return _TruncatedNewton(_Newton(problem), self._preconditioner, tolerance)


@final
class _TruncatedNewton(Solve):
    def __init__(self, newton: _Newton, preconditioner: Preconditioner, tolerance: float) -> None:
        self._newton = newton
        self._preconditioner = preconditioner
        self._point = newton.origin()
        self._first_residual = self._point.residual
        self._target = tolerance * self._first_residual
        self._system: LinearSystem | None = None
        self._is_stalled = False

    def is_converged(self) -> bool:
        return self._point.residual <= self._target

    def is_stalled(self) -> bool:
        return self._is_stalled

    def step(self) -> None:
        if self._system is None:
            self._system = self._new_system()
        if self._system.step():
            self._move(self._system)

    def result(self) -> tuple[Array, float]:
        if self._system is not None:
            self._move(self._system)
        return self._newton.problem.params + self._point.step, self._point.residual

    def _new_system(self) -> LinearSystem:
        newton, problem = self._newton, self._newton.problem
        curvature = problem.local_model.curvature_at(self._point.tangents)

        def product(step: Array) -> tuple[Tangents, Array]:
            tangents, result = curvature.tangents_and_product(step)
            result *= problem.scale
            result += newton.diagonal * step
            return tangents, result

        diagonal = self._preconditioner.diagonal(problem, curvature, newton.diagonal)
        return LinearSystem(product, -self._point.gradient, 1.0 / diagonal, self._system_target())

    def _system_target(self) -> float:
        if self._newton.problem.local_model.is_quadratic:
            return 0.9 * self._target
        residual = self._point.residual
        return max(0.5 * self._target, residual * min(FIRST_FORCING, residual / self._first_residual))

    def _move(self, system: LinearSystem) -> None:
        before, self._point, self._system = (
            self._point,
            self._newton.moved(self._point, system.solution, system.tangents),
            None,
        )
        self._is_stalled = self._newton.is_stalled(before, self._point)


@final
class Direct(Solver):
    """Newton's method with its systems formed and factorised: primal, (n_params, n_params), or dual, with one row for
    each prediction (Woodbury), whichever is smaller. For the squared loss one step is exact.

    The factorisation is LAPACK's LU. Cholesky's takes half the operations, but NumPy has no triangular solve to go with
    it, and Cholesky with two general solves takes 2.5 (82 unknowns) to 3.7 times (400) as long as one LU.
    """

    name = "direct"

    def start(self, problem: SurrogateProblem, tolerance: float) -> "_DirectNewton":
        return _DirectNewton(_Newton(problem), tolerance)


@final
class _DirectNewton(Solve):
    def __init__(self, newton: _Newton, tolerance: float) -> None:
        self._newton = newton
        self._point = newton.origin()
        self._target = tolerance * self._point.residual
        self._is_stalled = False

    def is_converged(self) -> bool:
        return self._point.residual <= self._target

    def is_stalled(self) -> bool:
        return self._is_stalled

    def step(self) -> None:
        problem, before = self._newton.problem, self._point
        M = problem.local_model.curvature_at(before.tangents).factor()
        M *= np.sqrt(problem.scale)
        change = -solved(M, self._newton.diagonal, before.gradient)
        self._point = self._newton.moved(before, change, problem.local_model.tangents(change))
        self._is_stalled = self._newton.is_stalled(before, self._point)

    def result(self) -> tuple[Array, float]:
        return self._newton.problem.params + self._point.step, self._point.residual


def solved(M: Array, diagonal: float | Array, right_side: Array) -> Array:
    """(MᵀM + diag(diagonal))⁻¹ right_side for M (n_rows, n_params) and diagonal > 0, a number or (n_params,).

    With fewer rows than parameters by Woodbury's identity, D⁻¹(b − Mᵀ(I + M D⁻¹ Mᵀ)⁻¹ M D⁻¹ b), else directly.
    """
    n_rows, n_params = M.shape
    if n_rows >= n_params:
        H = M.T @ M
        H.flat[:: n_params + 1] += diagonal
        solution: Array = np.linalg.solve(H, right_side)
        return solution
    inverse = 1.0 / diagonal
    scaled = M * inverse
    K = scaled @ M.T
    K.flat[:: n_rows + 1] += 1.0
    y = np.linalg.solve(K, scaled @ right_side)
    result: Array = inverse * right_side - scaled.T @ y
    return result
