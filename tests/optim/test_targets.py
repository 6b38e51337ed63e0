"""Targets as losses take them, whatever the shape and type of number that a file gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.errors import DataError
from p2pnet.optim.arrays import AnyArray
from p2pnet.optim.losses.targets import class_indices, regression_targets


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.sampled_from([np.float32, np.float64]))
def test_numbers_become_a_column_of_their_precision(values: list[float], dtype: type[np.floating]) -> None:
    given_values = np.array(values, dtype=dtype)
    targets = regression_targets(given_values, 1, "loss")
    assert targets.dtype == dtype
    np.testing.assert_array_equal(targets[:, 0], given_values)
    np.testing.assert_array_equal(regression_targets(targets, 1, "loss"), targets)


def test_whole_numbers_become_floating_ones() -> None:
    assert regression_targets(np.array([1, 2]), 1, "loss").dtype == np.float64


@given(st.lists(st.integers(0, 4), min_size=1), st.sampled_from([np.int8, np.intp, np.float32, np.float64]))
def test_class_indices_may_come_as_any_number_and_as_a_column(labels: list[int], dtype: type[np.number]) -> None:
    for given_labels in (np.array(labels, dtype=dtype), np.array(labels, dtype=dtype)[:, np.newaxis]):
        classes = class_indices(given_labels, 5, "loss")
        assert classes.dtype == np.intp
        assert classes.tolist() == labels


@pytest.mark.parametrize("Y", [np.zeros((3, 2)), np.zeros((3, 1, 1)), np.array([0.0, np.inf]), np.array([np.nan])])
def test_numbers_that_do_not_fit_are_refused_with_the_losss_name(Y: AnyArray) -> None:
    with pytest.raises(DataError, match=r"^huber: "):
        regression_targets(Y, 1, "huber")


LABELS = [np.array([0, 3]), np.array([-1, 0]), np.array([0.5]), np.zeros((2, 2)), np.array([np.nan])]


@pytest.mark.parametrize("Y", LABELS)
def test_labels_that_do_not_fit_are_refused_with_the_losss_name(Y: AnyArray) -> None:
    with pytest.raises(DataError, match=r"^logistic: "):
        class_indices(Y, 3, "logistic")
