"""What coded shares cost and save, beside float32 and float64 on the same seeds: simulated, with true sizes of arrays.

Seeds 0 to 2 were used to choose roundings by; these figures are of others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import final

import numpy as np

from benchmarks.base import Benchmark, Figure
from benchmarks.kin8nm import DEFAULTS, NEAR, NEARER, central_objective
from p2pnet.data.sharding import PartitionName
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import Simulated, simulate

TARGET_ACCURACY = 0.95
DIGITS = SimulateOptions(agents=8, topology="ring", data="digits", tolerance=0.0, is_compared=False)
N_SEEDS, FIRST_SEED = 10, 10
PARTITIONS: Mapping[PartitionName, int] = {"iid": 20, "sorted": 100}
"""Rounds that suffice, by the partition of the digits."""
ROUNDS_KIN8NM = 200
STRIDE = 4
"""Rounds of kin8nm after which objectives are compared with the target, before they are in each."""


@dataclass(frozen=True, slots=True)
class Reached:
    """When all agents were at a target; infinite where they never were."""

    rounds: float = np.inf
    megabytes: float = np.inf
    """Sent by all until then."""


def megabytes(simulated: Simulated, round_: int) -> float:
    """What all agents have sent before this round."""
    if round_ == 0:
        return 0.0
    return sum(agent.history[round_ - 1].bytes_sent for agent in simulated.network.agents) / 1e6


def to_accuracy(simulated: Simulated) -> Reached:
    histories = [agent.history for agent in simulated.network.agents]
    for k, records in enumerate(zip(*histories, strict=True)):
        if all(record.test_metric >= TARGET_ACCURACY for record in records):
            return Reached(records[0].round, megabytes(simulated, k + 1))
    return Reached()


def to_objective(simulated: Simulated, target: float) -> Reached:
    """When the worst agent's objective is the target's or below; looked for among every few rounds first."""
    problem = simulated.workload.problem
    cost = problem.local_objective(simulated.workload.train)
    trails = list(simulated.trails.values())

    def is_reached(round_: int) -> bool:
        return max(problem.objective(trail[round_], cost) for trail in trails) <= target

    rounds = range(len(simulated.network.agents[0].history))
    coarse = next((round_ for round_ in rounds[::STRIDE] if is_reached(round_)), None)
    if coarse is None:
        return Reached()
    found = next(round_ for round_ in range(max(coarse - STRIDE + 1, 0), coarse + 1) if is_reached(round_))
    return Reached(found, megabytes(simulated, found))


def beside_float32(name: str, pairs: Sequence[tuple[Reached, ...]], most_bytes: float) -> Iterator[Figure]:
    """Rounds and megabytes of coded shares and of float32, medians, and their ratios."""
    for kind, each in zip(("coded", "float32"), zip(*pairs, strict=True), strict=True):
        yield Figure(f"{name}, {kind}: rounds", median(reached.rounds for reached in each), "rounds")
        yield Figure(f"{name}, {kind}: sent", median(reached.megabytes for reached in each), "MB")
    both = [(ours, theirs) for ours, theirs in pairs if np.isfinite(theirs.rounds)]
    rounds = [ours.rounds / theirs.rounds for ours, theirs in both] or [np.inf]
    sent = [ours.megabytes / theirs.megabytes for ours, theirs in both] or [np.inf]
    yield Figure(f"{name}: rounds to float32's, median", median(rounds), at_most=1.0)
    yield Figure(f"{name}: rounds to float32's, worst", max(rounds), at_most=1.1)
    yield Figure(f"{name}: bytes to float32's, median", median(sent), at_most=most_bytes)


@final
class Wire(Benchmark):
    """Rounds and bytes to a target with coded shares and with float32, on ten seeds."""

    name = "wire"

    def run(self, is_small: bool) -> Iterator[Figure]:
        seeds = range(FIRST_SEED, FIRST_SEED + (1 if is_small else N_SEEDS))
        for partition, rounds in PARTITIONS.items():
            options = replace(DIGITS, partition=partition, rounds=12 if is_small else rounds)
            pairs = [tuple(to_accuracy(simulate(each)) for each in on_both_wires(options, seed)) for seed in seeds]
            yield from beside_float32(f"digits {partition} to {TARGET_ACCURACY}", pairs, most_bytes=0.16)
        options = replace(DEFAULTS, rounds=20 if is_small else ROUNDS_KIN8NM)
        if is_small:
            options = replace(options, data="synthetic:regression:300:8")
        of_margin: dict[float, list[tuple[Reached, ...]]] = {NEAR: [], NEARER: []}
        for seed in seeds:
            central = central_objective(replace(options, seed=seed))
            courses = [simulate(each, range(options.rounds + 1)) for each in on_both_wires(options, seed)]
            for margin, pairs in of_margin.items():
                pairs.append(tuple(to_objective(course, (1 + margin) * central) for course in courses))
        for margin, pairs in of_margin.items():
            yield from beside_float32(f"kin8nm to {margin:.0%}", pairs, most_bytes=0.25)


def on_both_wires(options: SimulateOptions, seed: int) -> list[SimulateOptions]:
    """The same with coded shares, and with float32."""
    return [replace(options, seed=seed, wire="coded"), replace(options, seed=seed, wire="float32")]
