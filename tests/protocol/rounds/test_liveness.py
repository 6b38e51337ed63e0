"""Who is taken for gone, how long the others wait for whom, and whose silence is really one's own sleep."""

from dataclasses import replace

import numpy as np
import pytest

from p2pnet.protocol.core.effects import Evaluate, Notify, RunLocalStep, Send
from p2pnet.protocol.core.events import DeadlineReached, Evaluated, LocalStepDone, MessageReceived
from p2pnet.protocol.core.notices import CloseReason, EndHeldUp, LinkClosed, NeighborLate
from p2pnet.protocol.messages.training import Ack
from p2pnet.protocol.rounds.happenings import RoundEffect
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.state import Phase
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.rounds_only import wired_agent
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.training.learner import Learner, Observation

LATENCY_S = 0.05
DEADLINE_S = 1.0
TIMING = Timing(round_timeout_s=DEADLINE_S, round_timeout_floor_s=DEADLINE_S, silence_s=15.0)


class Square(Learner):
    """½ (w − target)², by gradient steps."""

    def __init__(self, target: float) -> None:
        self.target = target
        self.cut_short_in: list[int] = []

    def evaluate(self, effect: Evaluate) -> Evaluated:
        return Evaluated(effect.round, effect.params - self.target, 1.0)

    def observe(self) -> Observation:
        raise NotImplementedError

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        residual = float(np.abs(effect.direction).item())
        return LocalStepDone(effect.round, effect.params - 0.3 * effect.direction, residual, 1.0)

    def cut_short(self, round_: int) -> None:
        self.cut_short_in.append(round_)


def ring(n_agents: int, tolerance: float = 0.0) -> Simulator:
    return ring_of([Square(float(k)) for k in range(n_agents)], tolerance)


def ring_of(learners: list[Square], tolerance: float = 0.0, timing: Timing = TIMING) -> Simulator:
    simulation = Simulator(Conditions(latency_s=LATENCY_S), 0)
    names = [f"agent-{k}" for k in range(len(learners))]
    settings = RoundOptions(10**6, expected_neighbors=2, max_diameter=2, tolerance=tolerance, timing=timing)
    for name, learner in zip(names, learners, strict=True):
        simulation.add(name, *wired_agent(Identity(name, name, 1, {}), settings, np.zeros(1), learner))
    simulation.connect([(names[k], names[(k + 1) % len(names)]) for k in range(len(names))])
    return simulation


def n_rounds(simulation: Simulator, name: str, seconds: float) -> int:
    """How many rounds the agent gets through in that time."""
    before = simulation.machines[name].round
    simulation.run(deadline=simulation.now + seconds)
    return simulation.machines[name].round - before


@pytest.mark.parametrize("watched", ["agent-1", "agent-2", "agent-3"])
def test_a_neighbor_that_says_nothing_costs_one_deadline(watched: str) -> None:
    simulation = ring(5)
    simulation.run(deadline=5.0)
    usual = n_rounds(simulation, watched, 4.0)
    simulation.network.cut([("agent-0", "agent-1"), ("agent-0", "agent-4")])
    then = n_rounds(simulation, watched, 4.0 + DEADLINE_S)
    assert usual - 3 <= then <= usual
    assert n_rounds(simulation, watched, 4.0) >= usual - 1
    late = [(peer, notice) for _, peer, notice in simulation.notices if isinstance(notice, NeighborLate)]
    assert sorted((peer, notice.name, round(notice.waited_s, 6)) for peer, notice in late) == [
        ("agent-0", "agent-1", DEADLINE_S),
        ("agent-0", "agent-4", DEADLINE_S),
        ("agent-1", "agent-0", DEADLINE_S),
        ("agent-4", "agent-0", DEADLINE_S),
    ]


@pytest.mark.parametrize(
    ("step_s", "timing", "is_cut_short"),
    [
        (3.0, TIMING, True),
        (0.4 * DEADLINE_S, TIMING, False),
        (3.0, replace(TIMING, round_timeout_s=0.0), False),
    ],
)
def test_the_step_of_a_slow_agent_is_cut_short_once_while_its_neighbors_still_wait_for_it(
    step_s: float, timing: Timing, is_cut_short: bool
) -> None:
    """In asynchronous mode it takes its time."""
    learners = [Square(float(k)) for k in range(3)]
    simulation = ring_of(learners, timing=timing)
    simulation.conditions = replace(
        simulation.conditions, local_step_s=lambda name: step_s if name == "agent-0" else 0.01
    )
    slow = simulation.machines["agent-0"]
    simulation.run(until=lambda: slow.phase is Phase.STEPPING)
    begun_at = simulation.now
    simulation.run(until=lambda: bool(learners[0].cut_short_in) or slow.phase is not Phase.STEPPING)
    if is_cut_short:
        assert begun_at + DEADLINE_S / 2 < simulation.now < begun_at + DEADLINE_S
        simulation.run(until=lambda: slow.phase is not Phase.STEPPING)
    assert [learner.cut_short_in for learner in learners] == [[0] if is_cut_short else [], [], []]


