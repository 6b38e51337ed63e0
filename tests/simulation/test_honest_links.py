"""No honest agent is ever convicted, however its samples differ from those of others, and whatever befalls the network.

P2PNET_LONG_TESTS=1 takes every network with three seeds, and larger ones.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from p2pnet.experiments.topologies.by_name import make_graphs
from p2pnet.protocol.core.effects import Audit, Evaluate, RunLocalStep
from p2pnet.protocol.core.events import Audited, Evaluated, LocalStepDone, Prepared
from p2pnet.protocol.core.notices import CloseReason, LinkClosed
from p2pnet.protocol.core.types import Array, FeatureStatistics
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.state import Phase
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.graphs import diameter_bound, neighbors_of
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.simulation.whole_nodes import WholeAgent, WholeNodes
from p2pnet.training.learner import Learner, Observation

IS_LONG = os.environ.get("P2PNET_LONG_TESTS") == "1"
SEEDS = range(3 if IS_LONG else 1)
SIZES = (8, 24) if IS_LONG else (8,)
CONVICTIONS = {
    CloseReason.TOO_MUCH_WEIGHT,
    CloseReason.TOO_MANY_SAMPLES,
    CloseReason.TOO_MUCH_GRADIENT,
    CloseReason.FAR_OFF,
    CloseReason.OF_NO_USE,
}
N_PARAMS = 30
N_ROUNDS = 120
PROXIMAL_WEIGHT = 8.0
"""Enough for training to converge on a full graph of 24 agents, one of which has nearly all rows."""
WITHIN_S = 2_000.0


class Quadratic(Learner):
    """½ n Σ_i a_i (w_i − c_i)², by steps of one length."""

    def __init__(self, curvature: Array, center: Array, n_samples: float) -> None:
        self.curvature, self.center, self.n_samples = curvature, center, n_samples

    def evaluate(self, effect: Evaluate) -> Evaluated:
        gradient = self.curvature * (effect.params - self.center)
        return Evaluated(effect.round, self.n_samples * gradient, self.n_samples)

    def audit(self, effect: Audit) -> Audited:
        others = {peer: self.loss(z) for peer, z in effect.others.items()}
        return Audited(effect.round, self.loss(np.zeros(N_PARAMS)), self.loss(effect.own), others)

    def loss(self, params: Array) -> float:
        return 0.5 * float(self.curvature @ np.square(params - self.center))

    def observe(self) -> Observation:
        raise NotImplementedError

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        residual = float(np.linalg.norm(effect.direction))
        step = effect.direction / PROXIMAL_WEIGHT
        return LocalStepDone(effect.round, effect.params - step, residual, PROXIMAL_WEIGHT)


@dataclass(frozen=True)
class Network:
    """Honest agents with quadratic objectives, and what befalls them."""

    rows: Callable[[int, np.random.Generator], Sequence[float]]
    topology: str = "ring"
    spread: float = 1.0
    """of the agents' minima, in multiples of what parameters differ by"""
    late: tuple[int, ...] = ()
    """agents that come in round 60"""
    loss_rate: float = 0.0
    cut_s: float = 0.0
    """how long the network is halved, from round 60 on"""
    n_crashes: int = 0
    is_asynchronous: bool = False


def alike(n_agents: int, _: np.random.Generator) -> Sequence[float]:
    return [100.0] * n_agents


def one_with_nearly_all(n_agents: int, _: np.random.Generator) -> Sequence[float]:
    return [1e7] + [10.0] * (n_agents - 1)


def of_any_size(n_agents: int, rng: np.random.Generator) -> Sequence[float]:
    return [float(n) for n in 10.0 ** rng.uniform(0.0, 7.0, n_agents)]


NETWORKS = {
    "alike": Network(alike),
    "nearly all rows at one": Network(one_with_nearly_all),
    "nearly all rows come late": Network(one_with_nearly_all, late=(0,)),
    "nearly all rows at one, and loss": Network(one_with_nearly_all, loss_rate=0.3),
    "nearly all rows at one of a full graph": Network(one_with_nearly_all, "full"),
    "shards of any size": Network(of_any_size),
    "shards of any size, minima far apart": Network(of_any_size, spread=10.0),
    "shards of any size, on a random graph": Network(of_any_size, "random:0.4"),
    "shards of any size, two of them late": Network(of_any_size, late=(0, 3)),
    "shards of any size, and a cut": Network(of_any_size, cut_s=40.0),
    "shards of any size, and crashes": Network(of_any_size, n_crashes=6),
    "shards of any size, asynchronous": Network(of_any_size, "random:0.4", is_asynchronous=True),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_agents", SIZES)
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_no_honest_agent_is_convicted(network: Network, n_agents: int, seed: int) -> None:
    nodes = trained(network, n_agents, seed)
    reasons = {notice.reason for _, _, notice in nodes.simulator.notices if isinstance(notice, LinkClosed)}
    assert not reasons & CONVICTIONS


def trained(network: Network, n_agents: int, seed: int) -> WholeNodes:
    """The network after its last round."""
    rng = np.random.default_rng(seed)
    graph = make_graphs(network.topology, n_agents, rng)[0]
    rows = network.rows(n_agents, rng)
    center = 3.0 * rng.standard_normal(N_PARAMS)
    names = [f"agent-{k + 1}" for k in range(n_agents)]
    around = neighbors_of(graph, n_agents)
    timing = Timing(
        start_timeout_s=3.0,
        round_timeout_s=0.0 if network.is_asynchronous else Timing().round_timeout_s,
        # Crashes are to come while all train.
        round_pace_s=0.1 if network.is_asynchronous else 0.1 * network.n_crashes,
    )

    def agent(k: int) -> WholeAgent:
        curvature = np.exp(rng.uniform(-1.0, 0.0, N_PARAMS))
        minimum = center + network.spread * rng.standard_normal(N_PARAMS)
        learner = Quadratic(curvature, minimum, rows[k])

        def prepare(_: FeatureStatistics | None) -> tuple[Prepared, Learner]:
            return Prepared({}, np.zeros(N_PARAMS)), learner

        options = RoundOptions(
            max_rounds=N_ROUNDS,
            expected_neighbors=1 if network.late else len(around[k]),
            max_diameter=diameter_bound(graph, n_agents),
            tolerance=0.0,
            is_bounded=True,
            is_clipped=True,
            is_audited=True,
            timing=timing,
        )
        neighbors = [names[j] for j in around[k]]
        return WholeAgent(name=names[k], prepare=prepare, neighbors=neighbors, max_neighbors=n_agents, options=options)

    agents = [agent(k) for k in range(n_agents)]
    nodes = WholeNodes(Conditions(latency_s=0.05, loss_rate=network.loss_rate), seed)
    for k in set(range(n_agents)) - set(network.late):
        nodes.start(agents[k])
    if network.late or network.cut_s:
        assert nodes.run_until(lambda: max(map(nodes.round, nodes.names)) >= N_ROUNDS // 2, WITHIN_S)
    for k in network.late:
        nodes.start(agents[k])
    if network.cut_s:
        nodes.cut([names[: n_agents // 2], names[n_agents // 2 :]])
        nodes.run(network.cut_s)
        nodes.heal()
    for _ in range(network.n_crashes):
        crashed = int(rng.integers(n_agents))
        nodes.crash([names[crashed]])
        nodes.run(3.0)
        nodes.start(agents[crashed])
        nodes.run(5.0)
    ended = (Phase.FINISHED, Phase.CLOSED)
    assert nodes.run_until(lambda: all(nodes.phase(name) in ended for name in nodes.names), WITHIN_S, 1.0)
    return nodes
