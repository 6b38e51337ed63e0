"""What strangers and lying members can do: to three daemons, one of which is flooded, and to agents in virtual time."""

import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, final

from benchmarks.base import Benchmark, Figure
from benchmarks.flood import KINDS
from p2pnet.testing import Fleet, LocalAgent, Routes, VirtualFleet, least_squares, linear_shards, relative_errors

N_DESCRIPTORS = 1_024
PACE_S = 0.05
FLOOD_S = 15.0
QUIET_S = 4.0
SETTLING_S = 20.0
"""Twice as long as the handshake of a stranger may take."""
FIRST_ROUND = 20
"""An agent that has got to it is in the rounds of the others."""
DOWN_S = 2.0
"""How long the neighbor is gone that is killed during the flood."""
SETTINGS = {
    "algorithm.rounds": 100_000,
    "algorithm.tolerance": 0.0,
    "network.round_pace_s": PACE_S,
    "data.standardize": "none",
}

LIES: Sequence[tuple[str, Sequence[str], bool]] = (
    ("others dead in an incarnation of 2^62 − 1", ["others-dead:4611686018427387903"], False),
    ("answers a state request with round 10^9", ["running:1000000000"], True),
    ("answers a state request with parameters 1e300", ["running:5", "state-constant:1e300"], True),
    ("names a last round at once", ["stop-early:3"], True),
    ("says that it has finished", ["finished:1000000000"], True),
    ("result of the statistics unasked", ["statistics-unasked:4"], True),
    ("result with variance 1e300, unasked", ["statistics-wide:1e300"], True),
    ("labels where there are none", ["labels-added:470"], True),
    ("names of statistics made up", ["names-made-up:1"], True),
    ("ten label sets for one", ["label-sets-repeated:10"], True),
    ("100 Hellos for one", ["hellos-repeated:100"], False),
    ("100 Hellos for one, from a named neighbor", ["hellos-repeated:100"], True),
    ("150 invented members with each message", ["members-invented:150"], False),
)
N_AGENTS, N_SEEDS = 5, 3
LIAR = "agent-4"
VIRTUAL_S = 200.0
ACCURACY = 0.01


@final
class Floods(Benchmark):
    """Rounds, a neighbor's restart and descriptors of a daemon with 1,024 of them, under 5,000 connections."""

    name = "hostile-floods"
    runs = 3

    def run(self, is_small: bool) -> Iterator[Figure]:
        for kind in KINDS[:1] if is_small else KINDS:
            with tempfile.TemporaryDirectory(prefix="p2pnet-") as directory:
                yield from under(kind, Path(directory), 3.0 if is_small else FLOOD_S)


