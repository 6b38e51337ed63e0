"""Daemons on a loopback ring, started from directories of their own, of whatever commit."""

import secrets
import socket
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.program import Program

HEAD = """
[agent]
name = "{name}"
state_dir = "."
[network]
bind = "{address}"
neighbors = [
{neighbors}
]
"""
NEIGHBOR = '    {{ address = "{address}", public_key = "{key}" }},'


@dataclass(frozen=True, slots=True)
class Keys:
    """An agent's public key, and the content of its key file."""

    public: str
    file: bytes


@dataclass(frozen=True, slots=True)
class Home:
    """An agent's directory, its public key and its address."""

    directory: Path
    key: str
    address: str


def make_keys(program: Program) -> Keys:
    with tempfile.TemporaryDirectory(prefix="p2pnet-") as directory:
        file = Path(directory) / "agent.key"
        public = program.run("keygen", "--output", str(file)).split()[-1]
        return Keys(public, file.read_bytes())


def write_ring(keys: Sequence[Keys], directory: Path, settings: str) -> list[Home]:
    """A directory for each agent, with its key and agent.toml; each has two neighbors, or one in a pair. `settings`
    begin with those of the network.
    """
    homes = []
    for k, (pair, port) in enumerate(zip(keys, free_ports(len(keys)), strict=True)):
        place = directory / f"agent-{k}"
        place.mkdir(parents=True)
        (place / "agent.key").touch(mode=0o600)
        (place / "agent.key").write_bytes(pair.file)
        homes.append(Home(place, pair.public, f"tcp://127.0.0.1:{port}"))
    for k, home in enumerate(homes):
        around = {homes[k - 1].key: homes[k - 1], homes[(k + 1) % len(homes)].key: homes[(k + 1) % len(homes)]}
        neighbors = "\n".join(NEIGHBOR.format(address=peer.address, key=peer.key) for peer in around.values())
        head = HEAD.format(name=home.directory.name, address=home.address, neighbors=neighbors)
        (home.directory / "agent.toml").write_text(head + settings, encoding="utf-8")
    return homes


def free_ports(n_ports: int) -> list[int]:
    """Ports of the loopback interface that are free now, below those of outgoing connections."""
    ports: list[int] = []
    with ExitStack() as held:
        while len(ports) < n_ports:
            port = 15_000 + secrets.randbelow(15_000)
            listener = held.enter_context(socket.socket())
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
    return ports
