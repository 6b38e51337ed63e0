"""How much of a local step is spent in BLAS, and how fast its Jacobian products are, on one thread."""

import statistics
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, final
from unittest.mock import patch

import numpy as np
from threadpoolctl import threadpool_limits

import p2pnet.optim.models.mlp as mlp_module
from benchmarks.base import Benchmark, Figure
from benchmarks.local_step import N_CG_STEPS, LocalStep, digits_shard, large_shard, seconds
from p2pnet.optim.arrays import Array


@final
class BlasShare(Benchmark):
    """Share of BLAS in a local step of digits (180×64, 64-32-10) and of a large shard (20,000×784, 784-256-10)."""

    name = "blas"

    def run(self, is_small: bool) -> Iterator[Figure]:
        n_repetitions = 11 if is_small else 201
        with threadpool_limits(1):
            digits, large = LocalStep(digits_shard()), LocalStep(large_shard(is_small))
            yield Figure("digits: BLAS share of a local step", blas_share(digits, n_repetitions), at_least=0.35)
            yield Figure("large: BLAS share of a local step", blas_share(large, 3), at_least=0.70)
            ratio = product_rate(large, 4) / gemm_rate(300 if is_small else 1500)
            yield Figure("large: Jacobian products, of the GEMM rate", ratio, at_least=0.50)
            step_s = statistics.median(seconds(digits) for _ in range(n_repetitions))
            yield Figure("digits: a CG step, all of the local step counted", step_s / N_CG_STEPS * 1e6, "µs")


class MatmulClock:
    """Seconds spent in np.matmul by the network's code, less what a call costs that has nothing to multiply."""

    def __init__(self) -> None:
        one = np.ones((1, 1))
        out = np.empty((1, 1))
        self._call_s = min(seconds(lambda: np.matmul(one, one, out=out)) for _ in range(2000))
        self._patch = patch.object(mlp_module, "np", SimpleNamespace(**{**vars(np), "matmul": self._matmul}))
        self.seconds = 0.0

    def __enter__(self) -> "MatmulClock":
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()

    def _matmul(self, a: Array, b: Array, **options: Any) -> Array:
        start = time.perf_counter()
        result: Array = np.matmul(a, b, **options)
        self.seconds += max(0.0, time.perf_counter() - start - self._call_s)
        return result


def blas_share(step: LocalStep, n_repetitions: int) -> float:
    shares = []
    for _ in range(n_repetitions):
        # The clock costs time itself: the whole is taken from a run without it, next to the one that has it.
        whole = seconds(step)
        with MatmulClock() as clock:
            step()
        shares.append(clock.seconds / whole)
    return statistics.median(shares)


def gemm_rate(n: int) -> float:
    """Floating-point operations a second of a square product on one thread, best of several."""
    A = np.random.default_rng(0).standard_normal((n, n))
    return 2 * n**3 / min(seconds(lambda: A @ A) for _ in range(8))


def product_rate(step: LocalStep, n_repetitions: int) -> float:
    """Floating-point operations a second of jvp + vjp."""
    local_model, d = step.problem().local_model, np.random.default_rng(3).standard_normal(step.model.n_params)
    pairs = zip(step.model.sizes[:-1], step.model.sizes[1:], strict=True)
    layers = sum(n_in * n_out * (1 if index == 0 else 2) for index, (n_in, n_out) in enumerate(pairs))
    n_operations = 2 * 2 * len(step.cost.samples.X) * layers
    best = min(seconds(lambda: local_model.vjp(local_model.tangents(d))) for _ in range(n_repetitions))
    return n_operations / best
