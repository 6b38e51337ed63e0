"""The group lasso over the fan-in of neurons, or over other groups of parameters."""

from typing import final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array, IndexArray
from p2pnet.optim.models.base import Neuron
from p2pnet.optim.penalties.active_set import ActiveSet, GroupActiveSet
from p2pnet.optim.penalties.base import NonsmoothPenalty, checked_strength, in_precision_of


@final
class GroupL2(NonsmoothPenalty):
    """r(w) = strength · Σ_g √(size of g) ‖w_g‖ over disjoint groups (group lasso; Yuan and Lin 2006).

    `group_of`, (n_params,) of int: the group of each parameter, −1 for none. prox shrinks each group towards zero by
    step · strength · √size and sets it to zero exactly when it is shorter than that. With the fan-in weights of a
    neuron as its group (`neuron_groups`), whole neurons go: a neuron without fan-in puts out a constant, which
    `Mlp.pruned` moves into the biases of the next layer.
    """

    def __init__(self, strength: float, group_of: IndexArray) -> None:
        self._strength = checked_strength("group", strength)
        self._given = group_of
        # Parameters without a group share one more group of weight zero at the end: no masks in the formulas.
        _, self._group = np.unique(np.where(group_of < 0, np.iinfo(np.intp).max, group_of), return_inverse=True)
        self._n_groups = int(self._group.max(initial=-1)) + 1
        self._weights = strength * np.sqrt(np.bincount(self._group, minlength=self._n_groups).astype(np.float64))
        self._weights[np.unique(self._group[group_of < 0])] = 0.0

    def describe(self) -> str:
        return f"group {self._strength:g}"

    def value(self, params: Array) -> float:
        return float(in_precision_of(params, self._weights) @ self._norms(params))

    def prox(self, params: Array, step: float) -> Array:
        norms = self._norms(params)
        kept = np.maximum(norms - step * in_precision_of(params, self._weights), 0.0)
        factors = np.divide(kept, norms, out=np.ones_like(norms), where=norms > 0.0)
        return params * factors[self._group]

    def optimality_distance(self, params: Array, gradient: Array) -> float:
        norms = self._norms(params)
        is_zero, weights = norms == 0.0, in_precision_of(params, self._weights)
        directions = params * np.divide(weights, norms, out=np.zeros_like(norms), where=~is_zero)[self._group]
        away_from_zero = self._norms(gradient + directions)
        distances = np.where(is_zero, np.maximum(away_from_zero - weights, 0.0), away_from_zero)
        return float(np.linalg.norm(distances))

    def active_set(self, params: Array) -> ActiveSet:
        norms, weights = self._norms(params), in_precision_of(params, self._weights)
        curvatures = np.divide(weights, norms, out=np.zeros_like(norms), where=norms > 0.0)
        units = params * np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0.0)[self._group]
        is_free = (norms > 0.0) | (weights == 0.0)
        return GroupActiveSet(is_free[self._group], params * curvatures[self._group], units, curvatures, self._group)

    def _norms(self, params: Array) -> Array:
        # bincount adds up in float64 whatever the parameters are, but there are few groups.
        norms: Array = np.sqrt(np.bincount(self._group, weights=np.square(params), minlength=self._n_groups))
        return norms.astype(params.dtype, copy=False)


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
