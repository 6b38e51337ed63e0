"""Convex penalties r(w) of the parameters: value, proximal operator, and distance from optimality.

    prox(w, s)                 = argmin_v  r(v) + ‖v − w‖² / (2 s)
    optimality_distance(w, g)  = min { ‖g + q‖ : q ∈ ∂r(w) },  zero exactly where w minimises (gᵀw + r) to first order

`penalized`, (n_params,) of bool, says which parameters a penalty acts on (None: all). Biases are usually left out:
`penalty_by_name` does so. On the others r is zero and prox the identity.

Every penalty here is separable over parameters, or over neurons for `GroupL2`; `restricted(block)` is its part.
"""

from abc import ABC, abstractmethod
from typing import Self, final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array, BoolArray, IndexArray
from p2pnet.optim.faces import BoxFace, Face, GroupFace, OrthantFace
from p2pnet.optim.models import Model, Neuron


class Penalty(ABC):
    """A convex function r of the parameters with a prox in closed form."""

    @abstractmethod
    def describe(self) -> str:
        """Name and strength; agents compare it before they train together."""

    @abstractmethod
    def value(self, params: Array) -> float:
        """r(params); infinite where the constraints of a box are broken."""

    @abstractmethod
    def prox(self, params: Array, step: float) -> Array:
        """The v that minimises r(v) + ‖v − params‖² / (2 step), (n_params,); a new array."""

    @abstractmethod
    def optimality_distance(self, params: Array, gradient: Array) -> float:
        """Distance of −gradient to the subdifferential of r at params; infinite outside r's domain."""

    @abstractmethod
    def restricted(self, block: slice) -> "Penalty":
        """The penalty as a function of the parameters of `block` alone."""


class SmoothPenalty(Penalty):
    """A penalty with a gradient and a constant, diagonal second derivative."""

    @abstractmethod
    def gradient(self, params: Array) -> Array:
        """∇r(params), (n_params,)."""

    @abstractmethod
    def curvature(self) -> float | Array:
        """The diagonal of ∇²r, a number if it is the same for all, else (n_params,)."""

    def optimality_distance(self, params: Array, gradient: Array) -> float:
        return float(np.linalg.norm(gradient + self.gradient(params)))

    @abstractmethod
    def restricted(self, block: slice) -> "SmoothPenalty": ...


class KinkedPenalty(Penalty):
    """A penalty with kinks or bounds, smooth on faces between them."""

    @abstractmethod
    def face(self, params: Array) -> Face:
        """The face that `params`, where r is finite, lies on."""

    @abstractmethod
    def restricted(self, block: slice) -> "KinkedPenalty": ...


@final
class NoPenalty(SmoothPenalty):
    """r = 0."""

    def describe(self) -> str:
        return "none"

    def value(self, params: Array) -> float:
        return 0.0

    def gradient(self, params: Array) -> Array:
        return np.zeros_like(params)

    def curvature(self) -> float:
        return 0.0

    def prox(self, params: Array, step: float) -> Array:
        return params.copy()

    def restricted(self, block: slice) -> Self:
        return self


@final
class SquaredL2(SmoothPenalty):
    """r(w) = strength/2 · Σ w_i² over the penalized parameters (ridge, weight decay).

    prox(w, s) = w / (1 + s strength).
    """

    def __init__(self, strength: float, penalized: BoolArray | None = None) -> None:
        self._strength = _checked("l2", strength)
        self._penalized = penalized
        self._weights = _masked(strength, penalized)

    def describe(self) -> str:
        return f"l2 {self._strength:g}"

    def value(self, params: Array) -> float:
        return 0.5 * float(params @ (self._weights * params))

    def gradient(self, params: Array) -> Array:
        return self._weights * params

    def curvature(self) -> float | Array:
        return self._weights

    def prox(self, params: Array, step: float) -> Array:
        return (params / (1.0 + step * self._weights)).astype(params.dtype, copy=False)

    def restricted(self, block: slice) -> "SquaredL2":
        return SquaredL2(self._strength, _part(self._penalized, block))


