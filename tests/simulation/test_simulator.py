"""Agents in a virtual network: without faults they do just what the mathematics says, and with faults lose nothing."""

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.typing import NDArray

from p2pnet.errors import TrainingError
from p2pnet.experiments.topologies.by_name import make_topology
from p2pnet.protocol.core.effects import Evaluate, RunLocalStep
from p2pnet.protocol.core.events import Evaluated, LeaveRequested, LocalStepDone
from p2pnet.protocol.core.notices import CloseReason, LinkClosed
from p2pnet.protocol.core.types import Message
from p2pnet.protocol.links.ledger import TotalsLedger
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.links.tracker import Tracker
from p2pnet.protocol.messages.training import CODED, WITNESSES, Hello, Share
from p2pnet.protocol.node import Node
from p2pnet.protocol.rounds.mixing import OnePeerExponential, RandomMatching
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.state import Phase
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.conservation_oracle import ConservationOracle
from p2pnet.simulation.rounds_only import wired_agent
from p2pnet.simulation.simulator import Preparation, Simulator
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.training.learner import Learner, Observation

Array = NDArray[np.float64]

IS_LONG = os.environ.get("P2PNET_LONG_TESTS") == "1"
N_PARAMS = 3
QUICK = Timing(
    round_timeout_s=1.0,
    round_timeout_floor_s=0.05,
    state_timeout_s=0.2,
    resend_s=0.1,
    resend_floor_s=0.06,
    silence_s=5.0,
)


class LeastSquares(Learner):
    """½ mean ‖A w − b‖² over the agent's rows, by plain gradient steps."""

    def __init__(self, A: Array, b: Array, proximal_weight: float) -> None:
        self.A, self.b, self.proximal_weight = A, b, proximal_weight

    def evaluate(self, effect: Evaluate) -> Evaluated:
        return Evaluated(effect.round, self.A.T @ (self.A @ effect.params - self.b), float(len(self.b)))

    def observe(self) -> Observation:
        raise NotImplementedError

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        proposal = effect.params - effect.direction / self.proximal_weight
        return LocalStepDone(effect.round, proposal, float(np.linalg.norm(effect.direction)), self.proximal_weight)


