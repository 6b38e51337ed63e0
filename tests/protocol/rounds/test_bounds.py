"""What a link may have moved, judged by the agent's own gradients and samples."""

import numpy as np
import pytest

from p2pnet.protocol.core.notices import CloseReason
from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import Array, LinkId, Nonce
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import Share
from p2pnet.protocol.rounds.bounds import (
    FIRST_ROUNDS,
    MAX_DRIFT,
    MAX_GRADIENT,
    MAX_GRADIENT_ALIKE,
    MAX_GRADIENT_CHANGED,
    MAX_GRADIENT_FIRST,
    MAX_ROWS,
    MAX_TAKEN_BACK_ALIKE,
    MAX_UNSTEADY,
    MAX_WEIGHT,
    STEADY_ALIKE,
    SUDDEN_PART,
    MassBounds,
)
from p2pnet.protocol.rounds.steadiness import RESTLESS_ROUNDS, STEADY_ROUNDS

N_PARAMS = 3
N_OWN = 100.0
OWN = np.array([30.0, 0.0, 40.0, N_OWN, 1.0])
"""A gradient of 0.5 a sample."""


class Judged:
    """An agent with links to neighbors, whose totals the tests name; so many rounds are behind it."""

    def __init__(self, own: Array = OWN, n_rounds: int = STEADY_ROUNDS + 2) -> None:
        self.bounds = MassBounds(N_PARAMS)
        for _ in range(n_rounds):
            self.see_own(own)
        self.links: dict[str, Link] = {}
        self.is_alike = False
        """whether samples are known to be alike"""

    def see_own(self, own: Array, n_estimate: float = N_OWN, weight: float = 1.0) -> None:
        self.bounds.see_own(own, n_estimate, (), weight)

    def hears(self, peer: str, gradient: float, samples: float, weight: float) -> CloseReason | None:
        """The bound broken by a share with these totals, the gradient's along the first parameter."""
        if peer not in self.links:
            link_id = LinkId(Nonce(1, len(self.links) + 1), Nonce(1, 1))
            self.links[peer] = Link(link_id, N_PARAMS + 2, N_PARAMS, 64, ResendTimer(0.2, 1.0))
        link = self.links[peer]
        total = np.array([gradient, 0.0, 0.0, samples, weight])
        sequence = link.newest_received + 1
        share = Share(link.link_id, sequence, 0, 0, 64, sequence, 1, 1.0, 1.0, 0, -1, False, total, np.zeros(N_PARAMS))
        assert link.accept(share, sequence, now=0.0)
        reason = self.bounds.broken_by(peer, link, is_alike=self.is_alike)
        if reason is not None:
            self.bounds.convict(peer)
        return reason

    def climbs(self, peer: str, gradient: float) -> CloseReason | None:
        """The same for a gradient that is given little by little."""
        for part in np.arange(10.0, gradient, 10.0):
            assert self.hears(peer, part, 0.0, 0.0) is None
        return self.hears(peer, gradient, 0.0, 0.0)


def test_nothing_is_judged_before_the_agent_knows_its_own_gradient() -> None:
    judged = Judged()
    judged.bounds = MassBounds(N_PARAMS)
    assert judged.hears("ann", 1e9, 1e9, 1e9) is None


def test_what_an_agent_like_oneself_gives_is_within_bounds() -> None:
    judged = Judged()
    for share in range(1, 30):
        part = 1.0 - 0.5**share
        assert judged.hears("ann", 50.0 * part, N_OWN * part, part) is None


@pytest.mark.parametrize("weight", [1.1 * MAX_WEIGHT, -1.1 * MAX_WEIGHT, np.nan])
def test_no_link_moves_the_weight_of_several_agents(weight: float) -> None:
    assert Judged().hears("ann", 0.0, 0.0, weight) is CloseReason.TOO_MUCH_WEIGHT