def test_it_is_waited_for_again_once_it_is_heard_of() -> None:
    simulation = ring(4)
    simulation.run(deadline=5.0)
    simulation.network.cut([("agent-0", "agent-1"), ("agent-0", "agent-3")])
    simulation.run(deadline=10.0)
    simulation.network.heal()
    simulation.run(deadline=14.0)
    rounds = [machine.round for machine in simulation.machines.values()]
    assert max(rounds) - min(rounds) <= 1
    neighbor = simulation.machines["agent-1"].neighborhood.find("agent-0")
    assert neighbor is not None
    assert not neighbor.is_lagging


def test_the_end_waits_for_one_that_vanished_as_long_as_is_promised_and_says_so_once() -> None:
    simulation = ring(4, tolerance=1e-2)
    simulation.run(until=lambda: simulation.machines["agent-0"].round == 3)
    crashed_at = simulation.now
    simulation.crash("agent-0")
    simulation.run(until=lambda: simulation.is_over, deadline=100.0)
    assert simulation.is_over
    given_up_at = crashed_at + LATENCY_S + TIMING.redial_grace_s + TIMING.suspect_limit_s
    assert given_up_at < simulation.now < given_up_at + 5.0
    held_up = [(peer, notice) for _, peer, notice in simulation.notices if isinstance(notice, EndHeldUp)]
    assert sorted(held_up, key=lambda pair: pair[0]) == [
        ("agent-1", EndHeldUp(("agent-0",))),
        ("agent-3", EndHeldUp(("agent-0",))),
    ]


def closed(effects: list[RoundEffect]) -> list[LinkClosed]:
    notices = [effect.notice for effect in effects if isinstance(effect, Notify)]
    return [notice for notice in notices if isinstance(notice, LinkClosed)]


def test_silence_that_was_listened_to_closes_the_link() -> None:
    simulation = ring(3)
    simulation.run(deadline=5.0)
    simulation.network.cut([("agent-0", "agent-1")])
    simulation.run(deadline=5.0 + TIMING.silence_s + 1.0)
    closings = [
        notice for _, peer, notice in simulation.notices if peer == "agent-0" and isinstance(notice, LinkClosed)
    ]
    assert closings == [LinkClosed("agent-1", CloseReason.SILENT)]


def test_an_agent_that_was_stopped_for_long_takes_nobody_for_dead_when_it_goes_on() -> None:
    simulation = ring(3)
    simulation.run(deadline=5.0)
    sleeper = simulation.machines["agent-0"]
    woken_at = simulation.now + 3 * TIMING.silence_s
    assert closed(sleeper.handle(DeadlineReached(), woken_at)) == []

    # Its neighbors speak to it, one of them at least; the other one is found dead by its own silence from now on.
    at = woken_at
    closings: list[tuple[float, LinkClosed]] = []
    while at < woken_at + 2 * TIMING.silence_s:
        at += 1.0
        neighbor = sleeper.neighborhood.find("agent-1")
        assert neighbor is not None
        assert neighbor.link is not None
        ack = Ack(neighbor.link.link_id.mirrored(), 0)
        effects = sleeper.handle(MessageReceived("agent-1", ack), at) + sleeper.handle(DeadlineReached(), at)
        closings += [(at, notice) for notice in closed(effects)]
    assert [notice for _, notice in closings] == [LinkClosed("agent-2", CloseReason.SILENT)]
    assert closings[0][0] >= woken_at + TIMING.silence_s


def test_an_agent_that_computes_for_long_gives_signs_of_life() -> None:
    simulation = ring(3)
    simulation.run(until=lambda: simulation.machines["agent-0"].phase is Phase.EXCHANGING)
    thinker = simulation.machines["agent-0"]
    deadline = thinker.next_deadline()
    signs: list[float] = []
    start = simulation.now
    while deadline is not None and deadline < start + TIMING.silence_s:
        effects = thinker.handle(DeadlineReached(), deadline)
        signs += [deadline for effect in effects if isinstance(effect, Send) and effect.peer == "agent-1"]
        deadline = thinker.next_deadline()
    assert len(signs) >= 2
    assert max(np.diff([start, *signs])) < TIMING.silence_s / 2


def test_who_waits_for_a_neighbor_that_never_comes_joins_the_others_that_have_begun() -> None:
    """Agent 1 waits for agent 0, which is dead from the beginning, and agent 2 gets no share of it meanwhile."""
    simulation = Simulator(Conditions(latency_s=LATENCY_S), 0)
    for k, expected in ((1, 2), (2, 2), (3, 2), (4, 1)):
        name = f"agent-{k}"
        settings = RoundOptions(10**6, expected_neighbors=expected, tolerance=0.0, timing=TIMING)
        simulation.add(name, *wired_agent(Identity(name, name, 1, {}), settings, np.zeros(1), Square(float(k))))
    simulation.connect([("agent-0", "agent-1"), ("agent-1", "agent-2"), ("agent-2", "agent-3"), ("agent-3", "agent-4")])
    simulation.run(deadline=TIMING.start_timeout_s / 2)
    assert min(machine.round for machine in simulation.machines.values()) > 100
    for machine in simulation.machines.values():
        np.testing.assert_allclose(machine.params, 2.5, atol=0.1)
