"""When an agent idle begins an epoch, whom it follows, and how often."""

import pytest

from p2pnet.protocol.core.notices import CloseReason
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.messages.training import Epoch
from p2pnet.protocol.rounds.epochs import WAKE_S, WAKES_AT_ONCE, Epochs
from p2pnet.protocol.rounds.state import Phase
from tests.protocol.rounds.parts import MAX_ROUNDS, Parts

ROUND = 296
DAY_S = 86_400.0


@pytest.fixture
def parts() -> Parts:
    """Idle in round 296 since 0 s, with two neighbors that are idle there too."""
    parts = Parts("ann", "bob")
    parts.state.round, parts.state.phase, parts.state.is_converged = ROUND, Phase.FINISHED, True
    for neighbor in parts.neighborhood:
        neighbor.name, neighbor.round, neighbor.finished_sequence = neighbor.peer, ROUND, 1
    epochs(parts).become_idle(0.0)
    return parts


def epochs(parts: Parts) -> Epochs:
    return parts.all.epochs


def hear(
    parts: Parts, peer: PeerId, number: int, first_round: int = ROUND, *, is_over: bool = False, now: float = 0.0
) -> list[Epoch]:
    """What is answered to a neighbor's word."""
    neighbor, link = parts.neighbor(peer), parts.link(peer)
    word = Epoch(link.link_id.mirrored(), number, first_round, is_over)
    return [send.message for send in epochs(parts).heard(neighbor, link, word, now) if isinstance(send.message, Epoch)]


def test_nothing_happens_where_nothing_has_changed(parts: Parts) -> None:
    assert epochs(parts).reason(1000 * DAY_S) == ""
    assert epochs(parts).next_deadline() is None


def test_a_change_here_begins_an_epoch_once_the_agent_has_been_idle_for_a_while(parts: Parts) -> None:
    epochs(parts).learn_of_change("rows have come")
    due_at = parts.timing.idle_s
    assert epochs(parts).next_deadline() == due_at
    assert epochs(parts).reason(due_at - 0.1) == ""
    assert epochs(parts).reason(due_at) == "rows have come"
    epochs(parts).begin(due_at)
    assert (parts.state.epoch, parts.state.first_round) == (1, ROUND)
    assert epochs(parts).is_current


def test_a_neighbor_that_has_begun_one_is_followed_at_once_and_both_know(parts: Parts) -> None:
    assert hear(parts, "ann", 1) == []
    assert epochs(parts).reason(0.0) == "ann has begun it"
    epochs(parts).begin(0.0)
    assert parts.state.epoch == 1
    told = {send.peer for send in epochs(parts).tell(0.0)}
    assert told == {"bob"}
    assert [answer.number for answer in hear(parts, "ann", 1)] == [1]  # it is said again: ann has not heard of us


def test_a_neighbor_that_is_idle_in_a_later_epoch_wakes_nobody(parts: Parts) -> None:
    hear(parts, "ann", 3, is_over=True)
    assert epochs(parts).reason(0.0) == ""


def test_a_neighbor_is_followed_as_often_as_its_budget_allows(parts: Parts) -> None:
    followed = 0
    for second in range(100):
        hear(parts, "ann", parts.state.epoch + 1, now=float(second))
        if epochs(parts).reason(float(second)):
            epochs(parts).begin(float(second))
            followed += 1
    assert followed <= WAKES_AT_ONCE + 100 / WAKE_S
    assert followed >= 100 / WAKE_S


def test_no_word_makes_the_number_grow_without_bound(parts: Parts) -> None:
    hear(parts, "ann", 10**15)
    epochs(parts).begin(0.0)
    assert parts.state.epoch == ROUND


def test_neighbors_that_are_idle_in_different_rounds_have_trained_apart(parts: Parts) -> None:
    parts.neighbor("bob").round = ROUND + 40
    assert epochs(parts).reason(parts.timing.idle_s) == "bob has trained apart"


def test_one_that_is_absent_for_a_week_is_given_up_and_one_that_comes_back_before_is_not(parts: Parts) -> None:
    for peer in ("ann", "bob"):
        parts.neighborhood.miss(peer, 0.0, CloseReason.DISCONNECTED, 0.0)
    parts.join("bob", now=DAY_S)
    assert epochs(parts).reason(6.9 * DAY_S) == ""
    assert epochs(parts).next_deadline() == parts.timing.forget_s
    assert epochs(parts).reason(7.0 * DAY_S) == "ann has been away for 7 days"
    epochs(parts).begin(7.0 * DAY_S)
    assert parts.neighborhood.absences == {}


@pytest.mark.parametrize(("changed_in", "is_current"), [(ROUND - 3, False), (100, True)])
def test_a_change_shortly_before_the_end_may_not_be_in_the_model(
    parts: Parts, changed_in: int, is_current: bool
) -> None:
    parts.state.round = changed_in
    epochs(parts).learn_of_change("rows have come")
    parts.state.round = ROUND
    epochs(parts).become_idle(5.0)
    assert epochs(parts).is_current is is_current


def test_an_agent_that_has_missed_the_end_enters_the_epoch_of_the_others_in_its_rounds(parts: Parts) -> None:
    parts.state.phase, parts.state.round = Phase.STEPPING, ROUND + 3
    hear(parts, "ann", 1)
    epochs(parts).follow(parts.timing.idle_s)
    assert (parts.state.epoch, parts.termination.first_round) == (1, ROUND)


