"""Agents on a LAN, a network namespace each, that find each other."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from p2pnet.testing.local_agent import LocalAgent
from p2pnet.testing.problems import LINEAR_REGRESSION, Shard, least_squares, linear_shard, relative_errors
from tests.chaos.namespaces import Namespaces
from tests.chaos.table import Row

MAX_TIME_TO_FIND_S = 2.0
MAX_ERROR = 1e-6
N_TRIES = 5
SHARDS = [linear_shard(k, noise=0.3) for k in range(3)]
SETTINGS: Mapping[str, Any] = {**LINEAR_REGRESSION, "data.standardize": "network", "algorithm.tolerance": 0.0}

ONE_WAY = """
table inet one_way {
    chain incoming {
        type filter hook input priority 0;
        iif "lo" accept
        tcp flags & (syn | ack) == syn drop
    }
}
"""
"""What a router without port forwarding does: no agent outside can open a connection to the inside."""


@contextmanager
def agents_on(lan: Namespaces, n_agents: int) -> Iterator[list[LocalAgent]]:
    """Agents with samples of their own, in a network namespace each."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as at_exit:
        agents = [
            at_exit.enter_context(
                LocalAgent.create(Path(directory) / f"agent-{k}", "tcp://0.0.0.0:7070", wrap=partial(lan.command, k))
            )
            for k in range(n_agents)
        ]
        for agent, shard in zip(agents, SHARDS, strict=False):
            agent.files.write_samples(shard)
        yield agents


def configure(agents: Sequence[LocalAgent], network: Sequence[dict[str, Any]], n_rounds: int = 150) -> None:
    """Agents that allow each other, each with settings of its own."""
    for agent, settings in zip(agents, network, strict=True):
        others = [peer.keys.public for peer in agents if peer is not agent]
        agent.configure(
            {
                **SETTINGS,
                "security.allowed_peers": others,
                "algorithm.rounds": n_rounds,
                "network.round_pace_s": 0.02,
                **settings,
            }
        )


def errors_to_central(agents: Sequence[LocalAgent], standardized_by: Sequence[Shard]) -> list[float]:
    """Of each agent's model, to the least-squares solution over the samples of all."""
    solution = least_squares(SHARDS[: len(agents)], standardized_by)
    return relative_errors([agent.files.params() for agent in agents], solution)


def found(lan: Namespaces) -> Row:
    """Two agents started at once, nothing known but each other's key; from listening to linked, as both log it."""
    times = []
    worst = 0.0
    for _ in range(N_TRIES):
        with agents_on(lan, 2) as agents:
            configure(agents, [{"network.discovery": "mdns"}] * 2)
            for agent in agents:
                agent.start()
            for agent in agents:
                agent.finish()
            begun = max(agent.said_at("listening on") for agent in agents)
            times.append(max(agent.said_at("linked with") for agent in agents) - begun)
            worst = max(worst, *errors_to_central(agents, SHARDS[:2]))
    figures = (
        f"linked {median(times):.2f} s after both listen, at most {max(times):.2f} s in {N_TRIES} tries; error to the "
        f"central solution {worst:.0e}"
    )
    return Row(
        "two agents find each other by mDNS and train", figures, max(times) <= MAX_TIME_TO_FIND_S and worst <= MAX_ERROR
    )


def found_later(lan: Namespaces) -> Row:
    """A third agent, started when two of them train."""
    with agents_on(lan, 3) as agents:
        configure(agents, [{"network.discovery": "mdns", "network.round_pace_s": 0.05}] * 3, n_rounds=400)
        *early, late = agents
        for agent in early:
            agent.start()
        early[0].until(lambda agent: agent.round > 5)
        late.start()
        for agent in agents:
            agent.finish()
        begun = late.said_at("listening on")
        seconds = max(late.said_at(f"linked with {agent.name}") for agent in early) - begun
        worst = max(errors_to_central(agents, SHARDS[:2]))
    figures = f"linked with both {seconds:.2f} s after it listens; error to the central solution {worst:.0e}"
    return Row("a third one joins the training", figures, seconds <= MAX_TIME_TO_FIND_S and worst <= MAX_ERROR)


def behind_a_router(lan: Namespaces) -> Row:
    """Three agents, one of which can only dial out: a firewall drops whatever would open a connection to it."""
    subprocess.run(lan.command(2, ["nft", "-f", "-"]), input=ONE_WAY, text=True, check=True)
    with agents_on(lan, 3) as agents:
        inside = agents[2]
        configure(
            agents,
            [
                {
                    "network.bind": "none" if agent is inside else "tcp://0.0.0.0:7070",
                    "network.neighbors": [
                        {
                            "name": peer.name,
                            "public_key": peer.keys.public,
                            "address": None if peer is inside else lan.address(k),
                        }
                        for k, peer in enumerate(agents)
                        if peer is not agent
                    ],
                }
                for agent in agents
            ],
        )
        for agent in agents:
            agent.start()
        for agent in agents:
            agent.finish()
        worst = max(errors_to_central(agents, SHARDS))
        n_links = [len(agent.files.ledger().links) for agent in agents]
    subprocess.run(lan.command(2, ["nft", "delete", "table", "inet", "one_way"]), check=True)
    figures = f"{', '.join(map(str, n_links))} links; error to the central solution {worst:.0e}"
    return Row("one only dials out, behind a firewall; three train", figures, n_links == [2] * 3 and worst <= MAX_ERROR)
