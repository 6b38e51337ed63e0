"""Conserving links lose nothing, whatever happens to the messages; the tracked average is right with what is there."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import Array, LinkId, Nonce, WireArray
from p2pnet.protocol.links.link import MAX_IN_FLIGHT, MAX_UNACKNOWLEDGED, Link
from p2pnet.protocol.links.tracker import Tracker
from p2pnet.protocol.messages.training import Share

N_PARAMS = 2
N_AGENTS = 3
ZEROS = np.zeros(N_PARAMS)
ENDS = [(k, j) for k in range(N_AGENTS) for j in range(N_AGENTS) if j != k]


def share_of(link: Link, given: tuple[int, WireArray, WireArray], round_: int = 0) -> Share:
    """The share that carries what `Link.give` has returned."""
    return Share(
        link_id=link.link_id,
        sequence=link.sequence,
        acknowledged=link.newest_received,
        base=given[0],
        precision=link.precision,
        round=round_,
        next_degree=1,
        proximal_weight=0.0,
        first_residual=0.0,
        quiet=0,
        stop_round=-1,
        is_held=False,
        total=given[1],
        params=given[2],
    )


def new_link(mine: int = 1, theirs: int = 2, precision: int = 64) -> Link:
    return Link(LinkId(Nonce(1, mine), Nonce(1, theirs)), N_PARAMS + 2, N_PARAMS, precision, ResendTimer(0.2, 1.0))


@dataclass
class ConservationOracle:
    """What was said over one direction of a link, noted by an oracle that reads the messages only."""

    said: dict[int, Array] = field(default_factory=dict)
    newest_applied: int = 0

    @property
    def in_flight(self) -> Array:
        zero = np.zeros(N_PARAMS + 2)
        return self.said.get(max(self.said, default=0), zero) - self.said.get(self.newest_applied, zero)


class AnySchedule(RuleBasedStateMachine):
    """Three agents that give each other whole numbers, so that every sum is exact."""

    def __init__(self) -> None:
        super().__init__()
        self.trackers = [Tracker(N_PARAMS) for _ in range(N_AGENTS)]
        self.links = {end: new_link() for end in ENDS}
        self.oracles = {end: ConservationOracle() for end in ENDS}
        self.in_transit: list[tuple[tuple[int, int], Share]] = []
        self.rounds: dict[tuple[int, int], int] = {}

    def links_of(self, k: int) -> list[Link]:
        return [link for (one, _), link in self.links.items() if one == k]

    def mass(self, k: int) -> Array:
        return self.trackers[k].mass(self.links_of(k))

    @initialize()
    def begin(self) -> None:
        for k, tracker in enumerate(self.trackers):
            tracker.replace_own(np.full(N_PARAMS, float(k)), 10.0 * k)

    @rule(k=st.integers(0, N_AGENTS - 1), value=st.integers(-1000, 1000))
    def own_gradient_changes(self, k: int, value: int) -> None:
        self.trackers[k].replace_own(np.array([value, -value], dtype=float), float(abs(value)))

    @rule(end=st.sampled_from(ENDS), divisor=st.sampled_from([2, 3, -1]), round_=st.integers(0, 5))
    def give(self, end: tuple[int, int], divisor: int, round_: int) -> None:
        link = self.links[end]
        given = link.give(np.floor(self.mass(end[0]) / divisor), np.zeros(N_PARAMS))
        self.oracles[end].said[link.sequence] = given[1].astype(np.float64)
        self.rounds[end] = max(round_, self.rounds.get(end, 0))
        self.in_transit.append((end, share_of(link, given, self.rounds[end])))

    @precondition(lambda self: self.in_transit)
    @rule(data=st.data(), is_kept=st.booleans())
    def deliver(self, data: st.DataObject, is_kept: bool) -> None:
        """Any message under way comes next; keeping it makes a duplicate or, for ever, a late one."""
        index = data.draw(st.integers(0, len(self.in_transit) - 1))
        (sender, receiver), share = self.in_transit[index] if is_kept else self.in_transit.pop(index)
        self.links[receiver, sender].accept(share, -1, 0.0)

    @precondition(lambda self: self.in_transit)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.in_transit.pop(data.draw(st.integers(0, len(self.in_transit) - 1)))

    @rule(end=st.sampled_from(ENDS), up_to_round=st.integers(0, 5))
    def apply(self, end: tuple[int, int], up_to_round: int) -> None:
        link = self.links[end]
        if link.apply(up_to_round):
            share = link.latest
            assert share is not None
            oracle = self.oracles[end[1], end[0]]
            assert share.sequence > oracle.newest_applied
            oracle.newest_applied = share.sequence

    @rule(end=st.sampled_from(ENDS))
    def close_and_reopen(self, end: tuple[int, int]) -> None:
        """Both ends forget the link, whatever is still under way, and open another."""
        for one in (end, end[::-1]):
            nonces = [nonce.counter + 1 for nonce in self.links[one].link_id]
            self.links[one] = new_link(*nonces)
            self.oracles[one] = ConservationOracle()
            self.rounds.pop(one, None)
        self.in_transit = [(sent, share) for sent, share in self.in_transit if sent not in (end, end[::-1])]

    @invariant()
    def nothing_is_lost(self) -> None:
        present = sum(self.mass(k) for k in range(N_AGENTS))
        in_flight = sum(oracle.in_flight for oracle in self.oracles.values())
        owned = sum(tracker.own for tracker in self.trackers)
        np.testing.assert_array_equal(present + in_flight, owned)


TestAnySchedule = AnySchedule.TestCase


def test_a_lost_share_is_made_good_by_the_next() -> None:
    sender, receiver = new_link(), new_link()
    sender.give(np.full(4, 1.0), np.zeros(N_PARAMS))
    receiver.accept(share_of(sender, sender.give(np.full(4, 2.0), np.zeros(N_PARAMS))), 0, 0.0)
    receiver.apply(0)
    np.testing.assert_array_equal(receiver.received, np.full(4, 3.0))


def test_repeated_shares_and_those_that_come_too_late_are_not_accepted() -> None:
    sender, receiver = new_link(), new_link()
    older, newer = (share_of(sender, sender.give(np.ones(4), ZEROS), round_) for round_ in (3, 4))
    assert receiver.accept(newer, 4, 0.0)
    assert not receiver.accept(newer, 4, 0.0)
    assert not receiver.accept(older, 4, 0.0)


@pytest.mark.parametrize("precision", [64, 32])
def test_a_share_that_was_overtaken_is_missing_until_it_comes_and_takes_its_place(precision: int) -> None:
    sender, receiver = new_link(precision=precision), new_link(precision=precision)
    first, second, third = (share_of(sender, sender.give(np.ones(4), ZEROS), round_) for round_ in (3, 4, 5))
    assert receiver.accept(first, 3, 0.0)
    assert receiver.apply(3)
    assert receiver.accept(third, 4, 0.0)
    assert (receiver.missing, receiver.has_come(4), receiver.has_all(3)) == (2, False, False)
    assert receiver.accept(second, 4, 0.0)
    assert (receiver.missing, receiver.has_come(4), receiver.has_all(3)) == (None, True, True)
    assert not receiver.accept(second, 4, 0.0)
    for round_ in (4, 5):
        assert receiver.apply(round_)
        assert receiver.latest is not None
        assert receiver.latest.round == round_
        np.testing.assert_array_equal(receiver.received, np.full(4, round_ - 2.0))


def test_who_mixes_without_what_is_missing_misses_it_no_longer() -> None:
    sender, receiver = new_link(), new_link()
    older, newer = (share_of(sender, sender.give(np.ones(4), ZEROS), round_) for round_ in (3, 4))
    receiver.accept(newer, 3, 0.0)
    assert receiver.apply(3)
    assert receiver.has_come(4)
    assert not receiver.accept(older, 3, 0.0)
    np.testing.assert_array_equal(receiver.received, np.full(4, 2.0))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"total": np.zeros(7)}, r"Share\.total: 7 numbers instead of 4"),
        ({"base": 9}, r"Share\.base: share 9 was never acknowledged"),
        ({"round": 2}, r"Share\.round: 2 after a share of round 3"),
    ],
)
def test_a_share_that_cannot_be_is_refused_and_changes_nothing(wrong: dict[str, Any], said: str) -> None:
    sender, receiver = new_link(), new_link()
    receiver.accept(share_of(sender, sender.give(np.ones(4), ZEROS), round_=3), 3, 0.0)
    with pytest.raises(ProtocolError, match=said):
        receiver.accept(replace(share_of(sender, sender.give(np.ones(4), ZEROS), round_=4), **wrong), 3, 0.0)
    assert (receiver.newest_received, receiver.newest_round) == (1, 3)


def test_early_shares_wait_for_their_round() -> None:
    sender, receiver = new_link(), new_link()
    for round_ in (3, 4):
        receiver.accept(share_of(sender, sender.give(np.ones(4), ZEROS), round_), 3, 0.0)
    assert receiver.newest_round == 4
    assert receiver.apply(3)
    assert receiver.latest is not None
    assert receiver.latest.round == 3
    np.testing.assert_array_equal(receiver.received, np.ones(4))


def test_a_later_share_stands_in_for_one_that_is_missing() -> None:
    sender, receiver = new_link(), new_link()
    receiver.accept(share_of(sender, sender.give(np.ones(4), ZEROS), 3), 2, 0.0)
    assert receiver.apply(2)
    assert not receiver.apply(3)
    assert receiver.latest is not None
    assert receiver.latest.round == 3


def test_an_acknowledgement_of_what_was_never_sent_is_not_believed() -> None:
    link = new_link()
    link.give(np.ones(4), np.zeros(N_PARAMS))
    link.acknowledge(5, None, 0.0)
    assert not link.is_settled
    link.acknowledge(1, None, 0.0)
    assert link.is_settled


def send(link: Link, now: float) -> Share:
    share = share_of(link, link.give(np.ones(4), np.zeros(N_PARAMS)))
    link.keep(share, now)
    return share


def test_two_shares_may_be_under_way() -> None:
    link = new_link()
    for _ in range(MAX_IN_FLIGHT):
        assert link.is_window_open(0.0)
        send(link, 0.0)
    assert not link.is_window_open(0.0)
    link.acknowledge(1, None, 0.1)
    assert link.is_window_open(0.1)


def test_shares_that_must_be_lost_make_room_for_new_ones_but_not_without_end() -> None:
    link = new_link()
    now = 0.0
    while link.is_window_open(now):
        send(link, now)
        now += 100.0
    assert link.sequence == MAX_UNACKNOWLEDGED


def test_shares_are_sent_again_as_they_were_ever_more_seldom_until_they_are_confirmed() -> None:
    link = new_link()
    shares = [send(link, 0.0), send(link, 0.0)]
    times = []
    for tenth in range(200):
        if again := link.resend(tenth / 10):
            assert again == shares
            times.append(tenth / 10)
    assert times[:3] == [1.0, 3.0, 7.0]
    link.acknowledge(1, None, 20.0)
    assert link.resend(1000.0) == shares[1:]
    link.acknowledge(2, None, 1000.0)
    assert link.resend(2000.0) == []


def test_what_the_other_end_misses_is_sent_again_at_once_and_then_until_it_has_come() -> None:
    link = new_link()
    lost, _ = send(link, 0.0), send(link, 0.1)
    assert link.acknowledge(2, 1, 0.2) == [lost]
    assert link.acknowledge(2, 1, 0.3) == []
    assert link.resend(10.0) == [lost]
    link.acknowledge(2, None, 10.1)
    assert link.resend(100.0) == []


def test_what_is_missing_is_sent_again_only_if_it_is_still_kept() -> None:
    link = new_link()
    for _ in range(3):
        send(link, 0.0)
    assert link.acknowledge(3, 1, 0.1) == []
    assert link.resend(100.0) == []


def test_the_wait_for_an_acknowledgement_adapts_to_what_they_take() -> None:
    link = new_link()
    for k in range(50):
        send(link, float(k))
        link.acknowledge(link.sequence, None, k + 0.5)
    send(link, 100.0)
    assert link.timer.due_at == pytest.approx(100.5, abs=0.01)


def test_after_many_repetitions_the_next_wait_is_half_as_long_as_the_last() -> None:
    link = new_link()
    send(link, 0.0)
    for now in (1.0, 3.0, 7.0):
        assert link.resend(now)
    link.acknowledge(1, None, 10.0)
    send(link, 10.0)
    assert link.timer.due_at == 12.0


def test_an_acknowledgement_of_what_may_have_been_sent_twice_says_nothing_of_the_time_that_it_took() -> None:
    """The older share's came late because it was lost on its way: what brought it answers the repetition."""
    link = new_link()
    for k in range(50):
        send(link, float(k))
        link.acknowledge(link.sequence, None, k + 0.5)
    send(link, 100.0)
    send(link, 100.1)
    link.resend(102.0)
    link.acknowledge(51, None, 104.0)
    link.acknowledge(52, None, 104.0)
    send(link, 200.0)
    assert link.timer.due_at == pytest.approx(200.5, abs=0.01)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4))))