@final
class ElasticNet(KinkedPenalty):
    """r(w) = strength · Σ ( ratio |w_i| + (1 − ratio)/2 w_i² ) over the penalized parameters (scikit-learn's scaling).

    prox(w, s) = sign(w) max(|w| − s strength ratio, 0) / (1 + s strength (1 − ratio)). `l1_ratio` 1 is the l1 penalty
    (lasso), which sets parameters to zero exactly.
    """

    def __init__(self, strength: float, l1_ratio: float = 0.5, penalized: BoolArray | None = None) -> None:
        if not 0.0 <= l1_ratio <= 1.0:
            raise ConfigError(f"elastic-net: l1_ratio is {l1_ratio}; it must be from 0 to 1")
        self._strength = _checked("l1" if l1_ratio == 1.0 else "elastic-net", strength)
        self._l1_ratio = l1_ratio
        self._penalized = penalized
        self._l1 = _masked(strength * l1_ratio, penalized)
        self._l2 = _masked(strength * (1.0 - l1_ratio), penalized)

    def describe(self) -> str:
        if self._l1_ratio == 1.0:
            return f"l1 {self._strength:g}"
        return f"elastic-net {self._strength:g} l1_ratio={self._l1_ratio:g}"

    def value(self, params: Array) -> float:
        return float(np.sum(self._l1 * np.abs(params)) + 0.5 * np.sum(self._l2 * np.square(params)))

    def prox(self, params: Array, step: float) -> Array:
        shrunk = np.maximum(np.abs(params) - step * self._l1, 0.0)
        return (np.copysign(shrunk, params) / (1.0 + step * self._l2)).astype(params.dtype, copy=False)

    def optimality_distance(self, params: Array, gradient: Array) -> float:
        slope = gradient + self._l2 * params
        at_zero = np.maximum(np.abs(slope) - self._l1, 0.0)
        return float(np.linalg.norm(np.where(params == 0.0, at_zero, slope + self._l1 * np.sign(params))))

    def face(self, params: Array) -> Face:
        is_free = (params != 0.0) | (self._l1 == 0.0)
        signs = np.sign(params) * (self._l1 > 0.0)
        return OrthantFace(is_free, self._l1 * signs + self._l2 * params, self._l2, signs)

    def restricted(self, block: slice) -> "ElasticNet":
        return ElasticNet(self._strength, self._l1_ratio, _part(self._penalized, block))


def l1(strength: float, penalized: BoolArray | None = None) -> ElasticNet:
    """r(w) = strength · Σ |w_i| over the penalized parameters (lasso)."""
    return ElasticNet(strength, 1.0, penalized)


@final
class GroupL2(KinkedPenalty):
    """r(w) = strength · Σ_g √(size of g) ‖w_g‖ over disjoint groups (group lasso; Yuan and Lin 2006).

    `group_of`, (n_params,) of int: the group of each parameter, −1 for none. prox shrinks each group towards zero by
    step · strength · √size and sets it to zero exactly when it is shorter than that. With the fan-in weights of a
    neuron as its group (`neuron_groups`), whole neurons go: a neuron without fan-in puts out a constant, which
    `Mlp.pruned` moves into the biases of the next layer.
    """

    def __init__(self, strength: float, group_of: IndexArray) -> None:
        self._strength = _checked("group", strength)
        self._given = group_of
        # Parameters without a group share one more group of weight zero at the end: no masks in the formulas.
        _, self._group = np.unique(np.where(group_of < 0, np.iinfo(np.intp).max, group_of), return_inverse=True)
        self._n_groups = int(self._group.max(initial=-1)) + 1
        self._weights = strength * np.sqrt(np.bincount(self._group, minlength=self._n_groups).astype(np.float64))
        self._weights[np.unique(self._group[group_of < 0])] = 0.0

    def describe(self) -> str:
        return f"group {self._strength:g}"

    def value(self, params: Array) -> float:
        return float(self._weights @ self._norms(params))

    def prox(self, params: Array, step: float) -> Array:
        norms = self._norms(params)
        kept = np.maximum(norms - step * self._weights, 0.0)
        factors = np.divide(kept, norms, out=np.ones_like(norms), where=norms > 0.0)
        return (params * factors[self._group]).astype(params.dtype, copy=False)

    def optimality_distance(self, params: Array, gradient: Array) -> float:
        norms = self._norms(params)
        is_zero = norms == 0.0
        directions = params * np.divide(self._weights, norms, out=np.zeros_like(norms), where=~is_zero)[self._group]
        away_from_zero = self._norms(gradient + directions)
        distances = np.where(is_zero, np.maximum(away_from_zero - self._weights, 0.0), away_from_zero)
        return float(np.linalg.norm(distances))

    def face(self, params: Array) -> Face:
        norms = self._norms(params)
        bends = np.divide(self._weights, norms, out=np.zeros_like(norms), where=norms > 0.0)
        units = params * np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0.0)[self._group]
        is_free = (norms > 0.0) | (self._weights == 0.0)
        return GroupFace(is_free[self._group], params * bends[self._group], units, bends, self._group)

    def restricted(self, block: slice) -> "GroupL2":
        part = self._given[block]
        outside = np.concatenate([self._given[: block.start], self._given[block.stop :]])
        if np.isin(part[part >= 0], outside).any():
            raise ConfigError(f"block {block.start}:{block.stop} cuts through a group of the penalty")
        return GroupL2(self._strength, part)

    def _norms(self, params: Array) -> Array:
        return np.sqrt(np.bincount(self._group, weights=np.square(params), minlength=self._n_groups))


