"""The rules of a conserving link, one by one, each with its numbers at the edge."""

from dataclasses import replace

import numpy as np
import pytest

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import LinkId, Nonce
from p2pnet.protocol.links import link as link_module
from p2pnet.protocol.links.link import Link, norm
from p2pnet.protocol.messages.training import Share

SIZE = 4


def new_link(precision: int = 64) -> Link:
    return Link(LinkId(Nonce(1, 1), Nonce(1, 2)), SIZE, precision, ResendTimer(0.2, 1.0))


def give(link: Link, round_: int = 0, mass: float = 1.0) -> Share:
    """The share of a round, with the same mass in every entry."""
    base, total = link.give(np.full(SIZE, mass))
    return Share(
        link_id=link.link_id,
        sequence=link.sequence,
        acknowledged=link.newest_received,
        base=base,
        precision=link.precision,
        round=round_,
        next_degree=1,
        proximal_weight=0.0,
        first_residual=0.0,
        quiet=0,
        stop_round=-1,
        is_held=False,
        total=total,
        params=np.zeros(2),
    )


def send(link: Link, now: float = 0.0, round_: int = 0) -> Share:
    share = give(link, round_)
    link.keep(share, now)
    return share


def shares(precision: int, *rounds: int) -> list[Share]:
    """Shares of one sender, in their order."""
    sender = new_link(precision)
    return [give(sender, round_) for round_ in rounds]


def received(link: Link) -> float:
    """The one number that all entries of the received total have."""
    (value,) = set(link.received.tolist())
    return float(value)


def test_the_limits_are_those_of_the_protocol() -> None:
    assert (link_module.MAX_IN_FLIGHT, link_module.MAX_UNACKNOWLEDGED, link_module.MAX_UNRETURNED) == (2, 6, 3)
    assert (link_module.MAX_WAITING, link_module.MAX_BASES) == (4, 8)
    assert link_module.ACKNOWLEDGEMENT_DELAY_S == 0.05


def test_a_new_link_has_moved_nothing_and_owes_nothing() -> None:
    link = new_link()
    assert not link.sent.any()
    assert not link.received.any()
    assert link.sent.shape == link.received.shape == (SIZE,)
    assert (link.sequence, link.acknowledged, link.newest_received, link.newest_round) == (0, 0, 0, -1)
    assert (link.missing, link.latest, link.mass_flow, link.params_flow) == (None, None, None, None)
    assert (link.n_unreturned, link.acknowledgement_due_at) == (0, None)
    assert link.is_settled is True
    assert [link.has_news] == [False]
    assert [link.owes_acknowledgement] == [False]
    assert link.is_window_open(0.0) is True
    assert link.resend(1e9) == []
    assert link.apply(100) is False
    assert link.imbalance() == 0.0


# Sending.


def test_sequence_numbers_count_from_one_and_every_share_waits_for_one_in_return() -> None:
    sender, receiver = new_link(), new_link()
    for number in (1, 2, 3):
        assert give(sender).sequence == number
        assert sender.n_unreturned == number
    assert sender.is_settled is False
    sender.accept(give(receiver), 0, 0.0)
    assert sender.n_unreturned == 0


def test_a_share_of_full_precision_carries_the_running_total_and_needs_no_base() -> None:
    link = new_link()
    for number in (1, 2, 3):
        base, total = link.give(np.ones(SIZE))
        assert base == 0
        assert total.dtype == np.float64
        np.testing.assert_array_equal(total, np.full(SIZE, number))
        np.testing.assert_array_equal(link.sent, total)


def test_a_rounded_share_is_relative_to_the_last_total_that_was_acknowledged() -> None:
    link = new_link(precision=32)
    bases, totals = [], []
    for number in range(1, 5):
        base, total = link.give(np.full(SIZE, 2.0**number))
        assert total.dtype == np.float32
        bases.append(base)
        totals.append(float(total[0]))
        if number == 2:
            link.acknowledge(1, None, 0.0)
    assert bases == [0, 0, 1, 1]
    assert totals == [2.0, 6.0, 12.0, 28.0]
    np.testing.assert_array_equal(link.sent, np.full(SIZE, 30.0))


def test_what_a_rounded_share_cannot_say_stays_out_of_the_ledger() -> None:
    link = new_link(precision=32)
    link.give(np.full(SIZE, 1.0 + 2.0**-40))
    np.testing.assert_array_equal(link.sent, np.ones(SIZE))


@pytest.mark.parametrize(("sequence", "is_believed"), [(0, True), (1, True), (3, True), (4, False)])
def test_an_acknowledgement_lies_between_the_last_one_and_what_was_sent(sequence: int, is_believed: bool) -> None:
    link = new_link()
    for _ in range(3):
        send(link)
    link.acknowledge(sequence, None, 0.0)
    assert link.acknowledged == (sequence if is_believed else 0)


