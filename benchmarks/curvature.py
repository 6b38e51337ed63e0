"""What a local step costs by the number of samples that its curvature is taken from."""

import statistics
from collections.abc import Callable, Iterator
from typing import final

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.base import Benchmark, Figure
from benchmarks.local_step import seconds
from p2pnet.optim.arrays import Array
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.local_optimizer import LocalOptimizer
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.by_name import penalty_by_name
from p2pnet.optim.proximal_weight import SecantWeight
from p2pnet.optim.surrogates.partial import PartialLinearization


@final
class CurvatureSamples(Benchmark):
    """A local step with 100,000 samples, 64-32-10, in gradients, with curvature from all or some of the samples."""

    name = "curvature"

    def run(self, is_small: bool) -> Iterator[Figure]:
        n_samples = 5_000 if is_small else 100_000
        rng = np.random.default_rng(0)
        model = Mlp((64, 32, 10))
        X, Y = rng.standard_normal((n_samples, 64)), rng.integers(0, 10, n_samples)
        cost = LocalObjective(model, SoftmaxCrossEntropy(), X, Y)
        params = model.init(np.random.default_rng(1))
        with threadpool_limits(1):
            gradient_s = statistics.median(seconds(lambda: cost.gradient(params)) for _ in range(3))
            for n_curvature_samples in (None, n_samples // 10, n_samples // 100):
                step_s = statistics.median(seconds(local_step(cost, params, n_curvature_samples)) for _ in range(3))
                yield Figure(f"curvature of {n_curvature_samples or 'all'} samples", step_s / gradient_s, "gradients")


def local_step(cost: LocalObjective, params: Array, n_curvature_samples: int | None) -> Callable[[], object]:
    penalty = penalty_by_name("l2", cost.model, 1e-3)
    surrogate, rng = PartialLinearization(n_curvature_samples), np.random.default_rng(2)
    optimizer = LocalOptimizer(cost, penalty, surrogate, SecantWeight(0.1), rng)

    def step() -> object:
        direction = optimizer.evaluate(params).gradient_at_origin
        return optimizer.step(params, direction, neighbor_weight=0.0, is_direction_exact=True)

    return step
