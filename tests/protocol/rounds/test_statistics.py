"""The statistics stage: pooled means and variances, and all labels, while agents join and leave."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnet.errors import ProtocolError
from p2pnet.experiments.topologies.by_name import make_topology
from p2pnet.protocol.core.effects import Close, Dismiss, Effect, Evaluate, Notify, Prepare, RunLocalStep, Send
from p2pnet.protocol.core.events import (
    DeadlineReached,
    Evaluated,
    LeaveRequested,
    LocalStepDone,
    MessageReceived,
    PeerConnected,
    Prepared,
)
from p2pnet.protocol.core.notices import InStatistics, MessageDropped, NoNeighborAnswered
from p2pnet.protocol.core.types import Array, FeatureStatistics, LinkId, Message, Nonce
from p2pnet.protocol.messages.training import (
    MAX_LABELS,
    TOO_MANY,
    Hello,
    LabelSet,
    Ready,
    Refuse,
    Share,
    TrainingMessage,
)
from p2pnet.protocol.node import Node, NodeEvent
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.session import Session, SessionEffect
from p2pnet.protocol.rounds.state import Phase
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.observer import Observer
from p2pnet.simulation.rounds_only import WiredPeering
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.training.learner import Learner, Observation

QUICK = Timing(round_timeout_floor_s=0.2, resend_s=0.1, resend_floor_s=0.05, start_timeout_s=5.0)
SETTINGS = RoundOptions(max_rounds=500, tolerance=1e-3, timing=QUICK)
RESOLUTION = 16 * float(np.finfo(np.float64).eps)
DEADLINE_S = 600.0


@dataclass
class MeanOfScaled(Learner):
    """½ (w − x)² over an agent's samples, standardised by the statistics found."""

    own: LocalStatistics
    statistics: FeatureStatistics | None = None

    def evaluate(self, effect: Evaluate) -> Evaluated:
        assert self.statistics is not None
        deviation = np.sqrt(self.statistics.variance)
        scaled = (self.own.mean - self.statistics.mean) / np.where(deviation > 0, deviation, 1.0)
        return Evaluated(effect.round, self.own.n_samples * (effect.params - scaled), self.own.n_samples)

    def observe(self) -> Observation:
        raise NotImplementedError

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        residual = float(np.linalg.norm(effect.direction))
        return LocalStepDone(effect.round, effect.params - effect.direction / 2, residual, 1.0)


@dataclass
class Agent:
    """A session in the simulation, what it prepares, and what it has found."""

    machine: Session
    learner: MeanOfScaled

    def prepare(self, statistics: FeatureStatistics | None) -> tuple[Prepared, Learner]:
        self.learner.statistics = statistics
        name = statistics.survey if statistics is not None else "none"
        fingerprint = {**self.machine.identity.fingerprint, "survey": name}
        return Prepared(fingerprint, np.ones_like(self.learner.own.mean)), self.learner

    @property
    def phase(self) -> Phase:
        return Phase.BOOTSTRAPPING if self.machine.rounds is None else self.machine.rounds.phase

    @property
    def round(self) -> int:
        return -1 if self.machine.rounds is None else self.machine.rounds.round

    @property
    def params(self) -> Array:
        assert self.machine.rounds is not None
        return self.machine.rounds.params


def summary(samples: Array, labels: Sequence[str] = ()) -> LocalStatistics:
    return LocalStatistics(len(samples), samples.mean(axis=0), samples.var(axis=0), tuple(labels))


class Outbox(Observer):
    """All that each agent has sent."""

    def __init__(self) -> None:
        self.of: dict[str, list[Message]] = defaultdict(list)

    def started(self, now: float, peer: str) -> None:
        return

    def happened(self, now: float, peer: str, event: NodeEvent) -> None:
        return

    def wanted(self, now: float, peer: str, effect: Effect) -> None:
        if isinstance(effect, Send):
            self.of[peer].append(effect.message)


