"""The averaging before training settles on any shards, to 1e-12, in rounds that the graph explains; or it is said."""

import os
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnet.experiments.topologies.by_name import make_topology
from p2pnet.protocol.core.effects import Effect, Prepare, Send
from p2pnet.protocol.core.notices import StatisticsUnsettled
from p2pnet.protocol.core.types import Array, Message
from p2pnet.protocol.messages.training import LabelSet, Left
from p2pnet.protocol.node import Node, NodeEvent
from p2pnet.protocol.rounds import statistics
from p2pnet.protocol.rounds.averaging import MOMENTUM, ROUND_PACE_S
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.session import Session
from p2pnet.protocol.rounds.statistics import StatisticsMachine
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.observer import Observer
from p2pnet.simulation.rounds_only import StatisticsOnly, WiredPeering, nothing_to_train
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions

QUICK = Timing(round_timeout_floor_s=0.2, resend_s=0.1, resend_floor_s=0.05, start_timeout_s=5.0)
IS_LONG = os.environ.get("P2PNET_LONG_TESTS") == "1"
ACCURACY = 1e-12
RESOLUTION = 8 * float(np.finfo(np.float64).eps)
DEADLINE_S = 600.0

Edges = Sequence[tuple[int, int]]


class Network:
    """Agents that find out the statistics and nothing else, each with what it knows of its samples."""

    def __init__(
        self,
        own: Sequence[LocalStatistics],
        edges: Edges,
        conditions: Conditions | None = None,
        settling_s: float = 0.0,
        *,
        has_masks: bool = True,
    ) -> None:
        self.has_masks = has_masks
        self.own = {f"agent-{k:02}": one for k, one in enumerate(own)}
        self.names = list(self.own)
        self.degrees = {name: sum(k in edge for edge in edges) for k, name in enumerate(self.names)}
        self.settling_s = settling_s
        self.machines: dict[str, StatisticsMachine] = {}
        self.simulation = Simulator(conditions or Conditions(), 0)
        self.simulation.connect([(self.names[j], self.names[k]) for j, k in edges])
        for name in self.names:
            self.start(name, 1)

    def start(self, name: str, incarnation: int) -> None:
        # A bound on the diameter that is not far above it, so that the end takes no more rounds than the averaging.
        n_neighbors = self.degrees[name]
        options = RoundOptions(1, expected_neighbors=n_neighbors, max_diameter=len(self.own), timing=QUICK)
        identity, own = Identity(name, name, incarnation, {}), self.own[name]
        session = StatisticsOnly(identity, options, own, self.settling_s, has_masks=self.has_masks)
        self.machines[name] = session.machine
        self.simulation.add(name, Node(session, WiredPeering(), Random(0)), nothing_to_train)  # noqa: S311

    def run(self, names: Sequence[str] | None = None) -> int:
        """Until these, or all, have found the statistics of their samples; the rounds that the first took.

        AssertionError where these are not exact.
        """
        machines = [self.machines[name] for name in names or self.names]
        self.simulation.run(until=lambda: any(machine.found for machine in machines), deadline=DEADLINE_S)
        n_rounds = max(machine.round for machine in machines)
        self.simulation.run(until=lambda: all(machine.found for machine in machines), deadline=DEADLINE_S)
        mean, deviation = pooled([self.own[name] for name in names or self.names])
        error = np.maximum(ACCURACY * deviation, RESOLUTION * np.abs(mean))
        for machine in machines:
            assert machine.found is not None, "not settled"
            assert (np.abs(machine.found.mean - mean) <= error).all()
            assert (np.abs(np.sqrt(machine.found.variance) - deviation) <= error).all()
        return n_rounds

    def run_until_round(self, round_: int) -> None:
        self.simulation.run(until=lambda: min(machine.round for machine in self.machines.values()) >= round_)


def pooled(own: Sequence[LocalStatistics]) -> tuple[Array, Array]:
    """Mean and deviation of all samples by column, from fractions: to the last bit."""
    means, deviations = [], []
    for column in range(len(own[0].mean)):
        counts = [Fraction(o.n_samples if o.counts is None else float(o.counts[column])) for o in own]
        total = sum(counts)
        rows = [
            (n, Fraction(float(o.mean[column])), Fraction(float(o.variance[column])))
            for n, o in zip(counts, own, strict=True)
        ]
        mean = sum(n * m for n, m, _ in rows) / total
        means.append(float(mean))
        deviations.append(float(np.sqrt(float(sum(n * (v + (m - mean) ** 2) for n, m, v in rows) / total))))
    return np.array(means), np.array(deviations)


