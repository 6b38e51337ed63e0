"""The proximal weight: τ⁺ = max(1.5 δ, (1 − fading) τ), at most 2 τ, never below a neighbor's."""

import math
from copy import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.optim.proximal_weight import ConstantWeight, SecantWeight

weights = st.floats(1e-6, 1e6)
curvatures = st.floats(0.0, 1e7)
observations = st.lists(st.tuples(curvatures, st.booleans()), max_size=60)


def fading_after(n_violations: int) -> float:
    return 0.2 * 0.9**n_violations


@given(weight=weights, observed=observations)
def test_the_weight_follows_its_formula(weight: float, observed: list[tuple[float, bool]]) -> None:
    rule, n_violations = SecantWeight(weight), 0
    for curvature, is_blind in observed:
        before = rule.weight
        rule.observe(curvature, is_blind=is_blind)
        fading = 0.0 if is_blind else fading_after(n_violations)
        expected = min(max(1.5 * curvature, (1.0 - fading) * before), 2.0 * before)
        assert rule.weight == pytest.approx(expected, rel=1e-12)
        n_violations += 1.5 * curvature > before


@given(weight=weights, observed=observations, progress=st.floats(0.0, 1.0))
def test_another_objective_begins_between_the_weight_at_rest_and_the_largest_of_the_one_before_and_fades_as_at_first(
    weight: float, observed: list[tuple[float, bool]], progress: float
) -> None:
    rule = SecantWeight(weight)
    seen = [weight]
    for curvature, is_blind in observed:
        rule.observe(curvature, is_blind=is_blind)
        seen.append(rule.weight)
    at_rest, largest = rule.weight, max(seen[1:], default=weight)
    rule.begin_anew(progress)
    began_with = rule.weight
    assert math.log(began_with) == pytest.approx(
        math.log(at_rest) + math.sqrt(progress) * math.log(largest / at_rest), abs=1e-9
    )
    rule.observe(0.0, is_blind=False)
    assert rule.weight == pytest.approx((1.0 - SecantWeight.FIRST_FADING) * began_with)


@pytest.mark.parametrize(("progress", "expected"), [(0.0, 0.5), (0.25, 2.0), (1.0, 8.0)])
def test_the_farther_another_objective_is_from_stationary_the_more_of_the_largest_weight_it_begins_with(
    progress: float, expected: float
) -> None:
    rule = SecantWeight(0.5)
    rule.restore({"proximal_weight": 0.5, "largest_weight": 8.0})
    rule.begin_anew(progress)
    assert rule.weight == pytest.approx(expected)


@given(weight=weights, observed=observations)
def test_it_never_grows_by_more_than_a_factor_of_two_nor_falls_by_more_than_the_fading(
    weight: float, observed: list[tuple[float, bool]]
) -> None:
    rule = SecantWeight(weight)
    for curvature, is_blind in observed:
        before = rule.weight
        rule.observe(curvature, is_blind=is_blind)
        assert (1.0 if is_blind else 0.8) * before * (1 - 1e-12) <= rule.weight <= 2.0 * before


@given(weight=weights, curvature=curvatures)
def test_where_the_curvature_may_be_blind_the_weight_does_not_fall(weight: float, curvature: float) -> None:
    rule = SecantWeight(weight)
    rule.observe(curvature, is_blind=True)
    assert rule.weight >= weight


@given(weight=weights, observed=observations, neighbor=weights)
def test_it_is_never_below_a_neighbors_as_far_as_that_is_believed(
    weight: float, observed: list[tuple[float, bool]], neighbor: float
) -> None:
    rule = SecantWeight(weight)
    for curvature, is_blind in observed:
        rule.observe(curvature, is_blind=is_blind)
        before = rule.weight
        rule.follow(neighbor)
        assert rule.weight >= max(before, min(neighbor, 64.0 * 0.995 ** len(observed) * weight))
        assert rule.weight <= max(before, neighbor)


@given(weight=weights, observed=observations, neighbor=st.floats(1.0, 1e300))
def test_what_a_neighbor_says_counts_up_to_64_times_what_was_needed_here(
    weight: float, observed: list[tuple[float, bool]], neighbor: float
) -> None:
    rule = SecantWeight(weight)
    needed = weight
    for curvature, is_blind in observed:
        rule.observe(curvature, is_blind=is_blind)
        needed = max(needed, 1.5 * curvature)
        rule.follow(neighbor)
        assert rule.weight <= 2.0 * 64.0 * needed


@given(weight=weights, observed=st.lists(st.tuples(curvatures, st.booleans(), weights), max_size=30))
def test_a_neighbors_weight_counts_up_to_64_times_the_largest_that_was_needed_here_of_late(
    weight: float, observed: list[tuple[float, bool, float]]
) -> None:
    """What is needed here follows the same formula, as if there were no neighbors; the largest fades."""
    rule, own, largest, n_violations = SecantWeight(weight), weight, weight, 0
    for curvature, is_blind, neighbor in observed:
        n_violations += 1.5 * curvature > rule.weight
        rule.observe(curvature, is_blind=is_blind)
        fading = 0.0 if is_blind else fading_after(n_violations)
        own = min(max(1.5 * curvature, (1.0 - fading) * own), 2.0 * own)
        largest = max(0.995 * largest, own)
        asked = copy(rule)
        asked.follow(1e300)
        assert asked.weight == pytest.approx(max(rule.weight, 64.0 * largest), rel=1e-9)
        rule.follow(neighbor)


