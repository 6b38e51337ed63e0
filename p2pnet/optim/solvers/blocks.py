"""Blocks of parameters: partition of the vector, and parallel best responses of the blocks.

Each block minimises φ over its own parameters with the others held at w (Jacobi, as NEXT's agents among themselves do);
the best responses are then put together. A block is a slice of the parameter vector that holds whole neurons with
their fan-in, so that its Jacobian products cost about its part of the whole.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import AnyArray
from p2pnet.optim.local_objective import Map
from p2pnet.optim.models.base import Model
from p2pnet.optim.solvers.base import Solution, Status
from p2pnet.optim.surrogates.problem import SurrogateProblem


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


def solve_blocks(
    problem: SurrogateProblem,
    blocks: Sequence[slice],
    solve_block: Callable[[SurrogateProblem], Solution],
    block_map: Map,
) -> Solution:
    """Compute the best responses of all blocks in parallel: each minimises φ over its parameters, others held at w.

    `solve_block` is called for each block's problem, by `block_map`, possibly in several threads at once. Status is
    that of the least successful block, the number of iterations is the largest, and the residual is √(Σ of the blocks'
    squared residuals), each with the others at w. ConfigError if a block cuts through a neuron or a penalty's group.
    """
    solutions = list(block_map(lambda block: solve_block(problem.restricted(block)), blocks))
    return Solution(
        best_response=np.concatenate([solution.best_response for solution in solutions]),
        status=max((solution.status for solution in solutions), key=_BY_SUCCESS.index),
        n_iterations=max(solution.n_iterations for solution in solutions),
        optimality_residual=math.sqrt(sum(solution.optimality_residual**2 for solution in solutions)),
    )


_BY_SUCCESS: Final = (Status.CONVERGED, Status.STALLED, Status.ITERATION_LIMIT, Status.STOPPED)