def any_shards(n_agents: int, n_columns: int, rng: np.random.Generator) -> list[LocalStatistics]:
    """Of 1 to 10⁷ samples, in columns of any unit and place, that some or all agents do not vary in."""
    places = rng.choice([0.0, 1.0, 1e3, 1e6, 1e9, 1e13], n_columns)
    spreads, units = 10.0 ** rng.integers(-6, 7, n_columns), 10.0 ** rng.integers(-8, 3, n_columns)
    own = []
    for _ in range(n_agents):
        n_samples = float(int(10 ** rng.uniform(0, 7)))
        kind = rng.integers(0, 4, n_columns)
        mean = np.select([kind == 0, kind == 1], [0.0, places], places + spreads * rng.standard_normal(n_columns))
        variance = np.where((kind <= 1) | (n_samples == 1), 0.0, units * rng.uniform(0, 1, n_columns))
        own.append(LocalStatistics(n_samples, mean, variance))
    return own


def with_gaps(own: list[LocalStatistics], rng: np.random.Generator) -> list[LocalStatistics]:
    """The same, of which some samples, or all of an agent, have no value in a column; the first agent has some."""
    gappy = []
    for k, one in enumerate(own):
        parts = np.where(rng.uniform(size=len(one.mean)) < 0.3, 0.0, 10.0 ** rng.uniform(-3, 0, len(one.mean)))
        counts = np.ceil(parts * one.n_samples) + (k == 0)
        is_there = counts > 0
        gappy.append(replace(one, mean=one.mean * is_there, variance=one.variance * is_there, counts=counts))
    return gappy


def mixing_time(edges: Edges, n_agents: int) -> float:
    """In rounds: how long a disagreement takes to fall to 1/e where flows have momentum."""
    degrees = [sum(k in edge for edge in edges) for k in range(n_agents)]
    weights = np.eye(n_agents)
    for j, k in edges:
        moved = 0.75 / (1 + max(degrees[j], degrees[k]))
        weights[[j, k], [k, j]] += moved
        weights[[j, k], [j, k]] -= moved
    # A mode of eigenvalue λ follows y⁺ = (1 + β) λ y − β y⁻.
    modes = [np.roots([1.0, -(1 + MOMENTUM) * value, MOMENTUM]) for value in np.linalg.eigvalsh(weights)[:-1]]
    return -1 / float(np.log(np.abs(modes).max()))


def yes_or_no(n_samples: float, part: float) -> LocalStatistics:
    """One column of zeros and ones."""
    return LocalStatistics(n_samples, np.array([part]), np.array([part * (1 - part)]))


# What is found, and how fast.