def test_an_acknowledgement_that_comes_late_changes_nothing() -> None:
    link = new_link()
    for _ in range(3):
        send(link)
    link.acknowledge(2, None, 0.0)
    assert link.acknowledge(1, 1, 0.0) == []
    assert link.acknowledged == 2


def test_the_last_two_shares_are_kept_and_go_once_they_are_confirmed() -> None:
    link = new_link()
    _, second, third = (send(link) for _ in range(3))
    assert link.resend(10.0) == [second, third]
    link.acknowledge(2, None, 10.0)
    assert link.resend(100.0) == [third]
    link.acknowledge(3, None, 100.0)
    assert link.resend(1000.0) == []
    assert link.timer.due_at is None


def test_shares_are_sent_again_at_the_very_time_that_they_are_due() -> None:
    link = new_link()
    share = send(link)
    assert link.timer.due_at == 1.0
    assert link.resend(0.999) == []
    assert link.resend(1.0) == [share]
    assert link.timer.due_at == 3.0


def test_of_what_is_missing_the_very_share_comes_again_and_no_other() -> None:
    link = new_link()
    first, second = send(link), send(link)
    assert link.acknowledge(1, 2, 0.1) == [second]
    assert link.acknowledge(1, 2, 0.2) == []
    assert first not in link.resend(100.0)


def test_the_window_is_open_for_six_unconfirmed_shares_of_which_two_are_under_way() -> None:
    link = new_link()
    send(link)
    assert link.is_window_open(0.0) is True
    send(link)
    assert link.is_window_open(0.0) is False
    assert link.is_window_open(1.0) is True  # given up for lost
    for number in range(4):
        assert link.is_window_open(100.0 * (number + 1)) is True
        send(link, 100.0 * (number + 1))
    assert link.is_window_open(1e6) is False
    link.acknowledge(1, None, 1e6)
    assert link.is_window_open(2e6) is True


# Receiving.


def test_a_share_that_comes_is_news_until_it_is_applied_and_acknowledged_once() -> None:
    link, (share,) = new_link(), shares(64, 3)
    assert link.accept(share, 3, now=7.0) is True
    assert (link.newest_received, link.newest_round) == (1, 3)
    assert [link.has_news] == [True]
    assert [link.owes_acknowledgement] == [True]
    assert link.acknowledgement_due_at == 7.05
    assert link.apply(3) is True
    assert [link.has_news] == [False]
    assert [link.owes_acknowledgement] == [True]
    assert link.tell_received() == 1
    assert [link.owes_acknowledgement] == [False]
    assert [link.acknowledgement_due_at] == [None]
    assert link.apply(3) is False
    assert link.latest is share


def test_an_acknowledgement_is_due_when_the_first_share_that_waits_for_it_says() -> None:
    link = new_link()
    for share, now in zip(shares(64, 3, 4), (7.0, 7.04), strict=True):
        link.accept(share, 3, now)
    assert link.acknowledgement_due_at == 7.05


@pytest.mark.parametrize(("round_", "missing"), [(2, 2), (3, 2), (4, 2), (5, None), (6, None)])
def test_a_gap_is_missing_only_where_its_round_may_still_be_mixed(round_: int, missing: int | None) -> None:
    link, (first, _, third) = new_link(), shares(64, 3, 4, 5)
    link.accept(first, 3, 0.0)
    link.accept(third, round_, 0.0)
    assert link.missing == missing


def test_only_the_share_just_before_the_newest_is_missing() -> None:
    link = new_link()
    first, second, third, fourth = shares(64, 3, 4, 5, 6)
    link.accept(first, 3, 0.0)
    link.accept(fourth, 3, 0.0)
    assert link.missing == 3
    assert link.accept(second, 3, 0.0) is False
    assert link.accept(third, 3, 0.0) is True
    assert [link.missing] == [None]
    assert (link.newest_received, link.newest_round) == (4, 6)


def test_a_share_without_a_gap_ends_the_wait_for_what_was_missing() -> None:
    link = new_link()
    first, second, third, fourth = shares(64, 3, 4, 5, 6)
    for share in (first, third, fourth):
        link.accept(share, 3, 0.0)
    assert [link.missing] == [None]
    assert link.accept(second, 3, 0.0) is False


def test_rounds_never_run_against_sequence_numbers() -> None:
    link, (first, second, third) = new_link(), shares(64, 3, 4, 5)
    link.accept(first, 3, 0.0)
    with pytest.raises(ProtocolError, match=r"Share\.round: 2 after a share of round 3"):
        link.accept(replace(third, round=2), 3, 0.0)
    assert link.accept(replace(third, round=4), 3, 0.0) is True
    assert link.missing == 2
    with pytest.raises(ProtocolError, match=r"Share\.round: 5 before a share of round 4"):
        link.accept(replace(second, round=5), 3, 0.0)
    assert link.accept(replace(second, round=4), 3, 0.0) is True


