"""What is answered to each message of a neighbor, and what is said again until it is answered."""

import numpy as np
import pytest

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.effects import Dismiss, PutOff, Send
from p2pnet.protocol.core.events import Evaluated
from p2pnet.protocol.core.notices import CloseReason
from p2pnet.protocol.core.types import FeatureStatistics, LinkId, Message, Nonce
from p2pnet.protocol.messages.training import (
    Ack,
    Away,
    Finished,
    Hello,
    LabelSet,
    Left,
    Ready,
    Refuse,
    Reset,
    StateReply,
    StateRequest,
    TrainingMessage,
)
from p2pnet.protocol.rounds.handlers import HandlerEffect
from p2pnet.protocol.rounds.state import Phase
from tests.protocol.rounds.parts import N_MASS, N_PARAMS, Parts

UNKNOWN = LinkId(Nonce(9, 9), Nonce(9, 8))


@pytest.fixture
def parts() -> Parts:
    """In round 5 of its training, with a neighbor called ann."""
    parts = Parts("ann")
    parts.state.phase, parts.state.round, parts.state.announced_round = Phase.EXCHANGING, 5, 5
    return parts


def theirs(parts: Parts) -> LinkId:
    return parts.link("ann").link_id.mirrored()


def sent(effects: list[HandlerEffect]) -> list[Message]:
    return [effect.message for effect in effects if isinstance(effect, Send)]


