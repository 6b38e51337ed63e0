"""Up to 1,000 of the real membership machines over a virtual network."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Mapping

from p2pnet.protocol.core.notices import MemberChange
from p2pnet.protocol.membership.timing import WAN, MembershipTiming
from p2pnet.protocol.messages.membership import MemberState
from p2pnet.simulation.overlay_simulation import WINDOW_S, OverlaySimulation
from p2pnet.simulation.virtual_network import Conditions
from tests.chaos.table import Row

N_AGENTS = 1000
MAX_KNOWN_S = 8.0
MAX_BYTES_PER_S = 2000.0
MAX_CONNECTED_S = 30.0
MAX_HAUNTED_S = 300.0
KEY_LENGTH = 40
LIVING = (MemberState.ALIVE, MemberState.SUSPECT)


def names(n_agents: int, first: int = 0) -> list[str]:
    """PeerNames as long as public keys."""
    return [f"agent-{k:04d}".ljust(KEY_LENGTH, ".") for k in range(first, first + n_agents)]


def acquainted(n_agents: int, timing: MembershipTiming, conditions: Conditions) -> OverlaySimulation:
    """Agents that know of each other, and have no neighbors yet."""
    simulation = OverlaySimulation(timing, conditions, seed=1)
    everybody = names(n_agents)
    for name in everybody:
        simulation.add(name, everybody[:2], known=everybody)
    return simulation


def traffic(rates: Mapping[str, list[float]]) -> tuple[str, float]:
    """As text, and the worst: of the agents, that which sends most in any ten seconds."""
    every = [rate for of_agent in rates.values() for rate in of_agent]
    return f"{statistics.fmean(every):.0f} B/s sent, worst {max(every):.0f} in any {WINDOW_S:.0f} s", max(every)


def degrees(simulation: OverlaySimulation) -> str:
    sizes = [len(view) for view in simulation.views().values()]
    n_one_sided = len(simulation.asymmetric())
    return f"{min(sizes)} to {max(sizes)} neighbors, mean {statistics.fmean(sizes):.1f}, {n_one_sided} one-sided"


def to_whole_window(simulation: OverlaySimulation) -> None:
    simulation.run(WINDOW_S - simulation.now % WINDOW_S)


def n_false_deaths(simulation: OverlaySimulation) -> int:
    """How often a member held one dead that lives."""
    alive = {machine.members.me.name for machine in simulation.machines.values()}
    return sum(name in alive for name in simulation.changed(MemberChange.DIED))


def large_rows(n_agents: int) -> Iterator[Row]:
    """One network through all that may happen to it."""
    rng = random.Random(2)  # noqa: S311  (a simulation's)
    simulation = acquainted(n_agents, WAN, Conditions(latency_s=0.02))
    simulation.run(2 * WINDOW_S)
    start = simulation.now
    simulation.run(3 * WINDOW_S)
    words, worst = traffic(simulation.rates(start, simulation.now))
    is_whole = simulation.n_components() == 1 and not simulation.asymmetric()
    yield Row(f"{n_agents} agents, at rest", f"{words}; {degrees(simulation)}", is_whole and worst <= MAX_BYTES_PER_S)
    yield crash_row(simulation, rng)
    yield churn_row(simulation, rng)
    yield from half_rows(simulation, rng)


def crash_row(simulation: OverlaySimulation, rng: random.Random) -> Row:
    """One after the other; the time runs from the crash itself."""
    times = []
    for victim in rng.sample(sorted(simulation.machines), 5):
        simulation.crash([victim])
        crashed_at = simulation.now
        while simulation.n_holding(victim, LIVING) and simulation.now < crashed_at + 4 * MAX_KNOWN_S:
            simulation.run(0.25)
        times.append(simulation.now - crashed_at)
    figures = f"known to all after {statistics.median(times):.1f} s, at most {max(times):.1f} s"
    return Row(f"{len(times)} crashes, one after the other", figures, max(times) <= MAX_KNOWN_S)


def churn_row(simulation: OverlaySimulation, rng: random.Random) -> Row:
    """Every two seconds one crashes, and a new one comes that knows no member but a seed."""
    to_whole_window(simulation)
    start = simulation.now
    for newcomer in names(15, first=len(simulation.machines) + 1000):
        simulation.crash(rng.sample(sorted(simulation.machines)[2:], 1))
        simulation.add(newcomer, names(2))
        simulation.run(2.0)
    words, worst = traffic(simulation.rates(start, simulation.now))
    simulation.run(2 * WINDOW_S)
    scenario = "a crash and a newcomer every 2 s"
    is_whole = simulation.n_components() == 1
    return Row(scenario, f"{words}; {degrees(simulation)}", is_whole and worst <= MAX_BYTES_PER_S)


def half_rows(simulation: OverlaySimulation, rng: random.Random) -> Iterator[Row]:
    to_whole_window(simulation)
    crashed_at = simulation.now
    dead = rng.sample(sorted(simulation.machines), len(simulation.machines) // 2)
    simulation.crash(dead)
    pieces = simulation.n_components()
    connected_after_s = float("inf")
    while simulation.now < crashed_at + MAX_CONNECTED_S:
        simulation.run(0.5)
        is_clean = all(other in simulation.machines for view in simulation.views().values() for other in view)
        if is_clean and simulation.n_components() == 1:
            connected_after_s = simulation.now - crashed_at
            break
    figures = f"{pieces} pieces, connected again after {connected_after_s:.1f} s"
    yield Row("half of them crash at once", figures, connected_after_s <= MAX_CONNECTED_S)
    simulation.run(12 * WINDOW_S - (simulation.now - crashed_at))
    words, worst = traffic(simulation.rates(crashed_at, simulation.now))
    yield Row("the two minutes after that", f"{words}; {degrees(simulation)}", worst <= MAX_BYTES_PER_S)
    while any(simulation.n_holding(peer, LIVING) for peer in dead) and simulation.now < crashed_at + MAX_HAUNTED_S:
        simulation.run(WINDOW_S)
    haunted_s = simulation.now - crashed_at
    figures = f"held dead by all after {haunted_s:.0f} s"
    yield Row("those of them whose neighbors all crashed as well", figures, haunted_s < MAX_HAUNTED_S)
    n_false = n_false_deaths(simulation)
    yield Row("held dead in all this, though alive", f"{n_false}", n_false == 0)


def joining_row(n_agents: int) -> Row:
    """All of them within a minute, by one seed."""
    simulation = OverlaySimulation(WAN, Conditions(latency_s=0.02, is_encoding=True), seed=3)
    everybody = names(n_agents)
    for name in everybody:
        simulation.add(name, everybody[:1])
        simulation.run(60.0 / n_agents)
    while simulation.now < 300.0:
        simulation.run(WINDOW_S)
        if all(machine.members.n_living == n_agents for machine in simulation.machines.values()):
            break
    _, worst = traffic(simulation.rates(0.0, simulation.now))
    is_whole = simulation.n_components() == 1 and simulation.now < 300.0
    figures = f"all know all after {simulation.now:.0f} s; worst {worst:.0f} B/s; {degrees(simulation)}"
    return Row(f"{n_agents} agents join by one seed in a minute", figures, is_whole and worst <= MAX_BYTES_PER_S)


def lossy_row(preset: str, timing: MembershipTiming, n_agents: int) -> Row:
    """Ten minutes in which every fifth message, and every fifth attempt to connect, is lost."""
    simulation = acquainted(n_agents, timing, Conditions(latency_s=0.02, loss_rate=0.2))
    simulation.run(600.0)
    n_false = n_false_deaths(simulation)
    n_suspicions = len(set(simulation.changed(MemberChange.SUSPECTED)))
    scenario = f"{n_agents} agents, 20 % loss, 10 minutes, preset {preset}"
    figures = f"{n_false} held dead though alive, {n_suspicions} suspected at some time; {degrees(simulation)}"
    return Row(scenario, figures, n_false == 0 and simulation.n_components() == 1)