def test_a_neighbor_may_have_ten_million_times_as_many_samples_and_as_much_gradient_as_goes_with_them() -> None:
    judged = Judged()
    n_samples = MAX_ROWS * N_OWN
    assert judged.hears("ann", 0.5 * n_samples, n_samples, 1.0) is None
    assert judged.hears("ann", 0.5 * n_samples, 2 * n_samples, 1.0) is CloseReason.TOO_MANY_SAMPLES


@pytest.mark.parametrize("n_samples", [-3.1 * N_OWN, np.nan, np.inf])
def test_no_neighbor_takes_samples_that_it_has_not_given(n_samples: float) -> None:
    assert Judged().hears("ann", 0.0, n_samples, 0.0) is CloseReason.TOO_MANY_SAMPLES


def test_no_neighbor_takes_back_more_than_an_agent_has() -> None:
    judged = Judged()
    for given in (50.0, 90.0, 150.0, 60.0):
        assert judged.hears("ann", 0.0, given, 0.0) is None
    assert judged.hears("ann", 0.0, 150.0 - 4.6 * N_OWN, 0.0) is CloseReason.TOO_MANY_SAMPLES


def test_what_is_taken_back_little_by_little_counts_together() -> None:
    judged = Judged()
    reasons = [judged.hears("ann", 0.0, -0.5 * N_OWN * share, 0.0) for share in range(1, 9)]
    assert reasons[:6] == [None] * 6
    assert reasons[6] is CloseReason.TOO_MANY_SAMPLES


def test_one_that_loses_a_large_neighbor_may_take_back_what_that_one_had() -> None:
    judged = Judged()
    assert judged.hears("ann", 0.0, 1e5, 0.2) is None
    assert judged.hears("bob", 0.0, 10.0, 0.2) is None
    assert judged.hears("bob", 0.0, -9e4, 0.2) is None


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_gradient_moved_is_bounded_by_the_agents_own_of_the_first_round_or_of_late(sign: float) -> None:
    limit = sign * MAX_GRADIENT * 0.5 * N_OWN
    assert Judged().hears("ann", 0.99 * limit, 0.0, 0.0) is None
    assert Judged().hears("ann", 1.01 * limit, 0.0, 0.0) is CloseReason.TOO_MUCH_GRADIENT
    later = Judged()
    for _ in range(200):
        later.see_own(0.01 * OWN * np.array([1, 1, 1, 100, 100]))
    assert later.hears("ann", 0.99 * limit, 0.0, 0.0) is None
    steeper = Judged()
    steeper.see_own(2.0 * OWN * np.array([1, 1, 1, 0.5, 0.5]))
    assert steeper.hears("ann", 1.99 * limit, 0.0, 0.0) is None


def test_samples_may_be_unlike_the_agents_own_if_the_first_share_says_so() -> None:
    flat = OWN * np.array([0.1, 0.1, 0.1, 1, 1])
    judged = Judged(flat)
    assert judged.hears("ann", 25.0, 50.0, 0.5) is None
    assert judged.hears("ann", 90.0, 100.0, 1.0) is None
    later = Judged(flat)
    assert later.hears("ann", 2.5, 50.0, 0.5) is None
    assert later.hears("ann", 90.0, 100.0, 1.0) is CloseReason.TOO_MUCH_GRADIENT
    assert Judged(flat * np.array([1e-3, 1e-3, 1e-3, 1, 1])).hears("ann", 25.0, 50.0, 0.5) is not None


def test_what_one_shows_that_has_broken_a_bound_before_counts_no_more() -> None:
    judged = Judged(OWN * np.array([0.1, 0.1, 0.1, 1, 1]))
    assert judged.hears("ann", 1e5, 50.0, 0.5) is CloseReason.TOO_MUCH_GRADIENT
    del judged.links["ann"]
    assert judged.hears("ann", 90.0, 50.0, 0.5) is CloseReason.TOO_MUCH_GRADIENT


def test_without_any_gradient_of_its_own_an_agent_judges_none() -> None:
    assert Judged(OWN * np.array([0, 0, 0, 1, 1])).hears("ann", 1e9, 50.0, 0.5) is None