@pytest.mark.parametrize(
    ("message", "is_answered"),
    [
        (Ready(UNKNOWN, 1, 0), True),
        (Finished(UNKNOWN, 3, 1, 1), True),
        (Ack(UNKNOWN, 1), False),
        (Left(UNKNOWN), False),
        (StateRequest(UNKNOWN), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_words_over_a_link_that_is_not_known_change_nothing_and_are_reset_where_they_want_an_answer(
    parts: Parts, message: TrainingMessage, is_answered: bool
) -> None:
    link, before = parts.link("ann"), parts.link("ann").received
    assert sent(parts.handlers.received("ann", message, 1.0)) == ([Reset(UNKNOWN.mirrored())] if is_answered else [])
    assert parts.link("ann") is link
    assert parts.link("ann").received is before


def test_a_stranger_is_not_answered_and_not_entered(parts: Parts) -> None:
    assert parts.handlers.received("stranger", Ready(UNKNOWN, 1, 0), 1.0) == []
    assert parts.neighborhood.find("stranger") is None


@pytest.mark.parametrize(
    "message", [LabelSet(0, "", ("a",), is_confirmed=False), FeatureStatistics("", (), np.zeros(1), np.zeros(1))]
)
def test_late_words_of_the_stage_before_are_heard_and_not_answered(parts: Parts, message: TrainingMessage) -> None:
    assert parts.handlers.received("ann", message, 8.0) == []
    assert parts.neighbor("ann").last_heard_at == 8.0


def test_who_is_ready_has_told_its_degree_and_the_round_that_it_has_left_behind(parts: Parts) -> None:
    parts.neighbor("ann").is_ready = False
    assert parts.handlers.received("ann", Ready(theirs(parts), 4, 7), 1.0) == []
    neighbor = parts.neighbor("ann")
    assert (neighbor.is_ready, neighbor.degree, neighbor.round) == (True, 4, 6)


def test_a_share_is_kept_and_its_repetition_acknowledged(parts: Parts) -> None:
    share = parts.share("ann", 5, total=np.ones(N_MASS))
    assert parts.handlers.received("ann", share, 1.0) == []
    assert parts.link("ann").has_come(5)
    (answer,) = sent(parts.handlers.received("ann", share, 2.0))
    assert answer == Ack(parts.link("ann").link_id, 1)


def test_a_share_of_another_size_is_refused_and_changes_nothing(parts: Parts) -> None:
    with pytest.raises(ProtocolError, match=r"Share\.params: 3 numbers instead of 2"):
        parts.handlers.received("ann", parts.share("ann", 5, params=np.zeros(3)), 1.0)
    assert parts.link("ann").newest_received == 0


def test_numbers_beyond_all_measure_end_the_link(parts: Parts) -> None:
    effects = parts.handlers.received("ann", parts.share("ann", 5, params=np.full(N_PARAMS, 1e200)), 1.0)
    assert Dismiss("ann", CloseReason.OUT_OF_RANGE) in effects
    assert parts.neighbor("ann").link is None


def test_one_that_has_ended_answers_a_share_at_once(parts: Parts) -> None:
    parts.state.phase = Phase.FINISHED
    share = parts.share("ann", 5, total=np.ones(N_MASS))
    assert sent(parts.handlers.received("ann", share, 1.0)) == [Ack(parts.link("ann").link_id, 1)]
    np.testing.assert_array_equal(parts.link("ann").received, np.ones(N_MASS))


def test_the_end_of_a_neighbor_is_answered_once_by_one_that_has_ended_too(parts: Parts) -> None:
    finished = Finished(theirs(parts), 5, 1, 0)
    assert parts.handlers.received("ann", finished, 1.0) == []
    parts.neighbor("ann").finished_sequence = None
    parts.state.phase = Phase.FINISHED
    (answer,) = sent(parts.handlers.received("ann", finished, 2.0))
    assert answer == Finished(parts.link("ann").link_id, 5, 0, 0)
    assert parts.handlers.received("ann", finished, 3.0) == []


def test_parameters_are_told_who_asks_not_before_training_and_not_too_often(parts: Parts) -> None:
    parts.state.params = np.ones(N_PARAMS)
    (reply,) = sent(parts.handlers.received("ann", StateRequest(theirs(parts)), 10.0))
    assert isinstance(reply, StateReply)
    assert reply.round == 5
    np.testing.assert_array_equal(reply.params, np.ones(N_PARAMS))
    soon = 10.0 + parts.timing.resend_floor_s
    assert parts.handlers.received("ann", StateRequest(theirs(parts)), soon - 1e-3) == []
    assert len(parts.handlers.received("ann", StateRequest(theirs(parts)), soon)) == 1
    parts.state.phase = Phase.BOOTSTRAPPING
    assert parts.handlers.received("ann", StateRequest(theirs(parts)), 100.0) == []


@pytest.mark.parametrize(("message", "is_expected"), [(Left, False), (Away, True)])
def test_one_that_says_it_will_be_back_is_expected_and_one_that_leaves_is_not(
    parts: Parts, message: type[Left] | type[Away], is_expected: bool
) -> None:
    parts.handlers.received("ann", message(theirs(parts)), 1.0)
    assert parts.neighbor("ann").link is None
    assert (parts.neighbor("ann").absent_until == 1.0 + parts.timing.away_limit_s) == is_expected


def test_a_refusal_puts_the_peer_off_with_its_reason(parts: Parts) -> None:
    effects = parts.handlers.received("ann", Refuse("another model"), 1.0)
    assert PutOff("ann", "", "another model", is_ours=False) in effects
    assert parts.neighbor("ann").is_parted


def test_a_link_that_opens_while_training_is_announced_at_once(parts: Parts) -> None:
    parts.bootstrap.has_announced = True
    (greeting,) = sent(parts.handlers.connected("bob", 1.0))
    assert isinstance(greeting, Hello)
    hello = Hello(Nonce(1, 1), greeting.nonce, {}, "bob", "", 4, is_confirmed=True)
    answers = sent(parts.handlers.received("bob", hello, 2.0))
    assert [type(answer) for answer in answers] == [Hello, Ready]
    assert parts.neighbor("bob").is_open


def test_ready_is_said_again_until_the_first_share_comes(parts: Parts) -> None:
    parts.bootstrap.has_announced = True
    parts.bootstrap.ready(parts.neighbor("ann"), parts.link("ann"), 0.0)
    due = parts.handlers.next_deadline()
    assert due == parts.timing.resend_s
    assert parts.handlers.repeat(due - 1e-3) == []
    assert [type(message) for message in sent(parts.handlers.repeat(due))] == [Ready]
    parts.handlers.received("ann", parts.share("ann", 5), due)
    later = due + parts.timing.resend_s
    assert Ready not in [type(message) for message in sent(parts.handlers.repeat(later))]


def test_the_last_share_is_said_again_byte_for_byte_until_it_is_acknowledged(parts: Parts) -> None:
    parts.exchange.evaluated(Evaluated(0, np.ones(N_PARAMS), 1.0))
    (effect,) = parts.exchange.give(5, np.ones(N_PARAMS), 1.0, is_quiet=False, now=0.0, heard_since=0.0)
    due = parts.handlers.next_deadline()
    assert due is not None
    assert sent(parts.handlers.repeat(due)) == [effect.message]
    parts.handlers.received("ann", Ack(theirs(parts), 1), due)
    assert parts.handlers.repeat(due + 100.0) == []


def test_leave_is_taken_of_every_neighbor_and_all_mass_returns(parts: Parts) -> None:
    parts.join("bob")
    parts.exchange.evaluated(Evaluated(0, np.ones(N_PARAMS), 1.0))
    parts.exchange.give(5, np.ones(N_PARAMS), 1.0, is_quiet=False, now=0.0, heard_since=0.0)
    farewells = [message for message in sent(parts.handlers.take_leave(Left, 1.0)) if isinstance(message, Left)]
    assert len(farewells) == 2
    assert parts.neighborhood.open() == []
    np.testing.assert_array_equal(parts.exchange.mass(), parts.tracker.own)
