"""Secants: what is left out of a quadratic is found along a displacement, and across an earlier one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.optim.arrays import Array
from p2pnet.optim.secant import Secant

EPSILON = float(np.finfo(np.float64).eps)


def secant(displacement: Array, left_out: Array) -> Secant:
    return Secant(displacement, left_out @ displacement)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_on_a_quadratic_both_are_rayleigh_quotients_and_across_is_orthogonal_to_the_earlier_way(
    seed: int, n_params: int
) -> None:
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((n_params, n_params))
    D += D.T
    displacement, earlier = rng.standard_normal((2, n_params))
    across = secant(displacement, D).across(secant(earlier, D))
    for one in (secant(displacement, D), across):
        assert one.curvature() == pytest.approx(
            abs(one.displacement @ D @ one.displacement) / (one.displacement @ one.displacement), rel=1e-6, abs=1e-9
        )
    assert abs(across.displacement @ earlier) <= 1e-12 * np.linalg.norm(displacement) * np.linalg.norm(earlier)


def test_what_swings_across_a_long_common_way_is_seen_only_across() -> None:
    D = np.diag([0.0, 1.0])
    earlier, displacement = np.array([1.0, -0.01]), np.array([1.0, 0.01])
    assert secant(displacement, D).curvature() < 1e-3
    assert secant(displacement, D).across(secant(earlier, D)).curvature() == pytest.approx(1.0, rel=1e-3)


def test_across_a_parallel_way_there_is_nothing_to_tell() -> None:
    D, displacement = np.diag([0.5, 2.0]), np.array([3.0, -4.0])
    assert secant(displacement, D).is_longer_than_rounding(displacement, EPSILON)
    assert (
        not secant(displacement, D)
        .across(secant(-2.0 * displacement, D))
        .is_longer_than_rounding(displacement, EPSILON)
    )


@given(st.floats(0.0, 1e6), st.sampled_from([(np.float64, 1e-10), (np.float32, 100 * 2.0**-23)]))
def test_rounding_is_in_proportion_to_the_parameters(size: float, single: tuple[type, float]) -> None:
    """Displacements of 1e-10 √(1 + ‖w‖²) are what rounding makes of the parameters w; of 1e-5 in single precision."""
    D, params = np.eye(2), np.array([0.0, size])
    epsilon, rounding = float(np.finfo(single[0]).eps), single[1] * np.hypot(1.0, size)
    assert secant(np.array([1.01 * rounding, 0.0]), D).is_longer_than_rounding(params, epsilon)
    assert not secant(np.array([0.99 * rounding, 0.0]), D).is_longer_than_rounding(params, epsilon)


def test_the_length_is_that_of_the_displacement() -> None:
    assert secant(np.array([3.0, -4.0]), np.eye(2)).length() == 5.0
