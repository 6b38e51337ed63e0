"""What `p2pnet doctor` says where records let machines in."""

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pnet.agent.diagnostics.diagnosis import Finding
from p2pnet.agent.diagnostics.doctor import examine
from p2pnet.agent.transport.discovery import LanDiscovery, announcement
from p2pnet.agent.transport.keys import KeyPair, generate_keys
from p2pnet.agent.transport.zmq_transport import ZmqTransport
from p2pnet.agent.trust.founding import found
from p2pnet.agent.trust.managing import Management
from p2pnet.protocol.core.types import PeerId
from p2pnet.testing import free_ports

# A directory with an agent, ann, that has begun a network.


@pytest.fixture
def ann(tmp_path: Path) -> Path:
    (tmp_path / "samples.csv").write_text("x,y\n" + "".join(f"{k},{2 * k}\n" for k in range(20)))
    bind = f"tcp://127.0.0.1:{free_ports(1)[0]}"
    values = {"agent.name": "ann", "data.source": "samples.csv", "network.bind": bind}
    found("ward", tmp_path / "agent.toml", values)
    return tmp_path


@contextlib.contextmanager
def listening(keys: KeyPair) -> Iterator[int]:
    """An agent that lets nobody in; its port."""
    transport = ZmqTransport.open(keys, ["tcp://127.0.0.1:0"], lambda _: False)
    is_over = threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            transport.poll(1.0)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(transport.addresses[0].rpartition(":")[2])
    finally:
        is_over.set()
        transport.wake()
        thread.join()
        transport.close(0.0)


@contextlib.contextmanager
def announcing(peer: PeerId, port: int) -> Iterator[None]:
    told = announcement(peer, "bob", {}, None)
    discovery = LanDiscovery(told, f"tcp://127.0.0.1:{port}", lambda _: False, lambda: None, logging.Logger("bob"))
    discovery.start()
    try:
        yield
    finally:
        discovery.close(10.0)


def of(subject: str, findings: Iterator[Finding]) -> list[str]:
    return [finding.words for finding in findings if finding.subject == subject]


def test_a_member_that_does_not_let_this_one_in_is_no_matter_of_lists(ann: Path) -> None:
    bob = generate_keys()
    with listening(bob) as port:
        seed = f"network.seeds=[{{ public_key = '{bob.public}', address = 'tcp://127.0.0.1:{port}' }}]"
        (words,) = of(f"seed {bob.public[:8]}…", examine(ann / "agent.toml", [seed]))
    assert "it does not allow our key: either it has not heard of our admission" in words
    assert "p2pnet invite" in words
    assert "allowed_peers" not in words


def test_a_stranger_on_the_local_network_is_to_be_invited_and_a_member_is_asked(ann: Path) -> None:
    bob = generate_keys()
    with listening(bob) as port, announcing(bob.public, port):
        (stranger,) = of("bob", examine(ann / "agent.toml", ["network.discovery=mdns"]))
        Management(ann / "network", ann / "agent.key").add(bob.public, "bob")
        (member,) = of("bob", examine(ann / "agent.toml", ["network.discovery=mdns"]))
    assert stranger.endswith("is not allowed to talk to this agent: to train with it, invite it: p2pnet invite")
    assert "it does not allow our key" in member


def test_a_revoked_agent_is_told_so(ann: Path) -> None:
    Management(ann / "network", ann / "agent.key").revoke("ann", with_invited=False)
    (words,) = of("records", examine(ann / "agent.toml"))
    assert "the key of this agent was revoked; join by another invitation" in words
