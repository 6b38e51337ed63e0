"""Learners of the simulation, by the name of the algorithm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from p2pnet.config import AlgorithmSettings
from p2pnet.data.samples import Samples
from p2pnet.experiments.simulate.descent import DescentLearner
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.workload import Workload
from p2pnet.training.learner import Learner, NextLearner, Weighting
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
    settings = algorithm_settings(options)
    weighting = Weighting(settings.weighting)
    pool_map = worker_map(settings.workers)
    return lambda _, shard: NextLearner(make_optimizer(problem, settings, shard, pool_map), metric, weighting)


def algorithm_settings(options: SimulateOptions) -> AlgorithmSettings:
    """The settings of an algorithm; gradient tracking is NEXT with full linearisation and τ = 1 / step size."""
    if options.algorithm == "gradient-tracking":
        return AlgorithmSettings(surrogate="full", step_rule=f"constant:{1.0 / options.step_size!r}")
    return AlgorithmSettings(
        surrogate=options.surrogate,
        step_rule=options.step_rule,
        weighting=options.weighting,
        curvature_samples=options.curvature_samples,
        solver=options.solver,
        blocks=options.blocks,
        workers=options.workers,
    )
