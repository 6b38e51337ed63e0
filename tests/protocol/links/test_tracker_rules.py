"""The network average and the network's size, each with its numbers at the edge."""

import numpy as np
import pytest

from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import LinkId, Nonce
from p2pnet.protocol.links.ledger import CHUNK
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.links.tracker import N_SIGNS, Tracker, signs_of

FIRST_BYTE = 0x8B
"""The first of SHAKE-128 of the name agent-1."""


def link_with(sent: list[float], received: list[float]) -> Link:
    link = Link(LinkId(Nonce(1, 1), Nonce(1, 2)), len(sent), len(sent) - 2, 64, ResendTimer(0.2, 1.0))
    link.ledger.sent, link.ledger.received = np.array(sent), np.array(received)
    return link


def test_the_own_vector_is_gradient_sum_signs_samples_and_the_weight_of_one() -> None:
    tracker = Tracker(2, np.array([1.0, -1.0, 1.0]))
    np.testing.assert_array_equal(tracker.own, np.zeros(7))
    tracker.replace_own(np.array([3.0, 4.0]), 5.0)
    np.testing.assert_array_equal(tracker.own, [3.0, 4.0, 1.0, -1.0, 1.0, 5.0, 1.0])
    np.testing.assert_array_equal(Tracker(2).own, np.zeros(4))


def test_the_mass_of_single_precision_is_summed_in_double_precision_and_rounded_once() -> None:
    """More numbers than are summed at once; in float32 1 + 2⁻²⁴ is 1, and adding another 2⁻²⁴ leaves that."""
    size = CHUNK + 5
    tracker = Tracker(size - 2, dtype=np.dtype(np.float32))
    tracker.replace_own(np.ones(size - 2, dtype=np.float32), 1.0)
    links = [link_with([0.0] * size, [2.0**-24] * size), link_with([-(2.0**-24)] * size, [0.0] * size)]
    exact = tracker.exact_mass(links)
    assert exact.dtype == np.float64
    np.testing.assert_array_equal(exact, np.full(size, 1.0 + 2.0**-23))
    mass = tracker.mass(links)
    assert mass.dtype == np.float32
    np.testing.assert_array_equal(mass, exact)


def test_the_exact_mass_of_double_precision_is_the_mass() -> None:
    tracker, links = Tracker(1), [link_with([10.0, 0.0, 0.0], [0.0, 20.0, 0.25])]
    tracker.replace_own(np.array([1.0]), 2.0)
    np.testing.assert_array_equal(tracker.exact_mass(links), tracker.mass(links))


def test_the_present_weight_is_the_last_number_of_the_mass() -> None:
    tracker = Tracker(1)
    tracker.replace_own(np.array([5.0]), 7.0)
    links = [link_with([3.0, 4.0, 0.5], [10.0, 20.0, 0.25]), link_with([30.0, 40.0, 0.0], [1.0, 2.0, 0.125])]
    assert tracker.present_weight(links) == tracker.mass(links)[-1] == 0.875


def test_the_largest_own_vector_is_remembered() -> None:
    tracker = Tracker(2)
    assert tracker.largest_own == 0.0
    for gradient, norm in (([0.0, 0.0], np.sqrt(5.0)), ([4.0, 10.0], 11.0), ([0.0, 0.0], 11.0)):
        tracker.replace_own(np.array(gradient), 2.0)
        assert tracker.largest_own == pytest.approx(norm, rel=1e-15)


def test_the_mass_is_the_own_vector_with_what_links_have_brought_less_what_they_took() -> None:
    tracker = Tracker(1)
    tracker.replace_own(np.array([1.0]), 2.0)
    links = [link_with([10.0, 0.0, 0.0], [0.0, 20.0, 0.0]), link_with([0.0, 0.0, 0.25], [300.0, 0.0, 0.0])]
    np.testing.assert_array_equal(tracker.mass(links), [291.0, 22.0, 0.75])
    np.testing.assert_array_equal(tracker.mass([]), tracker.own)
    np.testing.assert_array_equal(tracker.own, [1.0, 2.0, 1.0])