def test_a_second_share_of_the_same_round_is_taken() -> None:
    link = new_link()
    for share in shares(64, 3, 3):
        assert link.accept(share, 3, 0.0) is True
    assert link.apply(3) is True
    assert received(link) == 2.0


def test_a_missing_share_takes_the_place_before_the_one_that_overtook_it() -> None:
    link = new_link()
    first, second, third = shares(64, 3, 4, 5)
    for share in (first, third, second):
        link.accept(share, 3, 0.0)
    totals = []
    for round_ in (3, 4, 5):
        link.apply(round_)
        totals.append(received(link))
    assert totals == [1.0, 2.0, 3.0]


def test_of_shares_that_wait_the_last_four_are_kept() -> None:
    link = new_link()
    for share in shares(64, 3, 4, 5, 6, 7):
        link.accept(share, 2, 0.0)
    assert link.apply(4) is True
    assert link.latest is not None
    assert (link.latest.round, received(link)) == (4, 2.0)
    link = new_link()
    for share in shares(64, 3, 4, 5, 6, 7, 8):
        link.accept(share, 2, 0.0)
    assert link.apply(4) is True  # rounds 3 and 4 are gone: the newest stands in
    assert link.latest is not None
    assert link.latest.round == 8


# What has come.


def test_a_round_has_come_with_its_share_or_a_later_one_with_nothing_missing_before() -> None:
    link = new_link()
    first, second, third = shares(64, 3, 4, 5)
    link.accept(first, 3, 0.0)
    assert [link.has_come(round_) for round_ in (2, 3, 4)] == [True, True, False]
    link.accept(third, 3, 0.0)
    assert [link.has_come(round_) for round_ in (3, 4, 5, 6)] == [True, False, True, False]
    link.apply(3)
    assert [link.has_come(round_) for round_ in (2, 3, 4, 5)] == [True, True, False, True]
    link.accept(second, 4, 0.0)
    assert [link.has_come(round_) for round_ in (3, 4, 5)] == [True, True, True]


def test_all_shares_up_to_one_have_come_where_none_is_missing() -> None:
    link, (first, second, third) = new_link(), shares(64, 3, 4, 5)
    assert [link.has_all(sequence) for sequence in (0, 1)] == [True, False]
    link.accept(first, 3, 0.0)
    assert [link.has_all(sequence) for sequence in (1, 2)] == [True, False]
    link.accept(third, 3, 0.0)
    assert [link.has_all(sequence) for sequence in (1, 3)] == [False, False]
    link.accept(second, 3, 0.0)
    assert [link.has_all(sequence) for sequence in (3, 4)] == [True, False]


def test_shares_of_later_rounds_wait_and_stand_in_where_the_rounds_own_is_not_there() -> None:
    link = new_link()
    for share in shares(64, 3, 5):
        link.accept(share, 2, 0.0)
    assert link.apply(3) is True
    assert received(link) == 1.0
    assert [link.has_news] == [True]
    assert link.apply(4) is True
    assert received(link) == 2.0
    assert [link.has_news] == [False]


def test_an_earlier_share_does_not_do_for_a_round_while_a_later_one_is_there() -> None:
    link = new_link()
    for share in shares(64, 3, 5):
        link.accept(share, 2, 0.0)
    assert link.apply(4) is True
    assert link.latest is not None
    assert link.latest.round == 5


def test_what_is_missing_stays_so_while_a_share_waits() -> None:
    link = new_link()
    first, _, third = shares(64, 3, 4, 5)
    link.accept(first, 2, 0.0)
    link.accept(third, 2, 0.0)
    link.apply(3)
    assert link.missing == 2
    link.apply(5)
    assert [link.missing] == [None]


def test_the_imbalance_counts_the_newest_share_that_has_come() -> None:
    link = new_link()
    first, second = shares(64, 3, 4)
    assert link.imbalance() == 0.0
    link.give(np.full(SIZE, 0.5))
    assert link.imbalance() == 1.0  # ‖(½, ½, ½, ½)‖
    link.accept(first, 3, 0.0)
    link.accept(second, 3, 0.0)
    assert link.imbalance() == 3.0
    link.apply(3)
    assert link.imbalance() == 3.0
    link.apply(4)
    assert link.imbalance() == 3.0


# Totals and their bases.


@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1, 0])
def test_a_total_has_the_size_of_the_link(size: int) -> None:
    link, (share,) = new_link(), shares(64, 3)
    with pytest.raises(ProtocolError, match=rf"Share\.total: {size} numbers instead of {SIZE}"):
        link.accept(replace(share, total=np.zeros(size)), 3, 0.0)
    assert [link.has_news] == [False]


