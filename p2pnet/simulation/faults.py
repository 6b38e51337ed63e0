"""Fault injection: loss, duplication, delay, churn and partitions of a simulated network, and a record of its state."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import final

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.protocol.rounds.state import Phase
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions, Edge
from p2pnet.training.records import LearnerState

ROUND_S = 0.1
"""The latency of a network with faults, and so the duration of an undisturbed round."""
ROUNDS_DOWN = 25
"""How long a crashed agent is gone, in rounds: long enough for its neighbors to close their links with it."""
CALM_ROUNDS = 2 * ROUNDS_DOWN
"""The rounds before the end in which no agent crashes: no agent is to be absent when the others end."""
CALM_ROUNDS_FOUND = 250
"""The same for agents that must find each other again: a lost attempt to dial alone costs them 50 rounds' time."""
MAX_CHURN = 10
"""Agents crash for at most so many times the duration of all rounds undisturbed: a network that loses all that it has
trained again and again would never end."""
CHECKPOINT_ROUNDS = 10
"""The time between two checkpoints of an agent, in rounds."""
MAX_LOSS_RATE = 0.95
"""The largest loss rate: with more, agents count each other as gone before a message arrives."""
MAX_DELAY_ROUNDS = 1000.0
"""The largest delay, far beyond all timeouts: later messages are as good as lost."""
MIN_ALIVE = 2
"""The number of agents that always stay alive."""
STANDSTILL_S = 1000.0
"""The virtual time without a new round after which the run has stalled: all timeouts are far shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The faults of a simulated network. Times in rounds are multiples of `ROUND_S`, however long rounds take."""

    loss_rate: float = 0.0
    duplicate_rate: float = 0.0
    delay_rounds: float = 0.0
    """each message is delayed by up to so many rounds, uniformly"""
    churn: float = 0.0
    """probability of each agent to crash in a round; it returns after `ROUNDS_DOWN`, with a checkpoint or nothing"""
    has_checkpoints: bool = False
    """whether a crashed agent goes on from its last checkpoint, up to `CHECKPOINT_ROUNDS` old"""
    cut: tuple[int, int] | None = None
    """the agents' rounds between which the network is cut in halves"""
    speeds: tuple[float, ...] = ()
    """of each agent: a local step takes 1/speed rounds; without speeds, no time at all"""
    is_asynchronous: bool = False
    """whether training is asynchronous; a round takes at least as long as a local step"""

    def __str__(self) -> str:
        """The faults as options of the command line."""
        rates = {
            "--loss-rate": self.loss_rate,
            "--duplicate-rate": self.duplicate_rate,
            "--delay-rounds": self.delay_rounds,
            "--churn": self.churn,
        }
        words = [f"{option} {rate:g}" for option, rate in rates.items() if rate]
        if self.cut is not None:
            words.append("--partition {}:{}".format(*self.cut))
        if self.speeds:
            words.append("--speeds")
        if self.has_checkpoints:
            words.append("--checkpoints")
        if self.is_asynchronous:
            words.append("--asynchronous")
        return ", ".join(words)

    def patience_s(self, pace_s: float) -> float:
        """The virtual time without a new round after which the run has stalled, with rounds of at least `pace_s`."""
        slowest_step_s = ROUND_S / min(self.speeds, default=np.inf)
        return STANDSTILL_S + 10 * (self.delay_rounds * ROUND_S + slowest_step_s + pace_s)

    def conditions(self, names: Sequence[str]) -> Conditions:
        durations = {name: ROUND_S / speed for name, speed in zip(names, self.speeds, strict=False)}
        return Conditions(
            latency_s=ROUND_S,
            loss_rate=self.loss_rate,
            duplicate_rate=self.duplicate_rate,
            max_delay_s=self.delay_rounds * ROUND_S,
            local_step_s=durations.__getitem__ if durations else None,
        )

    def timing(self, k: int, pace_s: float) -> Timing:
        """The timeouts of agent k, whose rounds take at least `pace_s`."""
        if not self.is_asynchronous:
            return Timing(round_pace_s=pace_s)
        return Timing(round_timeout_s=0.0, round_pace_s=max(pace_s, ROUND_S / (self.speeds[k] if self.speeds else 1.0)))


@dataclass(frozen=True, slots=True)
class NetworkSnapshot:
    """The state of the network at one time."""

    seconds: float
    round: int
    """the latest round of any agent"""
    agents: int
    """the number of agents alive"""
    messages_lost: int
    rounds_lost: int
    """rounds mixed without a share of every neighbor, summed over agents"""
    links_reopened: int
    conservation_error: float


@dataclass(frozen=True, slots=True)
class Saved:
    """The checkpoint of a simulated agent."""

    rounds: RoundSnapshot
    learner: LearnerState


