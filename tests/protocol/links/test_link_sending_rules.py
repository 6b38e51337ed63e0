"""What a conserving link sends, and sends again, rule by rule, each with its numbers at the edge."""

import weakref

import numpy as np
import pytest

from p2pnet.protocol.links import link as link_module
from p2pnet.protocol.links.coding import MEMORY
from p2pnet.protocol.links.ledger import MAX_BASES
from tests.protocol.links.shares import N_PARAMS, SIZE, give, new_link, send


def test_the_limits_are_those_of_the_protocol() -> None:
    assert (link_module.MAX_IN_FLIGHT, link_module.MAX_UNACKNOWLEDGED, link_module.MAX_UNRETURNED) == (2, 6, 3)
    assert (link_module.MAX_WAITING, MAX_BASES) == (4, 8)
    assert link_module.ACKNOWLEDGEMENT_DELAY_S == 0.05


def test_a_new_link_has_moved_nothing_and_owes_nothing() -> None:
    link = new_link()
    assert not link.sent.any()
    assert not link.received.any()
    assert link.sent.shape == link.received.shape == (SIZE,)
    assert (link.sequence, link.acknowledged, link.newest_received, link.newest_round) == (0, 0, 0, -1)
    assert (link.missing, link.latest, link.mass_flow, link.params_flow) == (None, None, None, None)
    assert (link.n_unreturned, link.acknowledgement_due_at) == (0, None)
    assert (link.account, link.mask, link.proposal, link.coming(100)) == (0, None, None, None)
    assert (link.has_curvature, link.curvature_moved().size) == (False, 0)
    assert link.is_shared is True
    assert link.is_settled is True
    assert [link.has_news] == [False]
    assert [link.owes_acknowledgement] == [False]
    assert link.is_window_open(0.0) is True
    assert link.resend(1e9) == []
    assert link.apply(100) is False
    assert link.imbalance() == 0.0


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
        base, total, _ = link.give(np.ones(SIZE), np.zeros(N_PARAMS))
        assert base == 0
        assert total.dtype == np.float64
        np.testing.assert_array_equal(total, np.full(SIZE, number))
        np.testing.assert_array_equal(link.sent, total)


def test_a_rounded_share_is_relative_to_the_last_total_that_was_acknowledged() -> None:
    link = new_link(precision=32)
    bases, totals = [], []
    for number in range(1, 5):
        base, total, _ = link.give(np.full(SIZE, 2.0**number), np.zeros(N_PARAMS))
        assert total.dtype == np.float32
        bases.append(base)
        totals.append(float(total[0]))
        if number == 2:
            link.acknowledge(1, None, 0.0)
    assert bases == [0, 0, 1, 1]
    assert totals == [2.0, 6.0, 12.0, 28.0]
    np.testing.assert_array_equal(link.sent, np.full(SIZE, 30.0))


def test_totals_that_no_later_share_can_be_relative_to_take_no_memory() -> None:
    link = new_link(precision=32)
    link.give(np.ones(SIZE), np.zeros(N_PARAMS))
    first = weakref.ref(link.sent)
    link.give(np.ones(SIZE), np.zeros(N_PARAMS))
    second = weakref.ref(link.sent)
    for _ in range(MEMORY):
        link.give(np.ones(SIZE), np.zeros(N_PARAMS))
    link.acknowledge(2 + MEMORY, None, 0.0)
    assert first() is None
    assert second() is not None


def test_parameters_are_rounded_where_totals_are_and_proposed_as_they_are_sent() -> None:
    params = np.array([1.0, 1 / 3])
    for precision, expected in ((64, params), (32, params.astype(np.float32))):
        link = new_link(precision)
        _, _, of_params = link.give(np.ones(SIZE), params)
        assert of_params.dtype == expected.dtype
        assert of_params.tolist() == expected.tolist()
        assert link.proposal is of_params


def test_what_a_rounded_share_cannot_say_stays_out_of_the_ledger() -> None:
    link = new_link(precision=32)
    link.give(np.full(SIZE, 1.0 + 2.0**-40), np.zeros(N_PARAMS))
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