def test_what_is_rounded_away_stays_with_the_sender(schedule: list[tuple[bool, bool, list[float]]]) -> None:
    """Whichever shares and acknowledgements are lost, both ends' books agree to the last bit on what has arrived."""
    sender, receiver = new_link(precision=32), new_link(precision=32)
    newest = None
    for now, (is_delivered, is_confirmed, mass) in enumerate(schedule):
        if sender.is_window_open(100.0 * now):
            newest = share_of(sender, sender.give(np.array(mass), np.zeros(N_PARAMS)))
            sender.keep(newest, 100.0 * now)
        if is_delivered and newest is not None:
            receiver.accept(newest, 0, 0.0)
            receiver.apply(0)
            np.testing.assert_array_equal(receiver.received, sender.sent)
        if is_confirmed:
            sender.acknowledge(receiver.newest_received, None, 100.0 * now)


finite = st.floats(-1e3, 1e3)


def tracker_with(own: list[float], n_samples: float, received: list[float]) -> tuple[Tracker, Link]:
    """A tracker beside one link that has brought `received`, as (gradient sum, samples, weight)."""
    tracker = Tracker(len(own))
    link = Link(LinkId(Nonce(1, 1), Nonce(1, 2)), len(own) + 2, len(own), 64, ResendTimer(0.2, 1.0))
    tracker.replace_own(np.array(own), n_samples)
    link.ledger.received = np.array(received)
    return tracker, link


