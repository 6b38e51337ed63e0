"""The problem of a local step in the span of the main inputs, and across it.

Across the span the curvature of φ is D = τ + ∇²r. With B the isometry of the span, g = ŷ + ∇r(w), and D the same along
all weights of a neuron, the minimiser is d = B c − (I − B Bᵀ) g / D, with c the minimiser of φ(B c) over coordinates.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.input_span import InputSpan
from p2pnet.optim.penalties.base import SmoothPenalty, in_precision_of
from p2pnet.optim.surrogates.problem import SurrogateProblem
from p2pnet.optim.surrogates.spanned import SpannedModel


@final
@dataclass(frozen=True, slots=True, eq=False)
class ProblemInSpan:
    """φ in two parts that do not interact."""

    span: InputSpan
    along: SurrogateProblem
    """as a function of coordinates, from 0"""
    step_across: Array
    """−(I − B Bᵀ) g / D, (n_params,), at which nothing is left of the residual across the span"""
    residual: float
    """‖g‖, at d = 0"""


def problem_in_span(problem: SurrogateProblem) -> ProblemInSpan | None:
    """The parts of φ; None where the local model sees all inputs, or curvature of the penalty differs in a neuron."""
    model, penalty = problem.local_model, problem.penalty
    if not isinstance(model, SpannedModel) or not isinstance(penalty, SmoothPenalty):
        return None
    span = model.span
    bending = in_precision_of(problem.params, penalty.curvature())
    bending_along = span.diagonal_in_coordinates(bending)
    if bending_along is None:
        return None
    gradient = penalty.gradient(problem.params).astype(problem.params.dtype, copy=False) + problem.direction
    along = span.projected(gradient)
    step_across = span.expanded(along)
    step_across -= gradient
    step_across /= problem.proximal_weight + bending
    quadratic = _Quadratic(penalty.value(problem.params), bending_along)
    thin = SurrogateProblem(model.thin, np.zeros_like(along), along, quadratic, problem.proximal_weight, problem.scale)
    return ProblemInSpan(span, thin, step_across, float(np.linalg.norm(gradient)))


@final
class _Quadratic(SmoothPenalty):
    """r(w) + ½ dᵀ ∇²r d: a smooth penalty as a function of the step, without its gradient at w."""

    def __init__(self, value_at_origin: float, bending: float | Array) -> None:
        self._value_at_origin = value_at_origin
        self._bending = bending

    def describe(self) -> str:
        return "a quadratic of the step"

    def value(self, params: Array) -> float:
        return self._value_at_origin + 0.5 * float(params @ (self._bending * params))

    def gradient(self, params: Array) -> Array:
        return self._bending * params

    def curvature(self) -> float | Array:
        return self._bending

    def prox(self, params: Array, step: float) -> Array:
        return params / (1.0 + step * self._bending)
