"""A local step of a module of PyTorch, beside that of the built-in network of the same layers."""

import time
from collections.abc import Iterator
from typing import final

import numpy as np
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from benchmarks.base import Benchmark, Figure
from benchmarks.local_step import N_CG_STEPS
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.base import Model
from p2pnet.optim.models.factory import ModelRequest, load_model
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.by_name import penalty_by_name
from p2pnet.optim.solvers.base import solve
from p2pnet.optim.solvers.conjugate_gradients import ConjugateGradients
from p2pnet.optim.surrogates.partial import PartialLinearization
from p2pnet.optim.surrogates.problem import SurrogateProblem

SIZES = (64, 320, 352, 10)
N_SAMPLES, N_STEPS = 360, 3


def module() -> object:
    """The same layers as a module, in the built-in network's precision."""
    from torch import nn

    first, second, third, last = SIZES
    return nn.Sequential(
        nn.Linear(first, second), nn.Tanh(), nn.Linear(second, third), nn.Tanh(), nn.Linear(third, last)
    ).double()


@final
class OwnModel(Benchmark):
    """A local step of 10 iterations on 360 digits at 137,000 parameters in double precision: processor seconds."""

    name = "own-model"
    runs = 3

    def run(self, is_small: bool) -> Iterator[Figure]:
        with threadpool_limits(1):
            built_in = processor_seconds(Mlp(SIZES))
            own = processor_seconds(load_model(f"{__name__}:module", ModelRequest(SIZES[0], SIZES[-1])))
        yield Figure("built-in network", built_in, "s")
        yield Figure("module of PyTorch", own, "s", at_most=2.0 * built_in)


def processor_seconds(model: Model) -> float:
    """The least of a few local steps: linearize, some conjugate-gradient steps, and the value at their end."""
    X, Y = load_digits(return_X_y=True)
    cost = LocalObjective(model, SoftmaxCrossEntropy(), X[:N_SAMPLES] / 16.0, Y[:N_SAMPLES])
    params = model.init(np.random.default_rng(1))
    penalty = penalty_by_name("l2", model, 1e-4)
    taken = []
    for _ in range(1 + N_STEPS):  # the first is a rehearsal
        start = time.process_time()
        local_model = PartialLinearization().local_model(cost, params, np.random.default_rng(2))
        problem = SurrogateProblem(local_model, params, local_model.gradient_at_origin, penalty, 0.1)
        solution = solve(problem, ConjugateGradients(), tolerance=0.0, max_iterations=N_CG_STEPS)
        cost.value(solution.best_response)
        taken.append(time.process_time() - start)
    return min(taken[1:])
