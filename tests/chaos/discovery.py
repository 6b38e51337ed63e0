"""Agents on a LAN, a network namespace each, that find each other."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from tests.chaos.machine import Machine, errors_to_central
from tests.chaos.namespaces import Namespaces
from tests.chaos.table import Row

MAX_TIME_TO_FIND_S = 2.0
MAX_ERROR = 1e-6
N_TRIES = 5

ONE_WAY = """
table inet one_way {
    chain incoming {
        type filter hook input priority 0;
        iif "lo" accept
        tcp flags & (syn | ack) == syn drop
    }
}
"""
"""What a router without port forwarding does: no machine outside can open a connection to the inside."""


@contextmanager
def machines_on(lan: Namespaces, n_machines: int) -> Iterator[list[Machine]]:
    """Machines with samples of their own that allow each other."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as at_exit:
        yield [
            at_exit.enter_context(Machine(Path(directory) / f"agent-{k}", k, partial(lan.command, k)))
            for k in range(n_machines)
        ]


def configure(machines: Sequence[Machine], network: Sequence[dict[str, Any]], n_rounds: int = 150) -> None:
    for machine, settings in zip(machines, network, strict=True):
        others = [peer.keys.public for peer in machines if peer is not machine]
        machine.configure(
            {"round_pace_s": 0.02, **settings}, security={"allowed_peers": others}, algorithm={"rounds": n_rounds}
        )


def found(lan: Namespaces) -> Row:
    """Two agents started at once, nothing known but each other's key; from listening to linked, as both log it."""
    times = []
    worst = 0.0
    for _ in range(N_TRIES):
        with machines_on(lan, 2) as machines:
            configure(machines, [{"discovery": "mdns"}] * 2)
            for machine in machines:
                machine.start()
            for machine in machines:
                machine.wait()
            begun = max(machine.said_at("listening on") for machine in machines)
            times.append(max(machine.said_at("linked with") for machine in machines) - begun)
            worst = max(worst, *errors_to_central(machines))
    figures = (
        f"linked {median(times):.2f} s after both listen, at most {max(times):.2f} s in {N_TRIES} tries; error to the "
        f"central solution {worst:.0e}"
    )
    return Row(
        "two agents find each other by mDNS and train", figures, max(times) <= MAX_TIME_TO_FIND_S and worst <= MAX_ERROR
    )


def found_later(lan: Namespaces) -> Row:
    """A third agent, started when two of them train."""
    with machines_on(lan, 3) as machines:
        configure(machines, [{"discovery": "mdns", "round_pace_s": 0.05}] * 3, n_rounds=400)
        *early, late = machines
        for machine in early:
            machine.start()
        early[0].until(lambda machine: machine.round > 5)
        late.start()
        for machine in machines:
            machine.wait()
        begun = late.said_at("listening on")
        seconds = max(late.said_at(f"linked with {machine.name}") for machine in early) - begun
        worst = max(errors_to_central(machines, surveyed=early))
    figures = f"linked with both {seconds:.2f} s after it listens; error to the central solution {worst:.0e}"
    return Row("a third one joins the training", figures, seconds <= MAX_TIME_TO_FIND_S and worst <= MAX_ERROR)


def behind_a_router(lan: Namespaces) -> Row:
    """Three agents, one of which can only dial out: a firewall drops whatever would open a connection to it."""
    subprocess.run(lan.command(2, ["nft", "-f", "-"]), input=ONE_WAY, text=True, check=True)
    with machines_on(lan, 3) as machines:
        inside = machines[2]
        configure(
            machines,
            [
                {
                    "bind": "none" if machine is inside else "tcp://0.0.0.0:7070",
                    "neighbors": [
                        {
                            "name": peer.name,
                            "public_key": peer.keys.public,
                            "address": None if peer is inside else lan.address(k),
                        }
                        for k, peer in enumerate(machines)
                        if peer is not machine
                    ],
                }
                for machine in machines
            ],
        )
        for machine in machines:
            machine.start()
        for machine in machines:
            machine.wait()
        worst = max(errors_to_central(machines))
        n_links = [len(machine.state.load_ledger().links) for machine in machines]
    subprocess.run(lan.command(2, ["nft", "delete", "table", "inet", "one_way"]), check=True)
    figures = f"{', '.join(map(str, n_links))} links; error to the central solution {worst:.0e}"
    return Row("one only dials out, behind a firewall; three train", figures, n_links == [2] * 3 and worst <= MAX_ERROR)
