"""The rules of stopping, one by one, each with its numbers at the edge."""

import math

import pytest

from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import LinkId, Nonce
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.rounds.termination import MAX_RATIO, SLACK_ROUNDS, Stationarity, TerminationDetector


def link(counter: int) -> Link:
    return Link(LinkId(Nonce(1, counter), Nonce(1, 1)), 1, 1, 64, ResendTimer(0.1, 1.0))


def quiet(max_diameter: int = 4) -> TerminationDetector:
    """A detector of an agent that has been quiet in one round."""
    detector = TerminationDetector(max_diameter)
    detector.begin_round(is_quiet=True)
    return detector


def test_word_of_the_last_round_has_eight_rounds_more_than_its_way() -> None:
    assert SLACK_ROUNDS == 8


def test_a_detector_begins_with_nothing_to_announce() -> None:
    detector = TerminationDetector(4)
    assert (detector.count, detector.farthest, detector.stop_round, detector.first_round) == (0, 0, -1, -1)
    assert not detector.is_held


def test_the_first_residual_of_ones_own_limits_that_of_others_however_small_it_is() -> None:
    stationarity = Stationarity(0.5)
    stationarity.measured(1e-3)
    assert stationarity.first_residual == 1e-3
    stationarity.hear(1.0)
    assert stationarity.first_residual == MAX_RATIO * 1e-3


def test_no_residual_is_known_at_first_and_the_first_one_told_is_the_scale_however_small() -> None:
    stationarity = Stationarity(0.5)
    assert stationarity.first_residual == 0.0
    stationarity.hear(1e-300)
    assert stationarity.first_residual == 1e-300
    assert stationarity.is_reached(residual=5e-301, disagreement=0.5)


@pytest.mark.parametrize("told", [math.inf, -math.inf, math.nan])
def test_a_residual_that_is_not_finite_is_no_scale(told: float) -> None:
    stationarity = Stationarity(0.5)
    stationarity.hear(2.0)
    stationarity.hear(told)
    assert stationarity.first_residual == 2.0


@pytest.mark.parametrize(
    ("residual", "disagreement", "is_reached"),
    [(1.0, 0.5, True), (1.0 + 1e-12, 0.5, False), (1.0, 0.5 + 1e-12, False), (0.0, 0.0, True)],
)
def test_both_bounds_are_within(residual: float, disagreement: float, is_reached: bool) -> None:
    stationarity = Stationarity(0.5)
    stationarity.hear(2.0)
    assert stationarity.is_reached(residual, disagreement) is is_reached


def test_tolerance_zero_is_never_reached_even_where_everything_is_exactly_zero() -> None:
    assert Stationarity(0.0).is_reached(residual=0.0, disagreement=0.0) is False


def test_a_count_is_one_more_than_the_least_announced_around_and_zero_where_the_agent_is_not_quiet() -> None:
    detector = TerminationDetector(max_diameter=100)
    detector.begin_round(is_quiet=True)
    assert detector.count == 1
    detector.end_round(0, [7, 5])
    detector.begin_round(is_quiet=True)
    assert detector.count == 2
    detector.end_round(1, [7, 5])
    detector.begin_round(is_quiet=True)
    assert detector.count == 3
    detector.end_round(2, [7, 1])
    detector.begin_round(is_quiet=True)
    assert detector.count == 2
    detector.begin_round(is_quiet=False)
    assert detector.count == 0
    detector.end_round(3, [7, 5])
    detector.begin_round(is_quiet=True)
    assert detector.count == 1


@pytest.mark.parametrize("max_diameter", [1, 3])
def test_the_end_is_set_once_the_count_exceeds_the_diameter_and_not_before(max_diameter: int) -> None:
    detector = TerminationDetector(max_diameter)
    for round_ in range(max_diameter + 1):
        assert detector.stop_round == -1
        detector.begin_round(is_quiet=True)
        detector.end_round(round_, [10])
    assert detector.stop_round == max_diameter + max_diameter + SLACK_ROUNDS


