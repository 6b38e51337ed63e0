"""What is done to eight daemons in the middle of their training, and what is promised to become of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from chaos_processes.fleet import Fleet, FleetError
from chaos_processes.harm import Slowness
from chaos_processes.namespaces import Namespaces, NoNamespacesError
from chaos_processes.references import References
from chaos_processes.relays import Relays
from chaos_processes.wiring import Wiring
from chaos_table import Row
from p2pnet.consensus.timing import Timing
from p2pnet.partition import PartitionName
from p2pnet.workload import Workload, make_workload

N_AGENTS = 8
EVERYONE = range(N_AGENTS)
RING_WITH_CHORDS = [(k, (k + 1) % N_AGENTS) for k in EVERYONE] + [(0, 4), (1, 3), (5, 7)]
HALVES = (range(4), range(4, 8))
VICTIM = 2
HALF_OF_ALL = (2, 3, 6, 7)
"""The other half stays connected: 1–0–4–5."""

N_ROUNDS = 400
PACE_S = 0.15
HARM_IN_ROUND = 130
PATIENCE_S = 400.0
OUTAGE_S = 10.0
SLOW_PART = 0.1
MAX_NOTICE_S = 2.0
MAX_RETURN_S = 3.0
MAX_RATIO = 1.01
DEADLINE_S = Timing().round_timeout_floor_s
"""The longest wait for the neighbors of a round, where their answers usually come in a fraction of it."""

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "algorithm": {"rounds": N_ROUNDS, "tolerance": 1e-3},
    "network": {"max_diameter": N_AGENTS},
}


@dataclass(frozen=True, slots=True)
class Damage:
    """What a scenario has done, and what was seen while it went on."""

    data_of: Collection[int]
    """Whose samples are to count in the end"""
    survivors: Collection[int]
    """Who is to finish"""
    figures: Sequence[str] = ()
    is_kept: bool = True


Harm = Callable[[Fleet, Wiring], Damage]


def leave_in_peace(fleet: Fleet, wiring: Wiring) -> Damage:  # noqa: ARG001
    """Paced as all the others, for comparison."""
    return Damage(EVERYONE, EVERYONE)


def kill_one(fleet: Fleet, wiring: Wiring) -> Damage:  # noqa: ARG001
    """SIGKILL for one agent, for good."""
    others = [k for k in EVERYONE if k != VICTIM]
    killed_at = time.time()
    fleet.kill([VICTIM])
    noticed_s = time_to_notice(fleet, VICTIM, killed_at)
    lost_s = longest_delay(fleet, others, killed_at, 10.0)
    figures = [f"noticed after {noticed_s:.1f} s", f"rounds delayed by {lost_s:.2f} s at most"]
    return Damage(others, others, figures, noticed_s <= MAX_NOTICE_S and lost_s <= DEADLINE_S)


def kill_and_restart(fleet: Fleet, wiring: Wiring) -> Damage:  # noqa: ARG001
    """SIGKILL for one agent, which starts again some seconds later with nothing but its data."""
    fleet.kill([VICTIM])
    time.sleep(5.0)
    started_at = time.time()
    fleet.start([VICTIM])
    fleet.until(lambda: first_round_after(fleet, VICTIM, started_at) is not None, PATIENCE_S)
    back_s = (first_round_after(fleet, VICTIM, started_at) or started_at) - started_at
    return Damage(EVERYONE, EVERYONE, [f"back in the rounds after {back_s:.1f} s"], back_s <= MAX_RETURN_S)


def stop_and_continue(fleet: Fleet, wiring: Wiring) -> Damage:  # noqa: ARG001
    """SIGSTOP for one agent, SIGCONT after some seconds."""
    others = [k for k in EVERYONE if k != VICTIM]
    stopped_at = time.time()
    fleet.stop([VICTIM])
    time.sleep(OUTAGE_S)
    fleet.resume([VICTIM])
    time.sleep(5.0)
    lost_s = longest_delay(fleet, others, stopped_at, OUTAGE_S + 5.0)
    n_rounds = rounds_within(fleet, others, stopped_at, OUTAGE_S)
    figures = [f"{n_rounds} of {OUTAGE_S / PACE_S:.0f} rounds meanwhile", f"delayed by {lost_s:.2f} s at most"]
    return Damage(EVERYONE, EVERYONE, figures, lost_s <= DEADLINE_S)


def cut_in_halves(fleet: Fleet, wiring: Wiring) -> Damage:
    """Nothing passes between two halves for some seconds."""
    cut_at = time.time()
    wiring.cut(*HALVES)
    time.sleep(OUTAGE_S)
    wiring.heal()
    healed_at = time.time()
    time.sleep(10.0)
    lost_s = longest_delay(fleet, EVERYONE, cut_at, OUTAGE_S + 10.0)
    n_rounds = rounds_within(fleet, EVERYONE, cut_at, OUTAGE_S)
    one_s = time_to_be_one(fleet, healed_at)
    figures = [
        f"{n_rounds} of {OUTAGE_S / PACE_S:.0f} rounds meanwhile",
        f"delayed by {lost_s:.2f} s at most",
        f"one again after {one_s:.1f} s",
    ]
    return Damage(EVERYONE, EVERYONE, figures, lost_s <= DEADLINE_S)


def kill_half(fleet: Fleet, wiring: Wiring) -> Damage:  # noqa: ARG001
    """SIGKILL for half of the agents at once."""
    survivors = [k for k in EVERYONE if k not in HALF_OF_ALL]
    killed_at = time.time()
    fleet.kill(HALF_OF_ALL)
    noticed_s = max(time_to_notice(fleet, victim, killed_at) for victim in HALF_OF_ALL)
    lost_s = longest_delay(fleet, survivors, killed_at, 10.0)
    figures = [f"noticed after {noticed_s:.1f} s", f"rounds delayed by {lost_s:.2f} s at most"]
    return Damage(survivors, survivors, figures, noticed_s <= MAX_NOTICE_S and lost_s <= DEADLINE_S)


def slow_one_down(fleet: Fleet, wiring: Wiring) -> Damage:  # noqa: ARG001
    """One agent runs a tenth of the time, to the end."""
    others = [k for k in EVERYONE if k != VICTIM]
    slowed_at = time.time()
    with Slowness(fleet, VICTIM, SLOW_PART):
        fleet.until(lambda: all(fleet.has_ended(k) for k in others), PATIENCE_S)
    rounds = [np.diff([r.time_s for r in fleet.history(k) if r.time_s > slowed_at]) for k in others]
    usual_s = max(float(np.median(times)) for times in rounds)
    lost_s = max(float(np.max(times)) for times in rounds) - PACE_S
    figures = [f"a round of the others takes {usual_s:.2f} s", f"delayed by {lost_s:.2f} s at most"]
    return Damage(EVERYONE, EVERYONE, figures, lost_s <= DEADLINE_S)


HARMS: Mapping[str, Harm] = {
    "paced, in peace": leave_in_peace,
    "one killed for good": kill_one,
    "one killed, restarted empty": kill_and_restart,
    f"one stopped for {OUTAGE_S:.0f} s": stop_and_continue,
    f"cut in halves for {OUTAGE_S:.0f} s": cut_in_halves,
    "half of them killed": kill_half,
    "one ten times slower": slow_one_down,
}


# ------------------------------------------------------------------------------------------------- measurements


def time_to_notice(fleet: Fleet, victim: int, since_s: float) -> float:
    """Until all neighbors of the victim have closed their links with it, seconds."""
    name = fleet.files(victim).name
    neighbors = {k for edge in fleet.workload.edges for k in edge if victim in edge} - {victim}
    neighbors = {k for k in neighbors if not fleet.has_ended(k)}

    def noticed() -> list[float]:
        found = (
            [line.time_s for line in fleet.log(k) if line.time_s > since_s and f"link with {name}" in line.text]
            for k in neighbors
        )
        return [times[0] for times in found if times]

    fleet.until(lambda: len(noticed()) == len(neighbors), PATIENCE_S)
    return max(noticed(), default=since_s) - since_s


def longest_delay(fleet: Fleet, agents: Collection[int], since_s: float, duration_s: float) -> float:
    """By how much more than the pace any of the agents waited for its next round within that time, seconds."""
    until_s = since_s + duration_s
    time.sleep(max(until_s - time.time(), 0.0))
    longest = 0.0
    for k in agents:
        times = [record.time_s for record in fleet.history(k)]
        before = max((t for t in times if t <= since_s), default=since_s)
        within = [before, *(t for t in times if since_s < t <= until_s), until_s]
        if times and times[-1] > until_s:
            within[-1] = min(t for t in times if t > until_s)
        longest = max(longest, float(np.max(np.diff(within))))
    return max(longest - PACE_S, 0.0)


def rounds_within(fleet: Fleet, agents: Collection[int], since_s: float, duration_s: float) -> int:
    """Rounds begun in that time by the agent that began fewest."""
    return min(sum(since_s < r.time_s <= since_s + duration_s for r in fleet.history(k)) for k in agents)


def first_round_after(fleet: Fleet, agent: int, since_s: float) -> float | None:
    """When the agent first went through a round after that time, seconds since the epoch."""
    return next((record.time_s for record in fleet.history(agent) if record.time_s > since_s), None)


def time_to_be_one(fleet: Fleet, since_s: float) -> float:
    """Until the disagreement of all agents was, for the first time, no more than twice what it is now, seconds."""
    limit = 2 * max(fleet.history(k)[-1].disagreement for k in EVERYONE)
    above = [r.time_s for k in EVERYONE for r in fleet.history(k) if r.time_s > since_s and r.disagreement > limit]
    return max(above, default=since_s) - since_s


# ---------------------------------------------------------------------------------------------------- the table


def make_wiring(n_agents: int) -> Wiring:
    """The best that this system lets us have."""
    try:
        return Namespaces(n_agents)
    except NoNamespacesError:
        return Relays(n_agents)


def digits(partition: PartitionName) -> Workload:
    """Digits over eight agents on a ring with chords."""
    workload = make_workload(
        n_agents=N_AGENTS,
        topology="ring",
        data="digits",
        target=None,
        task="auto",
        partition=partition,
        hidden=(32,),
        penalty="l2:1e-3",
        seed=0,
    )
    return replace(workload, edges=tuple(RING_WITH_CHORDS))


def play(name: str, harm: Harm, workload: Workload, references: References, directory: Path) -> Row:
    """Train, do harm in the middle, wait for the end, and judge."""
    settings = {**SETTINGS, "network": {**SETTINGS["network"], "round_pace_s": PACE_S}}
    with make_wiring(N_AGENTS) as wiring, Fleet(directory, workload, wiring, settings) as fleet:
        try:
            fleet.start(EVERYONE)
            fleet.until(lambda: min(fleet.round(k) for k in EVERYONE) >= HARM_IN_ROUND, PATIENCE_S)
            damage = harm(fleet, wiring)
            fleet.until_all_end(PATIENCE_S)
        except FleetError as error:
            return Row(name, str(error), is_kept=False)
        rounds = [fleet.round(k) for k in damage.survivors]
        reached = max(references.objective(fleet.params(k), damage.data_of) for k in damage.survivors)
    undisturbed = references.undisturbed(damage.data_of)
    ratio = reached / undisturbed
    figures = [
        *damage.figures,
        f"{min(rounds)} rounds" if min(rounds) == max(rounds) else f"{min(rounds)} to {max(rounds)} rounds",
        f"objective x{ratio:.4f} of undisturbed, x{reached / references.central(damage.data_of):.3f} of central",
    ]
    return Row(name, "; ".join(figures), damage.is_kept and ratio <= MAX_RATIO)


def rows(only: str = "") -> Iterator[Row]:
    """The section's table, of the scenarios whose names have these words."""
    with tempfile.TemporaryDirectory(prefix="p2pnet-chaos-") as place:
        for partition in ("iid", "sorted"):
            workload = digits(partition)
            references = References(workload, SETTINGS, Path(place) / partition)
            for number, (what, harm) in enumerate(HARMS.items()):
                name = f"{partition}: {what}"
                if only in name:
                    yield play(name, harm, workload, references, Path(place) / f"{partition}-{number}")
