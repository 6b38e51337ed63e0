"""Active sets: derivatives of a penalty in its free parameters, and the projection onto its smooth piece."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.optim.penalties.active_set import BoxActiveSet, GroupActiveSet, OrthantActiveSet

vectors = st.lists(st.floats(-3, 3), min_size=5, max_size=5).map(np.array)


@given(vectors, vectors)
def test_an_orthant_keeps_its_signs_and_its_zeros(w: np.ndarray, change: np.ndarray) -> None:
    signs = np.sign(w)
    orthant = OrthantActiveSet(w != 0.0, signs, 0.3, signs)
    moved = orthant.projected(w + change * orthant.is_free)
    assert np.all((moved == 0.0) | (np.sign(moved) == signs))
    np.testing.assert_array_equal(orthant.curvature(change), 0.3 * change)


@given(vectors, vectors)
def test_a_box_is_not_left_and_flat(w: np.ndarray, change: np.ndarray) -> None:
    box = BoxActiveSet(np.abs(w) < 1.0, np.zeros(5), -1.0, 1.0)
    assert np.all(np.abs(box.projected(w + change)) <= 1.0)
    assert not box.curvature(change).any()


def test_a_group_is_curved_across_its_direction_only() -> None:
    """∇²(weight ‖w‖) = weight/‖w‖ (I − u uᵀ), against differences of the gradient weight · w/‖w‖."""
    w, t, weight, h = np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.1, -1.0]), 0.7, 1e-6

    def gradient(v: np.ndarray) -> np.ndarray:
        return np.asarray(weight * v / np.linalg.norm(v))

    length = float(np.linalg.norm(w))
    group = np.zeros(3, dtype=np.intp)
    active = GroupActiveSet(np.ones(3, np.bool_), gradient(w), w / length, np.array([weight / length]), group)
    np.testing.assert_allclose(active.curvature(t), (gradient(w + h * t) - gradient(w - h * t)) / (2 * h), atol=1e-8)
    assert active.curvature(w) == pytest.approx(np.zeros(3), abs=1e-12)
    np.testing.assert_array_equal(active.projected(w), w)
