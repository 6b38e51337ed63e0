"""Memory that local steps take beyond the samples."""

from collections.abc import Iterator
from pathlib import Path
from typing import final

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.base import Benchmark, Figure
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.local_optimizer import LocalOptimizer
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.by_name import penalty_by_name
from p2pnet.optim.proximal_weight import SecantWeight
from p2pnet.optim.surrogates.partial import PartialLinearization

N_STEPS = 3


@final
class WorkMemory(Benchmark):
    """Three local steps of one agent with 10⁶ rows of 50 columns, MLP 50-32-3: memory beyond the data."""

    name = "work-memory"

    def run(self, is_small: bool) -> Iterator[Figure]:
        n_samples = 20_000 if is_small else 1_000_000
        rng = np.random.default_rng(0)
        X = rng.standard_normal((n_samples, 50))
        Y = (X[:, 0] > 0.0) + (X[:, 1] > 0.0).astype(np.intp)
        model = Mlp((50, 32, 3))
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins again
        before_mb = peak_mb()
        with threadpool_limits(1):
            optimizer = LocalOptimizer(
                LocalObjective(model, SoftmaxCrossEntropy(), X, Y),
                penalty_by_name("l2", model, 1e-3),
                PartialLinearization(),
                SecantWeight(),
                rng,
            )
            params = model.init(rng)
            for _ in range(N_STEPS):
                direction = optimizer.evaluate(params).gradient_at_origin
                step = optimizer.step(params, direction, neighbor_weight=0.0, is_direction_exact=True)
                params = step.proposal
        yield Figure("memory beyond the data", peak_mb() - before_mb, "MB", at_most=200)


def peak_mb() -> float:
    """The most memory that this process has had since it was last cleared."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6