def test_a_rejected_step_doubles_what_was_needed_here() -> None:
    rule = SecantWeight(1.0)
    rule.reject()
    rule.follow(1e300)
    assert rule.weight == 128.0


def test_what_a_later_run_goes_on_with_is_the_weight_and_of_the_rule_with_memory_its_fading_and_its_largest() -> None:
    assert ConstantWeight(2.0).state() == {"proximal_weight": 2.0}
    rule = SecantWeight(2.0)
    assert rule.state() == {"proximal_weight": 2.0, "fading": 0.2, "largest_weight": 0.0}
    rule.observe(1.0, is_blind=True)
    assert rule.state() == {"proximal_weight": 2.0, "fading": 0.2, "largest_weight": 2.0}
    rule.begin_anew(1.0)
    assert rule.state() == {"proximal_weight": 2.0, "fading": 0.2, "largest_weight": 0.0}


@given(weight=st.floats(1e-3, 1e3), observed=st.lists(st.tuples(st.floats(0, 1e4), st.booleans()), max_size=30))
def test_it_is_in_the_unit_of_the_curvature(weight: float, observed: list[tuple[float, bool]]) -> None:
    """An objective times c has curvatures times c; the steps, and so the weights times c, are then the same."""
    rule, scaled = SecantWeight(weight), SecantWeight(1024.0 * weight)
    for curvature, is_blind in observed:
        rule.observe(curvature, is_blind=is_blind)
        scaled.observe(1024.0 * curvature, is_blind=is_blind)
        assert scaled.weight == 1024.0 * rule.weight


@given(first=weights, curvature=st.floats(1e-3, 1e3))
def test_from_any_first_weight_it_comes_to_one_and_a_half_times_a_constant_curvature(
    first: float, curvature: float
) -> None:
    rule = SecantWeight(first)
    for _ in range(200):
        rule.observe(curvature, is_blind=False)
    assert rule.weight == pytest.approx(1.5 * curvature)


def test_a_weight_that_is_just_enough_is_no_violation() -> None:
    rule = SecantWeight(1.5)
    rule.observe(1.0, is_blind=False)
    assert rule.weight == 1.5
    rule.observe(0.0, is_blind=False)
    assert rule.weight == pytest.approx(1.5 * 0.8)


def test_the_first_weight_is_a_tenth() -> None:
    assert SecantWeight().weight == 0.1


def test_each_violation_slows_the_fading_by_a_tenth() -> None:
    rule = SecantWeight(1.0)
    for n_violations in range(40):
        before = rule.weight
        rule.observe(0.0, is_blind=False)
        assert rule.weight == pytest.approx((1.0 - fading_after(n_violations)) * before)
        rule.observe(rule.weight, is_blind=False)
    assert fading_after(40) < 0.004


@given(weight=weights, n_rejections=st.integers(0, 10))
def test_a_rejected_step_doubles_both_rules(weight: float, n_rejections: int) -> None:
    for rule in (SecantWeight(weight), ConstantWeight(weight)):
        for _ in range(n_rejections):
            rule.reject()
        assert rule.weight == weight * 2.0**n_rejections


@given(weight=weights, curvature=curvatures, neighbor=weights, is_blind=st.booleans())
def test_a_constant_weight_comes_back_with_the_next_step_whatever_is_observed(
    weight: float, curvature: float, neighbor: float, is_blind: bool
) -> None:
    rule = ConstantWeight(weight)
    rule.follow(neighbor)
    assert rule.weight == weight
    rule.reject()
    rule.observe(curvature, is_blind=is_blind)
    assert rule.weight == weight


def test_with_the_weight_that_the_rule_finds_gradient_steps_on_a_quadratic_converge() -> None:
    """v = w − ∇/τ needs τ > λ/2 for the largest curvature λ; here it is found from the secants alone."""
    H = np.diag([40.0, 3.0, 0.5])
    for first in (1e-3, 0.1, 1e3):
        rule, w = SecantWeight(first), np.ones(3)
        for _ in range(3000):
            s = -(H @ w) / rule.weight
            w = w + s
            rule.observe(float(s @ H @ s) / float(s @ s) if s.any() else 0.0, is_blind=False)
        assert np.linalg.norm(H @ w) < 1e-6
        assert rule.weight <= 1.5 * 40.0 * (1 + 1e-12)


def test_a_later_run_goes_on_with_the_numbers_of_an_earlier_one() -> None:
    earlier, later = SecantWeight(0.1), SecantWeight(0.1)
    for curvature in (3.0, 7.0, 0.1):
        earlier.observe(curvature, is_blind=False)
    later.restore(earlier.state())
    for rule in (earlier, later):
        rule.observe(0.0, is_blind=False)
    assert later.weight == earlier.weight
    assert later.state() == earlier.state()


def test_a_weight_covers_what_it_would_not_be_raised_for() -> None:
    rule = SecantWeight(1.5)
    assert rule.covers(1.0)
    assert not rule.covers(1.001)
    assert ConstantWeight(0.1).covers(1e9)


def test_fading_anew_forgets_two_fifths_a_step() -> None:
    rule = SecantWeight(1.0)
    rule.observe(1.0, is_blind=False)  # a violation, after which it fades more slowly
    before = rule.weight
    rule.fade_anew()
    rule.observe(0.0, is_blind=False)
    assert rule.weight == pytest.approx(0.6 * before)
