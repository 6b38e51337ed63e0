"""Who is taken in, who is turned away, and who is asked: the overlay of one agent, rule by rule."""

import pytest

from p2pnet.protocol.core.effects import CloseLink, Dial, HangUp, OpenLink, Send
from p2pnet.protocol.core.events import DialProblem
from p2pnet.protocol.core.types import Message
from p2pnet.protocol.membership.overlay import (
    ASK_AGAIN_S,
    MAX_HINTS,
    MIN_HINTS,
    SEED_RETRY_S,
    OverlayEffect,
)
from p2pnet.protocol.membership.timing import LAN
from p2pnet.protocol.messages.membership import (
    Disconnect,
    MemberState,
    NeighborReply,
    NeighborRequest,
    Ping,
    ProbeRequest,
    Record,
    Vouch,
)
from tests.protocol.membership.parts import Parts, alive


def said(effects: list[OverlayEffect], peer: str) -> list[Message]:
    return [effect.message for effect in effects if isinstance(effect, Send) and effect.peer == peer]


def dialed(effects: list[OverlayEffect]) -> set[str]:
    return {effect.peer for effect in effects if isinstance(effect, Dial)}


def request(peer: str, *, is_urgent: bool = False) -> NeighborRequest:
    return NeighborRequest(alive(peer), is_urgent)


def test_who_asks_is_taken_in_while_there_is_room_and_then_told_of_others() -> None:
    parts = Parts("ann", "bob", "cy", "dan", capacity=2)
    for peer in ("ann", "bob"):
        effects = parts.overlay.request_received(peer, request(peer), 0.0)
        assert effects == [Send(peer, NeighborReply(parts.members.me, True)), OpenLink(peer)]
    (reply,) = said(parts.overlay.request_received("cy", request("cy"), 0.0), "cy")
    assert isinstance(reply, NeighborReply)
    assert not reply.is_accepted
    assert MIN_HINTS <= len(reply.records) <= MAX_HINTS
    assert "cy" not in {record.peer for record in reply.records}
    assert "cy" not in parts.view


def test_one_in_need_takes_the_place_of_another_that_is_told() -> None:
    parts = Parts("ann", "bob", "cy", capacity=2)
    parts.join("ann", "bob")
    effects = parts.overlay.request_received("cy", request("cy", is_urgent=True), 0.0)
    (gone,) = [effect.peer for effect in effects if isinstance(effect, CloseLink)]
    assert said(effects, gone) == [Disconnect()]
    assert said(effects, "cy") == [NeighborReply(parts.members.me, True)]
    assert {neighbor.peer for neighbor in parts.view} == {"ann", "bob", "cy"} - {gone}


def test_one_with_which_there_is_nothing_to_train_is_left_alone_until_it_begins_anew() -> None:
    parts = Parts("ann")
    parts.join("ann")
    assert CloseLink("ann", is_gone=False) in parts.overlay.reject("ann", 5.0, 0.0)

    def is_welcome(now: float) -> bool:
        (reply,) = said(parts.overlay.request_received("ann", request("ann", is_urgent=True), now), "ann")
        assert isinstance(reply, NeighborReply)
        return reply.is_accepted

    assert not is_welcome(4.0)
    parts.overlay.forgive("ann")
    assert is_welcome(4.0)


def test_a_refusal_is_over_when_its_time_is() -> None:
    """It may have been for want of a place, by a peer that did not know yet who asked."""
    parts = Parts("ann")
    parts.join("ann")
    parts.overlay.reject("ann", 5.0, 0.0)
    (reply,) = said(parts.overlay.request_received("ann", request("ann"), 5.0), "ann")
    assert reply == NeighborReply(parts.members.me, True)


def test_as_many_are_asked_as_are_missing_and_each_is_asked_again_without_an_answer() -> None:
    parts = Parts("ann", "bob", "cy", "dan", n_wanted=2)
    first = parts.overlay.tick(0.0)
    assert len(dialed(first)) == 2
    assert dialed(parts.overlay.tick(0.1)) == set()  # those that are being asked count
    (one, *_) = sorted(dialed(first))
    assert said(parts.overlay.connected(one, 1.0), one) == [NeighborRequest(parts.members.me, False)]
    assert said(parts.overlay.tick(1.0 + ASK_AGAIN_S - 1e-3), one) == []
    assert said(parts.overlay.tick(1.0 + ASK_AGAIN_S), one) == [NeighborRequest(parts.members.me, False)]


def test_one_that_accepts_becomes_a_neighbor_and_one_that_declines_is_avoided_for_a_while() -> None:
    parts = Parts("ann", "bob", n_wanted=2)
    assert dialed(parts.overlay.tick(0.0)) == {"ann", "bob"}
    assert OpenLink("ann") in parts.overlay.reply_received("ann", NeighborReply(alive("ann"), True), 0.5)
    assert parts.overlay.reply_received("bob", NeighborReply(alive("bob"), False), 0.5) == [HangUp("bob")]
    assert dialed(parts.overlay.tick(0.5 + LAN.avoid_s - 1e-3)) == set()
    assert dialed(parts.overlay.tick(0.5 + LAN.avoid_s)) == {"bob"}


