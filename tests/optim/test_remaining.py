"""What an objective may still decrease by, from how it has decreased of late."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.optim.remaining import AT_REST, WINDOW, RemainingDecrease


def after(*decreases: float) -> RemainingDecrease:
    remaining = RemainingDecrease()
    for decrease in decreases:
        remaining.take_in(decrease)
    return remaining


@given(st.floats(0.5, 0.98), st.floats(1e-3, 1e3), st.integers(2 * WINDOW, 60))
def test_of_a_geometric_decrease_it_is_the_rest_of_the_series(factor: float, first: float, n_steps: int) -> None:
    decreases = [first * factor**k for k in range(n_steps + 3)]
    rest = first * factor ** len(decreases) / (1.0 - factor)
    late = sum(decreases[-WINDOW:])
    assert after(*decreases).estimate() == pytest.approx(min(rest, AT_REST * late), rel=1e-6)


@given(st.floats(1.0, 1.5))
def test_while_it_does_not_slow_down_nothing_is_near_the_end(factor: float) -> None:
    decreases = [factor**k for k in range(3 * WINDOW)]
    assert after(*decreases).estimate() == pytest.approx(AT_REST * sum(decreases[-WINDOW:]))


def test_an_objective_that_goes_up_is_not_at_its_end_either() -> None:
    assert after(*[1.0] * 20, *[-0.5] * WINDOW).estimate() == pytest.approx(AT_REST * 0.5 * WINDOW)


def test_nothing_is_known_before_the_third_step_and_after_the_objective_has_become_another() -> None:
    assert after(5.0, 5.0).estimate() == 0.0
    assert after(5.0, 5.0, 5.0).estimate() > 0.0
    remaining = after(*[1.0] * 20)
    remaining.begin_anew()
    assert remaining.estimate() == 0.0


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_not_finite_begins_anew(wrong: float) -> None:
    assert after(*[1.0] * 20, wrong).estimate() == 0.0
