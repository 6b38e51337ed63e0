"""Who is let in, who is not, and what each is told; all without a socket."""

from dataclasses import replace
from pathlib import Path

import pytest

from p2pnet.agent.terms import Terms
from p2pnet.agent.transport.keys import KeyPair, generate_keys, write_keys
from p2pnet.agent.trust.doorkeeper import Doorkeeper, Ruling
from p2pnet.agent.trust.invitation import Invitation
from p2pnet.agent.trust.lines import from_line
from p2pnet.agent.trust.managing import Management
from p2pnet.agent.trust.network_files import NetworkFiles
from p2pnet.agent.trust.signing import proof, signer_of, verify
from p2pnet.errors import SecurityError
from p2pnet.protocol.core.types import Message
from p2pnet.protocol.messages.joining import Join, Joined, JoinRefused, decode_joining, encode_joining
from p2pnet.protocol.trust.records import Genesis, Grant, Revocation, SignedRecord
from p2pnet.protocol.trust.roster import Roster
from tests.agent.trust.conftest import Home

TERMS = Terms('{"algorithm.rounds": 5}', (("k" * 40, "tcp://192.0.2.8:7070"),), is_static=False)
HOUR_S = 3600


class Door:
    """The doorkeeper of ann, and the clock that it sees."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.now_s = 1_000_000.0
        self.management = home.management()
        self.open()

    def open(self) -> None:
        """As when the agent is started."""
        files = NetworkFiles(self.home.directory / "network")
        self.roster = files.roster()
        self.keeper = Doorkeeper(files, self.roster, self.management.keys, TERMS, lambda: self.now_s)

    def invite(self, name: str = "") -> Invitation:
        return self.management.invite(name, HOUR_S, ("tcp://192.0.2.7:7070",), self.now_s)

    def request(self, connection: KeyPair, keys: KeyPair, name: str = "new") -> Join:
        network_id = self.home.founded.genesis.network_id
        plain = Join(network_id, keys.public, signer_of(keys).public, name, bytes(32))
        return replace(plain, proof=proof(keys, self.management.keys.public, plain.transcript(connection.public)))

    def ask(self, connection: KeyPair, keys: KeyPair, name: str = "new") -> Message:
        return self.send(connection, self.request(connection, keys, name))

    def send(self, connection: KeyPair, message: Message) -> Message:
        """The answer to a message; what is signed is in the roster then, as the daemon has it."""
        self.keeper.knows(connection.public)  # as the handshake asks
        ruling = self.keeper.answer(connection.public, encode_joining(message))
        self.add(ruling)
        return decode_joining([bytes(frame) for frame in ruling.answer])

    def add(self, ruling: Ruling) -> None:
        self.roster.add(SignedRecord.read(record) for record in ruling.signed)


@pytest.fixture
def door(home: Home) -> Door:
    return Door(home)


def refusal(message: Message) -> str:
    assert isinstance(message, JoinRefused), message
    return message.reason


def test_who_holds_an_invitation_is_admitted_and_told_what_it_needs(door: Door) -> None:
    invitation, keys = door.invite("bob"), generate_keys()
    assert door.keeper.knows(invitation.keys.public)  # of an invitation that was made after the agent was started
    joined = door.ask(invitation.keys, keys)
    assert isinstance(joined, Joined)
    assert Genesis.read(joined.genesis).network_id == invitation.network_id
    told = Roster(Genesis.read(joined.genesis), verify, [SignedRecord.read(record) for record in joined.records])
    assert told.allowed.keys() == {keys.public, door.management.keys.public}
    assert (joined.settings, joined.seeds) == (TERMS.settings, TERMS.seeds)


def test_it_is_on_disk_before_the_answer(door: Door) -> None:
    invitation, keys = door.invite(), generate_keys()
    assert door.keeper.knows(invitation.keys.public)
    door.keeper.answer(invitation.keys.public, encode_joining(door.request(invitation.keys, keys)))
    assert keys.public in NetworkFiles(door.home.directory / "network").roster().allowed


def test_the_name_is_that_of_the_invitation_else_that_of_the_machine(door: Door) -> None:
    for given, wished, expected in (("bob", "new", "bob"), ("", "new", "new")):
        keys = generate_keys()
        door.ask(door.invite(given).keys, keys, wished)
        assert {one.key: one.name for one in door.roster.admissions()}[keys.public] == expected


def test_machines_of_one_host_name_are_numbered(door: Door) -> None:
    for wished in ("pi", "pi", "ann", "pi", "p" * 64, "p" * 64):
        door.ask(door.invite().keys, generate_keys(), wished)
    names = sorted(one.name for one in door.roster.admissions())
    assert names == ["ann", "ann-2", "pi", "pi-2", "pi-3", "p" * 62 + "-2", "p" * 64]


def test_the_same_machine_may_ask_again_as_after_a_lost_answer(door: Door) -> None:
    invitation, keys = door.invite(), generate_keys()
    first = door.ask(invitation.keys, keys)
    door.now_s += 100 * HOUR_S
    assert door.ask(invitation.keys, keys) == first
    assert len(door.roster.admissions()) == 2


def test_any_other_is_told_who_has_used_it(door: Door) -> None:
    invitation, keys = door.invite("bob"), generate_keys()
    door.ask(invitation.keys, keys)
    reason = refusal(door.ask(invitation.keys, generate_keys()))
    assert f"was used by 'bob' ({keys.public})" in reason
    assert "stolen" in reason


def test_it_stays_spent_after_a_restart_and_after_the_member_was_revoked(door: Door) -> None:
    invitation, keys = door.invite("bob"), generate_keys()
    door.ask(invitation.keys, keys)
    door.management = door.home.management()
    door.management.revoke("bob", with_invited=False)
    door.open()
    assert "was used by 'bob'" in refusal(door.ask(invitation.keys, generate_keys()))
    assert "was revoked" in refusal(door.ask(invitation.keys, keys))


def test_after_a_restore_one_that_others_know_to_be_spent_is_spent(door: Door) -> None:
    invitation = door.invite("bob")
    before = door.home.records.read_bytes()
    door.ask(invitation.keys, generate_keys())
    (admission,) = [record for record in door.roster if record.fact in door.roster.admissions_by(invitation.id)]
    door.home.records.write_bytes(before)
    door.open()
    door.roster.add([admission])  # as another member tells it, once they are connected
    assert "was used by 'bob'" in refusal(door.ask(invitation.keys, generate_keys()))


def test_an_expired_one_is_refused_by_the_inviters_clock(door: Door) -> None:
    invitation = door.invite()
    door.now_s += HOUR_S + 1
    assert "has expired on 1970-01-12" in refusal(door.ask(invitation.keys, generate_keys()))


def test_a_request_that_was_recorded_proves_nothing_over_another_connection(door: Door) -> None:
    first, second, keys = door.invite(), door.invite(), generate_keys()
    recorded = door.request(first.keys, keys)
    assert "not proved" in refusal(door.send(second.keys, recorded))


def test_nobody_is_admitted_by_a_key_that_it_does_not_hold(door: Door) -> None:
    invitation = door.invite()
    request = door.request(invitation.keys, generate_keys())
    altered = replace(request, key=generate_keys().public)
    assert "not proved" in refusal(door.send(invitation.keys, altered))
    assert len(door.roster.admissions()) == 1


def test_a_key_of_no_invitation_is_not_known_and_told_nothing(door: Door) -> None:
    stranger = generate_keys()
    assert not door.keeper.knows(stranger.public)
    assert "belongs to no member" in refusal(door.ask(stranger, generate_keys()))


def test_another_network_is_refused(door: Door) -> None:
    invitation = door.invite()
    request = replace(door.request(invitation.keys, generate_keys()), network=bytes(32))
    assert "another network" in refusal(door.send(invitation.keys, request))


def test_noise_is_refused(door: Door) -> None:
    invitation = door.invite()
    ruling = door.keeper.answer(invitation.keys.public, [b"noise"])
    assert isinstance(decode_joining([bytes(frame) for frame in ruling.answer]), JoinRefused)
    assert ruling.signed == ()


def test_an_inviter_whose_grant_has_gone_admits_nobody(door: Door) -> None:
    invitation, keys = door.invite(), generate_keys()
    bob = generate_keys()
    door.ask(door.invite("bob").keys, bob)
    root = NetworkFiles(door.home.directory / "network").root()
    assert root is not None
    door.roster.add([root.sign(door.home.founded.genesis.network_id, Revocation(door.management.keys.public))])
    assert "no grant" in refusal(door.ask(invitation.keys, keys))


def test_a_disk_that_takes_nothing_admits_nobody(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    invitation = door.invite()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    assert "No space left" in refusal(door.ask(invitation.keys, generate_keys()))
    assert len(door.roster.admissions()) == 1


class TestAnotherKey:
    """A member asks, over a connection by its old key, to be known by a new one."""

    def test_it_is_admitted_under_its_name_and_the_old_key_revoked(self, door: Door) -> None:
        old, new = generate_keys(), generate_keys()
        door.ask(door.invite("bob").keys, old)
        assert isinstance(door.ask(old, new, "eve"), Joined)
        assert old.public in door.roster.revoked
        assert {one.name for one in door.roster.admissions() if one.key == new.public} == {"bob"}

    def test_the_old_key_renews_nothing_more(self, door: Door) -> None:
        old, new = generate_keys(), generate_keys()
        door.ask(door.invite("bob").keys, old)
        door.ask(old, new)
        assert "belongs to no member" in refusal(door.ask(old, generate_keys()))

    def test_a_key_that_signs_for_the_network_is_not_replaced_since_a_copy_would_go_on_signing(
        self, door: Door
    ) -> None:
        old = generate_keys()
        door.ask(door.invite("bob").keys, old)
        grant = Grant(old.public, signer_of(old).public, may_invite=True, may_revoke=True, quota=3)
        root = door.home.management().files.root()
        assert root is not None
        door.roster.add([root.sign(door.roster.genesis.network_id, grant)])
        assert "have the new key granted the same" in refusal(door.ask(old, generate_keys()))
        assert old.public not in door.roster.revoked


class TestInviting:
    def test_at_most_64_are_open(self, door: Door) -> None:
        for _ in range(64):
            door.invite()
        with pytest.raises(SecurityError, match="64 invitations are open"):
            door.invite()
        door.now_s += HOUR_S + 1
        door.invite()

    def test_one_without_a_grant_cannot(self, door: Door, tmp_path: Path) -> None:
        write_keys(tmp_path / "bob.key", generate_keys())
        bob = Management(door.home.directory / "network", tmp_path / "bob.key")
        with pytest.raises(SecurityError, match="may not invite"):
            bob.invite("eve", HOUR_S, (), door.now_s)

    def test_the_secret_is_not_on_disk(self, door: Door) -> None:
        invitation = door.invite()
        for line in (door.home.directory / "network" / "invitations").read_text().splitlines():
            assert invitation.secret not in from_line("i", line)
