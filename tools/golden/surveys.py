"""Surveys over a simulated network, without a training after them."""

from random import Random
from typing import Any

import numpy as np

from p2pnet.experiments.topologies.by_name import make_topology
from p2pnet.protocol.node import Node
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.statistics import StatisticsMachine
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.rounds_only import StatisticsOnly, WiredPeering, nothing_to_train
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions

WITHOUT_FAULTS = "ring"
WITH_FAULTS = "full, loss and delays, one crashes and returns"
SURVEYS = (WITHOUT_FAULTS, WITH_FAULTS)

_QUICK = Timing(round_timeout_floor_s=0.2, resend_s=0.1, resend_floor_s=0.05, start_timeout_s=5.0)
_DEADLINE_S = 600.0


def record(name: str) -> dict[str, Any]:
    """What the agents have found, and in how many rounds."""
    if name == WITHOUT_FAULTS:
        network = _Network(5, "ring", Conditions())
    else:
        network = _Network(4, "full", Conditions(loss_rate=0.2, max_delay_s=0.003))
        network.run(until_round=20)
        network.simulation.crash("agent-2")
        network.simulation.run(deadline=network.simulation.now + 3.5)
        network.start("agent-2", incarnation=3)
    network.run()
    machines = [network.machines[agent] for agent in network.shards]
    found = machines[0].found
    if found is None:
        raise RuntimeError(f"survey {name!r}: not settled in {_DEADLINE_S:g} s")
    return {
        "rounds": [machine.round for machine in machines],
        "name": found.survey,
        "labels": list(found.labels),
        "mean": found.mean.tolist(),
        "variance": found.variance.tolist(),
    }


class _Network:
    """Agents whose samples lie in very different places, each with two labels of its own choice."""

    def __init__(self, n_agents: int, graph: str, conditions: Conditions) -> None:
        rng = np.random.default_rng(0)
        self.shards = {
            f"agent-{k}": rng.standard_normal((10 + 30 * k, 3)) * [1.0, 1e-3, 1e4] + [k, 1.0, -1e3 * k]
            for k in range(n_agents)
        }
        names = list(self.shards)
        edges = make_topology(graph, n_agents, rng)
        self.n_neighbors = {name: sum(k in edge for edge in edges) for k, name in enumerate(names)}
        self.machines: dict[str, StatisticsMachine] = {}
        self.simulation = Simulator(conditions, seed=0)
        self.simulation.connect((names[j], names[k]) for j, k in edges)
        for name in names:
            self.start(name, incarnation=1)

    def start(self, name: str, incarnation: int) -> None:
        samples = self.shards[name]
        labels = tuple("αβγδεζ"[k] for k in (len(samples) // 30, len(samples) // 30 + 1))
        own = LocalStatistics(len(samples), samples.mean(axis=0), samples.var(axis=0), labels)
        settings = RoundOptions(max_rounds=500, timing=_QUICK, expected_neighbors=self.n_neighbors[name])
        identity = Identity(name, name, incarnation, {"data": "3 columns"})
        session = StatisticsOnly(identity, settings, own)
        self.machines[name] = session.machine
        self.simulation.add(name, Node(session, WiredPeering(), Random(incarnation)), nothing_to_train)  # noqa: S311

    def run(self, until_round: int | None = None) -> None:
        """Until the survey has come so far, or all have found what they were after."""
        machines = self.machines.values()
        if until_round is None:
            self.simulation.run(until=lambda: all(each.found for each in machines), deadline=_DEADLINE_S)
        else:
            self.simulation.run(until=lambda: min(each.round for each in machines) >= until_round)
