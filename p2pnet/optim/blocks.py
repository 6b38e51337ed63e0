"""Blocks of parameters: how they are cut, and Jacobian products that are made block by block, by several threads.

A block is a slice of the parameter vector that holds whole neurons with their fan-in, so that its Jacobian products
cost about its part of the whole. One solver works on all blocks together, so their number changes no result but by
rounding.
The paper solves each block with the others held at w (Scardapane and Di Lorenzo 2017); then each knows nothing of the
others' steps, and the proximal weight has to make up for it.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import AnyArray, Array
from p2pnet.optim.local_objective import Map, ordered_sum
from p2pnet.optim.models.base import Linearization, Model


def partition(model: Model, n_blocks: int) -> tuple[slice, ...]:
    """Partition the parameter vector into `n_blocks` slices of whole neurons and nearly equal cost.

    A neuron costs its fan-in and its fan-out. So no group of `GroupL2`
    with a group per neuron lies in two blocks. A model that does not name its neurons is cut anywhere. ConfigError if
    there are fewer neurons than blocks.
    """
    neurons = model.neurons()
    if neurons:
        ends = np.array([neuron.bias + 1 for neuron in neurons], dtype=np.intp)
        costs = np.array([len(neuron.weights) + 1 + neuron.fan_out for neuron in neurons])
    else:
        ends, costs = np.arange(1, model.n_params + 1), np.ones(model.n_params)
    if not 1 <= n_blocks <= len(ends):
        raise ConfigError(f"{n_blocks} blocks of {model.describe()}: from 1 to {len(ends)} (its neurons) are possible")
    bounds = [0, *(int(ends[last]) for last in _last_of_each(costs, n_blocks))]
    return tuple(slice(start, stop) for start, stop in pairwise(bounds))


def _last_of_each(costs: AnyArray, n_blocks: int) -> list[int]:
    """The last item of each of `n_blocks` runs of items, cut where the cumulated cost is nearest to equal parts."""
    cumulated = np.cumsum(costs)
    lasts: list[int] = []
    for index in range(1, n_blocks):
        nearest = int(np.argmin(np.abs(cumulated - cumulated[-1] * index / n_blocks)))
        # Every block keeps at least one item, this one and those to come.
        earliest = lasts[-1] + 1 if lasts else 0
        lasts.append(min(max(nearest, earliest), len(costs) - 1 - (n_blocks - index)))
    return [*lasts, len(costs) - 1]


@final
class LinearizationInBlocks(Linearization):
    """A linearization of which products are made by block: J d = Σ_c J_c d_c and Jᵀu = (J_cᵀ u)_c.

    `block_map` computes the blocks' parts, in several threads at once for that of a pool.
    """

    def __init__(self, whole: Linearization, blocks: Sequence[slice], block_map: Map) -> None:
        self._whole = whole
        self._parts = [(block, whole.restricted(block)) for block in blocks]
        self._map = block_map
        self.predictions = whole.predictions
        self.n_params = whole.n_params
        self.forms_jacobian = whole.forms_jacobian

    def jvp(self, step: Array) -> Array:
        return ordered_sum(list(self._map(lambda part: part[1].jvp(step[part[0]]), self._parts)))

    def vjp(self, cotangents: Array) -> Array:
        return np.concatenate(list(self._map(lambda part: part[1].vjp(cotangents), self._parts)))

    def jacobian(self) -> Array:
        return np.concatenate(list(self._map(lambda part: part[1].jacobian(), self._parts)), axis=1)

    def squared_column_norms(self, cotangents: Array) -> Array:
        return np.concatenate(list(self._map(lambda part: part[1].squared_column_norms(cotangents), self._parts)))

    def along(self, scores: Array) -> Linearization:
        return self._whole.along(scores)

    def restricted(self, block: slice) -> Linearization:
        return self._whole.restricted(block)