def test_a_trackers_weight_begins_at_one_and_is_then_what_was_present() -> None:
    tracker = Tracker(1)
    assert tracker.weight == 1.0
    tracker.replace_own(np.array([1.0]), 2.0)
    for sent, weight in ((0.25, 0.75), (-1.0, 2.0)):
        tracker.update([link_with([0.0, 0.0, sent], [0.0, 0.0, 0.0])])
        assert tracker.weight == weight


def test_what_is_expected_of_others_counts_as_large_as_what_is_owned() -> None:
    tracker = Tracker(1)
    for size, largest in ((3.0, 3.0), (2.0, 3.0), (7.0, 7.0)):
        tracker.expect(size)
        assert tracker.largest_own == largest


def test_a_tracker_that_begins_anew_goes_from_the_own_vector_again() -> None:
    tracker = Tracker(1)
    tracker.replace_own(np.array([6.0]), 2.0)
    tracker.update([link_with([0.0, 0.0, 0.0], [4.0, 0.0, 0.0])])
    assert tracker.estimate[0] == 10.0
    tracker.begin_anew()
    assert tracker.is_empty is True
    assert tracker.estimate[0] == 6.0


def test_before_the_first_estimate_the_own_vector_stands_for_it() -> None:
    tracker = Tracker(1)
    tracker.replace_own(np.array([6.0]), 2.0)
    assert tracker.is_empty is True
    np.testing.assert_array_equal(tracker.estimate, [6.0, 2.0])
    assert tracker.mean_samples == 2.0
    np.testing.assert_array_equal(tracker.direction, [3.0])
    tracker.update([])
    assert tracker.is_empty is False


@pytest.mark.parametrize(
    ("weight", "expected"),
    [(2.0, 5.0), (1.0, 10.0), (0.5, 10.0 + 0.5 * 6.0), (0.0, 10.0 + 6.0)],
)
def test_less_than_the_weight_of_one_is_filled_up_from_the_own_vector_at_first(weight: float, expected: float) -> None:
    tracker = Tracker(1)
    tracker.replace_own(np.array([6.0]), 2.0)
    tracker.update([link_with([0.0, 0.0, 1.0], [4.0, 0.0, weight])])
    samples = 2.0 / weight if weight >= 1 else 2.0 + (1.0 - weight) * 2.0
    np.testing.assert_array_equal(tracker.estimate, [expected, samples])


def test_later_it_is_filled_up_from_the_estimate_before_and_not_from_the_own_vector() -> None:
    tracker = Tracker(1)
    tracker.replace_own(np.array([6.0]), 2.0)
    tracker.update([link_with([0.0, 0.0, 0.0], [2.0, 0.0, 0.0])])
    tracker.replace_own(np.array([100.0]), 2.0)
    tracker.update([link_with([0.0, 0.0, 0.5], [0.0, 0.0, 0.0])])
    assert tracker.estimate[0] == 100.0 + 0.5 * 8.0


# Curvature.


def test_who_has_measured_no_curvature_and_heard_of_none_tracks_none() -> None:
    tracker, link = Tracker(1), link_with([0.0] * 3, [0.0] * 3)
    for _ in range(2):
        assert tracker.own_curvature.size == tracker.curvature_mass([link]).size == 0
        tracker.replace_own(np.array([6.0]), 2.0)
        tracker.update([link])
        assert tracker.curvature.size == 0


