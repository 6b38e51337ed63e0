"""Solvers for any penalty with a prox: a single proximal step, and the accelerated proximal gradient method."""

from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.solving import Solve, Solver
from p2pnet.optim.surrogates import SurrogateProblem, Tangents


def feasible_start(problem: SurrogateProblem) -> tuple[Array, Tangents, float]:
    """Where to start: (v, its tangents, distance of zero to the subdifferential of φ there).

    v is w itself, or its prox where r(w) is infinite.
    """
    v, model = problem.params, problem.local_model
    if np.isfinite(problem.penalty.value(v)):
        return v, model.no_tangents(), problem.penalty.optimality_distance(v, problem.direction)
    v = problem.penalty.prox(v, 1.0 / problem.proximal_weight)
    tangents = model.tangents(v - problem.params)
    gradient = problem.smooth_gradient_at(v - problem.params, model.slopes_at(tangents))
    return v, tangents, problem.penalty.optimality_distance(v, gradient)


def first_lipschitz(problem: SurrogateProblem) -> float:
    """The curvature of φ's smooth part along −direction; seldom its largest: steps raise it to what they meet."""
    along = problem.direction
    squared_length = float(along @ along)
    if squared_length == 0.0:
        return problem.proximal_weight
    model = problem.local_model
    curvature = model.curvature_at(model.no_tangents()).product(along)
    return problem.proximal_weight + problem.scale * float(along @ curvature) / squared_length


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """A proximal-gradient step from y to v."""

    v: Array
    tangents: Tangents
    slopes: Tangents
    change: Array
    """v − y"""
    lipschitz: float
    """1 / step length"""
    is_rounding: bool
    """whether the change is no more than rounding"""


def proximal_move(
    problem: SurrogateProblem, y: Array, tangents: Tangents, slopes: Tangents, gradient: Array, lipschitz: float
) -> Move:
    """To v = prox_r(y − gradient/L, 1/L), L raised from `lipschitz` until it bounds the curvature between y and v.

    tangents, slopes, gradient: those of the smooth part at y.
    """
    model = problem.local_model
    while True:
        v = problem.penalty.prox(y - gradient / lipschitz, 1.0 / lipschitz)
        v_tangents = model.tangents(v - problem.params)
        v_slopes = model.slopes_at(v_tangents)
        change = v - y
        squared_length = float(change @ change)
        curvature = problem.proximal_weight
        if squared_length > 0.0:
            bend = _inner(_difference(v_slopes, slopes), _difference(v_tangents, tangents))
            curvature += problem.scale * bend / squared_length
        if curvature <= lipschitz * (1.0 + 1e-6):
            break
        lipschitz = max(1.1 * curvature, 1.5 * lipschitz)
    rounding = 4.0 * float(np.finfo(v.dtype).eps)
    size = float(np.linalg.norm(v)) + float(np.linalg.norm(problem.direction)) / lipschitz
    return Move(v, v_tangents, v_slopes, change, lipschitz, is_rounding=squared_length <= (rounding * size) ** 2)


@final
class ProximalStep(Solver):
    """v = prox_r(w − direction/τ, 1/τ): the exact solution where the local model has no curvature (FL), in one step."""

    name = "proximal-step"

    def start(self, problem: SurrogateProblem, tolerance: float) -> "_ProximalStep":
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
            momentum = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * self._momentum**2))
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


def _difference(a: Tangents, b: Tangents) -> Tangents:
    return tuple(first - second for first, second in zip(a, b, strict=True))


def _inner(a: Tangents, b: Tangents) -> float:
    return sum(float(np.vdot(first, second)) for first, second in zip(a, b, strict=True))