def test_an_agent_without_neighbors_counts_by_itself() -> None:
    detector = TerminationDetector(max_diameter=1)
    for round_ in range(2):
        detector.begin_round(is_quiet=True)
        detector.end_round(round_, [])
    assert detector.stop_round == 1 + 1 + SLACK_ROUNDS


@pytest.mark.parametrize(("named", "held"), [([0], 0), ([5, 0], 0), ([0, 5], 0), ([1, 5], 1), ([-1], -1), ([-2], -1)])
def test_of_the_rounds_named_the_earliest_holds_and_round_zero_is_one(named: list[int], held: int) -> None:
    detector = quiet()
    for stop_round in named:
        detector.trust(stop_round)
    assert detector.stop_round == held


def test_a_quiet_agent_stays_one_that_has_rested() -> None:
    detector = quiet()
    detector.begin_round(is_quiet=False)
    detector.learn(40, round_=20)
    assert detector.stop_round == 40


@pytest.mark.parametrize(("round_", "held"), [(48, 40), (49, -1), (40, 40), (0, 40)])
def test_a_last_round_is_believed_for_eight_rounds(round_: int, held: int) -> None:
    detector = quiet()
    detector.learn(40, round_)
    assert detector.stop_round == held


def ended(stop_round: int) -> TerminationDetector:
    """A detector of an agent that has been quiet, and knows the last round."""
    detector = quiet()
    detector.trust(stop_round)
    return detector


def test_an_epoch_begins_with_nothing_of_the_one_before() -> None:
    detector = ended(40)
    detector.end_round(0, [7])
    detector.hear_of_hold(True)
    detector.begin_anew(first_round=40)
    assert (detector.count, detector.farthest, detector.stop_round, detector.first_round) == (0, 0, -1, 40)
    assert not detector.is_held
    detector.learn(60, round_=41)
    assert detector.stop_round == -1, "it has not been stationary in this epoch"
    detector.begin_round(is_quiet=True)
    assert (detector.count, detector.farthest) == (1, 1)


@pytest.mark.parametrize(("named", "held"), [(40, -1), (41, 41)])
def test_a_last_round_of_an_epoch_is_later_than_its_first(named: int, held: int) -> None:
    detector = ended(20)
    detector.begin_anew(first_round=40)
    detector.begin_round(is_quiet=True)
    detector.learn(named, round_=40)
    assert detector.stop_round == held


@pytest.mark.parametrize(("stop_round", "is_held"), [(-1, False), (0, True), (40, True)])
def test_one_that_hears_of_a_hold_holds_where_it_knows_the_last_round(stop_round: int, is_held: bool) -> None:
    detector = ended(stop_round)
    detector.hear_of_hold(False)
    assert not detector.is_held
    detector.hear_of_hold(True)
    assert detector.is_held is is_held
    detector.hear_of_hold(False)
    assert detector.is_held is is_held, "a hold is for good"


@pytest.mark.parametrize(("stop_round", "is_held"), [(-1, False), (0, True), (40, True)])
def test_one_whose_links_change_holds_where_it_knows_the_last_round(stop_round: int, is_held: bool) -> None:
    ann, bob = link(1), link(2)
    detector = ended(stop_round)
    detector.watch_links([ann])
    assert not detector.is_held, "no links are known before"
    detector.watch_links([ann])
    assert not detector.is_held
    detector.watch_links([ann, bob])
    assert detector.is_held is is_held
    detector.watch_links([ann, bob])
    assert detector.is_held is is_held


def test_links_that_change_between_epochs_hold_up_nothing() -> None:
    detector = ended(40)
    detector.watch_links([link(1)])
    detector.begin_anew(first_round=40)
    detector.trust(60)
    detector.watch_links([link(2)])
    assert not detector.is_held
