"""How near a network comes to one place on kin8nm: 10 agents, a random graph, MLP 8-20-1 with tanh, from defaults.

Objectives are the worst agent's, above the one that L-BFGS reaches with all samples from the same first parameters.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import final

import numpy as np
from scipy.optimize import minimize

from benchmarks.base import Benchmark, Figure
from benchmarks.data import KIN8NM
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import simulate
from p2pnet.experiments.simulate.summary import stationarity_at
from p2pnet.experiments.simulate.workload import make_simulated_workload
from p2pnet.optim.arrays import Array
from p2pnet.optim.penalties.base import SmoothPenalty

DEFAULTS = SimulateOptions(
    agents=10,
    topology="random:0.3",
    data=str(KIN8NM),
    hidden=(20,),
    penalty="l2:1e-4",
    rounds=400,
    tolerance=0.0,
    is_compared=False,
)
NEAR, NEARER = 0.10, 0.03
STEP_SIZES = (0.05, 0.1, 0.2, 0.3)
"""The grid from which gradient tracking gets the one with which it is nearest after some rounds."""
TUNING_ROUNDS = 300
TIMES_FEWER = 20
REST = 1e-6
ROUNDS_TO_REST = 1500
EAGER_ROUNDS = 10
"""Rounds at the beginning that have a local step each, whatever `exchanges` says."""


class Course:
    """What one simulation reached, round by round."""

    def __init__(self, options: SimulateOptions, rounds: Sequence[int]) -> None:
        simulated = simulate(options, frozenset(rounds))
        self._workload, self._trails = simulated.workload, list(simulated.trails.values())
        self._rounds = rounds

    def objective(self, round_: int) -> float:
        """The worst agent's at the beginning of a round."""
        problem = self._workload.problem
        cost = problem.local_objective(self._workload.train)
        return max(problem.objective(trail[round_], cost) for trail in self._trails)

    def residual(self, round_: int) -> float:
        """‖w̄ − prox_r(w̄ − ∇(F − r)(w̄))‖ at the mean of the agents' parameters, relative to the first."""
        now, first = (np.mean([trail[r] for trail in self._trails], axis=0) for r in (round_, 0))
        problem = self._workload.problem
        return stationarity_at(problem, self._workload, now) / stationarity_at(problem, self._workload, first)

    def first(self, value: Callable[[int], float], bound: float) -> float:
        """The first round whose value is within the bound; infinite if there is none."""
        return next((round_ for round_ in self._rounds if value(round_) <= bound), float("inf"))


def central_objective(options: SimulateOptions) -> float:
    """What L-BFGS reaches from the agents' first parameters."""
    workload = make_simulated_workload(options, [])
    problem, penalty, cost = (
        workload.problem,
        workload.problem.penalty,
        workload.problem.local_objective(workload.train),
    )
    if not isinstance(penalty, SmoothPenalty):
        raise TypeError(f"L-BFGS needs a smooth penalty, not {penalty.describe()}")

    def value_and_gradient(params: Array) -> tuple[float, Array]:
        value, gradient = cost.value_and_gradient(params)
        return value + penalty.value(params), gradient + penalty.gradient(params)

    limits = {"maxiter": 20_000, "maxfun": 40_000, "maxcor": 30, "ftol": 1e-15, "gtol": 1e-8}
    found = minimize(value_and_gradient, problem.first_params(), jac=True, method="L-BFGS-B", options=limits)
    return float(found.fun)


def best_step_size(options: SimulateOptions) -> float:
    finals: dict[float, float] = {}
    for step_size in STEP_SIZES:
        with np.errstate(all="ignore"):
            summary = simulate(replace(options, rounds=TUNING_ROUNDS, step_size=step_size)).summary
        if np.isfinite(summary.objective_worst):
            finals[step_size] = summary.objective_worst
    return min(finals, key=finals.__getitem__)


@final
class Kin8nm(Benchmark):
    """Exchanges to 10 % and 3 % above one place on kin8nm, local steps with three exchanges each, and the residual."""

    name = "kin8nm"

    def run(self, is_small: bool) -> Iterator[Figure]:
        defaults = replace(DEFAULTS, data="synthetic:regression:300:8") if is_small else DEFAULTS
        rounds = 60 if is_small else ROUNDS_TO_REST
        central = central_objective(defaults)
        yield Figure("objective of L-BFGS in one place", central)

        course = Course(replace(defaults, rounds=rounds), range(0, rounds, 2))
        near, nearer = (course.first(course.objective, (1 + margin) * central) for margin in (NEAR, NEARER))
        yield Figure(f"exchanges to {NEAR:.0%} above it", near, "rounds", at_most=120)
        yield Figure(f"exchanges to {NEARER:.0%} above it", nearer, "rounds", at_most=400)
        later = [course.objective(round_) / central - 1 for round_ in range(rounds * 4 // 15, rounds, 20)]
        yield Figure("worst excess in the last eleven fifteenths", max(later))
        yield Figure("excess in the end", later[-1])
        yield Figure(f"exchanges to a residual of {REST:.0e}", course.first(course.residual, REST), "rounds")
        yield Figure("least residual", min(course.residual(round_) for round_ in range(0, rounds, 10)))
        yield Figure(f"3 exchanges a step: local steps to {NEARER:.0%}", steps(defaults, central), "steps", at_most=85)
        yield from tracking_figures(defaults, central, {NEAR: near, NEARER: nearer}, is_small)


def steps(defaults: SimulateOptions, central: float) -> float:
    """Local steps to 3 % above one place with three exchanges each; infinite if the last round is not so near."""
    course = Course(replace(defaults, exchanges=3), range(defaults.rounds))
    reached = course.first(course.objective, (1 + NEARER) * central)
    return sum(r < EAGER_ROUNDS or r % 3 == 0 for r in range(int(reached))) if np.isfinite(reached) else reached


def tracking_figures(
    defaults: SimulateOptions, central: float, exchanges: Mapping[float, float], is_small: bool
) -> Iterator[Figure]:
    """Gradient tracking with its best step size, after many times as many exchanges as NEXT needed for each margin."""
    plain = replace(defaults, algorithm="gradient-tracking")
    step_size = STEP_SIZES[0] if is_small else best_step_size(plain)
    for margin, n_exchanges in exchanges.items():
        if np.isfinite(n_exchanges):
            times = 1 if is_small else TIMES_FEWER
            options = replace(plain, rounds=max(times * int(n_exchanges), 1), step_size=step_size)
            excess = simulate(options).summary.objective_worst / central - 1
            yield Figure(f"gradient tracking: excess after {times} times as many as to {margin:.0%}", excess)
