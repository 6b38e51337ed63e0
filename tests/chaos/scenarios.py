"""What is done to eight daemons in the middle of their training, and what is promised to become of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from p2pnet.agent.transport.keys import generate_keys
from p2pnet.data.sharding import PartitionName
from p2pnet.experiments.workload import Workload, make_workload
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.graphs import neighbors_of
from p2pnet.testing.fleet import Fleet
from p2pnet.testing.waiting import HarnessError
from p2pnet.training.problem import make_problem
from tests.chaos.attacks import ATTACKS, Target
from tests.chaos.fleet import make_fleet
from tests.chaos.harm import BusyCores, Mischief, Slowness
from tests.chaos.measuring import (
    first_round_after,
    longest_deadline,
    longest_delay,
    rounds_within,
    time_to_be_one,
    time_to_notice,
)
from tests.chaos.namespaces import Namespaces, NoNamespacesError
from tests.chaos.references import References
from tests.chaos.relays import Relays
from tests.chaos.table import Row
from tests.chaos.wiring import Loopback, Wiring

N_AGENTS = 8
EVERYONE = range(N_AGENTS)
RING_WITH_CHORDS = [(k, (k + 1) % N_AGENTS) for k in EVERYONE] + [(0, 4), (1, 3), (5, 7)]
NEIGHBORS = neighbors_of(RING_WITH_CHORDS, N_AGENTS)
HALVES = (range(4), range(4, 8))
VICTIM = 2
HALF_OF_ALL = (2, 3, 6, 7)
"""Without them the others are still connected: 1–0–4–5."""
EVERY_OTHER = (0, 2, 4, 6)
"""Without them the others are in two parts: 1–3 and 5–7."""

N_ROUNDS = 400
PACE_S = 0.15
HARM_IN_ROUND = 130
PATIENCE_S = 400.0
OUTAGE_S = 10.0
AWAY_S = 5.0
MISCHIEF_S = 30.0
SLOW_PART = 0.1
MAX_NOTICE_S = 2.0
MAX_RETURN_S = 3.0
MAX_RATIO = 1.01
MAX_LEAK = 1e-10
LOSS_RATE = 0.2
MAX_GAP_S = 30.0
INSIDER = generate_keys()
PARTITIONS: tuple[PartitionName, ...] = ("iid", "sorted")
DEADLINE_S = Timing().round_timeout_floor_s
"""The wait for the neighbors of a round, where their answers come in a fraction of it; else it is adapted."""

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "algorithm": {"rounds": N_ROUNDS, "tolerance": 3e-4},
    "network": {"max_diameter": N_AGENTS},
    "security": {"allowed_peers": (INSIDER.public,)},
}


@dataclass(frozen=True, slots=True)
class Damage:
    """What a scenario has done, and what was seen while it went on."""

    parts: Sequence[Collection[int]]
    """Who is to finish: agents that can reach each other, each part with the model for its own data"""
    figures: Sequence[str] = ()
    is_kept: bool = True


@dataclass(frozen=True, slots=True)
class Scene:
    """Where harm is done."""

    fleet: Fleet
    wiring: Wiring
    workload: Workload


Harm = Callable[[Scene], Damage]


def leave_in_peace(scene: Scene) -> Damage:  # noqa: ARG001
    """Paced as all the others, for comparison."""
    return Damage([EVERYONE])


def kill_one(scene: Scene) -> Damage:
    """SIGKILL for one agent, for good."""
    return kill_some([VICTIM], [[k for k in EVERYONE if k != VICTIM]], scene.fleet)


def kill_half(scene: Scene) -> Damage:
    """SIGKILL for half of the agents at once."""
    return kill_some(HALF_OF_ALL, [(0, 1, 4, 5)], scene.fleet)


def kill_every_other(scene: Scene) -> Damage:
    """SIGKILL for half of the agents at once, without whom the others cannot all reach each other."""
    return kill_some(EVERY_OTHER, [(1, 3), (5, 7)], scene.fleet)


def kill_some(victims: Sequence[int], parts: Sequence[Sequence[int]], fleet: Fleet) -> Damage:
    """SIGKILL for some; the others are left in these parts."""
    killed_at = time.time()
    fleet.kill(victims)
    noticed_s = max(time_to_notice(fleet, victim, NEIGHBORS[victim], killed_at) for victim in victims)
    delay, is_kept = delay_of(fleet, [k for part in parts for k in part], killed_at, OUTAGE_S)
    return Damage(parts, [f"noticed after {noticed_s:.1f} s", delay], is_kept and noticed_s <= MAX_NOTICE_S)


def kill_and_restart(scene: Scene) -> Damage:
    """SIGKILL for one agent, which starts again some seconds later with nothing but its data."""
    scene.fleet.kill([VICTIM])
    time.sleep(AWAY_S)
    started_at = time.time()
    scene.fleet.start([VICTIM])
    scene.fleet.until(lambda: first_round_after(scene.fleet, VICTIM, started_at) is not None, PATIENCE_S)
    back_s = (first_round_after(scene.fleet, VICTIM, started_at) or started_at) - started_at
    return Damage([EVERYONE], [f"back in the rounds after {back_s:.1f} s"], back_s <= MAX_RETURN_S)


def stop_and_continue(scene: Scene) -> Damage:
    """SIGSTOP for one agent, SIGCONT after some seconds."""
    others = [k for k in EVERYONE if k != VICTIM]
    stopped_at = time.time()
    scene.fleet.freeze([VICTIM])
    time.sleep(OUTAGE_S)
    scene.fleet.thaw([VICTIM])
    delay, is_kept = delay_of(scene.fleet, others, stopped_at, OUTAGE_S + AWAY_S)
    return Damage([EVERYONE], [rounds_meanwhile(scene.fleet, others, stopped_at), delay], is_kept)


def cut_in_halves(scene: Scene) -> Damage:
    """Nothing passes between two halves for some seconds."""
    cut_at = time.time()
    scene.wiring.cut(*HALVES)
    time.sleep(OUTAGE_S)
    scene.wiring.heal()
    healed_at = time.time()
    delay, is_kept = delay_of(scene.fleet, EVERYONE, cut_at, OUTAGE_S + AWAY_S)
    one_s = time_to_be_one(scene.fleet, EVERYONE, healed_at)
    figures = [
        scene.wiring.name,
        rounds_meanwhile(scene.fleet, EVERYONE, cut_at),
        delay,
        f"one again after {one_s:.1f} s",
    ]
    return Damage([EVERYONE], figures, is_kept)


def slow_one_down(scene: Scene) -> Damage:
    """One agent runs a tenth of the time, until the others have ended."""
    fleet = scene.fleet
    others = [k for k in EVERYONE if k != VICTIM]
    slowed_at = time.time()
    with Slowness(fleet, VICTIM, SLOW_PART):
        fleet.until(lambda: all(fleet.has_ended(k) for k in others), PATIENCE_S)
    times = [[record.time_s for record in fleet[k].files.records()] for k in others]
    delay, is_kept = delay_of(fleet, others, slowed_at, max(ends for *_, ends in times) - slowed_at)
    usual_s = max(float(np.median(np.diff(of_agent))) for of_agent in times)
    return Damage([EVERYONE], [f"a round takes {usual_s:.2f} s instead of {PACE_S:.2f}", delay], is_kept)


def attack_one(scene: Scene) -> Damage:
    """All that strangers and bad members may send to an agent, one after the other."""
    address = Address.parse(scene.wiring.address(VICTIM))
    target = Target(address.port, scene.fleet[VICTIM].keys.public, INSIDER, scene.workload.problem.model.n_params)
    attacked_at = time.time()
    for attack in ATTACKS:
        attack.carry_out(target)
    delay, is_kept = delay_of(scene.fleet, EVERYONE, attacked_at, time.time() - attacked_at)
    scene.fleet.until_all_end(PATIENCE_S)
    result = scene.fleet[VICTIM].files.result()
    n_refused = result.n_messages_dropped + result.n_messages_refused + sum(result.n_rejected.values())
    figures = [f"{len(ATTACKS)} attacks, {n_refused} messages and connections refused", delay]
    return Damage([EVERYONE], figures, is_kept and n_refused >= len(ATTACKS))


def do_anything(scene: Scene) -> Damage:
    """For half a minute agents picked at random are killed, stopped, or cut off from all others, for some seconds."""
    mischief = Mischief(scene.fleet, scene.wiring, np.random.default_rng(0))
    mischief.run(MISCHIEF_S)
    return Damage([EVERYONE], [scene.wiring.name, mischief.as_text()])


def delay_of(fleet: Fleet, agents: Collection[int], since_s: float, duration_s: float) -> tuple[str, bool]:
    """The longest time that any of the agents lost in a round, as text, and whether it was no more than a deadline."""
    lost_s = longest_delay(fleet, agents, since_s, duration_s, PACE_S)
    deadline_s = max(longest_deadline(fleet, agents, since_s), DEADLINE_S)
    return f"rounds delayed by {lost_s:.2f} s at most", lost_s <= deadline_s


def rounds_meanwhile(fleet: Fleet, agents: Collection[int], since_s: float) -> str:
    n_rounds = rounds_within(fleet, agents, since_s, OUTAGE_S)
    return f"{n_rounds} of {OUTAGE_S / PACE_S:.0f} rounds meanwhile"


HARMS: Mapping[str, tuple[Harm, type[Wiring]]] = {
    "paced, in peace": (leave_in_peace, Loopback),
    "one killed for good": (kill_one, Loopback),
    "one killed, restarted empty": (kill_and_restart, Loopback),
    f"one stopped for {OUTAGE_S:.0f} s": (stop_and_continue, Loopback),
    f"cut in halves for {OUTAGE_S:.0f} s": (cut_in_halves, Namespaces),
    "half of them killed": (kill_half, Loopback),
    "half of them killed, two parts left": (kill_every_other, Loopback),
    "one ten times slower": (slow_one_down, Loopback),
    "one fed with garbage": (attack_one, Loopback),
    "anything to anybody": (do_anything, Namespaces),
}


# ---------------------------------------------------------------------------------------------------- the table


def make_wiring(kind: type[Wiring]) -> Wiring:
    """Of the kind asked for, or what stands in for it on this system."""
    if kind is Loopback:
        return Loopback(N_AGENTS)
    try:
        return Namespaces(N_AGENTS)
    except NoNamespacesError:
        return Relays(N_AGENTS)


def digits(partition: PartitionName) -> Workload:
    """Digits over eight agents on a ring with chords.

    Sorted, a network with a hidden layer has far to go after these rounds: two runs that are left in peace differ by
    more than is allowed here, so a linear one is trained. Its biases count in the penalty, for where a label goes with
    the agents that had it, its bias would go to minus infinity without end.
    """
    workload = make_workload(
        n_agents=N_AGENTS,
        topology="ring",
        data="digits",
        target=None,
        task="auto",
        partition=partition,
        hidden=(32,) if partition == "iid" else (),
        penalty="l2:1e-3",
        seed=0,
    )
    options = replace(workload.options, penalize_biases=partition == "sorted")
    problem = make_problem(options, workload.train)
    return replace(workload, edges=tuple(RING_WITH_CHORDS), options=options, problem=problem)


def play(name: str, harm: Harm, kind: type[Wiring], workload: Workload, references: References, directory: Path) -> Row:
    """Train, do harm in the middle, wait for the end, and judge; HarnessError for agents that fail or never end."""
    settings = {**SETTINGS, "network": {**SETTINGS["network"], "round_pace_s": PACE_S}}
    with make_wiring(kind) as wiring, make_fleet(directory, workload, wiring, settings) as fleet:
        fleet.start()
        fleet.until_round(HARM_IN_ROUND, patience_s=PATIENCE_S)
        damage = harm(Scene(fleet, wiring, workload))
        fleet.until_all_end(PATIENCE_S)
        parts = [(part, [fleet[k].files.params() for k in part]) for part in damage.parts]
        survivors = [k for part in damage.parts for k in part]
        rounds = sorted({fleet[k].round for k in survivors})
        leak = fleet.conservation_error(survivors)
    reached = [(part, max(references.objective(params, part) for params in models)) for part, models in parts]
    ratio = max(objective / references.undisturbed(part) for part, objective in reached)
    to_central = max(objective / references.central(part) for part, objective in reached)
    figures = [
        *damage.figures,
        f"{' to '.join(str(round_) for round_ in (rounds[0], rounds[-1])[: len(rounds)])} rounds",
        f"objective x{ratio:.4f} of undisturbed, x{to_central:.3f} of central",
        f"{leak=:.0e}",
    ]
    return Row(name, "; ".join(figures), damage.is_kept and ratio <= MAX_RATIO and leak <= MAX_LEAK)


def stay_alive(minutes: float, directory: Path) -> Row:
    """With all cores busy and every fifth packet lost: no agent is taken for dead, and rounds go on."""
    settings = {
        "algorithm": {"rounds": 10**6, "tolerance": 0.0},
        "network": {**SETTINGS["network"], "round_pace_s": PACE_S, "preset": "lossy"},
    }
    n_cores = os.cpu_count() or 1
    name = f"{100 * LOSS_RATE:.0f} % packet loss, {n_cores} cores busy, {minutes:g} minutes"
    with (
        make_wiring(Namespaces) as wiring,
        make_fleet(directory, digits("iid"), wiring, settings) as fleet,
        BusyCores(n_cores),
    ):
        wiring.lose(LOSS_RATE)
        try:
            fleet.start()
            fleet.until_round(1, patience_s=PATIENCE_S)
            began_at = time.time()
            time.sleep(60 * minutes)
            fleet.until(lambda: True, PATIENCE_S)
        except HarnessError as error:
            return Row(name, f"{wiring.name}; {error}", is_kept=False)
        ended_at = time.time()
        n_rounds = min(agent.round for agent in fleet.agents)
        n_deaths = sum(agent.count("closed the link") for agent in fleet.agents)
        gaps = [np.diff([began_at, *(r.time_s for r in fleet[k].files.records()), ended_at]) for k in EVERYONE]
    longest_s = max(float(np.max(gap)) for gap in gaps)
    figures = f"{wiring.name}; {n_rounds} rounds, longest gap {longest_s:.1f} s; {n_deaths} links closed"
    return Row(name, figures, n_deaths == 0 and longest_s <= MAX_GAP_S)


def rows(partition: PartitionName, what: str, references: References, directory: Path) -> Iterator[Row]:
    """One scenario."""
    name = f"{partition}: {what}"
    harm, kind = HARMS[what]
    try:
        yield play(name, harm, kind, references.workload, references, directory)
    except HarnessError as error:
        yield Row(name, str(error), is_kept=False)
