"""Granting, revoking, listing: by names where they are clear, by keys always."""

from pathlib import Path

import pytest

from p2pnet.agent.transport.keys import generate_keys, load_keys, write_keys
from p2pnet.agent.trust.managing import Management, MemberView
from p2pnet.agent.trust.signing import signer_of
from p2pnet.errors import SecurityError, TransportError
from p2pnet.protocol.trust.records import Admission
from tests.agent.trust.conftest import Home


def admit(home: Home, name: str) -> Path:
    """The key file of a new member of this name."""
    keys = generate_keys()
    key_file = home.directory.parent / f"{keys.public.encode().hex()}.key"
    write_keys(key_file, keys)
    management = home.management()
    signer, fact = signer_of(management.keys), Admission(keys.public, signer_of(keys).public, name)
    management.files.append([signer.sign(home.founded.genesis.network_id, fact).data])
    return key_file


def as_seen(home: Home, key_file: Path) -> Management:
    """The network as the member with this key manages it, on the same disk, where the signing key is not."""
    return Management(home.directory / "network", key_file, home.directory / "nowhere.key")


def shown(home: Home) -> dict[str, MemberView]:
    return {member.name: member for member in home.management().members()}


def test_a_member_is_revoked_by_its_name_and_still_listed(home: Home) -> None:
    admit(home, "bob")
    home.management().revoke("bob", with_invited=False)
    assert shown(home)["bob"].is_revoked
    with pytest.raises(SecurityError, match="no member is called bob"):
        home.management().revoke("bob", with_invited=False)


def test_a_name_of_two_is_refused_and_their_keys_shown(home: Home) -> None:
    bob, other = admit(home, "bob"), admit(home, "bob")
    with pytest.raises(SecurityError, match="2 members are called bob") as caught:
        home.management().revoke("bob", with_invited=False)
    assert load_keys(bob).public[:8] in str(caught.value)
    home.management().revoke(load_keys(other).public, with_invited=False)
    assert load_keys(bob).public in home.management().roster.allowed


def test_a_holder_of_a_grant_invites_and_revokes_and_does_not_grant(home: Home) -> None:
    bob, _ = admit(home, "bob"), admit(home, "cat")
    with pytest.raises(SecurityError, match="may not invite"):
        as_seen(home, bob).invite("dan", 60, (), 0.0)
    home.management().grant("bob", may_revoke=True, quota=3)
    assert shown(home)["bob"].rights == "may invite and revoke, 3 at most"
    as_seen(home, bob).invite("dan", 60, (), 0.0)
    as_seen(home, bob).revoke("cat", with_invited=False)
    assert shown(home)["cat"].is_revoked
    with pytest.raises(SecurityError, match="only the network's signing key grants"):
        as_seen(home, bob).grant("bob", may_revoke=True, quota=9)


def test_those_whom_it_invited_stay_unless_they_are_to_go_too(home: Home) -> None:
    bob = admit(home, "bob")
    home.management().grant("bob", may_revoke=False, quota=3)
    for name in ("cat", "dan"):
        as_seen(home, bob).add(generate_keys().public, name)
    home.management().revoke("bob", with_invited=False)
    assert not shown(home)["cat"].is_revoked
    assert shown(home)["cat"].admitted_by == "bob"


def test_with_those_whom_it_invited(home: Home) -> None:
    bob = admit(home, "bob")
    home.management().grant("bob", may_revoke=False, quota=3)
    as_seen(home, bob).add(generate_keys().public, "cat")
    home.management().revoke("bob", with_invited=True)
    assert {name for name, member in shown(home).items() if not member.is_revoked} == {"ann"}


def test_a_signing_key_that_was_taken_away_is_named_by_its_path(home: Home) -> None:
    elsewhere = home.directory.parent / "stick.key"
    (home.directory / "network" / "root.key").rename(elsewhere)
    management = Management(home.directory / "network", home.directory / "agent.key", elsewhere)
    management.grant("ann", may_revoke=True, quota=7)
    assert shown(home)["ann"].rights.endswith("256 at most")  # of several grants, the widest


def test_a_member_that_was_added_by_its_key_alone_is_granted_nothing(home: Home) -> None:
    home.management().add(generate_keys().public, "bob")
    with pytest.raises(SecurityError, match="signs nothing"):
        home.management().grant("bob", may_revoke=True, quota=1)


def test_an_address_that_is_none_is_not_written_into_an_invitation(home: Home) -> None:
    with pytest.raises(TransportError):
        home.management().invite("bob", 60, ("nowhere",), 0.0)


def test_a_key_that_is_none_is_not_added(home: Home) -> None:
    with pytest.raises(SecurityError, match="not a public key"):
        home.management().add("bob", "bob")
