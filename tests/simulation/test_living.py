"""Agents that keep running: whatever arrives and whatever befalls the network, all finish in one epoch with
the solution for the samples as they are, and nothing is lost meanwhile.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from p2pnet.protocol.core.effects import Audit, Evaluate, RunLocalStep
from p2pnet.protocol.core.events import Audited, Evaluated, LocalStepDone, Prepared
from p2pnet.protocol.core.types import Array, FeatureStatistics
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.state import Phase
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.simulation.whole_nodes import WholeAgent, WholeNodes
from p2pnet.testing.problems import Shard, least_squares, linear_shard, linear_shards
from p2pnet.training.learner import Learner, Observation

N_AGENTS = 4
NAMES = tuple(f"agent-{k}" for k in range(N_AGENTS))
MAX_LEAK = 1e-10
ACCURACY = 1e-6
PATIENCE_S = 2000.0
GOOD_WEATHER = Conditions(latency_s=0.02)
TIMING = Timing(
    round_timeout_s=1.0,
    round_timeout_floor_s=0.2,
    round_pace_s=0.05,
    start_timeout_s=4.0,
    state_timeout_s=0.5,
    resend_s=0.2,
    resend_floor_s=0.1,
    redial_grace_s=0.5,
    silence_s=5.0,
    suspect_limit_s=5.0,
    away_limit_s=10.0,
    idle_s=2.0,
)
OPTIONS = RoundOptions(
    max_rounds=2000,
    exchanges=1,
    momentum=0.0,
    max_diameter=4,
    tolerance=1e-9,
    is_bounded=True,
    is_audited=True,
    keeps_running=True,
    timing=TIMING,
)


class LeastSquares(Learner):
    """½ mean (x·w + b − y)² over the agent's rows, by plain gradient steps."""

    def __init__(self, shard: Shard) -> None:
        self.A, self.y = np.column_stack([shard.X, np.ones(len(shard.y))]), shard.y

    def evaluate(self, effect: Evaluate) -> Evaluated:
        return Evaluated(effect.round, self.A.T @ (self.A @ effect.params - self.y), float(len(self.y)))

    def audit(self, effect: Audit) -> Audited:
        others = {peer: self.loss(params) for peer, params in effect.others.items()}
        return Audited(effect.round, self.loss(np.zeros(4)), self.loss(effect.own), others)

    def loss(self, params: Array) -> float:
        return 0.5 * float(np.mean(np.square(self.A @ params - self.y)))

    def observe(self) -> Observation:
        raise NotImplementedError

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        residual = float(np.linalg.norm(effect.direction))
        return LocalStepDone(effect.round, effect.params - effect.direction / 2.0, residual, 2.0)


class Network:
    """Agents on a ring, each with the samples that it has now."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes = WholeNodes(GOOD_WEATHER, seed)
        self.shards = dict(zip(NAMES, linear_shards(N_AGENTS, n_samples=20), strict=True))
        for k, name in enumerate(NAMES):
            around = [NAMES[(k - 1) % N_AGENTS], NAMES[(k + 1) % N_AGENTS]]
            self.nodes.start(WholeAgent(name=name, prepare=self.preparation(name), options=OPTIONS, neighbors=around))

    def preparation(self, name: str) -> Callable[[FeatureStatistics | None], tuple[Prepared, Learner]]:
        return lambda _: (Prepared({}, np.zeros(4)), LeastSquares(self.shards[name]))

    def arrive(self, name: str, seed: int) -> None:
        """Rows of another truth arrive at an agent."""
        weights = tuple(np.random.default_rng(seed).normal(size=3))
        before, arrived = self.shards[name], linear_shard(seed, n_samples=4, weights=weights)
        self.shards[name] = Shard(np.vstack([before.X, arrived.X]), np.concatenate([before.y, arrived.y]))
        if name in self.nodes.names and self.nodes.phase(name) is not None:
            self.nodes.simulator.change_samples(name, LeastSquares(self.shards[name]))

    def run(self, seconds: float) -> None:
        self.nodes.run(seconds)
        assert self.nodes.conservation_error() <= MAX_LEAK

    def is_idle(self) -> bool:
        """Whether all are idle in one epoch, and nothing is left to be learned."""
        machines = self.nodes.simulator.machines
        if len(machines) < N_AGENTS or any(machine.phase is not Phase.FINISHED for machine in machines.values()):
            return False
        snapshots = [snapshot for machine in machines.values() if (snapshot := machine.snapshot()) is not None]
        is_current = all(snapshot.is_current for snapshot in snapshots)
        return is_current and len({(snapshot.epoch, snapshot.round) for snapshot in snapshots}) == 1

    def become_idle(self) -> None:
        assert self.nodes.run_until(self.is_idle, PATIENCE_S)
        assert self.nodes.conservation_error() <= MAX_LEAK

    def errors(self) -> list[float]:
        """The distances of the agents' parameters from the solution for the samples as they are now."""
        solution = least_squares(list(self.shards.values()))
        return [float(np.linalg.norm(self.nodes.params(name) - solution)) for name in NAMES]

    def epoch(self, name: str = NAMES[0]) -> int:
        snapshot = self.nodes.simulator.machines[name].snapshot()
        assert snapshot is not None
        return snapshot.epoch