class Network:
    """Agents in a simulation, each with its samples."""

    def __init__(self, shards: Sequence[Array], edges: Sequence[tuple[int, int]], conditions: Conditions) -> None:
        self.shards = {f"agent-{k}": shard for k, shard in enumerate(shards)}
        self.names = list(self.shards)
        self.agents: dict[str, Agent] = {}
        self.sent = Outbox()
        self.simulation = Simulator(conditions, 0, observers=[self.sent])
        self.simulation.connect([(self.names[j], self.names[k]) for j, k in edges])
        self.degrees = {name: sum(k in edge for edge in edges) for k, name in enumerate(self.names)}

    def start(
        self,
        names: Sequence[str],
        incarnation: int = 2,
        labels: Sequence[Sequence[str]] = (),
        settling_s: float = 0.0,
        **changes: Any,
    ) -> None:
        for name, its_labels in zip(names, labels or [()] * len(names), strict=True):
            own = summary(self.shards[name], its_labels)
            identity = Identity(name, name, incarnation, {"data": f"{len(own.mean)} columns"})
            changed = replace(SETTINGS, expected_neighbors=self.degrees[name])
            agent = Agent(Session(identity, replace(changed, **changes), own, settling_s), MeanOfScaled(own))
            self.agents[name] = agent
            self.simulation.add(name, Node(agent.machine, WiredPeering(), Random(0)), agent.prepare)  # noqa: S311

    def run(self, names: Sequence[str] | None = None) -> list[FeatureStatistics]:
        """Until these have found what they were after."""
        agents = [self.agents[name] for name in names or self.names]
        self.simulation.run(until=lambda: all(agent.machine.found for agent in agents), deadline=DEADLINE_S)
        found = [agent.machine.found for agent in agents]
        assert None not in found
        return [statistics for statistics in found if statistics is not None]

    def pooled(self, names: Sequence[str] | None = None) -> Array:
        return np.concatenate([self.shards[name] for name in names or self.names])


def assert_found(all_statistics: Sequence[FeatureStatistics], pooled: Array, accuracy: float = 1e-9) -> None:
    """Mean and deviation to that part of the deviation, or to what float64 can tell of a value that large."""
    deviation, mean = pooled.std(axis=0), pooled.mean(axis=0)
    error = accuracy * deviation + RESOLUTION * np.abs(pooled).max(axis=0)
    for statistics in all_statistics:
        assert (np.abs(statistics.mean - mean) <= error).all(), (statistics.mean - mean, error)
        assert (np.abs(np.sqrt(statistics.variance) - deviation) <= error).all()


def random_shards(n_agents: int, offset: float, rng: np.random.Generator) -> list[Array]:
    """Of very different sizes and places, in columns of very different units."""
    units = np.array([1.0, 1e-3, 1e4, 1.0])
    shards = [rng.standard_normal((rng.integers(2, 300), 4)) + 3 * rng.standard_normal(4) for _ in range(n_agents)]
    constant = np.array([1.0, 1.0, 1.0, 0.0])
    return [(shard * constant + offset) * units for shard in shards]


# What is found.