def under(kind: str, directory: Path, flood_s: float) -> Iterator[Figure]:
    """The figures of one flood, during which a neighbor is killed and started again."""
    loopback = Routes.loopback(3)
    limited = ("prlimit", f"--nofile={N_DESCRIPTORS}:{N_DESCRIPTORS}")
    routes = Routes(loopback.bind, loopback.dial, lambda k, command: [*(limited if k == 0 else ()), *command])
    with Fleet.create(directory, 3, settings=SETTINGS, routes=routes) as fleet:
        victim, neighbor = fleet[0], fleet[1]
        fleet.start()
        victim.until(lambda agent: agent.round > FIRST_ROUND)
        quiet = RoundRate.begin(victim)
        time.sleep(QUIET_S)
        quiet_rounds_per_s = quiet.per_s()
        n_before = n_descriptors(victim)
        command = [sys.executable, "-m", "benchmarks.flood", kind, victim.address.rpartition(":")[2], str(flood_s)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as flood:
            flooded = RoundRate.begin(victim)
            time.sleep(1.0)
            neighbor.kill()
            time.sleep(DOWN_S)
            fleet.start([1])
            flood.wait()
            rounds_per_s = flooded.per_s()
            n_opened = int(flood.communicate()[0])
        give_up_at = time.monotonic() + SETTLING_S
        while (n_lost := n_descriptors(victim) - n_before) > 0 and time.monotonic() < give_up_at:
            time.sleep(0.2)
        fleet.stop()
        code = victim.exit_code()
        has_model = (victim.directory / "model.npz").exists()
        yield Figure(f"{kind}: connections opened", float(n_opened))
        yield Figure(f"{kind}: rounds a second, to undisturbed", rounds_per_s / quiet_rounds_per_s, at_least=0.5)
        yield Figure(f"{kind}: killed neighbor trains again after", back_s(neighbor), "s", at_most=5.0)
        yield Figure(f"{kind}: descriptors lost", float(n_lost), at_most=0.0)
        yield Figure(f"{kind}: tracebacks", float(victim.log.count("Traceback")), at_most=0.0)
        yield Figure(f"{kind}: ended well, with a model", float(code == 0 and has_model), at_least=1.0)


@dataclass(frozen=True, slots=True)
class RoundRate:
    """Rounds of an agent since some moment."""

    agent: LocalAgent
    round: int
    at: float

    @classmethod
    def begin(cls, agent: LocalAgent) -> Self:
        return cls(agent, agent.round, time.monotonic())

    def per_s(self) -> float:
        return (self.agent.round - self.round) / (time.monotonic() - self.at)


def back_s(agent: LocalAgent) -> float:
    """From the time at which the agent's second process listens until it is in the rounds; infinite if it is not."""
    listens_at = [entry.time_s for entry in agent.files.matching("listening on")][-1]
    joins_at = [entry.time_s for entry in agent.files.matching("joins the training")]
    return joins_at[-1] - listens_at if joins_at else math.inf


def n_descriptors(agent: LocalAgent) -> int:
    """The descriptors that the agent's process has open."""
    return len(list(Path(f"/proc/{agent.process.pid}/fd").iterdir()))


@final
class Liars(Benchmark):
    """Virtual seconds until the honest agents train, beside one that lies, and the error that they come to."""

    name = "hostile-members"
    runs = 1

    def run(self, is_small: bool) -> Iterator[Figure]:
        for title, lies, is_named in LIES[:1] if is_small else LIES:
            outcomes = [beside(lies, is_named, seed) for seed in range(1 if is_small else N_SEEDS)]
            begun_s, error = (statistics.median(values) for values in zip(*outcomes, strict=True))
            yield Figure(f"{title}: all train after", begun_s, "s", at_most=VIRTUAL_S)
            yield Figure(f"{title}: relative error", error, at_most=ACCURACY)


def beside(lies: Sequence[str], is_named: bool, seed: int) -> tuple[float, float]:
    """When the honest agents have begun, in virtual seconds, and how far they are in the end from the solution of all
    samples, the liar's among them or not, whichever is nearer.
    """
    names = [f"agent-{k + 1}" for k in range(N_AGENTS)]
    ring = {name: [names[k - 1], names[(k + 1) % N_AGENTS]] for k, name in enumerate(names)}
    fleet = VirtualFleet(linear_shards(N_AGENTS), neighbors=ring if is_named else None, lies={LIAR: lies}, seed=seed)
    honest = [name for name in names if name != LIAR]
    fleet.start()
    has_begun = fleet.run_until(lambda: fleet.is_training(honest), VIRTUAL_S)
    begun_s = fleet.nodes.now if has_begun else math.inf
    fleet.run_until(lambda: error(fleet, honest) < ACCURACY / 10, VIRTUAL_S)
    return begun_s, error(fleet, honest)


def error(fleet: VirtualFleet, honest: Sequence[str]) -> float:
    """Of the worst honest agent; infinite where one has not begun."""
    if not fleet.is_training(honest):
        return math.inf
    errors = []
    for names in (fleet.names, honest):
        for scaled_by in (fleet.names, honest):
            solution = least_squares(
                [fleet.shards[name] for name in names], standardized_by=[fleet.shards[name] for name in scaled_by]
            )
            errors.append(max(relative_errors(fleet.params(honest), solution)))
    return min(errors)