def test_all_begins_anew_with_an_epoch_that_is_entered_in_mid_training_as_often_as_the_budget_of_a_neighbor_allows(
    parts: Parts,
) -> None:
    parts.state.phase = Phase.STEPPING
    for number in range(1, WAKES_AT_ONCE + 2):
        parts.state.round = ROUND + 3 * number
        hear(parts, "ann", number, first_round=parts.state.round - 1)
        assert epochs(parts).follow(0.0) is (number <= WAKES_AT_ONCE)
        assert not epochs(parts).follow(0.0)
        assert parts.state.epoch == number


def test_of_one_epoch_that_has_begun_in_two_rounds_the_later_holds(parts: Parts) -> None:
    epochs(parts).learn_of_change("rows have come")
    epochs(parts).begin(parts.timing.idle_s)
    hear(parts, "ann", 1, first_round=ROUND + 40)
    epochs(parts).follow(parts.timing.idle_s)
    assert (parts.state.epoch, parts.state.first_round, parts.state.round) == (1, ROUND + 40, ROUND + 40)
    assert parts.termination.first_round == ROUND + 40


def test_a_neighbor_that_moves_the_first_round_again_and_again_is_not_followed_for_long(parts: Parts) -> None:
    epochs(parts).learn_of_change("rows have come")
    epochs(parts).begin(parts.timing.idle_s)
    for k in range(1, 3 * WAKES_AT_ONCE):
        hear(parts, "ann", 1, first_round=ROUND + k)
        epochs(parts).follow(parts.timing.idle_s)
    assert parts.state.first_round == ROUND + WAKES_AT_ONCE


def test_a_neighbor_that_had_finished_before_it_was_absent_has_trained_with_the_others(parts: Parts) -> None:
    parts.neighborhood.miss("ann", until=0.0, reason=CloseReason.SILENT, now=0.0)
    epochs(parts).become_idle(0.0)
    parts.join("ann").finished_sequence = 1
    assert epochs(parts).reason(1000.0) == ""


def test_an_epoch_of_the_same_number_that_has_begun_since_this_agent_is_idle_is_a_later_one(parts: Parts) -> None:
    epochs(parts).begin(0.0)
    parts.state.round, parts.state.phase = ROUND + 100, Phase.FINISHED
    hear(parts, "ann", 1, first_round=ROUND + 99)
    assert epochs(parts).reason(0.0) == ""
    hear(parts, "ann", 1, first_round=ROUND + 100)
    assert epochs(parts).reason(0.0) == "ann has begun it"
    epochs(parts).begin(0.0)
    assert (parts.state.epoch, parts.state.first_round) == (2, ROUND + 100)


def test_an_epoch_begins_in_the_latest_round_in_which_agents_are_idle(parts: Parts) -> None:
    parts.neighbor("ann").round = ROUND + 100
    epochs(parts).begin(parts.timing.idle_s)
    assert (parts.state.epoch, parts.state.first_round, parts.state.round) == (1, ROUND + 100, ROUND + 100)


def test_one_that_is_followed_into_an_epoch_says_in_which_round_it_has_begun(parts: Parts) -> None:
    hear(parts, "ann", 1, first_round=ROUND + 100)
    epochs(parts).begin(0.0)
    assert (parts.state.epoch, parts.state.first_round, parts.state.round) == (1, ROUND + 100, ROUND + 100)


def test_the_word_of_one_neighbor_moves_the_round_by_no_more_than_an_epoch_and_that_of_two_by_any(
    parts: Parts,
) -> None:
    far = ROUND + 10**9
    hear(parts, "ann", 1, first_round=far)
    epochs(parts).begin(0.0)
    assert parts.state.round == ROUND + MAX_ROUNDS
    parts.state.phase = Phase.FINISHED
    for peer in ("ann", "bob"):
        hear(parts, peer, 2, first_round=far)
    epochs(parts).begin(0.0)
    assert parts.state.round == far


def test_a_neighbor_that_was_absent_at_the_end_has_trained_apart_though_it_has_ended_in_the_same_round(
    parts: Parts,
) -> None:
    neighbor = parts.neighbor("ann")
    neighbor.finished_sequence = None
    parts.neighborhood.miss("ann", until=0.0, reason=CloseReason.SILENT, now=0.0)
    epochs(parts).become_idle(0.0)
    assert epochs(parts).reason(parts.timing.idle_s) == ""
    parts.join("ann")
    neighbor.finished_sequence = 1
    assert epochs(parts).reason(parts.timing.idle_s) == "ann has trained apart"
    epochs(parts).begin(parts.timing.idle_s)
    epochs(parts).become_idle(parts.timing.idle_s)
    assert epochs(parts).reason(1000.0) == ""


def test_one_that_knows_the_end_of_its_epoch_finishes_first(parts: Parts) -> None:
    parts.state.phase, parts.state.round = Phase.STEPPING, ROUND
    parts.termination.trust(ROUND)
    hear(parts, "ann", 1)
    epochs(parts).follow(parts.timing.idle_s)
    assert parts.state.epoch == 0
