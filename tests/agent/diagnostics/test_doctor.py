"""What `p2pnet doctor` says of each reason why two agents cannot reach each other, or do not train together."""

import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest
from click.testing import CliRunner, Result

from p2pnet.agent.assembly import prepare
from p2pnet.agent.diagnostics.doctor import examine
from p2pnet.agent.diagnostics.status import NodeStatus, decode_status, encode_status
from p2pnet.agent.transport import hosts
from p2pnet.agent.transport.base import Queried
from p2pnet.agent.transport.discovery import LanDiscovery, announcement
from p2pnet.agent.transport.keys import generate_keys, write_keys
from p2pnet.agent.transport.zmq_transport import ZmqTransport
from p2pnet.cli.group import main
from p2pnet.config import read_settings
from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.codec import PROTOCOL_VERSION
from p2pnet.testing import AgentFiles, Fleet, free_ports, linear_shard

NO_SUCH_HOST = "x" * 60 + ".invalid"
Change = Callable[[NodeStatus], NodeStatus]


class Machine:
    """A machine with an agent.toml whose one neighbor is called bob."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.keys = generate_keys()
        self.bob = generate_keys()
        write_keys(directory / "agent.key", self.keys)
        AgentFiles("alice", directory).write_samples(linear_shard(0))

    def names(self, address: str, key: str | None = None, bind: str = "none") -> None:
        """Write agent.toml, with bob at that address."""
        self.config.write_text(
            f"""
            [agent]
            name = "alice"
            state_dir = "."
            [network]
            bind = "{bind}"
            neighbors = [{{ name = "bob", address = "{address}", public_key = '{key or self.bob.public}' }}]
            [data]
            source = "samples.npz"
            """
        )

    @property
    def config(self) -> Path:
        return self.directory / "agent.toml"

    def status(self) -> NodeStatus:
        """What bob would say if all were well."""
        fingerprint = prepare(read_settings(self.config)).fingerprint
        return NodeStatus(PROTOCOL_VERSION, "bob", "0.1.0", fingerprint, 7, -1, time.time())

    def ask(self, *flags: str) -> Result:
        return CliRunner().invoke(main, ["doctor", str(self.config), *flags])

    def words(self) -> str:
        """What is said of bob, where something is wrong with him and with no other agent."""
        result = self.ask()
        assert result.exit_code == 1, result.output
        wrong = [line for line in result.output.splitlines() if line.startswith("✗")]
        assert [line.startswith("✗ bob: ") for line in wrong] == [True]
        return wrong[0].removeprefix("✗ bob: ")


@pytest.fixture
def alice(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@contextlib.contextmanager
def answering(machine: Machine, allowed: Collection[str], change: Change = lambda status: status) -> Iterator[int]:
    """Bob, as far as his transport: he lets some in and tells them who he is; the port."""
    transport = ZmqTransport.open(machine.bob, ["tcp://127.0.0.1:0"], allowed.__contains__)
    port = int(transport.addresses[0].rpartition(":")[2])
    machine.names(f"tcp://127.0.0.1:{port}")
    status = machine.status()
    is_over = threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            for event in transport.poll(1.0):
                if isinstance(event, Queried):
                    transport.reply(event.peer, encode_status(change(replace(status, time_s=time.time()))))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield port
    finally:
        is_over.set()
        transport.wake()
        thread.join()
        transport.close(0.0)


# ------------------------------------------------------------------------------------------------- all is well


def test_where_all_is_well_each_check_is_one_line_with_the_round_trip_time(alice: Machine) -> None:
    with answering(alice, {alice.keys.public}):
        result = alice.ask()
    lines = result.output.splitlines()
    assert result.exit_code == 0, result.output
    assert [line.split(":")[0] for line in lines] == ["✓ settings", "✓ key", "✓ data", "✓ address", "✓ bob"]
    assert "bob answers at tcp://127.0.0.1:" in lines[-1]
    assert lines[-1].endswith(" ms; in round 7")


def test_findings_can_be_had_as_json(alice: Machine) -> None:
    with answering(alice, {alice.keys.public}):
        result = alice.ask("--json")
    findings: list[dict[str, Any]] = json.loads(result.output)
    assert [set(finding) for finding in findings] == [{"outcome", "subject", "words"}] * 5
    assert {finding["outcome"] for finding in findings} == {"fine"}


# --------------------------------------------------------------------------------------- bob cannot be reached


def test_a_name_that_does_not_resolve(alice: Machine) -> None:
    alice.names(f"tcp://{NO_SUCH_HOST}:7070")
    assert alice.words().startswith(f"the name {NO_SUCH_HOST} does not resolve (")


def test_a_closed_port(alice: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    alice.names(f"tcp://127.0.0.1:{port}")
    assert alice.words() == (
        f"tcp://127.0.0.1:{port}: the machine is there, and port {port} is closed: start the agent there, or correct "
        "the port"
    )


def test_a_key_that_is_not_allowed(alice: Machine) -> None:
    with answering(alice, set()):
        words = alice.words()
    assert "it does not allow our key: put it into its security.allowed_peers or among its neighbors" in words
    assert words.endswith(f"'{alice.keys.public}'")


def test_another_agent_at_the_address(alice: Machine) -> None:
    with answering(alice, {alice.keys.public}) as port:
        alice.names(f"tcp://127.0.0.1:{port}", key=generate_keys().public)
        assert "another agent answers there, or this one has a new key" in alice.words()


def test_another_program_at_the_address(alice: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    stream, _ = server.accept()
                    with stream:
                        stream.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        alice.names(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        words = alice.words()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert words.endswith("a program answers there that is no agent: correct the address")


def test_a_program_that_has_been_stopped(alice: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # its system takes connections, and it never looks
        alice.names(f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        assert alice.words().endswith("that program has been stopped, or hangs")


# ------------------------------------------------------------------------------ bob is reached, and does not train


def test_another_version_of_the_protocol(alice: Machine) -> None:
    with answering(alice, {alice.keys.public}, lambda bob: replace(bob, protocol=9, software="3.0")):
        words = alice.words()
    assert words == (
        "speaks version 9 of the protocol (p2pnet 3.0), and this machine 2: install the same p2pnet on both"
    )


def test_another_model_and_another_penalty_are_named_with_both_values(alice: Machine) -> None:
    def other(bob: NodeStatus) -> NodeStatus:
        return replace(bob, fingerprint={**bob.fingerprint, "model": "mlp 3-5-1", "penalty": "l1 0.1"})

    with answering(alice, {alice.keys.public}, other):
        words = alice.words()
    assert words.startswith("trains something else: model: theirs is mlp 3-5-1, ours is ")
    assert "; penalty: theirs is l1 0.1, ours is " in words
    assert words.endswith(": make both settings the same")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(7300.0, "2 hours ahead of"), (-200.0, "3 minutes behind"), (86_400.0 * 4, "4 days ahead of")],
)
def test_a_clock_that_differs_is_told_and_is_no_failure(alice: Machine, seconds: float, words: str) -> None:
    with answering(alice, {alice.keys.public}, lambda bob: replace(bob, time_s=bob.time_s + seconds)):
        result = alice.ask()
    assert result.exit_code == 0
    assert f"! bob: its clock is {words} this machine's: training does not compare clocks, but" in result.output


def test_clocks_that_differ_by_a_minute_are_nothing(alice: Machine) -> None:
    with answering(alice, {alice.keys.public}, lambda bob: replace(bob, time_s=bob.time_s + 60.0)):
        assert "its clock" not in alice.ask().output


def test_a_clock_that_was_set_back_since_bob_last_heard_of_us(alice: Machine) -> None:
    with answering(alice, {alice.keys.public}, lambda bob: replace(bob, known_incarnation=int(time.time()) + 3600)):
        words = alice.words()
    assert words.startswith("remembers this agent from 20")
    assert "and takes it for the past: the clock was set back, or the state directory was lost" in words


# --------------------------------------------------------------------------------------------- the local network


@contextlib.contextmanager
def announcing(machine: Machine, port: int) -> Iterator[None]:
    """Bob, as far as he tells the loopback of himself."""
    told = announcement(machine.bob.public, "bob", machine.status().fingerprint, None)
    discovery = LanDiscovery(told, f"tcp://127.0.0.1:{port}", lambda _: False, lambda: None, logging.Logger("bob"))
    discovery.start()
    try:
        yield
    finally:
        discovery.close(10.0)


def on_the_lan(machine: Machine, *allowed: str) -> None:
    """Name no addresses."""
    (port,) = free_ports(1)
    machine.config.write_text(
        f"""
        [agent]
        name = "alice"
        state_dir = "."
        [network]
        bind = "tcp://127.0.0.1:{port}"
        discovery = "mdns"
        [security]
        allowed_peers = {list(allowed)}
        [data]
        source = "samples.npz"
        """
    )


def test_an_agent_that_is_found_on_the_local_network_is_asked(alice: Machine) -> None:
    with answering(alice, {alice.keys.public}) as port:
        on_the_lan(alice, alice.bob.public)
        with announcing(alice, port):
            result = alice.ask()
    assert result.exit_code == 0, result.output
    assert f"✓ bob: bob answers at tcp://127.0.0.1:{port} in " in result.output


def test_an_agent_that_is_found_and_not_allowed_is_named_with_its_key(alice: Machine) -> None:
    with answering(alice, set()) as port:
        on_the_lan(alice)
        with announcing(alice, port):
            result = alice.ask()
    assert result.exit_code == 0, result.output
    assert (
        "· bob: on the local network, trains the same, and is not allowed to talk to this agent: to train with it, put "
        f"its key into security.allowed_peers: '{alice.bob.public}'"
    ) in result.output
    assert "· peers: no agent to ask is named" in result.output


def test_a_neighbor_without_an_address_that_is_not_found(alice: Machine) -> None:
    on_the_lan(alice)
    neighbor = f"network.neighbors=[{{ name = 'bob', public_key = '{alice.bob.public}' }}]"
    result = alice.ask("--set", neighbor)
    assert result.exit_code == 1
    assert "✗ bob: not found on the local network: start it there with network.discovery = mdns" in result.output
    result = alice.ask("--set", neighbor, "--set", "network.discovery=none")
    assert result.exit_code == 0
    assert "· bob: no address is given for it: it has to dial this agent, at tcp://127.0.0.1:" in result.output


# ----------------------------------------------------------------------------------------------------- this side


@pytest.mark.parametrize(
    ("spoil", "subject", "words"),
    [
        (lambda here: (here / "agent.toml").write_text("[agent]\nnme = 1"), "settings", "did you mean agent.name?"),
        (lambda here: (here / "agent.key").unlink(), "key", "there is no key file here"),
        (lambda here: os.chmod(here / "agent.key", 0o644), "key", "chmod 600"),  # noqa: PTH101
        (lambda here: (here / "samples.npz").write_bytes(b"no archive"), "data", "samples.npz"),
        (lambda here: spoil_settings(here, "[objective]", "loss = 'logistic'"), "settings", "is not for regression"),
        (lambda here: spoil_settings(here, "[agent]", "state_dir = 'samples.npz'"), "state", "cannot be used"),
    ],
)
def test_this_side_is_looked_at_first(
    alice: Machine, spoil: Callable[[Path], object], subject: str, words: str
) -> None:
    with answering(alice, {alice.keys.public}):
        spoil(alice.directory)
        result = alice.ask()
    assert result.exit_code == 1
    wrong = [line for line in result.output.splitlines() if line.startswith("✗")]
    assert len(wrong) == 1
    assert wrong[0].startswith(f"✗ {subject}: ")
    assert words in wrong[0]


def spoil_settings(here: Path, section: str, line: str) -> None:
    text = (here / "agent.toml").read_text().replace('state_dir = "."', "")
    heading, _, rest = text.partition(section)
    (here / "agent.toml").write_text(f"{heading}{section}\n{line}\n{rest}")


def test_a_port_that_another_program_holds(alice: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, answering(alice, {alice.keys.public}) as port:
        ours = taken.getsockname()[1]
        alice.names(f"tcp://127.0.0.1:{port}", bind=f"tcp://127.0.0.1:{ours}")
        result = alice.ask()
    assert f"✗ address: cannot listen on tcp://127.0.0.1:{ours}: port {ours} is in use" in result.output


def test_an_address_that_means_nothing_to_others(alice: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    alice.names("tcp://127.0.0.1:1", bind="tcp://0.0.0.0:17079")
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    monkeypatch.setattr(hosts, "_address_towards", lambda host: None)  # noqa: ARG005  (no way out)
    words = [finding.words for finding in examine(alice.config) if finding.subject == "address"]
    assert words[-1].startswith("others are told to dial tcp://localhost:17079, which is ")
    monkeypatch.setattr(socket, "gethostname", lambda: NO_SUCH_HOST)
    words = [finding.words for finding in examine(alice.config) if finding.subject == "address"]
    assert words[-1].startswith(f"others are told to dial tcp://{NO_SUCH_HOST}:17079, and {NO_SUCH_HOST} does not")


# ------------------------------------------------------------------------------------------ the agents go on


def test_neither_this_machines_agent_nor_the_one_that_is_asked_is_disturbed(tmp_path: Path) -> None:
    slow = {"network.round_pace_s": 0.02, "algorithm.tolerance": 0.0, "algorithm.rounds": 1_000_000}
    with Fleet.create(tmp_path, 2, settings=slow) as fleet:
        fleet.start()
        for agent in fleet.agents:
            agent.until(lambda agent: agent.has_said("training begins"))
        n_linked = [agent.count("linked with") for agent in fleet.agents]
        for agent in (fleet[0], fleet[1], fleet[0]):
            result = CliRunner().invoke(main, ["doctor", str(agent.files.config)])
            assert result.exit_code == 0, result.output
            assert "· state: the agent is running, in " in result.output
            assert "✓ address: the running agent listens on tcp://127.0.0.1:" in result.output
            assert "in round " in result.output
        for agent, n_before in zip(fleet.agents, n_linked, strict=True):
            assert agent.count("linked with") == n_before
            assert agent.files.warnings() == []
            assert not agent.has_said("closed the link")
        bind = "network.bind=tcp://127.0.0.1:1"
        assert (
            "was started; restart it"
            in CliRunner().invoke(main, ["doctor", str(fleet[0].files.config), "--set", bind]).output
        )


# ------------------------------------------------------------------------------------------------ the status


def test_a_status_survives_the_wire_and_later_versions_may_add_to_it() -> None:
    status = NodeStatus(1, "bob", "0.1.0", {"model": "mlp"}, -1, -1, 1.5)
    assert decode_status(encode_status(status)) == status
    values = msgpack.unpackb(encode_status(status)[0]) | {"mood": "good"}
    assert decode_status([msgpack.packb(values)]) == status
    assert decode_status([msgpack.packb(values | {"name": "b\n\x1b[2Job"})]).name == "b[2Job"


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x90", b"\x80", b"\xff" * 100])
def test_what_is_no_status_is_a_protocol_error(frame: bytes) -> None:
    with pytest.raises(ProtocolError, match="status"):
        decode_status([frame])