@given(finite, finite, st.floats(0, 3))
def test_with_the_weight_of_one_agent_or_more_the_estimate_is_mass_over_weight(a: float, b: float, more: float) -> None:
    tracker, link = tracker_with([a], 10.0, [b, 5.0, more])
    tracker.update([link])
    np.testing.assert_allclose(tracker.estimate, [(a + b) / (1 + more), 15 / (1 + more)])
    np.testing.assert_allclose(tracker.direction, [(a + b) / 15])


@given(finite, finite, st.floats(0.01, 0.99))
def test_missing_weight_is_filled_up_with_the_previous_estimate(previous: float, present: float, weight: float) -> None:
    tracker, link = tracker_with([previous], 10.0, [0.0, 0.0, 0.0])
    tracker.update([link])
    link.ledger.sent = tracker.own - np.array([present, 4.0, weight])
    tracker.update([link])
    np.testing.assert_allclose(tracker.estimate[0], present + (1 - weight) * previous, atol=1e-9)
    np.testing.assert_allclose(tracker.mean_samples, 4.0 + (1 - weight) * 10.0)


@given(st.floats(0.05, 4.0))
def test_a_right_estimate_stays_right_whatever_weight_is_present(weight: float) -> None:
    """The fixed point: where all mass has the network's proportions, no loss and no speed moves the direction."""
    mean = np.array([3.0, -1.0, 7.0, 1.0])
    tracker, link = tracker_with([3.0, -1.0], 7.0, [0.0, 0.0, 0.0, 0.0])
    tracker.update([link])
    link.ledger.received = (weight - 1) * mean
    tracker.update([link])
    np.testing.assert_allclose(tracker.estimate, mean[:-1])