def test_a_total_of_full_precision_is_taken_as_it_is_and_a_rounded_one_without_a_base_is_added_to_nothing() -> None:
    link, (share,) = new_link(), shares(64, 3)
    link.accept(share, 3, 0.0)
    link.apply(3)
    assert link.received is share.total
    link, (share,) = new_link(32), shares(32, 3)
    link.accept(share, 3, 0.0)
    link.apply(3)
    assert link.received.dtype == np.float64
    assert received(link) == 1.0


def test_full_precision_relative_to_a_base_is_added_to_it() -> None:
    sender, receiver = new_link(32), new_link(32)
    receiver.accept(give(sender, 3), 3, 0.0)
    share = replace(give(sender, 4), precision=64, base=1, total=np.full(SIZE, 5.0))
    receiver.accept(share, 3, 0.0)
    receiver.apply(4)
    assert received(receiver) == 6.0


def test_bases_older_than_that_of_the_newest_share_are_done_with() -> None:
    sender, receiver = new_link(32), new_link(32)
    receiver.accept(give(sender, 3), 3, 0.0)
    sender.acknowledge(1, None, 0.0)
    second = give(sender, 4)
    assert second.base == 1
    receiver.accept(second, 3, 0.0)
    with pytest.raises(ProtocolError, match=r"Share\.base: share 0 was never acknowledged, or too long ago"):
        receiver.accept(replace(give(sender, 5), base=0), 3, 0.0)


def test_while_a_share_is_missing_no_base_goes() -> None:
    sender, receiver = new_link(32), new_link(32)
    first = give(sender, 3)
    receiver.accept(first, 3, 0.0)
    second = give(sender, 4)
    assert second.base == 0
    sender.acknowledge(1, None, 0.0)
    third = give(sender, 5)
    assert third.base == 1
    receiver.accept(third, 3, 0.0)
    assert receiver.missing == 2
    assert receiver.accept(second, 3, 0.0) is True
    for round_, total in ((3, 1.0), (4, 2.0), (5, 3.0)):
        receiver.apply(round_)
        assert received(receiver) == total


def test_a_sender_that_never_moves_its_base_is_refused_after_eight_shares() -> None:
    sender, receiver = new_link(32), new_link(32)
    for number in range(8):
        assert receiver.accept(give(sender, number), -1, 0.0) is True
    with pytest.raises(ProtocolError, match=r"Share\.base"):
        receiver.accept(give(sender, 8), -1, 0.0)


def test_shares_of_full_precision_are_no_bases() -> None:
    receiver = new_link()
    for share in shares(64, *range(20)):
        assert receiver.accept(share, -1, 0.0) is True


# The norm.


def test_a_norm_is_euclidean_and_infinite_where_its_square_overflows() -> None:
    assert norm(np.array([3.0, 4.0])) == 5.0
    assert norm(np.zeros(0)) == 0.0
    assert norm(np.full(2, 1e200)) == np.inf


# Books that begin anew.


def in_account(share: Share, account: int) -> Share:
    return replace(share, account=account)


def test_books_that_begin_anew_hold_nothing_and_enter_totals_of_their_own_account_only() -> None:
    link, sender = new_link(), new_link()
    link.accept(give(sender, 0), 0, 0.0)
    assert link.apply(0)
    send(link)
    link.begin_account(7)
    assert not link.sent.any()
    assert not link.received.any()
    link.accept(give(sender, 1, 5.0), 1, 0.0)  # from one that has not begun them yet
    assert link.apply(1)
    assert received(link) == 0.0
    assert link.latest is not None
    assert link.latest.round == 1
    sender.begin_account(7)
    link.accept(in_account(give(sender, 2, 3.0), 7), 2, 0.0)
    assert link.apply(2)
    assert received(link) == 3.0


def test_the_total_of_a_sender_that_has_begun_its_books_earlier_counts_once_the_receiver_begins_them() -> None:
    link, sender = new_link(), new_link()
    link.accept(give(sender, 0, 2.0), 0, 0.0)
    assert link.apply(0)
    sender.begin_account(7)
    link.accept(in_account(give(sender, 1, 3.0), 7), 1, 0.0)
    assert link.apply(1)
    assert received(link) == 2.0
    link.begin_account(7)
    assert received(link) == 3.0
    link.begin_account(8)
    assert received(link) == 0.0


def test_an_imbalance_is_that_of_one_account() -> None:
    link, sender = new_link(), new_link()
    link.accept(in_account(give(sender, 0, 1e6), 7), 0, 0.0)
    assert link.imbalance() == 0.0
    link.begin_account(7)
    assert link.imbalance() == 2e6


def test_books_of_rounded_totals_do_not_begin_anew() -> None:
    with pytest.raises(ValueError, match="begun anew"):
        new_link(precision=32).begin_account(1)