class Regression:
    """Least squares over unequal shards, one for each agent."""

    def __init__(self, n_agents: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.names = [f"agent-{k}" for k in range(n_agents)]
        self.shards: dict[str, tuple[Array, Array]] = {}
        self.solutions: dict[tuple[str, ...], Array] = {}
        for k, name in enumerate(self.names):
            A = rng.normal(size=(8 + 4 * k, N_PARAMS)) + rng.normal(size=N_PARAMS)
            self.shards[name] = (A, A @ np.arange(1.0, N_PARAMS + 1) + rng.normal(size=len(A)) + k)
        A = np.vstack([A for A, _ in self.shards.values()])
        self.proximal_weight = 2 * float(np.linalg.norm(A, 2)) ** 2 / len(A)

    def learner(self, name: str) -> LeastSquares:
        return LeastSquares(*self.shards[name], self.proximal_weight)

    def solution(self, names: list[str]) -> Array:
        """The central one, of these agents' data."""
        if tuple(names) in self.solutions:
            return self.solutions[tuple(names)]
        A = np.vstack([self.shards[name][0] for name in names])
        b = np.concatenate([self.shards[name][1] for name in names])
        solution: Array = np.linalg.lstsq(A, b, rcond=None)[0]
        self.solutions[tuple(names)] = solution
        return solution

    def error(self, simulation: Simulator, names: list[str]) -> float:
        """Relative error of the worst of these agents."""
        solution = self.solution(names)
        worst = max(float(np.linalg.norm(simulation.machines[name].params - solution)) for name in names)
        return worst / float(np.linalg.norm(solution))


def agent(learner: Learner, name: str, incarnation: int = 1, **changes: Any) -> tuple[Node, Preparation]:
    defaults = RoundOptions(max_rounds=10**6, exchanges=1, momentum=0.0, tolerance=0.0, timing=QUICK)
    identity = Identity(name, name, incarnation, {})
    return wired_agent(identity, replace(defaults, **changes), np.zeros(N_PARAMS), learner)


def start(
    regression: Regression, edges: list[tuple[int, int]], conditions: Conditions, seed: int = 0, **changes: Any
) -> Simulator:
    simulation = Simulator(conditions, seed, ConservationOracle())
    for k, name in enumerate(regression.names):
        degree = sum(k in edge for edge in edges)
        simulation.add(name, *agent(regression.learner(name), name, expected_neighbors=degree, **changes))
    simulation.connect([(regression.names[j], regression.names[k]) for j, k in edges])
    return simulation


def run_rounds(simulation: Simulator, n_rounds: int) -> None:
    """Until every agent has done that many."""
    simulation.run(until=lambda: min(machine.round for machine in simulation.machines.values()) >= n_rounds)


def is_over(simulation: Simulator) -> bool:
    return simulation.is_over


def is_within(regression: Regression, simulation: Simulator, accuracy: float) -> bool:
    return regression.error(simulation, regression.names) < accuracy


# Without faults.


def mixing_matrix(edges: list[tuple[int, int]], n: int) -> Array:
    """Metropolis weights, times ¾."""
    degrees = [sum(k in edge for edge in edges) for k in range(n)]
    W = np.zeros((n, n))
    for j, k in edges:
        W[j, k] = W[k, j] = 0.75 / (1 + max(degrees[j], degrees[k]))
    return W + np.diag(1 - W.sum(axis=1))


@pytest.mark.parametrize("topology", ["ring", "path", "star", "full", "random"])
@pytest.mark.parametrize("momentum", [0.0, 0.2])
def test_rounds_without_faults_are_those_of_next_in_matrices(topology: str, momentum: float) -> None:
    """W⁺ = C Z and Y⁺ = C Y + X⁺ − X with rows for agents; with momentum, both changes keep a part of the last."""
    n, n_rounds = 6, 30
    regression = Regression(n)
    edges = make_topology(topology, n, np.random.default_rng(3))
    simulation = start(regression, edges, Conditions(), max_rounds=n_rounds, momentum=momentum)
    simulation.run(until=lambda: all(machine.phase is Phase.FINISHED for machine in simulation.machines.values()))

    def own_vectors(params: Array) -> Array:
        shards = [regression.shards[name] for name in regression.names]
        return np.array([[*(A.T @ (A @ w - b)), len(b)] for w, (A, b) in zip(params, shards, strict=True)])

    flow = mixing_matrix(edges, n) - np.eye(n)
    params = np.zeros((n, N_PARAMS))
    own = tracked = own_vectors(params)
    params_flow = tracked_flow = np.zeros(1)
    for _ in range(n_rounds):
        proposals = params - tracked[:, :-1] / tracked[:, -1:] / regression.proximal_weight
        params_flow = (1 + momentum) * flow @ proposals + momentum * params_flow
        tracked_flow = (1 + momentum) * flow @ tracked + momentum * tracked_flow
        params = proposals + params_flow
        previous, own = own, own_vectors(params)
        tracked = tracked + tracked_flow + own - previous
    for row, name in zip(params, regression.names, strict=True):
        np.testing.assert_allclose(simulation.machines[name].params, row, rtol=0, atol=1e-12)


def test_the_same_seed_gives_the_same_run() -> None:
    def final_params() -> list[Array]:
        conditions = Conditions(loss_rate=0.3, duplicate_rate=0.2, max_delay_s=0.01)
        simulation = start(Regression(4), make_topology("ring", 4, np.random.default_rng(0)), conditions, seed=5)
        run_rounds(simulation, 30)
        return [machine.params for machine in simulation.machines.values()]

    np.testing.assert_array_equal(final_params(), final_params())


def test_float32_on_the_wire_halves_the_bytes_and_loses_nothing() -> None:
    regression = Regression(5)
    edges = make_topology("ring", 5, np.random.default_rng(0))
    runs = [start(regression, edges, Conditions(), precision=precision) for precision in (64, 32)]
    for simulation in runs:
        run_rounds(simulation, 300)
        assert simulation.conservation_error() < 1e-14
    exact, rounded = runs
    assert regression.error(exact, regression.names) < 1e-12
    assert regression.error(rounded, regression.names) < 1e-6
    assert sum(rounded.bytes_sent.values()) == sum(exact.bytes_sent.values()) / 2


def test_coded_shares_lose_nothing_and_end_as_near_as_float64() -> None:
    regression = Regression(5)
    edges = make_topology("ring", 5, np.random.default_rng(0))
    exact, coded = (start(regression, edges, Conditions(), is_coded=is_coded) for is_coded in (False, True))
    for simulation in (exact, coded):
        run_rounds(simulation, 300)
        assert simulation.conservation_error() < 1e-14
        assert regression.error(simulation, regression.names) < 1e-12


def test_an_agent_that_does_not_know_coded_shares_is_sent_plain_ones() -> None:
    regression = Regression(4)
    edges = make_topology("ring", 4, np.random.default_rng(0))
    simulation = Simulator(Conditions(), 0, ConservationOracle())
    sent: dict[str, set[int]] = {name: set() for name in regression.names}

    def of_an_earlier_release(message: Message) -> list[Message]:
        return [replace(message, capabilities=(WITNESSES,)) if isinstance(message, Hello) else message]

    def noting(name: str) -> Callable[[Message], list[Message]]:
        def note(message: Message) -> list[Message]:
            if isinstance(message, Share):
                sent[name].add(message.precision)
            return [message] if name != "agent-0" else of_an_earlier_release(message)

        return note

    for name in regression.names:
        prepared = agent(regression.learner(name), name, expected_neighbors=2, is_coded=name != "agent-0")
        simulation.add(name, *prepared, outgoing=noting(name))
    simulation.connect([(regression.names[j], regression.names[k]) for j, k in edges])
    run_rounds(simulation, 300)
    assert sent == {"agent-0": {64}, "agent-1": {64, CODED}, "agent-2": {CODED}, "agent-3": {64, CODED}}
    assert regression.error(simulation, regression.names) < 1e-12
    assert simulation.conservation_error() < 1e-14


def test_ends_whose_replicas_have_parted_open_their_link_anew() -> None:
    regression = Regression(4)
    edges = make_topology("ring", 4, np.random.default_rng(0))
    simulation = start(regression, edges, Conditions(), is_coded=True)
    run_rounds(simulation, 20)
    neighbor = simulation.machines["agent-0"].neighborhood.find("agent-1")
    assert neighbor is not None
    assert neighbor.link is not None
    assert isinstance(neighbor.link.ledger, TotalsLedger)
    replicas = neighbor.link.ledger._received_by
    replicas.update({number: replace(kept, params=kept.params + 1e-9) for number, kept in replicas.items()})
    run_rounds(simulation, 300)
    reasons = [notice.reason for _, _, notice in simulation.notices if isinstance(notice, LinkClosed)]
    assert CloseReason.OTHER_BASE in reasons
    assert neighbor.is_open
    assert regression.error(simulation, regression.names) < 1e-12
    assert simulation.conservation_error() < 1e-14


@pytest.mark.parametrize("kind", ["exponential", "matching"])
def test_one_partner_a_round_is_enough(kind: str) -> None:
    regression = Regression(8)
    names = tuple(regression.names)
    simulation = Simulator(Conditions(loss_rate=0.1), 0, ConservationOracle())
    for name in names:
        mixing = OnePeerExponential(name, names) if kind == "exponential" else RandomMatching(name, names, seed=1)
        # A link is used in every seventh round only, and one or two signs of life are lost every minute.
        timing = replace(QUICK, silence_s=30.0)
        simulation.add(name, *agent(regression.learner(name), name, expected_neighbors=7, mixing=mixing, timing=timing))
    simulation.connect([(j, k) for j in names for k in names if j < k])
    run_rounds(simulation, 400)
    assert regression.error(simulation, list(names)) < 1e-9
    assert simulation.conservation_error() < 1e-12


# Convergence with faults.


def test_lost_late_and_repeated_messages_cost_hardly_any_rounds() -> None:
    regression = Regression(8)
    edges = make_topology("ring", 8, np.random.default_rng(0))
    latency_s = 0.01
    harm = Conditions(latency_s=latency_s, loss_rate=0.3, duplicate_rate=0.1, max_delay_s=3 * latency_s)

    def rounds_needed(conditions: Conditions, seed: int) -> int:
        simulation = start(regression, edges, conditions, seed, momentum=0.2)
        simulation.run(until=partial(is_within, regression, simulation, 1e-8))
        return max(machine.round for machine in simulation.machines.values())

    unharmed = rounds_needed(Conditions(latency_s=latency_s), 0)
    harmed = [rounds_needed(harm, seed) for seed in range(5)]
    assert median(harmed) <= 1.1 * unharmed
    assert max(harmed) <= 1.4 * unharmed


@pytest.mark.parametrize("seed", range(4))
def test_where_no_deadline_passes_losses_change_not_a_bit_of_the_model(seed: int) -> None:
    """Whatever is lost, overtaken or repeated, every round is mixed of its own shares, up to the very last."""
    regression = Regression(6)
    edges = make_topology("ring", 6, np.random.default_rng(0))
    patient = replace(QUICK, round_timeout_s=100.0, round_timeout_floor_s=100.0, silence_s=1000.0)
    harm = Conditions(latency_s=0.01, loss_rate=0.3, duplicate_rate=0.1, max_delay_s=0.03)
    models = []
    for conditions in (Conditions(latency_s=0.01), harm):
        simulation = start(regression, edges, conditions, seed, momentum=0.2, max_rounds=50, timing=patient)
        simulation.run(until=partial(is_over, simulation))
        models.append([machine.params for machine in simulation.machines.values()])
    calm, harmed = models
    np.testing.assert_array_equal(calm, harmed)


@pytest.mark.parametrize("loss_rate", [0.0, 0.3])
def test_agents_that_wait_for_nobody_converge_at_ten_different_speeds(loss_rate: float) -> None:
    regression = Regression(8)
    durations = {name: 0.01 / speed for name, speed in zip(regression.names, np.linspace(1, 0.1, 8), strict=True)}
    conditions = Conditions(loss_rate=loss_rate, local_step_s=durations.__getitem__)
    simulation = start(
        regression,
        make_topology("ring", 8, np.random.default_rng(0)),
        conditions,
        timing=replace(QUICK, round_timeout_s=0.0),
    )
    run_rounds(simulation, 4000)
    assert regression.error(simulation, regression.names) < 1e-6
    assert simulation.conservation_error() < 1e-12


@pytest.mark.parametrize("is_asynchronous", [False, True])
def test_crash_return_partition_and_healing_each_lead_to_the_solution_of_the_data_that_is_there(
    is_asynchronous: bool,
) -> None:
    regression = Regression(8, seed=1)
    edges = [(k, (k + 1) % 8) for k in range(8)] + [(0, 4), (1, 3), (5, 7)]
    accuracy = 1e-6 if is_asynchronous else 1e-9
    durations = dict(zip(regression.names, 0.01 / np.linspace(1, 0.1, 8), strict=True))
    conditions = Conditions(
        loss_rate=0.3,
        duplicate_rate=0.1,
        max_delay_s=0.003,
        local_step_s=durations.__getitem__ if is_asynchronous else None,
    )
    timing = replace(QUICK, round_timeout_s=0.0) if is_asynchronous else QUICK
    simulation = start(regression, edges, conditions, timing=timing, momentum=0.2)
    everyone = regression.names
    halves = [everyone[:4], everyone[4:]]

    def settle(*groups: list[str]) -> None:
        simulation.run(
            until=lambda: all(regression.error(simulation, group) < accuracy for group in groups),
            deadline=simulation.now + 300,
        )
        for group in groups:
            assert regression.error(simulation, group) < accuracy
        assert simulation.conservation_error() < 1e-10

    settle(everyone)
    simulation.crash("agent-2")
    settle([name for name in everyone if name != "agent-2"])
    simulation.add(
        "agent-2",
        *agent(regression.learner("agent-2"), "agent-2", 2, expected_neighbors=2, timing=timing, momentum=0.2),
    )
    settle(everyone)
    simulation.network.cut([(one, other) for one in halves[0] for other in halves[1]])
    settle(*halves)
    simulation.network.heal()
    settle(everyone)


def test_one_that_was_cut_off_before_it_had_an_answer_asks_again_once_that_is_over() -> None:
    """And does not wait out the time that it gives all neighbors to appear for the first time."""
    regression = Regression(3)
    simulation = start(regression, [(0, 1), (1, 2)], Conditions())
    run_rounds(simulation, 20)
    simulation.crash("agent-2")
    simulation.run(deadline=simulation.now + 1.0)
    timing = replace(QUICK, start_timeout_s=1000.0)
    simulation.add("agent-2", *agent(regression.learner("agent-2"), "agent-2", 2, timing=timing))
    joiner = simulation.machines["agent-2"]
    simulation.run(until=lambda: len(joiner.neighborhood.open()) == 1, deadline=simulation.now + 1.0)
    simulation.network.cut([("agent-1", "agent-2")])
    simulation.run(until=lambda: not joiner.neighborhood.open(), deadline=simulation.now + 20.0)
    assert not joiner.neighborhood.open()
    simulation.network.heal()
    simulation.run(until=lambda: joiner.round > 0, deadline=simulation.now + 10.0)
    assert joiner.round > 20


def test_a_neighbor_that_takes_mass_and_gives_none_back_does_not_drain_the_others() -> None:
    """It answers, but is busy for long with a single step."""
    regression = Regression(4)
    durations = {**dict.fromkeys(regression.names, 0.001), "agent-3": 2.0}
    conditions = Conditions(local_step_s=durations.__getitem__)
    for round_timeout_s in (0.0, 0.01):
        timing = replace(QUICK, round_timeout_s=round_timeout_s, round_timeout_floor_s=0.0)
        simulation = start(regression, make_topology("ring", 4, np.random.default_rng(0)), conditions, timing=timing)
        simulation.run(deadline=1.9)
        weights = [simulation.machines[name].ledger().mass[-1] for name in regression.names[:3]]
        assert min(weights) > 0.1
        assert regression.error(simulation, regression.names[:3]) < 1.0


def test_without_conserving_links_lost_messages_lead_astray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain gradient tracking sends what it gives in this round; what is lost is lost for good."""
    regression = Regression(8)
    apply = Link.apply

    def give_once(link: Link, mass: Array, params: Array, round_: int) -> tuple[int, Array, Array]:  # noqa: ARG001
        link.sequence += 1
        link.ledger.sent = link.sent + mass
        return 0, mass, params

    def add(link: Link, round_: int) -> bool:
        before = link.received
        is_new = apply(link, round_)
        link.ledger.received = before + link.received if is_new else before
        return is_new

    monkeypatch.setattr(Link, "give", give_once)
    monkeypatch.setattr(Link, "apply", add)
    simulation = start(
        regression,
        make_topology("ring", 8, np.random.default_rng(0)),
        Conditions(loss_rate=0.3),
        timing=replace(QUICK, round_timeout_s=0.002, round_timeout_floor_s=0.002),
    )
    run_rounds(simulation, 1000)
    assert not regression.error(simulation, regression.names) < 1e-2


@pytest.mark.parametrize("loss_rate", [0.0, 0.3])
def test_agents_that_wait_for_nobody_do_not_run_ahead_of_the_messages(loss_rate: float) -> None:
    """Their steps take no time at all, a message takes some: they go on when anything has come, or after a while."""
    regression = Regression(8)
    edges = make_topology("ring", 8, np.random.default_rng(0))
    conditions = Conditions(latency_s=0.01, loss_rate=loss_rate)
    simulation = start(regression, edges, conditions, timing=replace(QUICK, round_timeout_s=0.0))
    run_rounds(simulation, 3000)
    assert regression.error(simulation, regression.names) < 1e-6


def test_where_agents_meet_one_at_a_time_one_that_is_cut_off_costs_one_deadline() -> None:
    regression = Regression(4)
    names = tuple(regression.names)
    simulation = Simulator(Conditions(latency_s=0.01), 0, ConservationOracle())
    timing = replace(QUICK, round_timeout_floor_s=1.0, silence_s=30.0)
    for name in names:
        mixing = OnePeerExponential(name, names)
        simulation.add(name, *agent(regression.learner(name), name, expected_neighbors=3, mixing=mixing, timing=timing))
    simulation.connect([(j, k) for j in names for k in names if j < k])
    run_rounds(simulation, 20)
    simulation.network.cut([(names[0], name) for name in names[1:]])
    others = [simulation.machines[name] for name in names[1:]]
    before = min(other.round for other in others)
    simulation.run(deadline=simulation.now + 5.0)
    assert min(other.round for other in others) - before > 100


# The end.


@given(
    topology=st.sampled_from(["ring", "path", "star", "full"]),
    spells=st.lists(st.tuples(st.floats(0.0, 0.45), st.floats(0.1, 2.0)), min_size=1, max_size=20),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=50 if IS_LONG else 10)
def test_all_end_with_the_same_round_whenever_messages_are_lost(
    topology: str, spells: list[tuple[float, float]], seed: int
) -> None:
    """The chance of loss changes from spell to spell, and delays make messages overtake each other all the time."""
    regression = Regression(5)
    edges = make_topology(topology, 5, np.random.default_rng(0))
    timing = replace(QUICK, silence_s=15.0)
    simulation = start(regression, edges, Conditions(), seed=seed, tolerance=1e-2, max_diameter=4, timing=timing)
    for loss_rate, duration_s in itertools.cycle(spells):
        simulation.conditions = Conditions(latency_s=0.02, loss_rate=loss_rate, max_delay_s=0.05)
        simulation.run(until=partial(is_over, simulation), deadline=simulation.now + duration_s)
        if simulation.is_over or simulation.now > 300.0:
            break
    assert simulation.is_over
    assert len({machine.round for machine in simulation.machines.values()}) == 1
    assert regression.error(simulation, regression.names) < 0.1


def test_nobody_ends_while_a_neighbor_is_missed_and_everybody_does_when_it_is_back() -> None:
    regression = Regression(4)
    edges = make_topology("ring", 4, np.random.default_rng(0))
    timing = replace(QUICK, suspect_limit_s=50.0, redial_grace_s=0.1)
    simulation = start(regression, edges, Conditions(latency_s=0.01), tolerance=1e-2, max_diameter=2, timing=timing)
    run_rounds(simulation, 3)
    simulation.crash("agent-1")
    simulation.run(deadline=10.0)
    assert all(machine.last_round == 10**6 for machine in simulation.machines.values())
    simulation.add(
        "agent-1",
        *agent(
            regression.learner("agent-1"),
            "agent-1",
            2,
            expected_neighbors=2,
            tolerance=1e-2,
            max_diameter=2,
            timing=timing,
        ),
    )
    simulation.run(until=lambda: simulation.is_over, deadline=60.0)
    assert simulation.is_over
    assert len({machine.round for machine in simulation.machines.values()}) == 1


@pytest.mark.parametrize("n_crashed", [1, 4])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("away_s", [0.3, 3.0])
def test_who_goes_and_returns_once_the_last_round_is_named_changes_neither_it_nor_the_model(
    n_crashed: int, part: float, away_s: float
) -> None:
    """Those who have come to rest stay where they are, the end waits for those who return, and they are told."""
    regression = Regression(6)
    edges = make_topology("ring", 6, np.random.default_rng(0))
    timing = replace(QUICK, round_pace_s=0.1)
    changes: dict[str, Any] = {"tolerance": 1e-3, "max_diameter": 6, "timing": timing, "momentum": 0.2}
    simulation = start(regression, edges, Conditions(latency_s=0.02), **changes)
    everyone = list(simulation.machines.values())
    simulation.run(until=lambda: all(machine.last_round < 10**6 for machine in everyone))
    (last_round,) = {machine.last_round for machine in everyone}
    n_left = last_round - max(machine.round for machine in everyone)
    simulation.run(deadline=simulation.now + part * n_left * timing.round_pace_s)
    crashed = regression.names[:n_crashed]
    for name in crashed:
        simulation.crash(name)
    simulation.run(deadline=simulation.now + away_s)
    for name in crashed:
        simulation.add(name, *agent(regression.learner(name), name, incarnation=2, expected_neighbors=2, **changes))
    simulation.run(until=partial(is_over, simulation), deadline=simulation.now + 100.0)
    assert simulation.is_over
    assert {machine.round for machine in simulation.machines.values()} == {last_round}
    assert is_within(regression, simulation, 5e-3)


def test_nobody_ends_while_a_link_is_still_being_opened() -> None:
    """Two that have long agreed wait for the third, whose Hellos are lost, as long as for one that has vanished."""
    regression = Regression(3)
    timing = replace(QUICK, start_timeout_s=1.0, suspect_limit_s=50.0)
    conditions = Conditions(latency_s=0.02)
    simulation = start(regression, [(0, 1), (1, 2)], conditions, tolerance=1e-2, max_diameter=2, timing=timing)
    simulation.network.cut([("agent-1", "agent-2")])
    simulation.run(deadline=10.0)
    assert simulation.machines["agent-0"].round > 300
    assert all(machine.last_round == 10**6 for machine in simulation.machines.values())
    simulation.network.heal()
    simulation.run(until=lambda: simulation.is_over, deadline=60.0)
    assert simulation.is_over
    assert len({machine.round for machine in simulation.machines.values()}) == 1
    assert regression.error(simulation, regression.names) < 0.05


def test_one_that_leaves_takes_its_data_along_and_nobody_waits_for_it() -> None:
    regression = Regression(4)
    simulation = start(regression, make_topology("full", 4, np.random.default_rng(0)), Conditions())
    run_rounds(simulation, 5)
    simulation.handle("agent-3", LeaveRequested())
    simulation.run(deadline=simulation.now + 2.0)
    assert regression.error(simulation, regression.names[:3]) < 1e-9
    assert all(
        "agent-3" not in {link.peer for link in simulation.machines[name].ledger().links}
        for name in regression.names[:3]
    )


# Nothing is lost, whatever happens.


@pytest.mark.parametrize("leak", ["forgotten", "doubled", "unbooked"])
def test_a_leak_is_found(leak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    match leak:
        case "forgotten":
            mass = Tracker.mass
            monkeypatch.setattr(Tracker, "mass", lambda tracker, links: 0.999999 * mass(tracker, links))
        case "doubled":
            apply = Link.apply

            def apply_twice(link: Link, round_: int) -> bool:
                before = link.received
                is_new = apply(link, round_)
                link.ledger.received = link.received + 1e-6 * (link.received - before)
                return is_new

            monkeypatch.setattr(Link, "apply", apply_twice)
        case "unbooked":
            give = Link.give

            def give_more(link: Link, mass: Array, params: Array, round_: int = 0) -> tuple[int, Any, Any]:
                base, total, told = give(link, mass, params, round_)
                return base, total * 1.000001, told

            monkeypatch.setattr(Link, "give", give_more)
    simulation = start(Regression(4), make_topology("ring", 4, np.random.default_rng(0)), Conditions())
    run_rounds(simulation, 5)
    assert simulation.conservation_error() > 1e-9


def test_a_circle_of_events_is_an_error_and_no_endless_loop() -> None:
    class Hasty(Learner):
        """Answers at once and lets no time pass."""

        def evaluate(self, effect: Evaluate) -> Evaluated:
            return Evaluated(effect.round, np.zeros(N_PARAMS), 1.0)

        def observe(self) -> Observation:
            raise NotImplementedError

        def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
            return LocalStepDone(effect.round, effect.params, 1.0, 0.0)

    simulation = Simulator(Conditions(latency_s=0.0), 0)
    for name in "ab":
        simulation.add(name, *agent(Hasty(), name))
    simulation.connect([("a", "b")])
    with pytest.raises(TrainingError, match="turn in a circle"):
        simulation.run(deadline=1.0)


class AnySchedule(RuleBasedStateMachine):
    """Everything that can happen to a network, in any order; hypothesis prints the steps that replay a failure."""

    regression = Regression(6)

    @initialize(
        topology=st.sampled_from(["ring", "path", "star", "grid", "full"]),
        precision=st.sampled_from([64, 32, CODED]),
        is_asynchronous=st.booleans(),
        seed=st.integers(0, 2**32 - 1),
    )
    def begin(self, topology: str, precision: int, is_asynchronous: bool, seed: int) -> None:
        self.precision = precision
        self.timing = replace(QUICK, round_timeout_s=0.0, round_pace_s=0.005) if is_asynchronous else QUICK
        self.simulation = Simulator(Conditions(), seed, ConservationOracle())
        self.incarnations = dict.fromkeys(self.regression.names, 0)
        self.edges = make_topology(topology, 6, np.random.default_rng(0))
        self.simulation.connect([(self.regression.names[j], self.regression.names[k]) for j, k in self.edges])
        for name in self.regression.names[:5]:
            self.add(name)

    def add(self, name: str) -> None:
        self.incarnations[name] += 1
        self.simulation.add(
            name,
            *agent(
                self.regression.learner(name),
                name,
                self.incarnations[name],
                precision=max(self.precision, 32),
                is_coded=self.precision == CODED,
                timing=self.timing,
                momentum=0.2,
                exchanges=2,
            ),
        )

    @property
    def living(self) -> list[str]:
        machines = self.simulation.machines
        return sorted(name for name, machine in machines.items() if machine.phase is not Phase.CLOSED)

    @property
    def absent(self) -> list[str]:
        return [name for name in self.regression.names if name not in self.living]

    def run_checked(self, duration_s: float) -> None:
        """Check after every event, or after every tenth where time is short."""
        n_events = 0

        def is_broken() -> bool:
            nonlocal n_events
            n_events += 1
            return (IS_LONG or n_events % 10 == 0) and self.simulation.conservation_error() > 1e-10

        self.simulation.run(until=is_broken, deadline=self.simulation.now + duration_s)

    @rule(duration_s=st.sampled_from([0.003, 0.02, 0.05]))
    def time_passes(self, duration_s: float) -> None:
        self.run_checked(duration_s)

    @rule(
        loss_rate=st.sampled_from([0.0, 0.3, 0.8]),
        duplicate_rate=st.sampled_from([0.0, 0.5]),
        max_delay_s=st.sampled_from([0.0, 0.003, 0.1]),
    )
    def weather_changes(self, loss_rate: float, duplicate_rate: float, max_delay_s: float) -> None:
        self.simulation.conditions = Conditions(
            loss_rate=loss_rate, duplicate_rate=duplicate_rate, max_delay_s=max_delay_s
        )

    @precondition(lambda self: len(self.living) > 2)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        self.simulation.crash(data.draw(st.sampled_from(self.living)))

    @precondition(lambda self: len(self.living) > 2)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.living))
        self.simulation.handle(name, LeaveRequested())
        self.simulation.crash(name)

    @precondition(lambda self: self.absent)
    @rule(data=st.data())
    def join_or_return(self, data: st.DataObject) -> None:
        self.add(data.draw(st.sampled_from(self.absent)))

    @rule(size=st.integers(1, 5))
    def cut(self, size: int) -> None:
        names = self.regression.names
        self.simulation.network.cut([(one, other) for one in names[:size] for other in names[size:]])

    @rule()
    def heal(self) -> None:
        self.simulation.network.heal()

    @rule(data=st.data())
    def reconnect(self, data: st.DataObject) -> None:
        """A connection drops and comes back; the link goes on."""
        j, k = data.draw(st.sampled_from(self.edges))
        self.simulation.network.drop_wire(self.regression.names[j], self.regression.names[k], after_s=0.01)

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "simulation"):
            assert self.simulation.conservation_error() <= 1e-10

    def teardown(self) -> None:
        """Without faults again, all agents take part and all agree on the solution of the data that is there."""
        if not hasattr(self, "simulation"):
            return
        self.simulation.conditions = Conditions()
        self.simulation.network.heal()
        for name in self.absent:
            self.add(name)
        everyone = self.regression.names
        accuracy = 1e-4 if self.precision == 32 else 1e-6
        self.simulation.run(
            until=lambda: self.regression.error(self.simulation, everyone) < accuracy,
            deadline=self.simulation.now + 60,
        )
        assert self.regression.error(self.simulation, everyone) < accuracy
        assert self.simulation.conservation_error() <= 1e-10


TestAnySchedule = AnySchedule.TestCase
TestAnySchedule.settings = settings(
    max_examples=300 if IS_LONG else 16,
    stateful_step_count=60 if IS_LONG else 40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
