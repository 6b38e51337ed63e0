"""How far agents are apart, in steps, and whether that grows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.optim.disagreement_trend import PERIOD, RUN, DisagreementTrend


def after(*ratios: float, displacement: float = 1.0) -> DisagreementTrend:
    """Steps of one length, with these ratios of disagreement to displacement."""
    trend = DisagreementTrend()
    for ratio in ratios:
        trend.take_in(ratio * displacement, displacement)
    return trend


@given(st.lists(st.floats(1e-6, 1e6), min_size=PERIOD, max_size=PERIOD), st.floats(0.1, 10.0))
def test_what_comes_and_goes_within_a_period_has_grown_by_what_its_peaks_have(ratios: list[float], by: float) -> None:
    assert after(*ratios, *[by * ratio for ratio in ratios]).growth() == pytest.approx(by)


@given(st.floats(1e-3, 1e3))
def test_it_is_measured_in_steps(displacement: float) -> None:
    ratios = [1.0] * PERIOD + [1.5] * PERIOD
    assert after(*ratios, displacement=displacement).growth() == pytest.approx(1.5)


def test_nothing_is_known_before_there_were_two_periods_and_after_it_has_begun_anew() -> None:
    assert after(*[1.0] * (2 * PERIOD - 1)).growth() == 0.0
    trend = after(*[1.0] * 2 * PERIOD)
    assert trend.growth() == 1.0
    trend.begin_anew()
    assert trend.growth() == 0.0


def test_after_the_weight_was_raised_the_last_period_is_what_others_are_compared_with() -> None:
    trend = after(*[1.0] * PERIOD, *[2.0] * PERIOD)
    trend.forget_all_but_late()
    assert trend.growth() == 0.0
    for _ in range(PERIOD):
        trend.take_in(3.0, 1.0)
    assert trend.growth() == pytest.approx(1.5)


@pytest.mark.parametrize(("factor", "runs_away"), [(1.1, False), (1.3, True), (2.0, True), (0.5, False)])
def test_agents_run_away_from_each_other_where_a_difference_has_doubled_step_by_step(
    factor: float, runs_away: bool
) -> None:
    assert after(*[0.01 * factor**k for k in range(RUN + 1)]).runs_away() is runs_away
    assert not after(*[0.01 * factor**k for k in range(RUN)]).runs_away()


def test_neither_does_one_that_is_larger_only_beside_shorter_steps_nor_one_that_has_not_grown_each_time() -> None:
    trend = DisagreementTrend()
    for k in range(RUN + 1):
        trend.take_in(0.01, 0.5**k)
    assert not trend.runs_away()
    assert not after(0.01, 0.03, 0.02, 0.04).runs_away()
