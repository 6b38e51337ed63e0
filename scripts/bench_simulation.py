"""What is shown with whole networks: neurons that a group penalty removes, and simulations of thousands of agents."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from p2pnet.optim.arrays import Array
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.local_optimizer import LocalOptimizer
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.by_name import penalty_by_name
from p2pnet.optim.proximal_weight import SecantWeight
from p2pnet.optim.surrogates.partial import PartialLinearization

HIDDEN = 64
GROUP = "group:1e-3"
SCALES = {
    "1,000 agents, regular:4, 64-32-10": (
        *("--agents", "1000", "--topology", "regular:4"),
        *("--data", "synthetic:classification:60000:64:10", "--hidden", "32"),
    ),
    "10,000 agents, regular:4, linear": (
        *("--agents", "10000", "--topology", "regular:4"),
        *("--data", "synthetic:regression:100000:20", "--hidden", "none"),
    ),
}
MAX_MINUTES = (3, 5)


def summary_of(command: str, *options: str) -> dict[str, Any]:
    """The summary of `p2pnet simulate` or `p2pnet demo` in a process of its own."""
    arguments = [sys.executable, "-m", "p2pnet", command, "--json", *options]
    summary: dict[str, Any] = json.loads(subprocess.run(arguments, check=True, capture_output=True).stdout)
    return summary


def bench_sparsity() -> None:
    """How many of 64 hidden neurons a group penalty removes on digits, and what that costs, 8 agents on a ring."""
    without = summary_of("simulate", "--hidden", str(HIDDEN), "--penalty", "none", "--no-compare")
    for command, options in (("simulate", ("--no-compare",)), ("demo", ())):
        group = summary_of(command, "--hidden", str(HIDDEN), "--penalty", GROUP, *options)
        lost = without["test_metric_worst"] - group["test_metric_worst"]
        print(
            f"digits, {command:8} {GROUP}:   {group['neurons_removed']} of {HIDDEN} hidden neurons removed  (≥ 32), "
            f"accuracy {group['test_metric_worst']:.4f}, without penalty {without['test_metric_worst']:.4f}: "
            f"{lost:+.4f} lost  (< 0.01), {group['rounds']} rounds"
        )


def bench_scale() -> None:
    """Seconds and memory of large simulations, 50 rounds; everything counted, from the command's start to its end."""
    for (name, options), minutes in zip(SCALES.items(), MAX_MINUTES, strict=True):
        start = time.monotonic()
        summary = summary_of("simulate", "--rounds", "50", "--no-compare", *options)
        seconds = time.monotonic() - start
        print(
            f"{name}, 50 rounds: {seconds:.0f} s  (< {60 * minutes}), {summary['peak_rss_mb_max']:.0f} MB, "
            f"worst agent {summary['test_metric_worst']:.3f}, conservation error {summary['conservation_error']:.0e}"
        )


def bench_curvature_samples() -> None:
    """What a local step costs with 100,000 samples, by the number of samples that its curvature is taken from."""
    rng = np.random.default_rng(0)
    model = Mlp((64, 32, 10))
    cost = LocalObjective(
        model, SoftmaxCrossEntropy(), rng.standard_normal((100_000, 64)), rng.integers(0, 10, 100_000)
    )
    params = model.init(np.random.default_rng(1))
    with threadpool_limits(1):
        gradient = statistics.median(_seconds(lambda: cost.gradient(params)) for _ in range(3))
        for n_samples in (None, 10_000, 1000):
            step = statistics.median(_seconds(_local_step(cost, params, n_samples)) for _ in range(3))
            label = "all samples" if n_samples is None else f"{n_samples} samples"
            print(
                f"100,000 samples, 64-32-10, curvature of {label}: a local step takes {step / gradient:.1f} gradients"
            )


def _local_step(cost: LocalObjective, params: Array, n_samples: int | None) -> Callable[[], object]:
    penalty = penalty_by_name("l2", cost.model, 1e-3)
    rng = np.random.default_rng(2)
    optimizer = LocalOptimizer(cost, penalty, PartialLinearization(n_samples), SecantWeight(0.1), rng)

    def step() -> object:
        direction = optimizer.evaluate(params).gradient_at_origin
        return optimizer.step(params, direction, neighbor_weight=0.0, is_direction_exact=True)

    return step


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
