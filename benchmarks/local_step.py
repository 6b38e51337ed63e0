"""A local step as it is measured: of a small shard and of a large one."""

import time
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from sklearn.datasets import load_digits

from p2pnet.optim.arrays import AnyArray, Array
from p2pnet.optim.blocks import partition
from p2pnet.optim.local_objective import LocalObjective, Map, serial_map
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.by_name import penalty_by_name
from p2pnet.optim.solvers.base import Solution
from p2pnet.optim.solvers.best_response import BestResponseSolver
from p2pnet.optim.surrogates.partial import PartialLinearization
from p2pnet.optim.surrogates.problem import SurrogateProblem

N_CG_STEPS = 10

Shard: TypeAlias = tuple[Mlp, Array, AnyArray]
"""A network, inputs and labels."""


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def digits_shard() -> Shard:
    X, Y = load_digits(return_X_y=True)
    return Mlp((64, 32, 10)), X[:180] / 16.0, Y[:180]


def large_shard(is_small: bool) -> Shard:
    n_samples = 500 if is_small else 20_000
    rng = np.random.default_rng(0)
    return Mlp((784, 256, 10)), rng.standard_normal((n_samples, 784)), rng.integers(0, 10, n_samples)


def wide_shard() -> Shard:
    rng = np.random.default_rng(0)
    return Mlp((200, 1000, 10)), rng.standard_normal((1000, 200)), rng.integers(0, 10, 1000)


class LocalStep:
    """A PL local step of a shard: linearize the network, then a fixed number of conjugate-gradient steps."""

    def __init__(self, shard: Shard, n_chunks: int = 1, n_blocks: int = 1, pool_map: Map = serial_map) -> None:
        self.model, X, Y = shard
        self.cost = LocalObjective(self.model, SoftmaxCrossEntropy(), X, Y, n_chunks=n_chunks, chunk_map=pool_map)
        self.params = self.model.init(np.random.default_rng(1))
        self.penalty = penalty_by_name("l2", self.model, 1e-4)
        self.solver = BestResponseSolver("cg", partition(self.model, n_blocks), pool_map)

    def problem(self) -> SurrogateProblem:
        local_model = PartialLinearization().local_model(self.cost, self.params, np.random.default_rng(2))
        return SurrogateProblem(local_model, self.params, local_model.gradient_at_origin, self.penalty, 0.1)

    def __call__(self) -> Solution:
        return self.solver.solve(self.problem(), tolerance=0.0, max_iterations=N_CG_STEPS, should_stop=lambda: False)
