"""Convex local models of an agent's objective.

A local model g̃ around w stands in for mean_k (see `local_objective`). It has mean_k's value and gradient at w, and
beyond first order an excess that is convex:

    g̃(w + d) = mean_k(w) + ∇mean_k(w)ᵀd + e(J d),     e(T) = h(T) − h(0) − ⟨∇h(0), T⟩ ≥ 0,

with J d the tangents of the predictions and h(T) the mean loss at predictions f(w) + T. Full linearisation has e = 0.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from p2pnet.optim.arrays import Array
from p2pnet.optim.input_span import InputSpan
from p2pnet.optim.local_objective import LocalObjective, Map

Tangents: TypeAlias = tuple[Array, ...]
"""Tangents or cotangents of the predictions: one array (n_samples, n_outputs) for each chunk of samples."""


def combined(start: Tangents, length: float, along: Tangents) -> Tangents:
    """The tangents start + length · along: those of a step, too, are linear in it."""
    return tuple(T + length * D for T, D in zip(start, along, strict=True))


class Curvature(ABC):
    """Jᵀ ∇²h J: the second derivative of a local model at one point, as an operator."""

    @abstractmethod
    def tangents_and_product(self, step: Array) -> tuple[Tangents, Array]:
        """J step, and Jᵀ ∇²h J step, (n_params,), a new array."""

    def product(self, step: Array) -> Array:
        """Jᵀ ∇²h J step, (n_params,); a new array."""
        return self.tangents_and_product(step)[1]

    @abstractmethod
    def diagonal(self) -> Array:
        """The diagonal of Jᵀ ∇²h J, (n_params,)."""

    @abstractmethod
    def factor(self) -> Array:
        """M, (n_rows, n_params), with MᵀM = Jᵀ ∇²h J. Formed in memory: for small problems."""


class LocalModel(ABC):
    """g̃ around w as a function of d = v − w."""

    n_params: int
    value_at_origin: float
    """g̃(w) = mean_k(w)"""
    gradient_at_origin: Array
    """∇g̃(w) = ∇mean_k(w); exact also where the curvature is from a subsample"""
    is_quadratic: bool
    """whether ∇²g̃ is the same everywhere"""

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """Predictions that the excess depends on: samples · outputs."""

    @property
    @abstractmethod
    def forms_jacobian(self) -> bool:
        """Whether `Curvature.factor` is cheaper than n_params products."""

    @abstractmethod
    def tangents(self, step: Array) -> Tangents:
        """T = J step."""

    @abstractmethod
    def no_tangents(self) -> Tangents:
        """T = 0: the tangents of no step."""

    @abstractmethod
    def excess_at(self, tangents: Tangents) -> float:
        """e(T) = h(T) − h(0) − ⟨∇h(0), T⟩."""

    @abstractmethod
    def slopes_at(self, tangents: Tangents) -> Tangents:
        """∇e(T) = ∇h(T) − ∇h(0)."""

    @abstractmethod
    def vjp(self, slopes: Tangents) -> Array:
        """Jᵀ slopes, (n_params,); a new array."""

    @abstractmethod
    def curvature_at(self, tangents: Tangents) -> Curvature:
        """Jᵀ ∇²h(T) J."""

    def in_blocks(self, blocks: Sequence[slice], block_map: Map) -> "LocalModel":
        """The same model, with Jacobian products made by `block_map` block by block, where they are what it costs."""
        return self

    def along(self, span: InputSpan) -> "LocalModel":
        """The model with its curvature in the span of the main inputs only, where it can be cheaper for that."""
        return self

    def value(self, step: Array) -> float:
        """g̃(w + step)."""
        return self.value_at_origin + float(self.gradient_at_origin @ step) + self.excess_at(self.tangents(step))

    def gradient(self, step: Array) -> Array:
        """∇g̃(w + step), (n_params,)."""
        return self.vjp(self.slopes_at(self.tangents(step))) + self.gradient_at_origin

    def curvature(self, step: Array) -> Curvature:
        """∇²g̃(w + step)."""
        return self.curvature_at(self.tangents(step))


class Surrogate(ABC):
    """How an agent's objective is made convex around its parameters."""

    name: str

    @abstractmethod
    def local_model(self, objective: LocalObjective, params: Array, rng: np.random.Generator) -> LocalModel:
        """g̃ around `params`, which must not be changed while the model is in use. `rng` draws subsamples, if any."""