def test_an_answer_to_no_question_is_declined() -> None:
    parts = Parts("ann")
    assert said(parts.overlay.reply_received("ann", NeighborReply(alive("ann"), True), 0.0), "ann") == [Disconnect()]
    assert "ann" not in parts.view


@pytest.mark.parametrize(("n_wanted", "is_taken"), [(1, True), (0, False)])
def test_one_that_holds_this_agent_for_a_neighbor_is_taken_in_where_one_is_sought_or_told_otherwise(
    n_wanted: int, is_taken: bool
) -> None:
    parts = Parts("ann", n_wanted=n_wanted)
    effects = parts.overlay.ping_received("ann", Ping(1, is_neighbor=True), 0.0)
    assert effects == ([OpenLink("ann")] if is_taken else [Send("ann", Disconnect())])
    assert parts.overlay.ping_received("bob", Ping(1, is_neighbor=False), 0.0) == []


def test_a_disconnect_ends_both_a_question_and_a_neighborhood() -> None:
    parts = Parts("ann", "bob", n_wanted=2)
    parts.join("bob")
    parts.overlay.tick(0.0)
    assert parts.overlay.is_contact("ann")
    parts.overlay.disconnect_received("ann", 1.0)
    assert not parts.overlay.is_contact("ann")
    assert CloseLink("bob", is_gone=False) in parts.overlay.disconnect_received("bob", 1.0)


def test_a_neighbor_whose_connection_closed_is_dialed_anew_and_a_refused_redial_is_noted() -> None:
    parts = Parts("ann")
    parts.join("ann")
    assert parts.overlay.disconnected("ann", 1.0) == [Dial("ann", ("tcp://ann:7070",))]
    parts.overlay.dial_failed("ann", DialProblem.TIMED_OUT, 2.0)
    assert not parts.neighbor("ann").is_refused
    parts.overlay.dial_failed("ann", DialProblem.REFUSED, 2.0)
    assert parts.neighbor("ann").is_refused
    parts.overlay.connected("ann", 3.0)
    assert (parts.neighbor("ann").is_refused, parts.neighbor("ann").disconnected_at) == (False, None)


def test_a_seed_that_is_the_last_hope_is_dialed_again_soon() -> None:
    parts = Parts(seeds=("seed",), n_wanted=1)
    assert dialed(parts.overlay.tick(0.0)) == {"seed"}
    parts.overlay.disconnect_received("seed", 0.0)
    assert dialed(parts.overlay.tick(SEED_RETRY_S - 1e-3)) == set()
    assert dialed(parts.overlay.tick(SEED_RETRY_S)) == {"seed"}


def test_a_look_on_behalf_of_another_is_answered_at_once_where_the_target_was_just_heard() -> None:
    parts = Parts("ann", "bob", "cy")
    parts.join("ann", now=10.0)
    assert parts.overlay.probe("cy", ProbeRequest("ann"), 10.5) == [Send("cy", Vouch("ann"))]
    assert parts.overlay.probe("cy", ProbeRequest("me"), 10.5) == []
    assert parts.overlay.probe("cy", ProbeRequest("unknown"), 10.5) == []


def test_a_look_on_behalf_of_another_dials_and_vouches_for_one_that_answers() -> None:
    parts = Parts("bob", "cy")
    parts.overlay.connected("cy", 0.0)
    assert parts.overlay.probe("cy", ProbeRequest("bob"), 0.0) == [Dial("bob", ("tcp://bob:7070",))]
    assert said(parts.overlay.connected("bob", 1.0), "bob") == [Ping(0, is_neighbor=False)]
    assert parts.overlay.answer_received("bob", 2.0) == [Send("cy", Vouch("bob")), HangUp("bob")]
    assert parts.overlay.answer_received("bob", 3.0) == []


def test_contacts_are_given_up_and_connections_that_serve_nothing_end() -> None:
    parts = Parts("ann", n_wanted=1)
    parts.overlay.tick(0.0)
    assert HangUp("ann") in parts.overlay.tick(LAN.contact_timeout_s)
    idle = Parts(n_wanted=0)
    idle.overlay.connected("stranger", 0.0)
    assert idle.overlay.tick(2 * LAN.contact_timeout_s - 1e-3) == []
    assert idle.overlay.tick(2 * LAN.contact_timeout_s) == [HangUp("stranger")]


def test_no_agent_is_dialed_whose_address_is_not_known() -> None:
    parts = Parts()
    parts.members.merge(Record("dials-out", MemberState.ALIVE, 1), 0.0)
    assert parts.overlay.address_of("dials-out") == ""
    assert dialed(parts.overlay.tick(0.0)) == set()
    parts.overlay.add_seed("dials-out", "tcp://found:7070")
    assert parts.overlay.address_of("dials-out") == "tcp://found:7070"
    assert dialed(parts.overlay.tick(0.1)) == {"dials-out"}
