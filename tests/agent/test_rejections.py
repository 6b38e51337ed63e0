"""Refusals at the door: a warning for each peer and cause, however often it comes again."""

import logging

import pytest

from p2pnet.agent.names import PeerNames
from p2pnet.agent.rejections import MAX_REMEMBERED, Rejections
from p2pnet.agent.transport.base import Refusal, Rejected
from p2pnet.protocol.rounds.neighbor import Identity

MOLE = "m" * 40
OWN_KEY = "k" * 40
BOB = "b" * 40


@pytest.fixture
def rejections() -> Rejections:
    return Rejections(Identity(OWN_KEY, "me", 1, {}), PeerNames({BOB: "bob"}), logging.getLogger("test"))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]


def test_a_key_that_is_not_allowed_is_one_warning_that_says_what_to_do(
    rejections: Rejections, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(3):
        rejections.tell(Rejected(Refusal.KEY_NOT_ALLOWED, MOLE, "192.0.2.1", 0))
    rejected = f"rejected {MOLE}: its key is not on the allow-list"
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", f"{rejected}; to let it in, add it to security.allowed_peers"),
        ("DEBUG", rejected),
        ("DEBUG", rejected),
    ]


def test_where_records_say_who_may_connect_the_advice_is_to_invite(caplog: pytest.LogCaptureFixture) -> None:
    me = Identity(OWN_KEY, "me", 1, {"network": "ward 0123"})
    rejections = Rejections(me, PeerNames({}), logging.getLogger("test"))
    rejections.tell(Rejected(Refusal.KEY_NOT_ALLOWED, MOLE, "192.0.2.1", 0))
    assert caplog.messages[0].endswith("; to let it in, invite it: p2pnet invite")


def test_another_cause_and_another_peer_are_news(rejections: Rejections, caplog: pytest.LogCaptureFixture) -> None:
    for peer in (MOLE, "o" * 40, MOLE):
        for refusal in (Refusal.TOO_MANY_BYTES, Refusal.BROKEN_FRAME):
            rejections.tell(Rejected(refusal, peer, "tcp://192.0.2.1:999", 0))
    assert len(warnings(caplog)) == 4


def test_a_stranger_is_its_host_whatever_port_it_comes_from(
    rejections: Rejections, caplog: pytest.LogCaptureFixture
) -> None:
    hosts = ("192.0.2.1", "[fd00::1]")
    for address in [*(f"tcp://{host}:{port}" for host in hosts for port in (998, 999)), None, None]:
        rejections.tell(Rejected(Refusal.NO_HANDSHAKE, None, address, 7))
    what = f"{Refusal.NO_HANDSHAKE} (and 7 more)"
    whoms = [*(f"tcp://{host}:998" for host in hosts), "a stranger"]
    assert warnings(caplog) == [f"rejected {whom}: {what}" for whom in whoms]


def test_made_up_keys_do_not_fill_the_memory(rejections: Rejections, caplog: pytest.LogCaptureFixture) -> None:
    for k in [*range(MAX_REMEMBERED + 1), 0]:  # the first has been forgotten
        rejections.tell(Rejected(Refusal.KEY_NOT_ALLOWED, f"{k:040}", None, 0))
    assert len(warnings(caplog)) == MAX_REMEMBERED + 2


def test_doctor_beside_its_agent_is_no_reason_to_let_anybody_in(
    rejections: Rejections, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rejections.tell(Rejected(Refusal.KEY_NOT_ALLOWED, OWN_KEY, "127.0.0.1", 0))
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "asked with its own key whether it listens, as p2pnet doctor does")
    ]


def test_who_has_a_name_in_the_settings_is_called_by_it(
    rejections: Rejections, caplog: pytest.LogCaptureFixture
) -> None:
    rejections.tell(Rejected(Refusal.BROKEN_FRAME, BOB, "tcp://192.0.2.1:999", 0))
    assert warnings(caplog) == [f"rejected bob ({BOB}): {Refusal.BROKEN_FRAME}"]