def test_where_links_or_weight_have_changed_of_late_far_more_is_honest_among_unlike_numbers_of_samples() -> None:
    n_others = 5.0 * N_OWN
    for unsteady in (Judged(n_rounds=2), Judged()):
        unsteady.see_own(OWN, n_others, weight=1.5)
        assert unsteady.hears("ann", 0.9 * MAX_UNSTEADY * 0.5 * n_others, 0.0, 0.0) is None
        assert unsteady.hears("ann", 1.1 * MAX_UNSTEADY * 0.5 * n_others, 0.0, 0.0) is CloseReason.TOO_MUCH_GRADIENT
    equal = Judged()
    equal.see_own(OWN, weight=1.5)
    assert equal.hears("ann", 0.9 * MAX_GRADIENT * 50.0, 0.0, 0.0) is None
    assert equal.hears("ann", 1.1 * MAX_GRADIENT * 50.0, 0.0, 0.0) is CloseReason.TOO_MUCH_GRADIENT


def test_in_the_first_rounds_after_all_have_begun_together_less_is_honest_among_as_many_samples() -> None:
    for factor, reason in ((0.9, None), (1.1, CloseReason.TOO_MUCH_GRADIENT)):
        judged = Judged(n_rounds=1)
        judged.bounds.begin_together()
        assert judged.hears("ann", factor * MAX_GRADIENT_FIRST * 50.0, 0.0, 0.0) is reason
        later = Judged(n_rounds=1)
        later.bounds.begin_together()
        for _ in range(FIRST_ROUNDS):
            later.see_own(OWN)
        assert later.hears("ann", factor * MAX_GRADIENT * 50.0, 0.0, 0.0) is reason
        uneven = Judged(n_rounds=1)
        uneven.see_own(OWN, 5.0 * N_OWN)
        uneven.bounds.begin_together()
        assert uneven.hears("ann", factor * MAX_UNSTEADY * 0.5 * 5.0 * N_OWN, 0.0, 0.0) is reason


def test_in_the_first_rounds_a_neighbor_does_not_set_its_own_bound() -> None:
    judged = Judged(n_rounds=1)
    judged.bounds.begin_together()
    assert judged.hears("ann", 0.9 * MAX_GRADIENT_FIRST * 50.0, 1.0, 0.0) is None  # 180 a sample
    assert judged.hears("ann", 1.1 * MAX_GRADIENT_FIRST * 50.0, 1.0, 0.0) is CloseReason.TOO_MUCH_GRADIENT
    other = Judged(n_rounds=1)
    other.bounds.begin_together()
    assert other.hears("ann", 0.9 * MAX_GRADIENT_FIRST * 50.0, 90.0, 0.0) is None  # 2 a sample: four times the own
    assert other.hears("bob", 1.9 * MAX_GRADIENT_FIRST * 50.0, 90.0, 0.0) is None


def test_a_gradient_that_grows_far_more_at_once_than_of_late_is_a_lie_where_samples_are_alike() -> None:
    for is_alike, reason in ((False, None), (True, CloseReason.TOO_MUCH_GRADIENT)):
        judged = Judged()
        assert judged.hears("ann", 2.0, 0.0, 0.0) is None
        judged.is_alike = is_alike
        assert judged.hears("ann", 4.0, 0.0, 0.0) is None
        assert judged.hears("ann", 4.0 + 1.1 * SUDDEN_PART * 50.0, 0.0, 0.0) is reason


def test_a_neighbor_that_gives_nothing_back_keeps_what_it_is_sent() -> None:
    judged = Judged()
    assert judged.hears("ann", 0.0, 0.0, 0.0) is None
    link = judged.links["ann"]
    link.apply(1)
    for sent, received, reason in (
        (0.4 * N_OWN, 0.0, None),
        (0.6 * N_OWN, 0.1 * N_OWN, None),
        (0.6 * N_OWN, 0.0, CloseReason.TOO_MANY_SAMPLES),
    ):
        link.ledger.sent = np.array([0.0, 0.0, 0.0, sent, 0.0])
        link.ledger.received = np.array([0.0, 0.0, 0.0, received, 0.0])
        assert judged.bounds.broken_by("ann", link) is reason


