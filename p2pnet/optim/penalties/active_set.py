"""Active sets: the smooth pieces of nonsmooth penalties.

Around a point w, a penalty such as l1 is smooth in the free parameters, those that are not at a kink or at a bound, and
holds the active ones where they are. Newton's method moves the free parameters; proximal steps change the active set.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.optim.arrays import Array, BoolArray, IndexArray


class ActiveSet(ABC):
    """r near one point w as a function of the free parameters, the active ones held at w."""

    is_free: BoolArray
    """(n_params,)"""
    gradient: Array
    """∇r along the free parameters, (n_params,); without meaning elsewhere"""

    @abstractmethod
    def curvature(self, step: Array) -> Array:
        """∇²r step along the free parameters, (n_params,)."""

    @abstractmethod
    def projected(self, params: Array) -> Array:
        """The nearest point to `params` at which r has the same smooth piece; may overwrite `params`."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class OrthantActiveSet(ActiveSet):
    """Of Σ l1 |w_i| + l2/2 w_i²: signs stay as they are, zeros stay zero."""

    is_free: BoolArray
    gradient: Array
    l2: float | Array
    signs: Array
    """of the parameters under l1; 0 for those that may change theirs"""

    def curvature(self, step: Array) -> Array:
        return self.l2 * step

    def projected(self, params: Array) -> Array:
        params[params * self.signs < 0.0] = 0.0
        return params


@final
@dataclass(frozen=True, slots=True, eq=False)
class BoxActiveSet(ActiveSet):
    """Of a box: parameters at a bound stay there."""

    is_free: BoolArray
    gradient: Array
    lower: float | Array
    upper: float | Array

    def curvature(self, step: Array) -> Array:
        return np.zeros_like(step)

    def projected(self, params: Array) -> Array:
        return np.clip(params, self.lower, self.upper, out=params)


@final
@dataclass(frozen=True, slots=True, eq=False)
class GroupActiveSet(ActiveSet):
    """Of Σ weight_g ‖w_g‖: groups at zero stay there. ∇²r = weight_g/‖w_g‖ (I − u uᵀ) for each other, u = w_g/‖w_g‖."""

    is_free: BoolArray
    gradient: Array
    units: Array
    """u, (n_params,)"""
    curvatures: Array
    """weight_g/‖w_g‖, for each group"""
    group: IndexArray

    def curvature(self, step: Array) -> Array:
        along = np.bincount(self.group, weights=self.units * step, minlength=len(self.curvatures))
        along = along.astype(step.dtype, copy=False)
        curvature: Array = self.curvatures[self.group] * (step - self.units * along[self.group])
        return curvature

    def projected(self, params: Array) -> Array:
        return params