STEP = st.one_of(
    st.tuples(st.just("arrive"), st.sampled_from(NAMES), st.integers(0, 2**16)),
    st.tuples(st.just("run"), st.sampled_from([0.05, 0.5, 3.0, 30.0])),
    st.tuples(st.just("weather"), st.sampled_from([0.0, 0.2, 0.5])),
    st.tuples(st.just("cut"), st.integers(1, N_AGENTS - 1)),
    st.tuples(st.just("heal")),
    st.tuples(st.just("restart"), st.sampled_from(NAMES)),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, max_size=12), st.integers(0, 2**16))
@example([("arrive", NAMES[2], 1), ("cut", 1), ("arrive", NAMES[0], 2), ("restart", NAMES[1])], 29)
def test_whatever_arrives_and_befalls_all_finish_in_one_epoch_with_the_solution(
    steps: list[tuple[object, ...]], seed: int
) -> None:
    network = Network(seed)
    for step in steps:
        match step:
            case ("arrive", str(name), int(arrived)):
                network.arrive(name, arrived)
            case ("run", float(seconds)):
                network.run(seconds)
            case ("weather", float(loss_rate)):
                network.nodes.simulator.conditions = replace(GOOD_WEATHER, loss_rate=loss_rate)
            case ("cut", int(size)):
                network.nodes.cut([NAMES[:size], NAMES[size:]])
            case ("heal",):
                network.nodes.heal()
            case ("restart", str(name)):
                network.nodes.crash([name])
                network.run(3.0)
                network.nodes.restart(name)
    network.nodes.simulator.conditions = GOOD_WEATHER
    network.nodes.heal()
    network.run(30.0)
    network.become_idle()
    assert max(network.errors()) < ACCURACY


def test_the_part_that_has_trained_apart_is_joined_in_its_round_and_not_in_thousands() -> None:
    """One part of a network goes on while the other is idle: the cut, and rows that the others do not know of."""
    network = Network()
    network.become_idle()
    network.nodes.cut([NAMES[:2], NAMES[2:]])
    network.run(1.0)
    network.arrive(NAMES[0], 1)
    network.run(30.0)
    rounds = [network.nodes.round(name) for name in NAMES]
    assert rounds[0] > rounds[2]
    network.nodes.heal()
    network.become_idle()
    assert max(network.errors()) < ACCURACY
    assert network.nodes.round(NAMES[0]) < rounds[0] + 200


def test_parts_that_have_ended_in_the_same_round_train_on_together_once_they_see_each_other() -> None:
    """Both count their rounds alike, and wait for the others for as long."""
    network = Network()
    network.run(3.0)
    network.nodes.cut([NAMES[:2], NAMES[2:]])
    network.run(60.0)
    assert len({(network.nodes.phase(name), network.nodes.round(name)) for name in NAMES}) == 1
    assert max(network.errors()) > ACCURACY
    network.nodes.heal()
    network.run(30.0)
    network.become_idle()
    assert max(network.errors()) < ACCURACY


def test_fifty_updates_in_a_row_lose_nothing_and_each_is_an_epoch() -> None:
    network = Network()
    network.become_idle()
    for update in range(1, 51):
        network.arrive(NAMES[update % N_AGENTS], update)
        network.run(1.0)
        network.become_idle()
        assert network.epoch() == update
        assert max(network.errors()) < ACCURACY


def test_a_rolling_restart_with_an_announced_absence_wakes_nobody_that_was_idle() -> None:
    network = Network()
    network.become_idle()
    network.nodes.go_away(NAMES[0])
    network.run(1000.0)
    assert network.epoch(NAMES[1]) == 0
    assert {network.nodes.phase(name) for name in NAMES[1:]} == {Phase.FINISHED}
