"""Solvers for any penalty with a prox: a single proximal step, and the accelerated proximal gradient method."""

from typing import final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.solving import Solve, Solver
from p2pnet.optim.surrogates import SurrogateProblem, Tangents


def feasible_start(problem: SurrogateProblem) -> tuple[Array, float]:
    """(v, distance of zero to the subdifferential of φ there): w itself, or its prox where r(w) is infinite."""
    v = problem.params
    if np.isfinite(problem.penalty.value(v)):
        return v, problem.penalty.optimality_distance(v, problem.direction)
    v = problem.penalty.prox(v, 1.0 / problem.proximal_weight)
    return v, problem.penalty.optimality_distance(v, problem.smooth_gradient(v))


@final
class ProximalStep(Solver):
    """v = prox_r(w − direction/τ, 1/τ): the exact solution where the local model has no curvature (FL), in one step."""

    name = "proximal-step"

    def start(self, problem: SurrogateProblem, tolerance: float) -> "_ProximalStep":  # noqa: ARG002
        return _ProximalStep(problem)


@final
class _ProximalStep(Solve):
    def __init__(self, problem: SurrogateProblem) -> None:
        self._problem = problem
        self._v = problem.params
        self._is_done = False

    def is_converged(self) -> bool:
        return self._is_done

    def is_stalled(self) -> bool:
        return False

    def step(self) -> None:
        problem = self._problem
        tau = problem.proximal_weight
        self._v = problem.penalty.prox(problem.params - problem.direction / tau, 1.0 / tau)
        self._is_done = True

    def result(self) -> tuple[Array, float]:
        problem = self._problem
        gradient = problem.direction + problem.proximal_weight * (self._v - problem.params)
        return self._v, problem.penalty.optimality_distance(self._v, gradient)


@final
class AcceleratedProximalGradient(Solver):
    """FISTA (Beck and Teboulle 2009) with restart by the gradient's sign (O'Donoghue and Candès 2015), and with the
    step length from the curvature met on the way.
    """

    name = "accelerated-proximal-gradient"

    def start(self, problem: SurrogateProblem, tolerance: float) -> "_AcceleratedProximalGradient":
        return _AcceleratedProximalGradient(problem, tolerance)


@final
class _AcceleratedProximalGradient(Solve):
    _SHRINK = 0.95
    """of the Lipschitz estimate in each iteration, so that one steep place does not slow the rest"""

    _ROUNDING = 4.0
    """units in the last place that a move must exceed to be more than rounding"""

    def __init__(self, problem: SurrogateProblem, tolerance: float) -> None:
        self._problem = problem
        self._first_slope = float(np.linalg.norm(problem.direction))
        self._v, residual = feasible_start(problem)
        self._target = tolerance * residual
        is_at_origin = self._v is problem.params
        model = problem.local_model
        self._v_tangents = model.no_tangents() if is_at_origin else model.tangents(self._v - problem.params)
        self._y, self._y_tangents = self._v, self._v_tangents
        self._momentum = 1.0
        self._lipschitz = self._first_lipschitz()
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
        while True:
            lipschitz = self._lipschitz
            v = problem.penalty.prox(self._y - gradient / lipschitz, 1.0 / lipschitz)
            tangents = model.tangents(v - problem.params)
            move = v - self._y
            squared_length = float(move @ move)
            curvature = problem.proximal_weight
            if squared_length > 0.0:
                bend = _inner(_difference(model.slopes_at(tangents), y_slopes), _difference(tangents, self._y_tangents))
                curvature += problem.scale * bend / squared_length
            if curvature <= lipschitz * (1.0 + 1e-6):
                break
            self._lipschitz = max(1.1 * curvature, 1.5 * lipschitz)
        self._lipschitz = max(self._SHRINK * lipschitz, problem.proximal_weight)
        advance = v - self._v
        noise = (
            self._ROUNDING * float(np.finfo(v.dtype).eps) * (float(np.linalg.norm(v)) + self._first_slope / lipschitz)
        )
        self._is_stalled = squared_length <= noise**2
        if float(move @ advance) < 0.0:
            self._momentum = 1.0
            inertia = 0.0
        else:
            momentum = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * self._momentum**2))
            inertia, self._momentum = (self._momentum - 1.0) / momentum, momentum
        self._y = v + inertia * advance
        self._y_tangents = tuple(T + inertia * (T - old) for T, old in zip(tangents, self._v_tangents, strict=True))
        self._v, self._v_tangents = v, tangents
        # ∂φ(v) holds −lipschitz·move + ∇(v) − ∇(y), and the two differ by at most the curvature met: an estimate.
        self._residual = lipschitz * float(np.sqrt(squared_length))
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

    def _first_lipschitz(self) -> float:
        """The curvature along −direction: below the largest, so that the first steps raise it to what they meet."""
        problem = self._problem
        along = problem.direction
        squared_length = float(along @ along)
        if squared_length == 0.0:
            return problem.proximal_weight
        curvature = problem.local_model.curvature_at(self._v_tangents).product(along)
        return problem.proximal_weight + problem.scale * float(along @ curvature) / squared_length


def _difference(a: Tangents, b: Tangents) -> Tangents:
    return tuple(first - second for first, second in zip(a, b, strict=True))


def _inner(a: Tangents, b: Tangents) -> float:
    return sum(float(np.vdot(first, second)) for first, second in zip(a, b, strict=True))
