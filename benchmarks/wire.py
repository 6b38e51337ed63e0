"""What coded shares cost and save, beside float32 on the same seeds: simulated, with true sizes of arrays, and in real
processes.

How long kin8nm takes depends on trifles: a *control*, float32 from first parameters that are off by a thousandth, shows
how much. Seeds 0 to 9 were used to choose roundings by; these figures are of others, after which
ρ was changed once more, for bytes alone.
"""

import csv
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import final

import numpy as np

from benchmarks.base import Benchmark, Figure
from benchmarks.kin8nm import DEFAULTS, NEAR, NEARER, central_objective
from benchmarks.program import Program, processor_seconds
from p2pnet.data.sharding import PartitionName
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import Simulated, simulate
from p2pnet.experiments.simulate.workload import make_simulated_workload
from p2pnet.protocol.core.types import Array

TARGET_ACCURACY = 0.95
DIGITS = SimulateOptions(agents=8, topology="ring", data="digits", tolerance=0.0, is_compared=False)
N_SEEDS, FIRST_SEED = 10, 20
PARTITIONS: Mapping[PartitionName, int] = {"iid": 20, "sorted": 100}
"""Rounds that suffice, by the partition of the digits."""
MOST_IN_PROCESSES: Mapping[PartitionName, tuple[int, float]] = {"iid": (10, 0.45), "sorted": (66, 3.0)}
"""Rounds and megabytes."""
KINDS = ("coded", "float32", "control")
ROUNDS_KIN8NM = 240
CONTROL = 1e-3
"""By this part of itself each first parameter of the control is off."""
N_PAIRS = 5
"""Of demos whose processor time is compared."""
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
    for kind, each in zip(KINDS, zip(*pairs, strict=True), strict=False):
        yield Figure(f"{name}, {kind}: rounds", median(reached.rounds for reached in each), "rounds")
        yield Figure(f"{name}, {kind}: sent", median(reached.megabytes for reached in each), "MB")
    both = [(ours, theirs) for ours, theirs, *_ in pairs if np.isfinite(theirs.rounds)]
    rounds = [ours.rounds / theirs.rounds for ours, theirs in both] or [np.inf]
    sent = [ours.megabytes / theirs.megabytes for ours, theirs in both] or [np.inf]
    yield Figure(f"{name}: rounds to float32's, median", median(rounds), at_most=1.0)
    yield Figure(f"{name}: rounds to float32's, worst", max(rounds), at_most=1.1)
    yield Figure(f"{name}: bytes to float32's, median", median(sent), at_most=most_bytes)
    controls = [each[2].rounds / each[1].rounds for each in pairs if len(each) > 2 and np.isfinite(each[1].rounds)]
    if controls:
        yield Figure(f"{name}, control: rounds to float32's, median", median(controls))
        yield Figure(f"{name}, control: rounds to float32's, worst", max(controls))


def in_processes(partition: PartitionName, is_small: bool) -> Iterator[Figure]:
    """Of a demo: rounds and megabytes until all agents are at the target, and its processor time beside float32's."""
    rounds = 5 if is_small else PARTITIONS[partition] + 60
    name, most = f"digits {partition}, 8 processes", MOST_IN_PROCESSES[partition]
    ratios: list[float] = []
    reached: list[Reached] = []
    for pair in range(1 if is_small else N_PAIRS):
        seconds: dict[str, float] = {}
        for precision in ("coded", "float32") if pair % 2 else ("float32", "coded"):
            with tempfile.TemporaryDirectory(prefix="p2pnet-") as report:
                before_s = processor_seconds()
                settings = ["--set", f"network.precision={precision}", "--set", "algorithm.tolerance=0"]
                options = ["--partition", partition, "--rounds", str(rounds), "--report", report, *settings]
                Program().summary("demo", *options)
                seconds[precision] = processor_seconds() - before_s
                if precision == "coded":
                    reached.append(to_accuracy_in_history(Path(report) / "history.csv"))
        ratios.append(seconds["coded"] / seconds["float32"])
    yield Figure(f"{name}: rounds to {TARGET_ACCURACY}", median(each.rounds for each in reached), at_most=most[0])
    yield Figure(f"{name}: sent", median(each.megabytes for each in reached), "MB", at_most=most[1])
    yield Figure(f"{name}, {rounds} rounds: processor time to float32's", median(ratios), at_most=1.1)


def to_accuracy_in_history(file: Path) -> Reached:
    """The same from the file that a demo has written of all agents."""
    of_round: dict[int, list[tuple[float, int]]] = {}
    with file.open(newline="") as rows:
        for row in csv.DictReader(rows):
            of_round.setdefault(int(row["round"]), []).append((float(row["test_metric"]), int(row["bytes_sent"])))
    for round_, records in sorted(of_round.items()):
        if all(accuracy >= TARGET_ACCURACY for accuracy, _ in records):
            return Reached(round_, sum(n_bytes for _, n_bytes in records) / 1e6)
    return Reached()


@final
class Wire(Benchmark):
    """Rounds and bytes to a target with coded shares and with float32, on ten seeds; processor time of demos."""

    name = "wire"

    def run(self, is_small: bool) -> Iterator[Figure]:
        seeds = range(FIRST_SEED, FIRST_SEED + (1 if is_small else N_SEEDS))
        for partition, rounds in PARTITIONS.items():
            options = replace(DIGITS, partition=partition, rounds=12 if is_small else rounds)
            pairs = [tuple(to_accuracy(simulate(each)) for each in on_both_wires(options, seed)) for seed in seeds]
            yield from beside_float32(f"digits {partition} to {TARGET_ACCURACY}", pairs, most_bytes=0.16)
            yield from in_processes(partition, is_small)
        options = replace(DEFAULTS, rounds=20 if is_small else ROUNDS_KIN8NM)
        if is_small:
            options = replace(options, data="synthetic:regression:300:8")
        of_margin: dict[float, list[tuple[Reached, ...]]] = {NEAR: [], NEARER: []}
        for seed in seeds:
            central = central_objective(replace(options, seed=seed))
            kept, (coded, plain) = range(options.rounds + 1), on_both_wires(options, seed)
            courses = [simulate(each, kept) for each in (coded, plain)]
            courses.append(simulate(plain, kept, first_params=near_first_params(plain)))
            for margin, pairs in of_margin.items():
                pairs.append(tuple(to_objective(course, (1 + margin) * central) for course in courses))
        for margin, pairs in of_margin.items():
            yield from beside_float32(f"kin8nm to {margin:.0%}", pairs, most_bytes=0.25)


def on_both_wires(options: SimulateOptions, seed: int) -> list[SimulateOptions]:
    """The same with coded shares, and with float32."""
    return [replace(options, seed=seed, wire="coded"), replace(options, seed=seed, wire="float32")]


def near_first_params(options: SimulateOptions) -> Array:
    """The first parameters, each off by a small part of itself."""
    params = make_simulated_workload(options, []).problem.first_params()
    noise = np.random.default_rng([77, 1]).standard_normal(params.shape)
    near: Array = params * (1.0 + CONTROL * noise)
    return near