def test_samples_below_zero_are_a_lie_as_long_as_nothing_has_changed_since_all_began() -> None:
    judged = Judged(n_rounds=1)
    judged.bounds.begin_together()
    assert judged.hears("ann", 0.0, -0.05 * N_OWN, 0.0) is CloseReason.TOO_MANY_SAMPLES


@pytest.mark.parametrize(("is_alike", "bound"), [(True, MAX_GRADIENT_ALIKE), (False, MAX_GRADIENT)])
def test_where_samples_are_alike_less_gradient_is_honest(is_alike: bool, bound: float) -> None:
    judged = Judged()
    judged.is_alike = is_alike
    assert judged.climbs("ann", 0.9 * bound * 50.0) is None
    assert judged.hears("ann", 1.1 * bound * 50.0, 0.0, 0.0) is CloseReason.TOO_MUCH_GRADIENT


def test_where_samples_are_alike_the_bounds_hold_earlier_and_at_once_for_one_that_has_broken_them() -> None:
    judged = Judged(n_rounds=STEADY_ALIKE + 1)
    judged.is_alike = True
    assert judged.hears("ann", 1.1 * MAX_GRADIENT_ALIKE * 50.0, 0.0, 0.0) is CloseReason.TOO_MUCH_GRADIENT
    judged.see_own(OWN, weight=0.5)
    for peer, factor, reason in [
        ("bob", 0.9 * MAX_GRADIENT_CHANGED, None),
        ("eve", 1.1 * MAX_GRADIENT_CHANGED, CloseReason.TOO_MUCH_GRADIENT),
        ("ann", 1.1 * MAX_GRADIENT_ALIKE, CloseReason.TOO_MUCH_GRADIENT),
    ]:
        judged.links.pop(peer, None)
        assert judged.hears(peer, factor * 50.0, 0.0, 0.0) is reason


def test_where_samples_are_alike_as_many_as_an_agent_has_may_be_taken_back() -> None:
    judged = Judged()
    judged.is_alike = True
    assert judged.hears("ann", 0.0, N_OWN, 0.0) is None
    assert judged.hears("ann", 0.0, N_OWN - 0.9 * MAX_TAKEN_BACK_ALIKE * N_OWN, 0.0) is None
    assert judged.hears("ann", 0.0, N_OWN - 1.1 * MAX_TAKEN_BACK_ALIKE * N_OWN, 0.0) is CloseReason.TOO_MANY_SAMPLES


@pytest.mark.parametrize(("size", "reason"), [(0.9, None), (1.1, CloseReason.TOO_MUCH_CURVATURE)])
def test_curvature_moved_is_bounded_by_what_the_agent_has_measured(size: float, reason: CloseReason | None) -> None:
    judged = Judged()
    assert judged.hears("ann", 0.0, 0.0, 0.0) is None
    link = judged.links["ann"]
    link.apply(1)
    link.ledger.curvature_received = np.full(4, 0.5 * size * MAX_GRADIENT * 3.0 * N_OWN)
    assert judged.bounds.broken_by("ann", link) is None  # it has measured none so far
    judged.bounds.see_own(OWN, N_OWN, (), 1.0, np.full(4, 0.5 * 3.0 * N_OWN))
    assert judged.bounds.broken_by("ann", link) is reason


def test_an_agent_that_comes_from_training_alone_takes_gradients_for_what_others_show_until_it_is_steady() -> None:
    alone = OWN * np.array([1e-12, 1e-12, 1e-12, 1, 1])
    judged = Judged(alone, n_rounds=0)
    judged.bounds = MassBounds(N_PARAMS, is_resumed=True)
    judged.see_own(alone)
    assert judged.hears("ann", 25.0, 50.0, 0.5) is None
    for _ in range(STEADY_ROUNDS):
        judged.see_own(alone)
    assert judged.hears("ann", 25.0, 50.0, 0.5) is CloseReason.TOO_MUCH_GRADIENT


