"""Learners of the simulation, by the name of the algorithm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from p2pnet.agent.options import default_optimizer
from p2pnet.data.samples import Samples
from p2pnet.experiments.simulate.descent import DescentLearner
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.workload import Workload
from p2pnet.training.learner import Learner, NextLearner, Weighting
from p2pnet.training.options import OptimizerOptions
from p2pnet.training.problem import make_optimizer, worker_map


def learner_maker(options: SimulateOptions, workload: Workload) -> Callable[[int, Samples], Learner]:
    """Return the function that builds agent k's learner from its shard; test samples are shared."""
    problem = workload.problem
    metric = problem.metric(workload.test)
    if options.algorithm in ("dgd", "dpsgd"):
        return lambda k, shard: DescentLearner(
            problem.local_objective(shard),
            problem.penalty,
            metric,
            step_size=options.step_size,
            batch_size=options.batch_size if options.algorithm == "dpsgd" else None,
            rng=np.random.default_rng([options.seed, k]),
        )
    optimizer = optimizer_options(options)
    # Gradient tracking has no curvature, whatever is asked for, and in one place there is none but the own.
    weighting = Weighting(options.weighting) if options.algorithm == "next" else Weighting.PROXY
    weighting.check(problem.model)
    pool_map = worker_map(optimizer.workers)
    return lambda _, shard: NextLearner(make_optimizer(problem, optimizer, shard, pool_map), metric, weighting)


def optimizer_options(options: SimulateOptions) -> OptimizerOptions:
    """Gradient tracking is NEXT with the whole cost linearised and one proximal weight for good, 1 / step size."""
    if options.algorithm == "gradient-tracking":
        return default_optimizer(surrogate="full", step_rule=f"constant:{1.0 / options.step_size!r}")
    return default_optimizer(
        surrogate=options.surrogate,
        step_rule=options.step_rule,
        curvature_samples=options.curvature_samples,
        solver=options.solver,
        blocks=options.blocks,
        workers=options.workers,
    )