def test_the_mass_of_curvature_is_the_own_with_what_links_have_brought_less_what_they_took() -> None:
    """A link may have moved some in one direction only."""
    tracker, links = Tracker(1), [link_with([0.0] * 3, [0.0] * 3) for _ in range(4)]
    links[1].ledger.curvature_received = links[3].ledger.curvature_received = np.array([10.0, 20.0])
    links[2].ledger.curvature_sent, links[3].ledger.curvature_sent = np.array([1.0, 2.0]), np.array([3.0, 3.0])
    assert tracker.curvature_mass(links).tolist() == [20.0 - 4.0, 40.0 - 5.0]
    own = np.array([100.0, 200.0])
    tracker.replace_own(np.array([6.0]), 2.0, own)
    assert tracker.own_curvature is own
    for several, expected in ((links[:1], [100, 200]), (links[:2], [110, 220]), (links[2:3], [99, 198])):
        assert tracker.curvature_mass(several).tolist() == expected
    assert own.tolist() == [100.0, 200.0]


@pytest.mark.parametrize(
    ("weight", "expected"),
    [(2.0, 8.0 / 2.0), (1.5, 8.0 / 1.5), (1.0, 8.0), (0.5, 8.0 + 0.5 * 40.0), (0.0, 8.0 + 40.0)],
)
def test_the_estimate_of_curvature_is_that_of_gradients_and_is_told_per_sample(weight: float, expected: float) -> None:
    """Mass over weight, or filled up from the estimate before; over the mean number of samples."""
    tracker = Tracker(1)
    tracker.replace_own(np.array([6.0]), 2.0, np.array([40.0]))
    tracker.update([])
    assert tracker.curvature.tolist() == [40.0 / 2.0]
    tracker.replace_own(np.array([6.0]), 2.0, np.array([8.0]))
    tracker.update([link_with([0.0, 0.0, 1.0], [0.0, 0.0, weight])])
    assert tracker.curvature.tolist() == [expected / tracker.mean_samples]


# Signs, and the size of the network.


def test_direction_and_samples_leave_the_signs_out() -> None:
    tracker = Tracker(2, signs_of("agent", 8))
    tracker.replace_own(np.array([6.0, 8.0]), 2.0)
    tracker.update([])
    assert tracker.mean_samples == 2.0
    np.testing.assert_array_equal(tracker.direction, [3.0, 4.0])


def test_without_signs_a_network_has_one_agent_and_with_its_own_signs_alone_as_well() -> None:
    tracker = Tracker(1)
    tracker.replace_own(np.array([6.0]), 2.0)
    assert tracker.network_size == 1.0
    tracker = Tracker(1, signs_of("agent", 16))
    tracker.replace_own(np.array([6.0]), 2.0)
    assert tracker.network_size == 1.0


def test_the_size_is_the_number_of_signs_over_the_square_of_their_mean() -> None:
    tracker = Tracker(1, np.array([1.0, 1.0, 1.0, 1.0]))
    tracker.replace_own(np.array([0.0]), 2.0)
    tracker.update([link_with([0.0] * 7, [0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0])])  # one sign of four cancels
    assert tracker.network_size == pytest.approx(4.0 / 3.0, rel=1e-15)


def test_signs_that_cancel_altogether_make_a_network_that_is_large_but_not_infinite() -> None:
    tracker = Tracker(1, np.array([1.0, 1.0]))
    tracker.replace_own(np.array([0.0]), 2.0)
    tracker.update([link_with([0.0] * 5, [0.0, -1.0, -1.0, 0.0, 0.0])])
    assert tracker.network_size == pytest.approx(1e12, rel=1e-12)


@pytest.mark.parametrize("n_signs", [1, 7, 8, 9, 128])
def test_signs_are_as_many_as_asked_for_and_one_or_minus_one(n_signs: int) -> None:
    signs = signs_of("agent", n_signs)
    assert signs.shape == (n_signs,)
    assert set(signs.tolist()) <= {1.0, -1.0}


def test_signs_are_the_bits_of_the_hash_of_a_name() -> None:
    assert N_SIGNS == 128
    np.testing.assert_array_equal((signs_of("agent-1", 8) + 1) / 2, [int(bit) for bit in f"{FIRST_BYTE:08b}"])
    assert signs_of("agent-1", 128).tolist() != signs_of("agent-2", 128).tolist()
    np.testing.assert_array_equal(signs_of("agent-1", 128)[:8], signs_of("agent-1", 8))
