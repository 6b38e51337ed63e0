"""Whole runs of two or three agents as text, for people to review: what happens to whom, and what it makes of that.

P2PNET_WRITE_TRANSCRIPTS=1 writes them anew; read the difference before you commit it.
"""

import os
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from p2pnet.protocol.core.effects import Evaluate, RunLocalStep
from p2pnet.protocol.core.events import Evaluated, LeaveRequested, LocalStepDone
from p2pnet.protocol.core.types import LinkId, Nonce
from p2pnet.protocol.rounds.machine import RoundEffect, RoundEvent, RoundMachine
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.state import Phase
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.rounds_only import wired_agent
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.training.learner import Learner, Observation

TRANSCRIPTS = Path(__file__).parent / "transcripts"
LATENCY_S = 0.1
TIMING = Timing(round_timeout_s=1.0, round_timeout_floor_s=0.5, resend_s=0.4, start_timeout_s=5.0, finish_timeout_s=2.0)
UNTOLD = {
    "versions",
    "capabilities",
    "network_size",
    "fingerprint",
    "address",
    "name",
    "base",
    "precision",
    "disagreement",
    "first_residual",
    "is_held",
    "is_warning",
}


class Square(Learner):
    """½ (w − target)² for each of n samples, by half Newton steps."""

    def __init__(self, target: float, n_samples: int) -> None:
        self.target, self.n_samples = target, n_samples

    def evaluate(self, effect: Evaluate) -> Evaluated:
        return Evaluated(effect.round, self.n_samples * (effect.params - self.target), float(self.n_samples))

    def observe(self) -> Observation:
        raise NotImplementedError

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        return LocalStepDone(effect.round, effect.params - effect.direction / 2, abs(float(effect.direction[0])), 1.0)


def in_words(value: Any) -> str:
    match value:
        case float():
            return f"{value:.4g}"
        case np.ndarray():
            return "[" + " ".join(f"{number:.4g}" for number in value) + "]"
        case Nonce(incarnation, counter):
            return f"{incarnation}.{counter}"
        case LinkId(mine, theirs):
            return f"{in_words(mine)}/{in_words(theirs)}"
        case None:
            return "-"
    if not is_dataclass(value):
        return str(value)
    told = [(f.name, getattr(value, f.name)) for f in fields(value) if f.name not in UNTOLD]
    return " ".join([type(value).__name__, *(f"{name}={in_words(content)}" for name, content in told)])


