"""Metrics, against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from p2pnet.optim.metrics import accuracy, r2_score

seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, n_outputs=st.integers(1, 3), noise=st.floats(0.0, 3.0))
def test_r2_is_scikit_learns_over_all_outputs_together(seed: int, n_outputs: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.standard_normal((20, n_outputs)) * rng.uniform(0.1, 10.0, n_outputs)
    predictions = targets + noise * rng.standard_normal((20, n_outputs))
    expected = sklearn_metrics.r2_score(targets, predictions, multioutput="variance_weighted")
    assert r2_score(predictions, targets) == pytest.approx(expected)


def test_targets_that_do_not_vary_give_zero() -> None:
    assert r2_score(np.zeros((4, 1)), np.ones((4, 1))) == 0.0
    assert r2_score(np.ones((4, 1)), np.ones((4, 1))) == 0.0


@given(seed=seeds, n_classes=st.integers(2, 5))
def test_accuracy_is_scikit_learns_for_the_largest_output(seed: int, n_classes: int) -> None:
    rng = np.random.default_rng(seed)
    P, labels = rng.standard_normal((30, n_classes)), rng.integers(0, n_classes, 30)
    assert accuracy(P, labels) == pytest.approx(sklearn_metrics.accuracy_score(labels, P.argmax(axis=1)))


def test_one_output_above_zero_is_class_one() -> None:
    assert accuracy(np.array([[0.5], [-0.5], [0.0], [3.0]]), np.array([1, 0, 1, 0])) == 0.5
