"""The accelerated proximal gradient method."""

import math
from typing import final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.solvers.base import Solve, Solver
from p2pnet.optim.solvers.proximal_gradient import feasible_start, first_lipschitz, proximal_move
from p2pnet.optim.surrogates.problem import SurrogateProblem


@final
class AcceleratedProximalGradient(Solver):
    """FISTA (Beck and Teboulle 2009) with restart by the gradient's sign (O'Donoghue and Candès 2015), and with the
    step length from the curvature met between steps.
    """

    name = "accelerated-proximal-gradient"

    def start(self, problem: SurrogateProblem, tolerance: float) -> "_AcceleratedProximalGradient":
        return _AcceleratedProximalGradient(problem, tolerance)


@final
class _AcceleratedProximalGradient(Solve):
    _SHRINK = 0.95
    """of the Lipschitz estimate in each iteration, so that one steep place does not slow later steps"""

    def __init__(self, problem: SurrogateProblem, tolerance: float) -> None:
        self._problem = problem
        self._v, self._v_tangents, residual = feasible_start(problem)
        self._target = tolerance * residual
        self._y, self._y_tangents = self._v, self._v_tangents
        self._momentum = 1.0
        self._lipschitz = first_lipschitz(problem)
        self._residual = residual
        self._is_residual_exact = True
        self._is_stalled = False

    def is_converged(self) -> bool:
        if self._residual > self._target:
            return False
        self._measure()
        return self._residual <= self._target

    def is_stalled(self) -> bool:
        return self._is_stalled

    def step(self) -> None:
        problem, model = self._problem, self._problem.local_model
        y_slopes = model.slopes_at(self._y_tangents)
        gradient = problem.smooth_gradient_at(self._y - problem.params, y_slopes)
        move = proximal_move(problem, self._y, self._y_tangents, y_slopes, gradient, self._lipschitz)
        self._lipschitz = max(self._SHRINK * move.lipschitz, problem.proximal_weight)
        self._is_stalled = move.is_rounding
        v, tangents = move.v, move.tangents
        advance = v - self._v
        if float(move.change @ advance) < 0.0:
            self._momentum = 1.0
            inertia = 0.0
        else:
            momentum = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * self._momentum**2))
            inertia, self._momentum = (self._momentum - 1.0) / momentum, momentum
        self._y = v + inertia * advance
        self._y_tangents = tuple(T + inertia * (T - old) for T, old in zip(tangents, self._v_tangents, strict=True))
        self._v, self._v_tangents = v, tangents
        # ∂φ(v) holds −lipschitz·move + ∇(v) − ∇(y), and the two differ by at most the curvature met: an estimate.
        self._residual = move.lipschitz * float(np.linalg.norm(move.change))
        self._is_residual_exact = False

    def result(self) -> tuple[Array, float]:
        self._measure()
        return self._v, self._residual

    def _measure(self) -> None:
        if not self._is_residual_exact:
            problem = self._problem
            slopes = problem.local_model.slopes_at(self._v_tangents)
            gradient = problem.smooth_gradient_at(self._v - problem.params, slopes)
            self._residual = problem.penalty.optimality_distance(self._v, gradient)
            self._is_residual_exact = True