class Scribe:
    """Writes down what the machines are told and what they answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[str] = []
        start, handle = RoundMachine.start, RoundMachine.handle

        def told_start(machine: RoundMachine, now: float) -> list[RoundEffect]:
            return self.write(machine, now, "starts", lambda: start(machine, now))

        def told_handle(machine: RoundMachine, event: RoundEvent, now: float) -> list[RoundEffect]:
            return self.write(machine, now, in_words(event), lambda: handle(machine, event, now))

        monkeypatch.setattr(RoundMachine, "start", told_start)
        monkeypatch.setattr(RoundMachine, "handle", told_handle)

    def write(
        self, machine: RoundMachine, now: float, happening: str, answer: Callable[[], list[RoundEffect]]
    ) -> list[RoundEffect]:
        effects = answer()
        name = machine.neighborhood.identity.name
        self.lines.append(f"{now:.3f} {name} {happening}")
        self.lines += [f"        -> {in_words(effect)}" for effect in effects]
        self.lines.append(f"        ({machine.phase.value}, round {machine.round})")
        return effects

    def note(self, text: str) -> None:
        self.lines.append(f"\n# {text}\n")

    def check(self, name: str) -> None:
        """Hold what was written against the transcript of that name."""
        path = TRANSCRIPTS / f"{name}.txt"
        text = "\n".join(self.lines) + "\n"
        if os.environ.get("P2PNET_WRITE_TRANSCRIPTS") == "1":
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")


@pytest.fixture
def scribe(monkeypatch: pytest.MonkeyPatch) -> Scribe:
    return Scribe(monkeypatch)


def add(simulation: Simulator, name: str, target: float, n_samples: int, max_rounds: int, **settings: Any) -> None:
    incarnation = settings.pop("incarnation", 1)
    options = RoundOptions(max_rounds, exchanges=1, momentum=0.0, tolerance=0.0, timing=TIMING, **settings)
    identity = Identity(name, name, incarnation, {})
    simulation.add(name, *wired_agent(identity, options, np.zeros(1), Square(target, n_samples)))


def pair(max_rounds: int) -> Simulator:
    simulation = Simulator(Conditions(latency_s=LATENCY_S), 0)
    add(simulation, "ann", 1.0, 10, max_rounds)
    add(simulation, "bob", 3.0, 30, max_rounds)
    simulation.connect([("ann", "bob")])
    return simulation


def test_two_agents_without_faults(scribe: Scribe) -> None:
    simulation = pair(max_rounds=2)
    simulation.run(until=lambda: simulation.is_over, deadline=60.0)
    assert simulation.is_over
    scribe.check("two-agents")


def test_a_lost_share(scribe: Scribe) -> None:
    """Ann's share of round 1 is lost and sent again; its acknowledgement too."""
    simulation = pair(max_rounds=2)
    simulation.run(until=lambda: simulation.machines["ann"].round == 1)
    scribe.note("nothing arrives from now on")
    simulation.network.cut([("ann", "bob")])
    simulation.run(deadline=simulation.now + LATENCY_S)
    scribe.note("everything arrives again")
    simulation.network.heal()
    simulation.run(until=lambda: simulation.is_over, deadline=60.0)
    assert simulation.is_over
    scribe.check("lost-share")


def test_a_share_that_the_next_one_overtakes(scribe: Scribe) -> None:
    """Ann's share of round 1 is lost, her next one is not: bob asks for what he misses, and mixes each in its round."""
    simulation = pair(max_rounds=3)
    ann = simulation.machines["ann"]
    simulation.run(until=lambda: ann.round == 1)
    scribe.note("ann's next share is lost")
    simulation.network.cut([("ann", "bob")])
    simulation.run(until=lambda: ann.phase is Phase.EXCHANGING)
    scribe.note("everything arrives again")
    simulation.network.heal()
    simulation.run(until=lambda: simulation.is_over, deadline=60.0)
    assert simulation.is_over
    scribe.check("overtaken-share")


def test_an_agent_crashes_and_returns(scribe: Scribe) -> None:
    simulation = pair(max_rounds=9)
    simulation.run(until=lambda: simulation.machines["ann"].round == 2)
    scribe.note("bob's process dies")
    simulation.crash("bob")
    simulation.run(deadline=simulation.now + 2.0)
    scribe.note("bob is started again, without a checkpoint")
    add(simulation, "bob", 3.0, 30, 9, incarnation=2)
    simulation.run(until=lambda: simulation.is_over, deadline=60.0)
    assert simulation.is_over
    scribe.check("crash-and-return")


def test_a_late_joiner_takes_the_parameters_of_a_neighbor(scribe: Scribe) -> None:
    simulation = pair(max_rounds=8)
    simulation.run(until=lambda: simulation.machines["ann"].round == 2)
    scribe.note("cat comes late, and has bob for a neighbor")
    add(simulation, "cat", 5.0, 20, 8)
    simulation.connect([("bob", "cat")])
    simulation.run(until=lambda: simulation.is_over, deadline=60.0)
    assert simulation.is_over
    scribe.check("late-joiner")


def test_an_agent_leaves_for_good(scribe: Scribe) -> None:
    simulation = pair(max_rounds=4)
    simulation.run(until=lambda: simulation.machines["ann"].round == 1)
    scribe.note("bob is told to leave")
    simulation.handle("bob", LeaveRequested())
    simulation.run(until=lambda: simulation.machines["ann"].round == 3)
    scribe.check("leaving")
