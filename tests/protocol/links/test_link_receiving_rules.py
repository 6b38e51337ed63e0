"""What a conserving link takes in, rule by rule, each with its numbers at the edge."""

from dataclasses import replace

import numpy as np
import pytest

from p2pnet.errors import ProtocolError
from p2pnet.protocol.links.ledger import norm
from p2pnet.protocol.messages.training import Share
from tests.protocol.links.shares import N_PARAMS, SIZE, give, new_link, received, send, shares


def test_a_share_that_comes_is_news_until_it_is_applied_and_acknowledged_once() -> None:
    link, (share,) = new_link(), shares(64, 3)
    assert link.accept(share, 3, now=7.0)
    assert (link.newest_received, link.newest_round) == (1, 3)
    assert (link.has_news, link.owes_acknowledgement, link.acknowledgement_due_at) == (True, True, 7.05)
    assert link.apply(3) is True
    assert (link.has_news, link.owes_acknowledgement, link.acknowledgement_due_at) == (False, True, 7.05)
    assert link.tell_received() == 1
    assert (link.has_news, link.owes_acknowledgement, link.acknowledgement_due_at) == (False, False, None)
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
    assert (link.missing, link.newest_received) == (3, 4)
    assert not link.accept(second, 3, 0.0)
    assert link.accept(third, 3, 0.0)
    assert (link.missing, link.newest_received, link.newest_round) == (None, 4, 6)


def test_a_share_without_a_gap_ends_the_wait_for_what_was_missing() -> None:
    link = new_link()
    first, second, third, fourth = shares(64, 3, 4, 5, 6)
    for share in (first, third, fourth):
        link.accept(share, 3, 0.0)
    assert [link.missing] == [None]
    assert not link.accept(second, 3, 0.0)


def test_rounds_never_run_against_sequence_numbers() -> None:
    link, (first, second, third) = new_link(), shares(64, 3, 4, 5)
    link.accept(first, 3, 0.0)
    with pytest.raises(ProtocolError, match=r"Share\.round: 2 after a share of round 3"):
        link.accept(replace(third, round=2), 3, 0.0)
    assert link.accept(replace(third, round=4), 3, 0.0)
    assert link.missing == 2
    with pytest.raises(ProtocolError, match=r"Share\.round: 5 before a share of round 4"):
        link.accept(replace(second, round=5), 3, 0.0)
    assert link.accept(replace(second, round=4), 3, 0.0)


def test_a_second_share_of_the_same_round_is_taken() -> None:
    link = new_link()
    for share in shares(64, 3, 3):
        assert link.accept(share, 3, 0.0)
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


def test_of_several_shares_that_are_due_the_last_counts_and_later_ones_go_on_waiting() -> None:
    link = new_link()
    for share in shares(64, 3, 4, 5):
        link.accept(share, 2, 0.0)
    assert link.apply(4) is True
    assert (received(link), link.has_news) == (2.0, True)


def test_an_earlier_share_does_not_do_for_a_round_while_a_later_one_is_there() -> None:
    link = new_link()
    for share in shares(64, 3, 5):
        link.accept(share, 2, 0.0)
    assert link.apply(4) is True
    assert link.latest is not None
    assert link.latest.round == 5


def test_what_is_coming_is_what_will_be_applied_last() -> None:
    link = new_link()
    first, second, third, fourth = shares(64, 3, 4, 5, 6)
    for share in (first, second, third, fourth):
        link.accept(share, 2, 0.0)
    for round_, expected in ((5, third), (3, first), (2, fourth)):
        assert link.coming(round_) is expected
    for round_, expected in ((4, second), (4, fourth)):
        assert link.coming(round_) is expected
        assert link.apply(round_) is True
        assert link.latest is expected
    assert link.coming(6) is None


def test_what_is_missing_stays_so_while_a_share_waits() -> None:
    link = new_link()
    first, _, third = shares(64, 3, 4, 5)
    link.accept(first, 2, 0.0)
    link.accept(third, 2, 0.0)
    link.apply(3)
    assert (link.missing, link.has_news) == (2, True)
    link.apply(5)
    assert (link.missing, link.has_news) == (None, False)


def test_the_imbalance_counts_the_newest_share_that_has_come() -> None:
    link = new_link()
    first, second = shares(64, 3, 4)
    assert link.imbalance() == 0.0
    link.give(np.full(SIZE, 0.5), np.zeros(N_PARAMS))
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
    assert receiver.accept(second, 3, 0.0)
    for round_, total in ((3, 1.0), (4, 2.0), (5, 3.0)):
        receiver.apply(round_)
        assert received(receiver) == total


def test_a_sender_that_never_moves_its_base_is_refused_after_eight_shares() -> None:
    sender, receiver = new_link(32), new_link(32)
    for number in range(8):
        assert receiver.accept(give(sender, number), -1, 0.0)
    with pytest.raises(ProtocolError, match=r"Share\.base"):
        receiver.accept(give(sender, 8), -1, 0.0)


def test_shares_of_full_precision_are_no_bases() -> None:
    receiver = new_link()
    for share in shares(64, *range(20)):
        assert receiver.accept(share, -1, 0.0)


def test_curvature_is_refused_by_a_link_whose_ends_do_not_both_track_it() -> None:
    link, (share,) = new_link(), shares(64, 3)
    with pytest.raises(ProtocolError, match=r"Share\.curvature: is tracked here by no agent"):
        link.accept(replace(share, curvature=np.zeros(1, dtype=np.uint8)), 3, 0.0)
    assert [link.has_news] == [False]


# The norm.


def test_a_norm_is_euclidean_and_infinite_where_its_square_overflows() -> None:
    assert norm(np.array([3.0, 4.0])) == 5.0
    assert norm(np.zeros(0)) == 0.0
    assert norm(np.full(2, 1e200)) == np.inf


# Ledger that begin anew.


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


def test_books_may_be_of_a_later_account_from_the_beginning() -> None:
    link, sender = new_link(account=7), new_link()
    link.accept(give(sender, 0, 2.0), 0, 0.0)
    assert link.apply(0)
    assert received(link) == 0.0
    link.accept(in_account(give(sender, 1, 3.0), 7), 1, 0.0)
    assert link.apply(1)
    assert received(link) == 5.0


def test_books_begin_anew_however_many_shares_were_acknowledged() -> None:
    link = new_link()
    for _ in range(9):
        link.acknowledge(send(link).sequence, None, 0.0)
    link.begin_account(7)
    assert not link.sent.any()
    assert link.sent.shape == (SIZE,)
    _, total, _ = link.give(np.ones(SIZE), np.zeros(N_PARAMS))
    np.testing.assert_array_equal(total, np.ones(SIZE))


def test_an_imbalance_is_that_of_one_account_and_counts_before_the_receiver_has_begun_it() -> None:
    link, sender = new_link(), new_link()
    link.give(np.full(SIZE, 0.5), np.zeros(N_PARAMS))
    link.accept(in_account(give(sender, 0, 1e6), 7), 0, 0.0)
    assert link.imbalance() == 2e6
    link.begin_account(7)
    assert link.imbalance() == 2e6


def test_books_of_rounded_totals_do_not_begin_anew() -> None:
    with pytest.raises(ValueError, match="begun anew"):
        new_link(precision=32).begin_account(1)
