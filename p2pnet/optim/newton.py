"""Solvers for smooth penalties: Newton's method on φ, its systems solved by conjugate gradients or by Cholesky.

The second derivative of φ is scale·Jᵀ∇²h J + (τ + ∇²r) I. For the squared loss it is constant and one Newton step
solves the problem: then these are plain conjugate gradients and plain ridge regression.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array
from p2pnet.optim.penalties import SmoothPenalty
from p2pnet.optim.solving import Solve, Solver
from p2pnet.optim.surrogates import SurrogateProblem, Tangents


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """A step d with all that was computed at it."""

    step: Array
    tangents: Tangents
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
        step = np.zeros_like(self.problem.params)
        gradient = self.problem.direction + self.penalty.gradient(self.problem.params)
        return _Point(step, self.problem.local_model.tangents(step), gradient, float(np.linalg.norm(gradient)))

    def point(self, step: Array, tangents: Tangents) -> _Point:
        gradient = self.problem.smooth_gradient_at(step, self.problem.local_model.slopes_at(tangents))
        gradient += self.penalty.gradient(self.problem.params + step)
        return _Point(step, tangents, gradient, float(np.linalg.norm(gradient)))

    def value(self, step: Array, tangents: Tangents) -> float:
        return self.problem.smooth_value_at(step, tangents) + self.penalty.value(self.problem.params + step)

    def moved(self, start: _Point, change: Array) -> _Point:
        """The point along `change` that Armijo's rule accepts, full length first; `start` itself if none gains.

        Along the line the tangents are linear in its length, so that trials need no products with J.
        """
        change_tangents = self.problem.local_model.tangents(change)
        if self.problem.local_model.is_quadratic:
            return self.point(start.step + change, _combined(start.tangents, 1.0, change_tangents))
        value = self.value(start.step, start.tangents)
        slope = float(start.gradient @ change)
        if -slope <= 100.0 * float(np.finfo(change.dtype).eps) * abs(value):
            # φ's decrease drowns in rounding here, long before its gradient does: judge by the gradient.
            end = self.point(start.step + change, _combined(start.tangents, 1.0, change_tangents))
            return end if end.residual < start.residual else start
        length = 1.0
        while length > 1e-9:
            step, tangents = start.step + length * change, _combined(start.tangents, length, change_tangents)
            if self.value(step, tangents) <= value + 1e-4 * length * slope:
                return self.point(step, tangents)
            length *= 0.5
        return start


def _combined(start: Tangents, length: float, change: Tangents) -> Tangents:
    return tuple(T + length * D for T, D in zip(start, change, strict=True))


@final
class ConjugateGradients(Solver):
    """Truncated Newton: each Newton system is solved by preconditioned conjugate gradients, matrix-free, to the
    accuracy that its place in the outer iteration deserves (Dembo, Eisenstat and Steihaug 1982).
    """

    name = "cg"

    def start(self, problem: SurrogateProblem, tolerance: float) -> "_TruncatedNewton":
        return _TruncatedNewton(_Newton(problem), tolerance)


class _System:
    """One Newton system H s = −g, on its way by conjugate gradients."""

    def __init__(self, newton: _Newton, point: _Point, target: float) -> None:
        self._newton = newton
        self._curvature = newton.problem.local_model.curvature_at(point.tangents)
        self._target = target
        self._preconditioner = 1.0 / newton.diagonal
        self.solution = np.zeros_like(point.step)
        self._residual = -point.gradient
        self._conjugate = self._residual * self._preconditioner
        self._rz = float(self._residual @ self._conjugate)

    def step(self) -> bool:
        """One conjugate-gradient step; whether the system is solved."""
        p = self._conjugate
        Hp = self._curvature.product(p)
        Hp *= self._newton.problem.scale
        Hp += self._newton.diagonal * p
        length = self._rz / float(p @ Hp)
        self.solution += length * p
        Hp *= length
        self._residual -= Hp
        z = self._residual * self._preconditioner
        rz = float(self._residual @ z)
        p *= rz / self._rz
        p += z
        self._rz = rz
        return float(self._residual @ self._residual) <= self._target**2


@final
class _TruncatedNewton(Solve):
    _FIRST_FORCING = 0.1
    """accuracy of the first Newton system, relative to its gradient; later ones are solved more accurately"""

    def __init__(self, newton: _Newton, tolerance: float) -> None:
        self._newton = newton
        self._point = newton.origin()
        self._first_residual = self._point.residual
        self._target = tolerance * self._first_residual
        self._system: _System | None = None
        self._is_stalled = False

    def is_converged(self) -> bool:
        return self._point.residual <= self._target

    def is_stalled(self) -> bool:
        return self._is_stalled

    def step(self) -> None:
        if self._system is None:
            self._system = _System(self._newton, self._point, self._system_target())
        if self._system.step():
            self._move(self._system)

    def result(self) -> tuple[Array, float]:
        if self._system is not None:
            self._move(self._system)
        return self._newton.problem.params + self._point.step, self._point.residual

    def _system_target(self) -> float:
        if self._newton.problem.local_model.is_quadratic:
            return 0.9 * self._target
        residual = self._point.residual
        return max(0.5 * self._target, residual * min(self._FIRST_FORCING, residual / self._first_residual))

    def _move(self, system: _System) -> None:
        before, self._point, self._system = self._point, self._newton.moved(self._point, system.solution), None
        is_solved_in_one = self._newton.problem.local_model.is_quadratic
        self._is_stalled = self._point is before or (is_solved_in_one and self._point.residual > 0.5 * before.residual)


@final
class Direct(Solver):
    """Newton's method with its systems formed and solved by Cholesky: primal, (n_params, n_params), or dual, with one
    row for each prediction (Woodbury), whichever is smaller. For the squared loss one step is exact.
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
        self._point = self._newton.moved(before, change)
        self._is_stalled = self._point is before or (
            problem.local_model.is_quadratic and self._point.residual > 0.5 * before.residual
        )

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
        return _cholesky_solved(H, right_side)
    inverse = 1.0 / diagonal
    scaled = M * inverse
    K = scaled @ M.T
    K.flat[:: n_rows + 1] += 1.0
    y = _cholesky_solved(K, scaled @ right_side)
    return inverse * right_side - scaled.T @ y


def _cholesky_solved(H: Array, b: Array) -> Array:
    L = np.linalg.cholesky(H)
    # NumPy has no triangular solve; LU on a triangle costs a third more than the factorisation did, and is as stable.
    return np.linalg.solve(L.T, np.linalg.solve(L, b))
