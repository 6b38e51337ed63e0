"""Joining, over the loopback: what is written on the new machine, and what is not when something is wrong."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pnet.agent.terms import Terms
from p2pnet.agent.transport.base import Queried
from p2pnet.agent.transport.keys import KeyPair, generate_keys
from p2pnet.agent.transport.zmq_transport import ZmqTransport
from p2pnet.agent.trust.doorkeeper import Doorkeeper
from p2pnet.agent.trust.invitation import Invitation
from p2pnet.agent.trust.joining import join
from p2pnet.agent.trust.network_files import NetworkFiles
from p2pnet.config import Settings, read_settings
from p2pnet.errors import ConfigError, ControlError, SecurityError
from p2pnet.protocol.trust.records import SignedRecord
from tests.agent.trust.conftest import Home

SEED = generate_keys().public
SEEDS = ((SEED, "tcp://192.0.2.9:7070"),)
SAMPLES = {"data.source": "samples.csv", "network.bind": "tcp://127.0.0.1:7999"}


class Inviter:
    """Ann's agent, as far as it answers machines that ask."""

    def __init__(self, home: Home, terms: Terms) -> None:
        self.management = home.management()
        self.terms = terms
        self.files = NetworkFiles(home.records.parent)
        self.roster = self.files.roster()
        self._is_over = threading.Event()
        self.address = ""
        self._is_listening = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "Inviter":
        self._thread.start()
        self._is_listening.wait(10.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def invite(self, name: str = "", *, addresses: tuple[str, ...] | None = None) -> str:
        places = (self.address,) if addresses is None else addresses
        return self.management.invite(name, 3600, places, 1_000.0).to_line()

    def _serve(self) -> None:
        door = Doorkeeper(self.files, self.roster, self.management.keys, self.terms, lambda: 1_000.0)
        transport = ZmqTransport.open(self.keys, ["127.0.0.1:0"], lambda _: False, None, door.knows)
        self.address = transport.addresses[0]
        self._is_listening.set()
        try:
            while not self._is_over.is_set():
                for event in transport.poll(0.05):
                    if isinstance(event, Queried):
                        ruling = door.answer(event.peer, event.frames)
                        self.roster.add(SignedRecord.read(record) for record in ruling.signed)
                        transport.reply(event.peer, ruling.answer)
        finally:
            transport.close(0.0)

    @property
    def keys(self) -> KeyPair:
        return self.management.keys


@pytest.fixture
def inviter(home: Home) -> Iterator[Inviter]:
    with Inviter(home, Terms('{"algorithm.rounds": 5}', SEEDS, is_static=False)) as inviter:
        yield inviter


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """The directory of a machine that is to join."""
    directory = tmp_path / "new"
    directory.mkdir()
    (directory / "samples.csv").write_text("x,y\n1,2\n2,4\n")
    return directory


def settings_in(directory: Path) -> Settings:
    return read_settings(directory / "agent.toml", environment={})


def files_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_all_is_written_that_an_agent_needs(inviter: Inviter, new: Path) -> None:
    joined = join(inviter.invite("bob"), new / "agent.toml", SAMPLES, ())
    settings = settings_in(new)
    assert (settings.agent.name, joined.member.name) == ("bob", "bob")
    assert [(seed.public_key, seed.address) for seed in settings.network.seeds] == [
        (inviter.keys.public, inviter.address),
        (SEED, "tcp://192.0.2.9:7070"),
    ]
    assert settings.algorithm.rounds == 5
    assert settings.data.source == new / "samples.csv"
    roster = NetworkFiles(new / "network").roster()
    assert roster.allowed.keys() == {inviter.keys.public, joined.member.key}
    assert not (new / "network" / "root.key").exists()


def test_what_is_set_here_holds(inviter: Inviter, new: Path) -> None:
    own = {"algorithm.rounds": 7, "network.advertise": "tcp://gate.example:7070"}
    join(inviter.invite(), new / "agent.toml", {**SAMPLES, **own}, ())
    settings = settings_in(new)
    assert settings.algorithm.rounds == 7
    assert settings.network.advertise == "tcp://gate.example:7070"


def test_where_agents_name_their_neighbors_the_inviter_is_the_only_one(home: Home, new: Path) -> None:
    with Inviter(home, Terms('{"network.min_agents": 5}', SEEDS, is_static=True)) as inviter:
        join(inviter.invite(), new / "agent.toml", SAMPLES, ())
    settings = settings_in(new)
    assert [neighbor.public_key for neighbor in settings.network.neighbors] == [inviter.keys.public]
    assert settings.network.seeds == ()
    assert settings.network.min_agents == 1


def test_code_of_the_networks_own_is_taken_over_only_where_it_is_allowed_by_name(home: Home, new: Path) -> None:
    with Inviter(home, Terms('{"model.factory": "mymodels:Net"}', (), is_static=False)) as inviter:
        line = inviter.invite()
        with pytest.raises(SecurityError, match="by the same line with --allow-code mymodels:Net"):
            join(line, new / "agent.toml", SAMPLES, ())
        assert files_in(new) == {"samples.csv", "agent.key"}
        join(line, new / "agent.toml", SAMPLES, ("mymodels:Net",))
    assert settings_in(new).model.factory == "mymodels:Net"


def test_an_inviter_that_cannot_be_reached_is_named_with_its_addresses(inviter: Inviter, new: Path) -> None:
    line = inviter.invite(addresses=("tcp://127.0.0.1:9", "tcp://nowhere.invalid:7070"))
    with pytest.raises(ControlError, match=r"127\.0\.0\.1:9: nothing listens there.*nowhere\.invalid.*not resolve"):
        join(line, new / "agent.toml", SAMPLES, ())
    assert files_in(new) == {"samples.csv", "agent.key"}


def test_an_agent_that_is_not_the_inviter_is_told_nothing(inviter: Inviter, new: Path) -> None:
    """Whoever holds the line's address but not the inviter's key fails in the handshake."""
    genuine = Invitation.from_line(inviter.invite())
    other = Invitation.make(genuine.network_id, generate_keys().public, genuine.expires_s, genuine.addresses)
    with pytest.raises(ControlError, match="does not hold the peer's key"):
        join(other.to_line(), new / "agent.toml", SAMPLES, ())


@pytest.mark.parametrize("file", ["agent.toml", "network/records"])
def test_nothing_is_written_over_and_the_invitation_stays_unused(inviter: Inviter, new: Path, file: str) -> None:
    (new / file).parent.mkdir(exist_ok=True)
    (new / file).write_text("")
    line = inviter.invite()
    with pytest.raises(ConfigError, match="already; choose another directory"):
        join(line, new / "agent.toml", SAMPLES, ())
    assert inviter.roster.admissions_by(Invitation.from_line(line).id) == []


def test_missing_samples_are_told_before_anybody_is_asked(inviter: Inviter, new: Path) -> None:
    line = inviter.invite()
    with pytest.raises(ConfigError, match=r"other\.csv: there is no such file"):
        join(line, new / "agent.toml", {**SAMPLES, "data.source": "other.csv"}, ())
    assert inviter.roster.admissions_by(Invitation.from_line(line).id) == []
