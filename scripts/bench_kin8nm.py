"""How near a network comes to one place on kin8nm: 10 agents, a random graph, MLP 8-20-1 with tanh, from defaults.

Objectives are the worst agent's, above the one that L-BFGS reaches with all samples from the same first parameters.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import simulate
from p2pnet.experiments.simulate.summary import stationarity_at
from p2pnet.experiments.simulate.workload import make_simulated_workload
from p2pnet.optim.arrays import Array
from p2pnet.optim.penalties.base import SmoothPenalty

DATA = Path(__file__).parent.parent.parent / "shared" / "data" / "kin8nm.csv"
DEFAULTS = SimulateOptions(
    agents=10,
    topology="random:0.3",
    data=str(DATA),
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

    def first(self, value: Callable[[int], float], bound: float) -> int | None:
        return next((round_ for round_ in self._rounds if value(round_) <= bound), None)


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


def bench_kin8nm() -> None:
    """Exchanges to 10 % and 3 % above one place, against gradient tracking; steps with three exchanges; to rest."""
    central = central_objective(DEFAULTS)
    print(f"kin8nm:                         L-BFGS in one place reaches {central:.6f}")

    course = Course(replace(DEFAULTS, rounds=ROUNDS_TO_REST), range(0, ROUNDS_TO_REST, 2))
    near, nearer = (course.first(course.objective, (1 + margin) * central) for margin in (NEAR, NEARER))
    print(f"kin8nm, from defaults:          {NEAR:.0%} above it after {near} exchanges  (≤ 120)")
    print(f"kin8nm, from defaults:          {NEARER:.0%} above it after {nearer} exchanges  (≤ 400)")
    later = [course.objective(round_) / central - 1 for round_ in range(400, ROUNDS_TO_REST, 100)]
    print(
        f"kin8nm, from defaults:          at most {max(later):+.1%} from exchange 400 on, {later[-1]:+.1%} in the end"
    )
    rest = course.first(course.residual, REST)
    least = min(course.residual(round_) for round_ in range(0, ROUNDS_TO_REST, 10))
    print(f"kin8nm, from defaults:          residual {REST:.0e} of the first after {rest} exchanges, least {least:.0e}")

    three = Course(replace(DEFAULTS, exchanges=3), range(DEFAULTS.rounds))
    reached = three.first(three.objective, (1 + NEARER) * central)
    n_steps = None if reached is None else sum(r < EAGER_ROUNDS or r % 3 == 0 for r in range(reached))
    print(f"kin8nm, 3 exchanges a step:     {NEARER:.0%} above it after {n_steps} local steps  (≤ 85)")

    plain = replace(DEFAULTS, algorithm="gradient-tracking")
    step_size = best_step_size(plain)
    for margin, n_exchanges in ((NEAR, near), (NEARER, nearer)):
        if n_exchanges is not None:
            n_rounds = TIMES_FEWER * n_exchanges
            excess = (
                simulate(replace(plain, rounds=n_rounds, step_size=step_size)).summary.objective_worst / central - 1
            )
            print(
                f"gradient tracking, step {step_size}:    {excess:+.0%} after {n_rounds} exchanges,"
                f" {TIMES_FEWER} times as many  (> {margin:+.0%})"
            )


if __name__ == "__main__":
    bench_kin8nm()
