"""What `p2pnet doctor` says where two agents do not come together."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from p2pnet.agent.transport.keys import generate_keys
from p2pnet.testing.local_agent import LocalAgent
from p2pnet.testing.problems import LINEAR_REGRESSION, linear_shard
from tests.chaos.namespaces import Namespaces
from tests.chaos.table import Row

FILTER = """
table inet filtered {
    chain incoming {
        type filter hook input priority 0;
        tcp dport 7070 drop
    }
}
"""

CLOCK_AHEAD = "import time; now = time.time; time.time = lambda: now() + 7200; from p2pnet.cli import main; main()"
OTHER_VERSION = (
    "import p2pnet.protocol.core.codec as codec; codec.PROTOCOL_VERSION = codec.LOWEST_VERSION = 9; "
    "from p2pnet.cli import main; main()"
)


@dataclass(frozen=True, slots=True)
class Case:
    """A neighbor, and what the doctor must say of it."""

    name: str
    words: str
    """the beginning of one of the lines said of it"""
    settings: dict[str, Any] = field(default_factory=dict)
    program: Sequence[str] | None = None
    is_started: bool = True
    is_allowing: bool = True
    address: str | None = None
    """where it is said to be, if not where it is"""
    has_new_key: bool = False


CASES = (
    Case("all is well", "fine: {name} answers at tcp://10.77.0."),
    Case("name", "wrong: the name no-such-host.invalid does not resolve", address="tcp://no-such-host.invalid:7070"),
    Case("port closed", "wrong: {address}: the machine is there, and port 7070 is closed", is_started=False),
    Case(
        "firewall", "wrong: {address}: no answer in time: that machine is off, the address is another's, or a firewall"
    ),
    Case(
        "no such machine",
        "wrong: tcp://10.77.0.200:7070: there is no way to that machine",
        address="tcp://10.77.0.200:7070",
    ),
    Case("key not allowed", "wrong: {address}: it does not allow our key: put it into", is_allowing=False),
    Case("another's key", "wrong: {address}: another agent answers there, or this one has a new key", has_new_key=True),
    Case("stopped", "wrong: {address}: it takes the connection and then says nothing: that program has been stopped"),
    Case("version", "wrong: speaks version 9 of the protocol", program=("-c", OTHER_VERSION)),
    Case("model", "wrong: trains something else: model: theirs is", settings={"model.hidden": (5,)}),
    Case("penalty", "wrong: trains something else: penalty: theirs is", settings={"objective.penalty": "l1:0.1"}),
    Case("clock", "doubtful: its clock is 2 hours ahead of this machine's", program=("-c", CLOCK_AHEAD)),
)


def rows(lan: Namespaces, directory: Path) -> Iterator[Row]:
    """A row a case, and one for those that are examined."""
    with ExitStack() as at_exit:
        agents = []
        for k, name in enumerate(["agent", *(case.name for case in CASES)]):
            agent = LocalAgent.create(directory / name, lan.address(k), wrap=partial(lan.command, k))
            agent.files.write_samples(linear_shard(k))
            agents.append(at_exit.enter_context(agent))
        yield from examine(lan, agents)


def examine(lan: Namespaces, agents: Sequence[LocalAgent]) -> Iterator[Row]:
    """Start an agent and its neighbors, each with its own ailment, and ask the doctor about all of them at once."""
    agent, *neighbors = agents
    settings = {**LINEAR_REGRESSION, "algorithm.rounds": 60, "algorithm.tolerance": 0.0, "network.round_pace_s": 1.0}
    named = []
    for neighbor, case in zip(neighbors, CASES, strict=True):
        allowed = [agent.keys.public] if case.is_allowing else []
        neighbor.configure({**settings, "security.allowed_peers": allowed, **case.settings})
        entry = neighbor.as_neighbor()
        entry["address"] = case.address or neighbor.address
        if case.has_new_key:
            entry["public_key"] = generate_keys().public
        named.append(entry)
    agent.configure({**settings, "network.neighbors": named, "network.start_timeout_s": 1.0})
    by_name = {neighbor.name: neighbor for neighbor in neighbors}
    for neighbor, case in zip(neighbors, CASES, strict=True):
        if case.is_started:
            neighbor.start(program=case.program)
    for neighbor, case in zip(neighbors, CASES, strict=True):
        if case.is_started:
            neighbor.until(lambda neighbor: neighbor.has_said("listening on"))
    agent.start()
    agent.until(lambda agent: agent.round > 0)
    subprocess.run(
        lan.command(agents.index(by_name["firewall"]), ["nft", "-f", "-"]), input=FILTER, text=True, check=True
    )
    by_name["stopped"].freeze()
    said = agent.doctor()
    for k, case in enumerate(CASES, 1):
        words = case.words.format(name=case.name, address=lan.address(k))
        lines = said.get(case.name, [])
        fitting = [line for line in lines if line.startswith(words)]
        yield Row(f"doctor: {case.name}", (fitting or lines[::-1] or ["nothing"])[0], bool(fitting))
    well = next(neighbor for neighbor, case in zip(neighbors, CASES, strict=True) if case.name == "all is well")
    n_links = [one.count("^linked with (agent|all is well)") for one in (agent, well)]
    yield Row(
        "doctor: who runs is not disturbed", f"in round {agent.round}; links opened: {n_links}", n_links == [1, 1]
    )