class Drifting(Judged):
    """One that tracks the squares of a column beside the gradient."""

    def hears_of_drift(self, gradient: float, squares: float) -> CloseReason | None:
        link = Link(LinkId(Nonce(1, 1), Nonce(1, 1)), N_PARAMS + 3, N_PARAMS, 64, ResendTimer(0.2, 1.0))
        link.ledger.received = np.array([gradient, 0.0, 0.0, squares, 0.0, 0.0])
        return self.bounds.broken_by("ann", link)


@pytest.mark.parametrize("deviations", [1.0, 20.0, 1e9])
def test_rows_that_are_far_away_have_a_gradient_larger_by_the_square_of_that_up_to_a_thousand_deviations(
    deviations: float,
) -> None:
    squares = deviations**2 * N_OWN
    limit = min(deviations**2, MAX_DRIFT) * MAX_GRADIENT * 0.5 * N_OWN
    assert Drifting().hears_of_drift(0.99 * limit, squares) is None
    assert Drifting().hears_of_drift(1.01 * limit, squares) is CloseReason.TOO_MUCH_GRADIENT


def test_the_drift_counts_for_curvature_too() -> None:
    judged = Drifting()
    judged.bounds.see_own(OWN, N_OWN, (), 1.0, np.full(4, 0.5 * N_OWN))
    link = Link(LinkId(Nonce(1, 1), Nonce(1, 1)), N_PARAMS + 3, N_PARAMS, 64, ResendTimer(0.2, 1.0))
    link.ledger.curvature_received = np.full(4, 2.0 * MAX_GRADIENT * 0.5 * N_OWN)
    assert judged.bounds.broken_by("ann", link) is CloseReason.TOO_MUCH_CURVATURE
    link.ledger.received = np.array([0.0, 0.0, 0.0, 4.0 * N_OWN, 0.0, 0.0])
    assert judged.bounds.broken_by("ann", link) is None


def test_when_samples_have_changed_far_more_is_honest_for_a_while_but_not_of_weight() -> None:
    judged = Judged()
    judged.bounds.begin_anew()
    for n_rounds in (0, RESTLESS_ROUNDS - 1):
        for _ in range(n_rounds):
            judged.see_own(OWN)
        judged.links.clear()
        assert judged.hears("ann", 0.9 * MAX_UNSTEADY * 50.0, 0.0, 0.0) is None
        assert judged.hears("bob", 0.0, 0.0, 1.1 * MAX_WEIGHT) is CloseReason.TOO_MUCH_WEIGHT
    judged.see_own(OWN)
    judged.links.clear()
    assert judged.hears("ann", 0.9 * MAX_UNSTEADY * 50.0, 0.0, 0.0) is CloseReason.TOO_MUCH_GRADIENT


def test_an_excuse_among_samples_that_are_alike_goes_as_far_as_where_agents_come_and_go() -> None:
    judged = Judged()
    judged.is_alike = True
    judged.bounds.excuse(is_alike=True)
    assert judged.hears("ann", 0.99 * MAX_GRADIENT_CHANGED * 50.0, 0.0, 0.0) is None
    assert judged.hears("ann", 1.01 * MAX_GRADIENT_CHANGED * 50.0, 0.0, 0.0) is CloseReason.TOO_MUCH_GRADIENT
    for _ in range(RESTLESS_ROUNDS):
        judged.see_own(OWN)
    assert judged.hears("bob", 0.99 * MAX_GRADIENT_CHANGED * 50.0, 0.0, 0.0) is CloseReason.TOO_MUCH_GRADIENT


def test_an_excuse_among_samples_that_are_unlike_goes_as_far_as_an_epoch() -> None:
    judged = Judged()
    judged.bounds.excuse(is_alike=False)
    assert judged.hears("ann", 0.9 * MAX_UNSTEADY * 50.0, 0.0, 0.0) is None
