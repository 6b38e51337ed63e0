"""The membership of a thousand agents over a virtual network: what it costs to run, and what each agent sends."""

import statistics
import time
from collections.abc import Iterator
from typing import final

from benchmarks.base import Benchmark, Figure
from p2pnet.protocol.membership.timing import WAN
from p2pnet.simulation.overlay_simulation import WINDOW_S, OverlaySimulation
from p2pnet.simulation.virtual_network import Conditions

MOST_BYTES_PER_S = 2000.0


@final
class Membership(Benchmark):
    """Seconds that a simulated second of 1,000 agents takes, and the bytes that an agent sends in one."""

    name = "membership"
    runs = 3

    def run(self, is_small: bool) -> Iterator[Figure]:
        n_agents = 100 if is_small else 1_000
        simulation = OverlaySimulation(WAN, Conditions(latency_s=0.02), seed=1)
        names = [f"agent-{k:04d}".ljust(40, ".") for k in range(n_agents)]  # as long as public keys
        for name in names:
            simulation.add(name, names[:2], known=names)
        simulation.run(2 * WINDOW_S)
        start, start_s = simulation.now, time.perf_counter()
        simulation.run(2 * WINDOW_S)
        seconds = time.perf_counter() - start_s
        rates = [rate for of_agent in simulation.rates(start, simulation.now).values() for rate in of_agent]
        yield Figure("a simulated second", seconds / (simulation.now - start), "s")
        yield Figure("sent by an agent", statistics.fmean(rates), "B/s")
        yield Figure("sent by the agent that sends most", max(rates), "B/s", at_most=MOST_BYTES_PER_S)
