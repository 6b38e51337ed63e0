"""Rounds that the statistics before training take on different graphs, and how exact they are. Simulated, seeded."""

from collections.abc import Iterator
from random import Random
from typing import final

import numpy as np

from benchmarks.base import Benchmark, Figure
from p2pnet.experiments.topologies.by_name import make_topology
from p2pnet.protocol.core.types import Array
from p2pnet.protocol.node import Node
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.simulation.graphs import neighbors_of
from p2pnet.simulation.rounds_only import StatisticsOnly, WiredPeering, nothing_to_train
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions

N_COLUMNS = 10
NETWORKS = [
    *[(2, "full"), (3, "path"), (4, "ring"), (8, "ring"), (8, "path"), (8, "star"), (8, "full"), (16, "ring")],
    *[(16, "path"), (16, "grid"), (32, "random"), (32, "ring"), (32, "star"), (64, "grid")],
]


@final
class Statistics(Benchmark):
    """Rounds of the statistics before training, and the errors of means and deviations, in the columns' deviations."""

    name = "statistics"

    def run(self, is_small: bool) -> Iterator[Figure]:
        for n_agents, graph in NETWORKS[:2] if is_small else NETWORKS:
            for offset in (0.0, 1e6):
                name = f"{n_agents} {graph}, offset {offset:.0e}"
                n_rounds, error_of_means, error_of_deviations = gather(n_agents, graph, offset)
                yield Figure(f"{name}: rounds", n_rounds, "rounds")
                yield Figure(f"{name}: means", error_of_means)
                yield Figure(f"{name}: deviations", error_of_deviations)


def gather(
    n_agents: int, graph: str, offset: float, seed: int = 0, *, has_masks: bool = True, has_gaps: bool = False
) -> tuple[int, float, float]:
    """Rounds, error of the means, error of the deviations: of all agents and columns the worst, against all samples.

    With gaps, of each agent and column all values are missing, or some.
    """
    rng = np.random.default_rng(seed)
    edges = make_topology(graph, n_agents, rng)
    neighbors = neighbors_of(edges, n_agents)
    shards = [
        rng.standard_normal((rng.integers(10, 200), N_COLUMNS)) + 2 * rng.standard_normal(N_COLUMNS) + offset
        for _ in range(n_agents)
    ]
    for shard in shards if has_gaps else []:
        missing = rng.uniform(0.0, 1.2, N_COLUMNS)  # in a sixth of the columns, all
        shard[rng.uniform(size=shard.shape) < missing] = np.nan
    simulation = Simulator(Conditions())
    names = [f"agent-{k:02}" for k in range(n_agents)]
    machines = []
    for name, shard, around in zip(names, shards, neighbors, strict=True):
        own = local_statistics(shard, has_gaps=has_gaps)
        settings = RoundOptions(max_rounds=1, expected_neighbors=len(around))
        agent = StatisticsOnly(Identity(name, name, 1, {}), settings, own, has_masks=has_masks)
        machines.append(agent.machine)
        simulation.add(name, Node(agent, WiredPeering(), Random(0)), nothing_to_train)  # noqa: S311
    simulation.connect([(names[j], names[k]) for j, k in edges])
    simulation.run(until=lambda: any(machine.found for machine in machines))  # the others take it from there
    n_rounds = max(machine.round for machine in machines)
    simulation.run(until=lambda: all(machine.found for machine in machines))
    pooled = np.concatenate(shards)
    mean, deviation = np.nanmean(pooled, axis=0), np.nanstd(pooled, axis=0)
    found = [machine.found for machine in machines if machine.found is not None]
    error_of_means = max(np.abs((one.mean - mean) / deviation).max() for one in found)
    error_of_deviations = max(np.abs(np.sqrt(one.variance) / deviation - 1).max() for one in found)
    return n_rounds, error_of_means, error_of_deviations


def local_statistics(shard: Array, *, has_gaps: bool) -> LocalStatistics:
    """Of the values that are there, which are not NaN, where some may be missing."""
    if not has_gaps:
        return LocalStatistics(len(shard), shard.mean(axis=0), shard.var(axis=0))
    counts = (~np.isnan(shard)).sum(axis=0).astype(np.float64)
    divisors = np.maximum(counts, 1.0)
    mean = np.nansum(shard, axis=0) / divisors
    return LocalStatistics(len(shard), mean, np.nansum(np.square(shard - mean), axis=0) / divisors, counts=counts)
