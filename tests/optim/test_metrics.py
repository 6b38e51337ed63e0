"""Metrics, against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from p2pnet.optim.metrics import (
    accuracy,
    balanced_accuracy,
    brier_scores,
    confusion_matrix,
    f1_scores,
    log_losses,
    r2_score,
    roc_auc,
)

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


@given(seed=seeds, n_classes=st.integers(2, 5))
def test_what_follows_from_the_confusion_matrix_is_scikit_learns(seed: int, n_classes: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, 30)])  # each class occurs
    predicted = rng.integers(0, n_classes, len(labels))
    confusion = confusion_matrix(predicted, labels, n_classes)
    np.testing.assert_array_equal(confusion, sklearn_metrics.confusion_matrix(labels, predicted))
    assert balanced_accuracy(confusion) == pytest.approx(sklearn_metrics.balanced_accuracy_score(labels, predicted))
    assert f1_scores(confusion) == pytest.approx(sklearn_metrics.f1_score(labels, predicted, average=None))
    many = np.stack([confusion, confusion.T])
    assert balanced_accuracy(many)[1] == pytest.approx(balanced_accuracy(confusion.T))
    np.testing.assert_allclose(f1_scores(many)[0], f1_scores(confusion))


@given(seed=seeds, n_classes=st.integers(2, 5))
def test_scores_of_probabilities_are_scikit_learns(seed: int, n_classes: int) -> None:
    rng = np.random.default_rng(seed)
    labels, P = rng.integers(0, n_classes, 30), rng.dirichlet(np.ones(n_classes), 30)
    expected = sklearn_metrics.log_loss(labels, P, labels=range(n_classes))
    assert log_losses(P, labels).mean() == pytest.approx(expected)
    one_hot = labels[:, np.newaxis] == np.arange(n_classes)
    np.testing.assert_allclose(brier_scores(P, labels), np.square(P - one_hot).sum(axis=1))


def test_a_probability_of_zero_for_what_is_so_is_a_large_loss_and_no_infinity() -> None:
    assert 30.0 < log_losses(np.array([[1.0, 0.0]]), np.array([1]))[0] < 40.0


@given(seed=seeds, n_values=st.integers(1, 10))
def test_auc_is_scikit_learns_with_ties_as_well(seed: int, n_values: int) -> None:
    rng = np.random.default_rng(seed)
    is_positive = np.concatenate([[True, False], rng.random(30) < 0.4])
    scores = rng.integers(0, n_values, len(is_positive)).astype(float)
    assert roc_auc(scores, is_positive)[0] == pytest.approx(sklearn_metrics.roc_auc_score(is_positive, scores))


def test_the_error_of_the_auc_is_its_deviation_over_many_samples() -> None:
    rng = np.random.default_rng(0)
    is_positive = np.arange(120) < 50
    found = [roc_auc(rng.standard_normal(120) + is_positive, is_positive) for _ in range(2000)]
    values, errors = np.array(found).T
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.05)


def test_auc_of_one_kind_is_no_number() -> None:
    assert np.isnan(roc_auc(np.arange(3.0), np.ones(3, dtype=bool))[0])
