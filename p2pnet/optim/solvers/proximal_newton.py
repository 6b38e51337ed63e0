"""A second-order solver for nonsmooth penalties."""

from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array
from p2pnet.optim.penalties.active_set import ActiveSet
from p2pnet.optim.penalties.base import NonsmoothPenalty
from p2pnet.optim.solvers.base import Solve, Solver
from p2pnet.optim.solvers.linear_system import FIRST_FORCING, LinearSystem
from p2pnet.optim.solvers.proximal_gradient import feasible_start, first_lipschitz, proximal_move
from p2pnet.optim.surrogates.base import Tangents, combined
from p2pnet.optim.surrogates.problem import SurrogateProblem


@final
class ProximalNewton(Solver):
    """Proximal-gradient steps, which find the active set of the solution, in turn with truncated Newton steps in
    the free parameters, by conjugate gradients and a line search that keeps the active set.
    """

    name = "proximal-newton"

    def start(self, problem: SurrogateProblem, tolerance: float) -> "_ProximalNewton":
        return _ProximalNewton(problem, tolerance)


@dataclass(frozen=True, slots=True, eq=False)
class _Iterate:
    """v and all that was computed at v."""

    v: Array
    tangents: Tangents
    slopes: Tangents
    gradient: Array
    """of φ's smooth part"""
    residual: float


@dataclass(frozen=True, slots=True, eq=False)
class _ActiveSetSystem:
    """Newton's system in the free parameters of an active set."""

    active_set: ActiveSet
    system: LinearSystem


@final
class _ProximalNewton(Solve):
    _N_HALVINGS = 12

    def __init__(self, problem: SurrogateProblem, tolerance: float) -> None:
        if not isinstance(problem.penalty, NonsmoothPenalty):
            raise ConfigError(f"proximal-newton is for nonsmooth penalties, not {problem.penalty.describe()}; use cg")
        self._problem = problem
        self._penalty: NonsmoothPenalty = problem.penalty
        start, tangents, self._first_residual = feasible_start(problem)
        self._target = tolerance * self._first_residual
        self._lipschitz = first_lipschitz(problem)
        self._iterate = self._iterated(start, tangents, problem.local_model.slopes_at(tangents))
        self._newton: _ActiveSetSystem | None = None
        self._is_stalled = False

    def is_converged(self) -> bool:
        return self._iterate.residual <= self._target

    def is_stalled(self) -> bool:
        return self._is_stalled

    def step(self) -> None:
        if self._newton is None:
            self._proximal_step()
            self._newton = self._active_set_system()
        elif self._newton.system.step():
            self._move_along_active_set(self._newton)

    def result(self) -> tuple[Array, float]:
        if self._newton is not None and self._newton.system.n_steps > 0:
            self._move_along_active_set(self._newton)
        return self._iterate.v, self._iterate.residual

    def _iterated(self, v: Array, tangents: Tangents, slopes: Tangents) -> _Iterate:
        gradient = self._problem.smooth_gradient_at(v - self._problem.params, slopes)
        return _Iterate(v, tangents, slopes, gradient, self._penalty.optimality_distance(v, gradient))

    def _proximal_step(self) -> None:
        at = self._iterate
        move = proximal_move(self._problem, at.v, at.tangents, at.slopes, at.gradient, self._lipschitz)
        self._lipschitz = max(0.9 * move.lipschitz, self._problem.proximal_weight)
        self._iterate = self._iterated(move.v, move.tangents, move.slopes)
        self._is_stalled = move.is_rounding and self._iterate.residual >= at.residual

    def _active_set_system(self) -> _ActiveSetSystem | None:
        """None where the free parameters have little to gain: then the next step is a proximal one again."""
        problem, at = self._problem, self._iterate
        active = self._penalty.active_set(at.v)
        is_free = active.is_free.astype(at.v.dtype)
        descent = -(at.gradient + active.gradient) * is_free
        slope = float(np.linalg.norm(descent))
        if slope <= max(0.1 * at.residual, 0.5 * self._target):
            return None
        curvature = problem.local_model.curvature_at(at.tangents)

        def product(step: Array) -> tuple[Tangents, Array]:
            tangents, result = curvature.tangents_and_product(step)
            result *= problem.scale
            result += problem.proximal_weight * step
            result += active.curvature(step)
            result *= is_free
            return tangents, result

        forcing = min(FIRST_FORCING, at.residual / self._first_residual)
        return _ActiveSetSystem(active, LinearSystem(product, descent, 1.0, max(0.5 * self._target, forcing * slope)))

    def _move_along_active_set(self, newton: _ActiveSetSystem) -> None:
        """To the first point along the system's solution, full length first, where φ decreases enough, if any."""
        problem, at, active = self._problem, self._iterate, newton.active_set
        self._newton = None
        value = self._value(at.v, at.tangents)
        rounding = 100.0 * float(np.finfo(at.v.dtype).eps) * abs(value)
        length = 1.0
        for _ in range(self._N_HALVINGS):
            straight = at.v + length * newton.system.solution
            v = active.projected(straight.copy())
            if np.array_equal(v, straight):
                tangents = combined(at.tangents, length, newton.system.tangents)
            else:
                tangents = problem.local_model.tangents(v - problem.params)
            slope = float((at.gradient + active.gradient) @ (v - at.v))
            if abs(slope) <= rounding:
                # φ's decrease drowns in rounding here, long before its gradient does: judge by the gradient.
                there = self._iterated(v, tangents, problem.local_model.slopes_at(tangents))
                self._iterate = there if there.residual < at.residual else at
                return
            if self._value(v, tangents) <= value + 1e-4 * slope:
                self._iterate = self._iterated(v, tangents, problem.local_model.slopes_at(tangents))
                return
            length *= 0.5

    def _value(self, v: Array, tangents: Tangents) -> float:
        return self._problem.smooth_value_at(v - self._problem.params, tangents) + self._penalty.value(v)
