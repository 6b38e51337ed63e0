"""Metrics from sums: those of all samples together, wherever they are, from what each place counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from p2pnet.optim.losses.by_name import loss_by_name
from p2pnet.optim.metric_sums import LabelSums, ValueSums

SEEDS = st.integers(0, 10_000)


def labelled(seed: int, n_classes: int, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Outputs, which know something of the labels, and labels, of which some may be missing."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n_samples)
    return rng.standard_normal((n_samples, n_classes)) + 2.0 * np.eye(n_classes)[labels], labels


@given(SEEDS, st.integers(2, 5), st.lists(st.integers(0, 30), min_size=1, max_size=5))
def test_sums_of_places_are_those_of_all_samples(seed: int, n_classes: int, sizes: list[int]) -> None:
    outputs, labels = labelled(seed, n_classes, sum(sizes) + 1)
    sums = LabelSums(loss_by_name("softmax-cross-entropy", {}), tuple("abcde"[:n_classes]))
    cuts = np.cumsum([1, *sizes])[:-1]
    of_places = [sums.of(*place) for place in zip(np.split(outputs, cuts), np.split(labels, cuts), strict=True)]
    whole = sums.of(outputs, labels)
    added = np.sum(of_places, axis=0)
    np.testing.assert_allclose(added, whole, rtol=1e-12)
    together, mean = sums.metrics(whole), sums.metrics(added / 7.0)
    assert together.keys() == mean.keys()
    np.testing.assert_allclose(list(mean.values()), list(together.values()), rtol=1e-11)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_metrics_of_labels_are_those_of_scikit_learn(n_classes: int) -> None:
    outputs, labels = labelled(1, n_classes, 3000)
    classes = tuple("abcd"[:n_classes])
    loss = loss_by_name("softmax-cross-entropy", {})
    found = LabelSums(loss, classes)
    metrics = found.metrics(found.of(outputs, labels))
    predicted, probabilities = outputs.argmax(axis=1), loss.inverse_link(outputs)
    expected = {
        "accuracy": reference.accuracy_score(labels, predicted),
        "balanced accuracy": reference.balanced_accuracy_score(labels, predicted),
        "macro F1": reference.f1_score(labels, predicted, average="macro"),
        "log loss": reference.log_loss(labels, probabilities),
        "recall of a": reference.recall_score(labels, predicted, labels=[0], average="macro"),
        "precision of b": reference.precision_score(labels, predicted, labels=[1], average="macro"),
        "F1 of b": reference.f1_score(labels, predicted, labels=[1], average="macro"),
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    if n_classes == 2:
        assert metrics["AUC"] == pytest.approx(reference.roc_auc_score(labels, probabilities[:, 1]), abs=1e-4)


@given(SEEDS, st.integers(2, 40))
def test_an_area_is_off_by_no_more_than_half_the_pairs_of_one_bin(seed: int, n_samples: int) -> None:
    outputs, labels = labelled(seed, 2, n_samples)
    outputs = np.round(outputs, 1) * 20.0  # ties, and scores beyond the bins
    sums = LabelSums(loss_by_name("softmax-cross-entropy", {}), ("a", "b"))
    whole = sums.of(outputs, labels)
    metrics = sums.metrics(whole)
    if len(set(labels)) < 2:
        assert "AUC" not in metrics
        return
    negative, positive = np.split(whole[-2000:], 2)
    bound = 0.5 * float(negative @ positive) / float(negative.sum() * positive.sum())
    exact = reference.roc_auc_score(labels, outputs[:, 1] - outputs[:, 0])
    assert abs(metrics["AUC"] - exact) <= bound + 1e-12


def test_metrics_of_numbers_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((500, 1))
    outputs = Y + 0.3 * rng.standard_normal((500, 1))
    sums = ValueSums(loss_by_name("half-squared", {}), target_scale=12.0)
    metrics = sums.metrics(sums.of(outputs[:90], Y[:90]) + sums.of(outputs[90:], Y[90:]))
    assert metrics["R²"] == pytest.approx(reference.r2_score(Y, outputs), abs=1e-12)
    assert metrics["RMSE"] == pytest.approx(12.0 * reference.root_mean_squared_error(Y, outputs), rel=1e-12)
    assert metrics["MAE"] == pytest.approx(12.0 * reference.mean_absolute_error(Y, outputs), rel=1e-12)


def test_nothing_has_no_metrics() -> None:
    labels = LabelSums(loss_by_name("softmax-cross-entropy", {}), ("a", "b"))
    assert labels.metrics(np.zeros(labels.n_sums)) == {}
    assert ValueSums(loss_by_name("half-squared", {})).metrics(np.zeros(6)) == {}