@settings(max_examples=6)
@given(
    st.integers(2, 5),
    st.sampled_from(["ring", "path", "star", "full", "random"]),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([0.0, 1e6]),
    st.integers(0, 2**32 - 1),
)
def test_all_find_the_pooled_means_and_variances_and_every_label(
    n_agents: int, graph: str, loss_rate: float, offset: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    conditions = Conditions(loss_rate=loss_rate, max_delay_s=0.005 if loss_rate else 0.0)
    network = Network(random_shards(n_agents, offset, rng), make_topology(graph, n_agents, rng), conditions)
    labels = [sorted(rng.choice(list("abcdefgh"), size=rng.integers(1, 4), replace=False)) for _ in range(n_agents)]
    network.start(network.names, labels=labels)
    all_statistics = network.run()

    assert_found(all_statistics, network.pooled())
    assert {statistics.labels for statistics in all_statistics} == {
        tuple(sorted({label for some in labels for label in some}))
    }
    assert len({statistics.survey for statistics in all_statistics}) == 1
    deviation = network.pooled().std(axis=0) + RESOLUTION / 1e-9 * np.abs(network.pooled()).max(axis=0)
    for statistics in all_statistics:
        assert (np.abs(statistics.mean - all_statistics[0].mean) <= 1e-9 * deviation).all()


def test_no_digits_are_lost_to_columns_far_from_zero_as_they_are_where_squares_are_averaged() -> None:
    rng = np.random.default_rng(0)
    shards = [rng.standard_normal((50 + 10 * k, 2)) + 1e6 + k for k in range(5)]
    network = Network(shards, make_topology("ring", 5, rng), Conditions())
    network.start(network.names)
    all_statistics = network.run()
    pooled = network.pooled()

    assert_found(all_statistics, pooled)
    variance = pooled.var(axis=0)
    naive = np.mean(pooled**2, axis=0) - np.mean(pooled, axis=0) ** 2
    assert np.abs(all_statistics[0].variance / variance - 1).max() < 1e-9 < 1e-6 < np.abs(naive / variance - 1).max()


def test_averaging_is_synchronous_where_training_is_asynchronous() -> None:
    rng = np.random.default_rng(0)
    network = Network(random_shards(4, 0.0, rng), make_topology("path", 4, rng), Conditions(loss_rate=0.1))
    network.start(network.names, timing=replace(QUICK, round_timeout_s=0.0))
    assert_found(network.run(), network.pooled())


def test_without_neighbors_an_agent_finds_out_nothing_and_waits_and_may_leave() -> None:
    network = Network(random_shards(1, 0.0, np.random.default_rng(0)), [], Conditions())
    network.start(network.names)
    network.simulation.run(deadline=20.0)
    (agent,) = network.agents.values()
    assert agent.machine.found is None
    said = [notice for _, _, notice in network.simulation.notices]
    assert said == [InStatistics(NoNeighborAnswered(5.0))]
    assert agent.machine.handle(LeaveRequested(), 20.0) == [Close()]


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("is_surveying", [True, False])
def test_one_that_was_refused_or_has_refused_does_not_say_that_nobody_has_answered(
    is_surveying: bool, is_told: bool
) -> None:
    machine = averaging() if is_surveying else training(None)
    machine.handle(PeerConnected(BOB), 0.0)
    machine.handle(Evaluated(0, np.zeros(7), 1.0), 0.0)
    other = hello("survey", data="2 columns")
    machine.handle(MessageReceived(BOB, Refuse("no") if is_told else other), 1.0)
    effects = machine.handle(DeadlineReached(), 10.0)
    assert not [effect for effect in effects if isinstance(effect, Notify)]


# And then they train.


@pytest.mark.parametrize("loss_rate", [0.0, 0.3])
def test_training_follows_over_the_same_connections_and_scaled_samples_average_to_zero(loss_rate: float) -> None:
    rng = np.random.default_rng(1)
    conditions = Conditions(loss_rate=loss_rate, max_delay_s=0.003)
    network = Network(random_shards(5, 10.0, rng), make_topology("ring", 5, rng), conditions)
    network.shards = {name: shard[:, :3] for name, shard in network.shards.items()}
    network.start(network.names, tolerance=1e-6)
    network.simulation.run(until=lambda: network.simulation.is_over, deadline=DEADLINE_S)
    for agent in network.agents.values():
        assert agent.phase is Phase.CLOSED
        np.testing.assert_allclose(agent.params, 0, atol=1e-5)


def test_one_that_comes_while_others_train_takes_their_result_to_the_last_bit() -> None:
    rng = np.random.default_rng(2)
    network = Network(random_shards(4, 0.0, rng), make_topology("full", 4, rng), Conditions())
    early, late = network.names[:3], network.names[3:]
    network.start(early, tolerance=0.0, expected_neighbors=2)
    all_statistics = network.run(early)
    network.simulation.run(until=lambda: network.agents[early[0]].round > 20)
    network.start(late, tolerance=0.0, labels=[["new"]])
    (found,) = network.run(late)

    assert_found([found], network.pooled(early))
    assert found.labels == ()  # it is for the late one to say what it makes of that
    assert any(found is statistics for statistics in all_statistics)
    assert not any(isinstance(message, Share | LabelSet) for message in network.sent.of[late[0]])
    network.simulation.run(until=lambda: network.simulation.is_over, deadline=DEADLINE_S)
    assert network.agents[late[0]].round == 500


def test_one_that_is_restarted_while_others_train_is_told_again_and_trains_on_with_them() -> None:
    rng = np.random.default_rng(7)
    network = Network(random_shards(4, 0.0, rng), make_topology("ring", 4, rng), Conditions())
    network.start(network.names, tolerance=0.0, max_rounds=200)
    all_statistics = network.run()
    network.simulation.run(until=lambda: network.agents["agent-0"].round > 20)
    network.simulation.crash("agent-2")
    network.simulation.run(deadline=network.simulation.now + 0.02)
    network.start(["agent-2"], incarnation=4, tolerance=0.0, max_rounds=200)
    (found,) = network.run(["agent-2"])
    assert any(found is statistics for statistics in all_statistics)
    network.simulation.run(until=lambda: network.simulation.is_over, deadline=DEADLINE_S)
    assert {agent.round for agent in network.agents.values()} == {200}
    for agent in network.agents.values():
        np.testing.assert_allclose(agent.params, 0, atol=1e-6)


# Agents come and go.


def run_until_round(network: Network, name: str, round_: int) -> None:
    """The round of averaging, as the shares show it."""

    def is_there() -> bool:
        return any(isinstance(message, Share) and message.round >= round_ for message in network.sent.of[name])

    network.simulation.run(until=is_there)


def test_an_agent_that_dies_while_averaging_takes_its_samples_out_but_not_the_labels_it_brought() -> None:
    rng = np.random.default_rng(3)
    network = Network(random_shards(5, 0.0, rng), make_topology("ring", 5, rng), Conditions())
    network.start(network.names, labels=[["a"], ["b"], ["c"], ["d"], ["e"]])
    run_until_round(network, "agent-0", 20)
    network.simulation.crash("agent-2")
    left = [name for name in network.names if name != "agent-2"]
    all_statistics = network.run(left)
    assert_found(all_statistics, network.pooled(left))
    assert {statistics.labels for statistics in all_statistics} == {("a", "b", "c", "d", "e")}


def test_an_agent_that_dies_while_averaging_and_returns_is_counted_again() -> None:
    rng = np.random.default_rng(4)
    network = Network(random_shards(5, 0.0, rng), make_topology("ring", 5, rng), Conditions())
    network.start(network.names)
    run_until_round(network, "agent-0", 20)
    network.simulation.crash("agent-2")
    network.simulation.run(deadline=network.simulation.now + 3.5)
    assert not any(agent.machine.found for agent in network.agents.values())
    network.start(["agent-2"], incarnation=4)
    all_statistics = network.run()
    assert_found(all_statistics, network.pooled())
    assert network.simulation.now < 10.0


def test_where_neighbors_are_not_named_averaging_waits_for_agents_that_come_soon_after_the_first() -> None:
    rng = np.random.default_rng(6)
    network = Network(random_shards(4, 0.0, rng), make_topology("full", 4, rng), Conditions())
    for name in network.names:
        network.start([name], expected_neighbors=1, settling_s=2.0)
        network.simulation.run(deadline=network.simulation.now + 1.5)
    all_statistics = network.run()
    assert_found(all_statistics, network.pooled())
    assert network.simulation.now == pytest.approx(4.5 + 2.0, abs=1.0)


def test_agents_restarted_at_once_average_anew_under_another_id() -> None:
    rng = np.random.default_rng(5)
    network = Network(random_shards(3, 0.0, rng), make_topology("path", 3, rng), Conditions())
    names = set()
    for incarnation in (2, 4):
        network.start(network.names, incarnation=incarnation)
        (name,) = {statistics.survey for statistics in network.run()}
        names.add(name)
        for agent in network.names:
            network.simulation.crash(agent)
    assert names == {"agent-0 1.0", "agent-0 3.0"}


# Parts that lose each other.


def assert_none_train_by_different_scales(network: Network) -> None:
    """Agents that are linked in training have found the same."""
    for agent in network.agents.values():
        rounds, found = agent.machine.rounds, agent.machine.found
        for neighbor, _ in rounds.neighborhood.open() if rounds is not None else []:
            other = network.agents[neighbor.peer].machine.found
            assert found is not None
            assert other is not None
            np.testing.assert_allclose(found.mean, other.mean, atol=1e-9)
            np.testing.assert_allclose(found.variance, other.variance, rtol=1e-9)
            assert found.labels == other.labels


def part_and_meet_again(network: Network, round_: int, is_restarted: bool, labels: Sequence[Sequence[str]]) -> None:
    """A path of five whose middle is cut off in a round of averaging, and comes back once all others have ended it."""
    names = network.names
    rest = [name for name in names if name != "agent-2"]
    unhurried: dict[str, Any] = {"tolerance": 0.0, "max_rounds": 10_000, "timing": replace(QUICK, round_pace_s=0.1)}
    network.start(names, labels=labels, **unhurried)
    run_until_round(network, "agent-0", round_)
    if is_restarted:
        network.simulation.crash("agent-2")
    else:
        network.simulation.network.cut([("agent-1", "agent-2"), ("agent-2", "agent-3")])
    network.run(rest)
    if is_restarted:
        network.start(["agent-2"], incarnation=4, labels=labels[2:3], **unhurried)
    network.simulation.network.heal()
    for _ in range(10):
        network.simulation.run(deadline=network.simulation.now + 2.0)
        assert_none_train_by_different_scales(network)
    assert all(agent.machine.rounds for agent in network.agents.values())


@pytest.mark.parametrize("is_restarted", [True, False])
@pytest.mark.parametrize("round_", [1, 8, 64])
def test_parts_that_end_their_surveys_apart_do_not_train_together(round_: int, is_restarted: bool) -> None:
    rng = np.random.default_rng(8)
    network = Network(random_shards(5, 0.0, rng), make_topology("path", 5, rng), Conditions())
    part_and_meet_again(network, round_, is_restarted, [["a"], ["b"], ["c"], ["d"], ["e"]])
    found = {agent.machine.found.survey for agent in network.agents.values() if agent.machine.found}
    assert len(found) == 2


# Single messages.


ANN, BOB, CAROL = Identity("ann", "ann", 2, {"data": "1 column"}), "bob", "carol"
OWN = LocalStatistics(10, np.array([1.0]), np.array([4.0]), ("x",))
FOUND = FeatureStatistics("ann 1", ("x", "y"), np.array([0.5]), np.array([2.0]))


def hello(stage: str, **fingerprint: str) -> Hello:
    return Hello(Nonce(5, 1), None, {"data": "1 column", "stage": stage} | fingerprint, "bob", "", -1, False)


def averaging() -> Session:
    machine = Session(ANN, SETTINGS, OWN)
    machine.start(0.0)
    machine.handle(PeerConnected(BOB), 0.0)
    return machine


def linked() -> Session:
    """In the statistics stage, over an open link."""
    machine = averaging()
    theirs = replace(hello("survey"), echo=Nonce(1, 1), is_confirmed=True)
    machine.handle(MessageReceived(BOB, theirs), 0.5)
    return machine


def linked_with_two() -> Session:
    """In the statistics stage, over two open links."""
    machine = linked()
    machine.handle(PeerConnected(CAROL), 0.6)
    theirs = replace(hello("survey"), echo=Nonce(1, 2), name="carol", is_confirmed=True)
    machine.handle(MessageReceived(CAROL, theirs), 0.7)
    return machine


def training(statistics: FeatureStatistics | None) -> Session:
    machine = averaging() if statistics is not None else Session(ANN, SETTINGS, None)
    effects = machine.start(0.0) if statistics is None else machine.handle(MessageReceived(BOB, statistics), 0.0)
    assert effects[-1] == Prepare(statistics)
    machine.handle(Prepared({**ANN.fingerprint, "model": "big"}, np.zeros(7)), 0.0)
    return machine


def told(effects: Sequence[SessionEffect]) -> list[Message]:
    return [effect.message for effect in effects if isinstance(effect, Send)]


def test_hellos_of_both_stages_differ_in_incarnation_and_in_what_they_say_of_the_stage() -> None:
    machine = Session(ANN, SETTINGS, OWN)
    machine.start(0.0)
    (first,) = told(machine.handle(PeerConnected(BOB), 0.0))
    machine.handle(MessageReceived(BOB, FOUND), 1.0)
    (second,) = told(machine.handle(Prepared({"data": "1 column", "model": "big"}, np.zeros(7)), 2.0))
    assert isinstance(first, Hello)
    assert isinstance(second, Hello)
    assert (first.nonce.incarnation, second.nonce.incarnation) == (1, 2)
    assert first.fingerprint == {"data": "1 column", "stage": "survey"}
    assert second.fingerprint == {"data": "1 column", "model": "big", "stage": "training"}


def test_an_agent_in_the_statistics_stage_asks_an_agent_that_trains_and_takes_the_answer() -> None:
    machine = averaging()
    (asked,) = told(machine.handle(MessageReceived(BOB, hello("training", model="big")), 1.0))
    assert isinstance(asked, Hello)
    assert asked.fingerprint["stage"] == "survey"
    assert machine.handle(MessageReceived(BOB, FOUND), 1.0)[-1] == Prepare(FOUND)


def test_a_round_of_averaging_whose_deadline_has_passed_goes_on_when_an_agent_that_trains_says_hello() -> None:
    machine = linked()
    machine.handle(MessageReceived(BOB, Ready(LinkId(Nonce(5, 1), Nonce(1, 1)), 1, -1)), 1.0)
    effects = machine.handle(MessageReceived(BOB, hello("training")), 30.0)
    assert not [effect for effect in effects if isinstance(effect, Evaluate)]  # the statistics stage computes it


def test_an_agent_that_trains_answers_the_hello_of_the_statistics_stage_and_ignores_its_late_messages() -> None:
    machine = training(FOUND)
    assert told(machine.handle(MessageReceived(BOB, hello("survey")), 1.0)) == [FOUND]
    assert machine.handle(MessageReceived(BOB, LabelSet(0, "bob 1", ("z",), False)), 1.0) == []
    assert machine.handle(MessageReceived(BOB, replace(FOUND, labels=("z",))), 1.0) == []
    assert machine.found is FOUND


@pytest.mark.parametrize("statistics", [FOUND, None])
def test_a_statistics_stage_over_other_data_is_refused_with_the_reason(statistics: FeatureStatistics | None) -> None:
    machine = training(statistics)
    (refused,) = told(machine.handle(MessageReceived(BOB, hello("survey", data="2 columns")), 1.0))
    assert isinstance(refused, Refuse)
    assert refused.reason.startswith("data: theirs is 1 column, ours is 2 columns; ")


def test_while_it_prepares_an_agent_answers_the_statistics_stage_and_keeps_connected_peers() -> None:
    machine = averaging()
    machine.handle(MessageReceived(BOB, FOUND), 1.0)
    assert told(machine.handle(MessageReceived(BOB, hello("survey")), 1.0)) == [FOUND]
    assert machine.handle(MessageReceived(BOB, hello("training")), 1.0) == []
    assert machine.handle(PeerConnected("cat"), 1.0) == []
    assert machine.next_deadline() is None
    effects = machine.handle(Prepared(ANN.fingerprint, np.zeros(7)), 2.0)
    assert [effect.peer for effect in effects if isinstance(effect, Send)] == [BOB, "cat"]


@pytest.mark.parametrize(
    ("message", "what"),
    [
        (replace(FOUND, mean=np.zeros(2)), "FeatureStatistics.mean: 2 columns instead of 1"),
        (replace(FOUND, variance=np.zeros(2)), "FeatureStatistics.mean"),
        (replace(FOUND, variance=np.array([-1.0])), "FeatureStatistics.variance: a variance is negative"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(message: TrainingMessage, what: str) -> None:
    machine = linked()
    with pytest.raises(ProtocolError, match=what):
        machine.handle(MessageReceived(BOB, message), 1.0)
    assert machine.found is None
    (answer,) = told(machine.handle(MessageReceived(BOB, LabelSet(0, "bob 1.0", (), False)), 1.0))
    assert answer == LabelSet(0, "ann 1.0", ("x",), is_confirmed=False)


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        (LabelSet(0, "bob 1.0", tuple(str(k) for k in range(MAX_LABELS)), False), "name them in data.classes"),
        (LabelSet(2**61, "bob 1.0", (), False), "LabelSet.epoch: far ahead"),
        (LabelSet(0, "bob 1.0", (), False, 2**61, np.zeros(1), np.zeros(1)), "LabelSet.epoch: far ahead"),
        (LabelSet(0, "bob 1.0", (), False, 1, np.full(1, 1e300), np.zeros(1)), "LabelSet.mean: a mean is beyond"),
        (LabelSet(0, "bob 1.0", (), False, 1, np.zeros(2), np.zeros(2)), "LabelSet.mean: 2 columns"),
    ],
)
def test_without_a_neighbor_whose_label_set_cannot_be_the_stage_goes_on(labels: LabelSet, what: str) -> None:
    machine = linked_with_two()
    effects = machine.handle(MessageReceived(BOB, labels), 1.0)
    (dropped,) = [
        effect.notice.notice
        for effect in effects
        if isinstance(effect, Notify)
        and isinstance(effect.notice, InStatistics)
        and isinstance(effect.notice.notice, MessageDropped)
    ]
    assert what in dropped.reason
    assert [effect.peer for effect in effects if isinstance(effect, Dismiss)] == [BOB]
    assert machine.handle(MessageReceived(BOB, LabelSet(0, "bob 1.0", (), False)), 1.0) == []


@pytest.mark.parametrize("n_known", [0, MAX_LABELS // 2])
def test_more_labels_than_a_message_holds_become_the_set_that_stands_for_them_at_all_agents(n_known: int) -> None:
    """Where the neighbor that brings them is the only one, or many are known before: else it is taken for a liar."""
    machine = linked_with_two() if n_known else linked()
    machine.handle(MessageReceived(BOB, LabelSet(0, "bob 1.0", tuple(f"a{k}" for k in range(n_known)), False)), 1.0)
    many = LabelSet(0, "bob 1.0", tuple(f"b{k}" for k in range(MAX_LABELS)), False)
    (answer,) = told(machine.handle(MessageReceived(BOB, many), 1.0))
    assert answer == LabelSet(0, "ann 1.0", TOO_MANY, is_confirmed=False)
    (again,) = told(machine.handle(MessageReceived(BOB, LabelSet(0, "bob 1.0", ("y",), False)), 1.0))
    assert again == answer  # what is too large never becomes small again


def test_a_label_set_is_answered_until_both_say_the_same() -> None:
    machine = linked()

    def answer(labels: LabelSet) -> list[Message]:
        return told(machine.handle(MessageReceived(BOB, labels), 1.0))

    assert answer(LabelSet(0, "bob 1.0", ("y",), False)) == [LabelSet(0, "ann 1.0", ("x", "y"), False)]
    assert answer(LabelSet(0, "ann 1.0", ("x", "y"), False)) == [LabelSet(0, "ann 1.0", ("x", "y"), True)]
    assert answer(LabelSet(0, "ann 1.0", ("x", "y"), True)) == []


def test_an_averaging_run_whose_link_has_closed_gets_a_new_id_which_holds_against_all_earlier_ids() -> None:
    machine = linked()

    def answer(labels: LabelSet) -> list[Message]:
        return told(machine.handle(MessageReceived(BOB, labels), 2.0))

    assert answer(LabelSet(0, "abe 1.0", (), False)) == [LabelSet(0, "abe 1.0", ("x",), False)]
    # Bob begins anew.
    (again,) = told(machine.handle(MessageReceived(BOB, replace(hello("survey"), nonce=Nonce(6, 1))), 1.0))
    assert isinstance(again, Hello)
    assert answer(LabelSet(7, "abe 1.7", ("z",), False)) == []  # not over an open link
    machine.handle(
        MessageReceived(BOB, replace(hello("survey"), nonce=Nonce(6, 1), echo=again.nonce, is_confirmed=True)), 1.0
    )
    assert answer(LabelSet(0, "abe 1.0", (), False)) == [LabelSet(1, "ann 1.1", ("x",), False)]
    assert answer(LabelSet(1, "bob 6.1", (), False)) == [LabelSet(1, "ann 1.1", ("x",), False)]
    assert answer(LabelSet(2, "cat 1.2", (), False)) == [LabelSet(2, "cat 1.2", ("x",), False)]


def test_words_over_links_of_the_survey_are_not_taken_for_the_trainings() -> None:
    machine = training(FOUND)
    link = LinkId(Nonce(4, 1), Nonce(1, 1))
    share = Share(link, 1, 0, 0, 64, 0, 1, 0.0, 1.0, 0, -1, False, np.zeros(4), np.zeros(2))
    before = machine.rounds.round if machine.rounds else None
    assert [type(message).__name__ for message in told(machine.handle(MessageReceived(BOB, share), 1.0))] == ["Reset"]
    assert (machine.rounds.round if machine.rounds else None) == before
