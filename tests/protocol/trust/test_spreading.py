"""Records spread: what one agent has, those connected with it have, however messages are lost."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.effects import KeepRecords, Notify, Send
from p2pnet.protocol.core.events import PeerRevoked
from p2pnet.protocol.core.notices import MemberAdmitted, RosterGrown
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.messages.trust import TrustDigest, TrustRecords
from p2pnet.protocol.messages.wire import decode, encode
from p2pnet.protocol.trust.records import Revocation, SignedRecord
from p2pnet.protocol.trust.roster import Roster
from p2pnet.protocol.trust.spreading import COMPARE_S, RecordSpread, SpreadEffect
from tests.protocol.trust.signing import GENESIS, admitted, granted, key, signed, verify

FOUNDER = [admitted("ann"), granted("ann", quota=200)]
MANY = [admitted(f"member-{k}", key("ann")) for k in range(120)]


def spread_of(me: PeerId, records: Sequence[SignedRecord] = FOUNDER) -> RecordSpread:
    return RecordSpread(Roster(GENESIS, verify, records), me)


def sends(effects: Sequence[SpreadEffect]) -> list[Send]:
    return [effect for effect in effects if isinstance(effect, Send)]


def talk(one: RecordSpread, other: RecordSpread, first: Sequence[SpreadEffect], now: float = 0.0) -> int:
    """Deliver what they say to each other, as bytes, until both are silent; the number of messages."""
    queue = [(one, other, send.message) for send in sends(first)]
    n_messages = 0
    while queue:
        sender, to, message = queue.pop(0)
        n_messages += 1
        told = decode([bytes(frame) for frame in encode(message)])
        assert isinstance(told, TrustDigest | TrustRecords)
        queue += [(to, sender, answer.message) for answer in sends(to.heard(sender.me, told, now))]
    return n_messages


def test_two_that_are_connected_have_all_records_of_both_at_once() -> None:
    one, other = spread_of("one", [*FOUNDER, *MANY[:60]]), spread_of("other", [*FOUNDER, *MANY[50:]])
    first, second = one.connected("other", 0.0), other.connected("one", 0.0)
    talk(one, other, first)
    talk(other, one, second)
    assert len(one.roster) == len(other.roster) == len(FOUNDER) + len(MANY)


def test_those_that_have_the_same_say_one_message_each_in_half_a_minute() -> None:
    one, other = spread_of("one"), spread_of("other")
    first, second = one.connected("other", 0.0), other.connected("one", 0.0)
    assert talk(one, other, first) == 1
    assert talk(other, one, second) == 1
    assert one.next_deadline() == other.next_deadline() == COMPARE_S
    assert one.advance(COMPARE_S - 0.1) == []
    assert len(sends(one.advance(COMPARE_S))) == 1


def test_news_goes_to_all_but_the_one_that_it_came_from_and_is_put_on_disk() -> None:
    one = spread_of("one")
    for peer in ("a", "b", "c"):
        one.connected(peer, 0.0)
    (record,) = MANY[:1]
    effects = one.heard("a", TrustRecords(GENESIS.network_id, (record.data,)), 1.0)
    assert [send.peer for send in sends(effects)] == ["b", "c"]
    assert KeepRecords((record.data,)) in effects
    assert one.heard("b", TrustRecords(GENESIS.network_id, (record.data,)), 1.0) == []


def test_a_lost_record_is_made_up_for_by_the_next_comparison() -> None:
    one, other = spread_of("one"), spread_of("other")
    second = other.connected("one", 0.0)
    talk(one, other, one.connected("other", 0.0))
    talk(other, one, second)
    one.add(MANY[:1], 5.0)  # and what it sends is lost
    assert one.next_deadline() == 6.0
    talk(one, other, one.advance(6.0), 6.0)
    assert len(other.roster) == len(FOUNDER)  # the other lacks something, and so has nothing to send
    assert other.next_deadline() == 7.0
    talk(other, one, other.advance(7.0), 7.0)
    assert len(other.roster) == len(FOUNDER) + 1


def test_one_that_is_revoked_is_told_of_and_then_hung_up_on() -> None:
    one = spread_of("one", [*FOUNDER, *MANY])
    for peer in ("member-3", "member-4"):
        one.connected(peer, 0.0)
    effects = one.add([signed(Revocation("member-3"), key("ann"))], 1.0)
    assert [send.peer for send in sends(effects)] == ["member-3", "member-4"]
    assert PeerRevoked("member-3") in effects
    assert effects.index(PeerRevoked("member-3")) > effects.index(sends(effects)[0])


def test_of_old_revocations_nobody_is_hung_up_on() -> None:
    one = spread_of("one")
    old = signed(Revocation("member-3"), key("ann"))
    assert not [effect for effect in one.add([MANY[3], old], 1.0) if isinstance(effect, PeerRevoked)]


def test_of_many_members_at_once_people_are_told_their_number() -> None:
    notices = [effect.notice for effect in spread_of("one").add(MANY, 0.0) if isinstance(effect, Notify)]
    assert notices == [RosterGrown(len(MANY), len(MANY) + 1)]
    notices = [effect.notice for effect in spread_of("one").add(MANY[:2], 0.0) if isinstance(effect, Notify)]
    assert notices == [MemberAdmitted("member-0", "member-0"), MemberAdmitted("member-1", "member-1")]


def test_records_of_another_network_are_passed_over() -> None:
    one = spread_of("one")
    assert one.heard("eve", TrustDigest(bytes(32), bytes(512)), 0.0) == []
    assert one.heard("eve", TrustRecords(bytes(32), (MANY[0].data,)), 0.0) == []


def test_a_forged_record_is_a_protocol_error() -> None:
    forged = SignedRecord(MANY[0].fact, key("ann"), bytes(64))
    with pytest.raises(ProtocolError, match="not signed right"):
        spread_of("one").heard("eve", TrustRecords(GENESIS.network_id, (forged.data,)), 0.0)


@settings(max_examples=30)
@given(st.lists(st.integers(0, len(MANY) - 1), unique=True), st.lists(st.booleans(), min_size=1, max_size=200))
def test_whatever_is_lost_both_have_all_once_messages_get_through(known: list[int], losses: list[bool]) -> None:
    one, other = spread_of("one", [*FOUNDER, *(MANY[k] for k in known)]), spread_of("other", [*FOUNDER, *MANY[:7]])
    spreads = {"one": one, "other": other}
    now, n_sent = 0.0, 0
    pending = [("other", "one", e.message) for e in sends(one.connected("other", now))]
    pending += [("one", "other", e.message) for e in sends(other.connected("one", now))]
    while now < 200.0:
        while pending:
            to, sender, message = pending.pop(0)
            n_sent += 1
            if n_sent < len(losses) and losses[n_sent]:
                continue
            assert isinstance(message, TrustDigest | TrustRecords)
            pending += [(e.peer, to, e.message) for e in sends(spreads[to].heard(sender, message, now))]
        now += 1.0
        pending = [(e.peer, name, e.message) for name, spread in spreads.items() for e in sends(spread.advance(now))]
    assert {record.digest for record in one.roster} == {record.digest for record in other.roster}
