"""An invitation says to one machine whom to ask, and where."""

import msgpack
import pytest

from p2pnet.agent.transport.keys import generate_keys
from p2pnet.agent.trust.invitation import Invitation, IssuedInvitation
from p2pnet.agent.trust.lines import to_line
from p2pnet.errors import SecurityError

INVITATION = Invitation.make(
    b"n" * 32, generate_keys().public, 1_900_000_000, ("tcp://192.0.2.7:7070", "tcp://[::1]:1")
)


def test_it_is_read_as_it_was_written() -> None:
    assert Invitation.from_line(INVITATION.to_line()) == INVITATION
    assert INVITATION.secret.hex() not in repr(INVITATION)


def test_two_have_nothing_in_common() -> None:
    other = Invitation.make(INVITATION.network_id, INVITATION.inviter, INVITATION.expires_s, INVITATION.addresses)
    assert other.id != INVITATION.id
    assert other.keys != INVITATION.keys


def test_what_the_inviter_keeps_names_the_connection_and_not_the_secret() -> None:
    issued = INVITATION.issued("bob")
    assert IssuedInvitation.read(issued.data) == issued
    assert issued.key == INVITATION.keys.public
    assert INVITATION.secret not in issued.data


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([2], "version 2; install"),
        ([1], "says what none says"),
        ([1, b"n" * 32, b"k" * 31, 1, b"s" * 16], "32 bytes"),
        ([1, b"n" * 32, b"k" * 32, -1, b"s" * 16], "count"),
        ([1, b"n" * 32, b"k" * 32, 1, b"s" * 16, "nowhere"], "says what none says"),
        ("text", "no invitation"),
    ],
)
def test_what_is_none_is_refused(values: object, reason: str) -> None:
    with pytest.raises(SecurityError, match=reason):
        Invitation.from_line(to_line("invite", msgpack.packb(values)))