@final
class FaultInjector:
    """Runs a simulation with a conservation oracle to its end, and injects crashes and partitions."""

    def __init__(
        self,
        faults: Faults,
        simulation: Simulator,
        start: Callable[[str, int, Saved | None], None],
        names: Sequence[str],
        edges: Iterable[Edge],
        rng: np.random.Generator,
        calm_rounds: int = CALM_ROUNDS,
    ) -> None:
        """`start` adds an agent by name and life, counted from 1, to the simulation, with its checkpoint if any.
        `edges` are the pairs that have links from the beginning; agents that find each other have none.
        """
        self._faults = faults
        self._simulation = simulation
        self._start = start
        self._names = names
        self._pairs = {frozenset(pair) for pair in edges}
        """Those that have had a link so far."""
        self._rng = rng
        self._calm_rounds = calm_rounds
        self._lives = dict.fromkeys(names, 1)
        self._back_at: dict[str, float] = {}
        self._saved: dict[str, Saved] = {}
        self._save_at = 0.0
        self._is_cut = False
        self._has_begun = False
        """Whether all have been in their rounds at one time; before, no agent crashes, for crashes are by rounds."""
        self._rounds_lost_before = 0
        """In processes that have crashed."""
        self._links_opened_before = 0

    def run(self, deadline: float, patience_s: float) -> list[NetworkSnapshot]:
        """Run until all agents have closed, or no new round has begun for `patience_s`; return a snapshot per
        `ROUND_S`.
        """
        simulation = self._simulation
        record: list[NetworkSnapshot] = []
        newest_round, begun_at = 0, simulation.now
        while not self._is_over and simulation.now < min(begun_at + patience_s, deadline):
            simulation.run(until=lambda: simulation.is_over, deadline=simulation.now + ROUND_S)
            self._has_begun = self._has_begun or len(simulation.machines) == simulation.n_alive
            self._save()
            self._crash_and_return()
            self._cut_and_heal()
            record.append(self._snapshot())
            if record[-1].round > newest_round:
                newest_round, begun_at = record[-1].round, simulation.now
        return record

    @property
    def _is_over(self) -> bool:
        """Whether all have closed, but for those that have come back too late to find another agent."""
        phases = {machine.phase for machine in self._simulation.machines.values()}
        return Phase.CLOSED in phases and phases <= {Phase.CLOSED, Phase.BOOTSTRAPPING}

    def _crash_and_return(self) -> None:
        machines = self._simulation.machines
        last_round = max((machine.last_round for machine in machines.values()), default=0)
        is_over = self._simulation.now > MAX_CHURN * last_round * ROUND_S
        is_ending = is_over or any(
            machine.last_round - machine.round < self._calm_rounds for machine in machines.values()
        )
        for name in self._names:
            if name in self._back_at:
                if self._simulation.now >= self._back_at[name] or is_ending:
                    del self._back_at[name]
                    self._lives[name] += 1
                    self._start(name, self._lives[name], self._saved.get(name))
            elif (
                self._has_begun
                and not is_ending
                and self._simulation.n_alive > MIN_ALIVE
                and self._rng.random() < self._faults.churn
            ):
                if (machine := machines.get(name)) is not None:
                    self._rounds_lost_before += machine.n_rounds_lost
                    self._links_opened_before += machine.neighborhood.n_opened
                self._simulation.crash(name)
                self._back_at[name] = self._simulation.now + ROUNDS_DOWN * ROUND_S

    def _save(self) -> None:
        """Save the checkpoints of all agents alive, where that is due."""
        if not self._faults.has_checkpoints or self._simulation.now < self._save_at:
            return
        self._save_at = self._simulation.now + CHECKPOINT_ROUNDS * ROUND_S
        for name, node in self._simulation.nodes.items():
            if (snapshot := node.snapshot()) is not None:
                self._saved[name] = Saved(snapshot, self._simulation.learner(name).state())

    def _cut_and_heal(self) -> None:
        if self._faults.cut is None:
            return
        first, last = self._faults.cut
        rounds = [machine.round for machine in self._simulation.machines.values()]
        if not self._is_cut and self._has_begun and min(rounds, default=0) >= first and max(rounds, default=0) < last:
            self._is_cut = True
            half = len(self._names) // 2
            self._simulation.network.cut((one, other) for one in self._names[:half] for other in self._names[half:])
        elif self._is_cut and max(rounds, default=0) >= last:
            self._is_cut = False
            self._simulation.network.heal()

    def _snapshot(self) -> NetworkSnapshot:
        machines = self._simulation.machines.values()
        for peer, machine in self._simulation.machines.items():
            self._pairs.update(frozenset((peer, neighbor.peer)) for neighbor, _ in machine.neighborhood.open())
        n_opened = self._links_opened_before + sum(machine.neighborhood.n_opened for machine in machines)
        return NetworkSnapshot(
            seconds=self._simulation.now,
            round=max((machine.round for machine in machines), default=0),
            agents=self._simulation.n_alive,
            messages_lost=self._simulation.n_lost,
            rounds_lost=self._rounds_lost_before + sum(machine.n_rounds_lost for machine in machines),
            links_reopened=max(n_opened // 2 - len(self._pairs), 0),
            conservation_error=self._simulation.conservation_error(),
        )


def read_speeds(path: Path, n_agents: int) -> tuple[float, ...]:
    """Read a file of speeds, one number above 0 per line and agent; ConfigError for other content."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--speeds {path}: cannot be read ({error})") from error
    speeds = []
    for number, line in enumerate(lines, start=1):
        try:
            speed = float(line)
        except ValueError:
            speed = np.nan
        if not 0 < speed < np.inf:
            raise ConfigError(f"--speeds {path}: line {number}: {line[:20]!r} is no number above 0")
        speeds.append(speed)
    if len(speeds) != n_agents:
        raise ConfigError(f"--speeds {path}: {len(speeds)} lines for {n_agents} agents; give one for each")
    return tuple(speeds)


def write_record(record: Sequence[NetworkSnapshot], path: Path) -> None:
    """faults.csv: one line for every round's time."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(NetworkSnapshot)])
        writer.writeheader()
        writer.writerows(asdict(moment) for moment in record)
