"""Proximal-gradient steps: start, step length, and the single step that solves full linearisation."""

from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.solvers.base import Solve, Solver
from p2pnet.optim.surrogates.base import Tangents
from p2pnet.optim.surrogates.problem import SurrogateProblem


def feasible_start(problem: SurrogateProblem) -> tuple[Array, Tangents, float]:
    """Compute a feasible start: (v, its tangents, distance of zero to the subdifferential of φ there).

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
            change_of_slopes = _inner(_difference(v_slopes, slopes), _difference(v_tangents, tangents))
            curvature += problem.scale * change_of_slopes / squared_length
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


def _difference(a: Tangents, b: Tangents) -> Tangents:
    return tuple(first - second for first, second in zip(a, b, strict=True))


def _inner(a: Tangents, b: Tangents) -> float:
    return sum(float(np.vdot(first, second)) for first, second in zip(a, b, strict=True))