@pytest.mark.timeout(3600 if IS_LONG else 180)
@settings(max_examples=500 if IS_LONG else 5)
@given(
    st.integers(2, 7),
    st.sampled_from(["ring", "path", "star", "full", "random"]),
    st.sampled_from([0.0, 0.3]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_any_shards_settle_to_1e_12_in_rounds_that_the_graph_explains(
    n_agents: int, graph: str, settling_s: float, has_masks: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    edges = make_topology(graph, n_agents, rng)
    n_rounds = Network(any_shards(n_agents, 12, rng), edges, settling_s=settling_s, has_masks=has_masks).run()
    # Both references and the end: word of it goes round twice. 1e-12 takes 27.6 mixing times, an eighth more to be
    # sure; the rest is for how far apart the shards are, and for masks, which are larger than the shards.
    waited = settling_s / ROUND_PACE_S
    assert n_rounds <= waited + 3 * n_agents + 32 + (110 if has_masks else 60) * mixing_time(edges, n_agents)


@settings(max_examples=200 if IS_LONG else 8)
@given(st.integers(2, 6), st.sampled_from(["ring", "path", "full"]), st.booleans(), st.integers(0, 2**32 - 1))
def test_columns_with_gaps_settle_on_the_moments_of_what_is_there(
    n_agents: int, graph: str, has_masks: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    edges = make_topology(graph, n_agents, rng)
    n_rounds = Network(with_gaps(any_shards(n_agents, 6, rng), rng), edges, has_masks=has_masks).run()
    assert n_rounds <= 3 * n_agents + 64 + (130 if has_masks else 80) * mixing_time(edges, n_agents)


@pytest.mark.parametrize("has_masks", [False, True])
def test_a_column_without_any_value_has_mean_and_variance_zero(has_masks: bool) -> None:
    own = [replace(yes_or_no(n, 0.5), counts=np.zeros(1)) for n in (10.0, 1e5)]
    none = [replace(one, mean=np.zeros(1), variance=np.zeros(1)) for one in own]
    network = Network(none, [(0, 1)], has_masks=has_masks)
    network.simulation.run(until=lambda: all(m.found for m in network.machines.values()), deadline=DEADLINE_S)
    for machine in network.machines.values():
        assert machine.found is not None
        assert (machine.found.mean.tolist(), machine.found.variance.tolist()) == ([0.0], [0.0])


@pytest.mark.parametrize("settling_s", [0.0, 3.0])
@pytest.mark.parametrize("n_samples", [(80_000, 240, 240), (10_000_000, 2400, 1)])
@pytest.mark.parametrize(("has_masks", "most_rounds"), [(False, 150), (True, 250)])
def test_a_column_that_is_constant_at_a_big_site_settles(
    n_samples: tuple[int, int, int], settling_s: float, has_masks: bool, most_rounds: int
) -> None:
    big, small, least = n_samples
    own = [yes_or_no(big, 0.0), yes_or_no(small, 0.5), yes_or_no(least, 0.5)]
    n_rounds = Network(own, [(0, 1), (0, 2), (1, 2)], settling_s=settling_s, has_masks=has_masks).run()
    assert n_rounds <= most_rounds + settling_s / ROUND_PACE_S


def test_totals_hardly_grow_while_the_agents_wait_wherever_the_columns_lie() -> None:
    own = [replace(yes_or_no(n, part), mean=np.array([1e6 + part])) for n, part in ((1e6, 0.0), (240, 0.5), (240, 0.5))]
    network = Network(own, [(0, 1), (0, 2), (1, 2)], settling_s=1e9)
    network.run_until_round(250)  # in the last account

    def totals() -> Array:
        (_, link), *_ = network.machines["agent-00"].neighborhood.open()
        return link.sent[:2]

    before = totals()
    network.run_until_round(550)
    (deviation,) = pooled(own)[1]
    n_samples = sum(one.n_samples for one in own) / len(own)
    # About zero, a round moves 1e6 and 1e12 times the samples.
    assert (np.abs(totals() - before) < 300 * n_samples * deviation * np.array([1.0, deviation])).all()


def test_with_losses_and_delays_any_shards_settle() -> None:
    rng = np.random.default_rng(1)
    conditions = Conditions(loss_rate=0.3, max_delay_s=0.005)
    Network(any_shards(5, 12, rng), make_topology("ring", 5, rng), conditions, settling_s=0.3).run()


def test_an_agent_that_crashes_and_returns_meanwhile_is_counted() -> None:
    rng = np.random.default_rng(2)
    network = Network(any_shards(5, 12, rng), make_topology("ring", 5, rng), Conditions(loss_rate=0.1))
    network.run_until_round(40)
    network.simulation.crash("agent-02")
    network.simulation.run(deadline=network.simulation.now + 3.5)
    network.start("agent-02", incarnation=2)
    network.run()


def test_what_varied_at_an_agent_that_has_gone_is_constant_for_the_others_to_the_last_bit() -> None:
    own = [yes_or_no(240, 0.0), yes_or_no(3000, 0.0), yes_or_no(10_000_000, 0.5)]
    network = Network(own, [(0, 1), (0, 2), (1, 2)])
    network.run_until_round(40)
    network.simulation.crash("agent-02")
    network.run(network.names[:2])
    for name in network.names[:2]:
        found = network.machines[name].found
        assert found is not None
        assert found.mean.tolist() == found.variance.tolist() == [0.0]


def test_with_losses_and_a_crash_columns_with_gaps_settle() -> None:
    rng = np.random.default_rng(6)
    own = with_gaps(any_shards(5, 6, rng), rng)
    network = Network(own, make_topology("ring", 5, rng), Conditions(loss_rate=0.2, max_delay_s=0.005), settling_s=0.3)
    network.run_until_round(60)
    network.simulation.crash("agent-02")
    network.simulation.run(deadline=network.simulation.now + 3.5)
    network.start("agent-02", incarnation=2)
    network.run()


@pytest.mark.parametrize("n_values", [5.0, 1e5])
@pytest.mark.parametrize("graph", ["path", "full"])
def test_where_all_values_of_a_column_have_gone_with_an_agent_the_others_settle_alike(
    graph: str, n_values: float
) -> None:
    """What masks leave where nothing is to be found does not pass for a mean."""
    full = [LocalStatistics(1e5, np.array([3.0, 70.0]), np.array([1.0, 9.0]), counts=np.array([2e4, 0.0]))] * 3
    one = replace(full[0], counts=np.array([2e4, n_values]))
    rest = [
        replace(other, mean=np.array([3.0 + k, 0.0]), variance=np.array([1.0, 0.0])) for k, other in enumerate(full)
    ]
    network = Network([*rest, one], make_topology(graph, 4, np.random.default_rng(0)))
    network.run_until_round(130)  # about a reference in which the column varies
    network.simulation.crash("agent-03")
    machines = [network.machines[name] for name in network.names[:3]]
    network.simulation.run(until=lambda: all(machine.found for machine in machines), deadline=DEADLINE_S)
    found = [machine.found for machine in machines if machine.found is not None]
    assert len(found) == 3
    assert all(abs(known.mean[0] - 4.0) <= ACCURACY * np.sqrt(known.variance[0]) for known in found)
    assert max(known.mean[1] for known in found) == min(known.mean[1] for known in found)


# And where it does not.


class Heard(Observer):
    """What one agent has sent, and whether it was to train."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.n_prepared = 0

    def started(self, now: float, peer: str) -> None:
        return

    def happened(self, now: float, peer: str, event: NodeEvent) -> None:
        return

    def wanted(self, now: float, peer: str, effect: Effect) -> None:
        self.n_prepared += isinstance(effect, Prepare)
        if isinstance(effect, Send):
            self.sent.append(effect.message)


def test_an_agent_whose_statistics_do_not_settle_leaves_with_a_figure_and_does_not_train(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statistics, "MAX_UNSETTLED_ROUNDS", 30)
    rng = np.random.default_rng(3)
    n_agents = 12
    heard = Heard()
    simulation = Simulator(Conditions(), 0, observers=[heard])
    names = [f"agent-{k:02}" for k in range(n_agents)]
    simulation.connect([(names[k], names[k + 1]) for k in range(n_agents - 1)])  # a path, far too long for 30 rounds
    sessions = []
    for k, (name, own) in enumerate(zip(names, any_shards(n_agents, 3, rng), strict=True)):
        options = RoundOptions(1, expected_neighbors=2 - (k in (0, n_agents - 1)), timing=QUICK)
        sessions.append(Session(Identity(name, name, 2, {}), options, own))
        simulation.add(name, Node(sessions[-1], WiredPeering(), Random(0)), nothing_to_train)  # noqa: S311
    simulation.run(until=lambda: simulation.is_over, deadline=DEADLINE_S)
    told = [notice for _, _, notice in simulation.notices if isinstance(notice, StatisticsUnsettled)]
    assert len(told) == n_agents
    assert all(notice.n_rounds > 30 and notice.change > ACCURACY and 0 <= notice.column < 3 for notice in told)
    assert any(isinstance(message, Left) for message in heard.sent)
    assert heard.n_prepared == 0
    assert all(session.found is None for session in sessions)


# The reference that all average about.


@pytest.mark.parametrize("has_masks", [False, True])
def test_all_agents_end_with_the_reference_of_one_revision(has_masks: bool) -> None:
    rng = np.random.default_rng(4)
    heard = Heard()
    network = Network(any_shards(4, 12, rng), make_topology("path", 4, rng), has_masks=has_masks)
    network.simulation = simulation = Simulator(Conditions(), 0, observers=[heard])
    simulation.connect(list(zip(network.names, network.names[1:], strict=False)))
    for name in network.names:
        network.start(name, 1)
    network.run()
    told = [message for message in heard.sent if isinstance(message, LabelSet)]
    references = {(m.epoch, m.revision, m.survey, m.mean.tobytes(), m.variance.tobytes()) for m in told if m.revision}
    assert len(references) == len({(epoch, revision, name) for epoch, revision, name, *_ in references})
    assert all(not message.mean.size for message in told if not message.revision)
    last = {
        (machine.reference.mean.tobytes(), machine.reference.variance.tobytes())
        for machine in network.machines.values()
    }
    assert len(last) == 1
    if not has_masks:  # else agents that stick out name references with larger masks
        assert {name for _, _, name, *_ in references} == {"agent-00 1.0"}