@final
class Box(KinkedPenalty):
    """r(w) = 0 where lower ≤ w_i ≤ upper for all penalized parameters, infinite elsewhere; prox clips.

    lower = 0 and upper = ∞ is non-negativity.
    """

    def __init__(self, lower: float, upper: float, penalized: BoolArray | None = None) -> None:
        if not lower < upper:
            raise ConfigError(f"box [{lower}, {upper}]: the lower bound must be below the upper")
        self._bounds = lower, upper
        self._penalized = penalized
        self._lower: float | Array = lower if penalized is None else np.where(penalized, lower, -np.inf)
        self._upper: float | Array = upper if penalized is None else np.where(penalized, upper, np.inf)

    def describe(self) -> str:
        lower, upper = self._bounds
        return "non-negative" if lower == 0.0 and upper == np.inf else f"box {lower:g} {upper:g}"

    def value(self, params: Array) -> float:
        return 0.0 if self._is_inside(params) else np.inf

    def prox(self, params: Array, step: float) -> Array:
        return np.clip(params, self._lower, self._upper).astype(params.dtype, copy=False)

    def optimality_distance(self, params: Array, gradient: Array) -> float:
        if not self._is_inside(params):
            return np.inf
        # On a face only the part that would lead back inside counts.
        violation = np.where(params <= self._lower, np.minimum(gradient, 0.0), gradient)
        violation = np.where(params >= self._upper, np.maximum(violation, 0.0), violation)
        return float(np.linalg.norm(violation))

    def face(self, params: Array) -> Face:
        is_free = (params > self._lower) & (params < self._upper)
        return BoxFace(is_free, np.zeros_like(params), self._lower, self._upper)

    def restricted(self, block: slice) -> "Box":
        return Box(*self._bounds, _part(self._penalized, block))

    def _is_inside(self, params: Array) -> bool:
        return bool(np.all(params >= self._lower) and np.all(params <= self._upper))


def non_negativity(penalized: BoolArray | None = None) -> Box:
    """r(w) = 0 where all penalized w_i ≥ 0, infinite elsewhere."""
    return Box(0.0, np.inf, penalized)


def neuron_groups(neurons: tuple[Neuron, ...], n_params: int, is_bias_penalized: bool = False) -> IndexArray:
    """`group_of` with one group per neuron: its fan-in weights (and its bias, if asked); −1 elsewhere.

    Output neurons are groups too: were they free, the network could shrink hidden weights and grow output weights at
    no cost.
    """
    if not neurons:
        raise ConfigError("the group penalty needs a model that names its neurons; this one does not")
    group_of = np.full(n_params, -1, dtype=np.intp)
    for index, neuron in enumerate(neurons):
        group_of[neuron.weights] = index
        if is_bias_penalized:
            group_of[neuron.bias] = index
    return group_of


def penalty_by_name(
    name: str,
    model: Model,
    strength: float = 0.0,
    *,
    l1_ratio: float = 0.5,
    lower: float = -1.0,
    upper: float = 1.0,
    is_bias_penalized: bool = False,
) -> Penalty:
    """The penalty called `name` for the parameters of `model`; ConfigError if there is none."""
    penalized = None if is_bias_penalized else ~model.is_bias()
    match name:
        case "none":
            return NoPenalty()
        case "l2":
            return SquaredL2(strength, penalized)
        case "l1":
            return l1(strength, penalized)
        case "elastic-net":
            return ElasticNet(strength, l1_ratio, penalized)
        case "group":
            return GroupL2(strength, neuron_groups(model.neurons(), model.n_params, is_bias_penalized))
        case "box":
            return Box(lower, upper, penalized)
        case "non-negative":
            return non_negativity(penalized)
    known = "none, l2, l1, elastic-net, group, box, non-negative"
    raise ConfigError(f"unknown penalty {name!r}; known are {known}")


def _checked(name: str, strength: float) -> float:
    if not 0.0 <= strength < np.inf:
        raise ConfigError(f"{name}: strength is {strength}; it must be 0 or more")
    return strength


def _masked(strength: float, penalized: BoolArray | None) -> float | Array:
    return strength if penalized is None else np.where(penalized, strength, 0.0)


def _part(mask: BoolArray | None, block: slice) -> BoolArray | None:
    return None if mask is None else mask[block]
