"""Metrics against scikit-learn's, intervals against what they promise, calibration against its definition."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from p2pnet.data.frame import frame_of
from p2pnet.errors import DataError
from p2pnet.training.evaluation import Evaluation, evaluate, mean_metric, wilson
from p2pnet.training.evaluation_plot import draw_evaluation
from p2pnet.training.evaluation_text import evaluation_json, evaluation_text
from p2pnet.training.trained_model import TrainedModel
from tests.training.models import COLUMNS, model_of, rows_for


def evaluated(model: TrainedModel, targets: NDArray[np.generic]) -> Evaluation:
    frame = pd.DataFrame(rows_for(model, len(targets)), columns=list(COLUMNS)).assign(kind=targets)
    return evaluate(model, frame_of(frame))


def random_labels(model: TrainedModel, n_rows: int = 300, share_right: float = 0.6) -> NDArray[np.str_]:
    """Labels that the model often predicts."""
    rng = np.random.default_rng(5)
    predicted = model.predict(rows_for(model, n_rows))
    return np.where(rng.random(n_rows) < share_right, predicted, rng.choice(model.classes, n_rows))


@pytest.mark.parametrize("loss", ["softmax-cross-entropy", "logistic"])
def test_metrics_of_a_classification_are_scikit_learns(loss: str) -> None:
    model = model_of(loss)
    labels = random_labels(model)
    X = rows_for(model, len(labels))
    predicted, P, order = model.predict(X), model.predict_proba(X), list(model.classes)
    found = evaluated(model, labels)
    codes = np.array([order.index(label) for label in labels])
    one_hot = codes[:, np.newaxis] == np.arange(len(order))
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(labels, predicted),
        "balanced accuracy": sklearn_metrics.balanced_accuracy_score(labels, predicted),
        "macro F1": sklearn_metrics.f1_score(labels, predicted, average="macro"),
        "log loss": sklearn_metrics.log_loss(codes, P, labels=range(len(order))),
        "Brier score": np.square(P - one_hot).sum(axis=1).mean(),
    }
    if len(order) == 2:
        expected["AUC"] = sklearn_metrics.roc_auc_score(codes == 1, P[:, 1])
    assert {name: metric.value for name, metric in found.metrics.items()} == pytest.approx(expected)
    assert all(metric.low < metric.value < metric.high for metric in found.metrics.values())
    np.testing.assert_array_equal(found.confusion, sklearn_metrics.confusion_matrix(labels, predicted, labels=order))
    precision, recall, f1, support = sklearn_metrics.precision_recall_fscore_support(labels, predicted, labels=order)
    assert [each.precision.value for each in found.per_class] == pytest.approx(precision)
    assert [each.recall.value for each in found.per_class] == pytest.approx(recall)
    assert [each.f1 for each in found.per_class] == pytest.approx(f1)
    assert [each.n_samples for each in found.per_class] == support.tolist()
    assert sum(each.n_samples for each in found.calibration) == len(labels)


def test_metrics_of_a_regression_are_scikit_learns() -> None:
    model = model_of("half-squared")
    predicted = model.predict(rows_for(model, 200))
    observed = predicted + 5.0 + 20.0 * np.random.default_rng(3).standard_normal(200)
    found = evaluated(model, observed)
    assert {name: metric.value for name, metric in found.metrics.items()} == pytest.approx(
        {
            "R²": sklearn_metrics.r2_score(observed, predicted),
            "RMSE": np.sqrt(sklearn_metrics.mean_squared_error(observed, predicted)),
            "MAE": sklearn_metrics.mean_absolute_error(observed, predicted),
            "mean error": (predicted - observed).mean(),
        }
    )
    assert all(metric.low < metric.value < metric.high for metric in found.metrics.values())
    assert found.calibration_error == pytest.approx(
        np.mean([abs(part.mean()) for part in np.array_split((predicted - observed)[np.argsort(predicted)], 10)])
    )


def test_a_loss_without_probabilities_is_evaluated_without_them() -> None:
    model = model_of("squared-hinge")
    assert "log loss" in evaluated(model, random_labels(model)).metrics
    assert evaluated(model_of("huber"), np.arange(20.0)).per_class == ()


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_the_interval_of_a_share_holds_the_truth_about_as_often_as_it_says(share: float) -> None:
    n, rng = 80, np.random.default_rng(0)
    hits = rng.binomial(n, share, 4000)
    inside = [wilson(int(n_hits), n).low <= share <= wilson(int(n_hits), n).high for n_hits in hits]
    assert 0.92 < np.mean(inside) < 0.985


def test_intervals_of_a_classification_hold_the_truth_of_many_samples() -> None:
    """The model is right about its own probabilities: labels are drawn from them."""
    model = model_of("logistic")
    rng = np.random.default_rng(1)

    def drawn(n_rows: int, seed: int) -> Evaluation:
        X = rows_for(model, n_rows, seed)
        labels = np.array(model.classes)[(rng.random(n_rows) < model.predict_proba(X)[:, 1]).astype(int)]
        return evaluate(model, frame_of(pd.DataFrame(X, columns=list(COLUMNS)).assign(kind=labels)))

    truth = drawn(100_000, 10_000).metrics
    found = [drawn(150, seed).metrics for seed in range(150)]
    for name in ("accuracy", "balanced accuracy", "macro F1", "log loss", "Brier score", "AUC"):
        is_inside = [each[name].low <= truth[name].value <= each[name].high for each in found]
        assert 0.88 <= np.mean(is_inside) <= 0.995, name


def test_the_interval_of_r2_holds_the_truth_of_many_samples() -> None:
    model = model_of("half-squared")
    rng = np.random.default_rng(2)

    def drawn(n_rows: int, seed: int) -> Evaluation:
        X = rows_for(model, n_rows, seed)
        observed = model.predict(X) + 30.0 * rng.standard_normal(n_rows)
        return evaluate(model, frame_of(pd.DataFrame(X, columns=list(COLUMNS)).assign(kind=observed)))

    truth = drawn(100_000, 10_000).metrics["R²"].value
    inside = [abs(m.value - truth) <= m.high - m.value for m in (drawn(150, seed).metrics["R²"] for seed in range(150))]
    assert 0.88 <= np.mean(inside) <= 0.99


def test_a_model_that_is_right_about_its_probabilities_is_calibrated() -> None:
    model = model_of()
    X = rows_for(model, 20_000)
    draws = np.random.default_rng(0).random((20_000, 1))
    codes = (draws > np.cumsum(model.predict_proba(X), axis=1)).sum(axis=1)
    assert evaluated(model, np.array(model.classes)[codes]).calibration_error < 0.02


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20))
def test_the_interval_of_a_mean_is_around_it(values: list[float]) -> None:
    metric = mean_metric(np.array(values))
    assert np.isnan(metric.low) or metric.low <= metric.value <= metric.high


def test_few_samples_and_missing_classes_are_no_fault() -> None:
    model = model_of("logistic")
    for labels in (["zebra"], ["ant", "ant"], ["zebra", "ant", "ant"]):
        found = evaluated(model, np.array(labels))
        json.loads(evaluation_json(found))
        assert evaluation_text(found)
    for values in ([1.0], [2.0, 2.0]):
        assert evaluated(model_of("huber"), np.array(values)).metrics["R²"].value == 0.0


def test_labels_that_the_model_does_not_know_and_missing_targets_are_named() -> None:
    with pytest.raises(DataError, match="row 1, column 'kind': label 'wasp' is none of the classes"):
        evaluated(model_of(), np.array(["ant", "wasp"]))
    model = model_of()
    with pytest.raises(DataError, match="has no column 'kind'"):
        evaluate(model, frame_of(pd.DataFrame(rows_for(model), columns=list(COLUMNS))))
    with pytest.raises(DataError, match="row 1, column 'kind': the value is missing"):
        evaluated(model_of("huber"), np.array(["1.5", ""]))


def test_numbers_are_labels_too() -> None:
    model = model_of(classes=("0", "1", "2"))
    assert evaluated(model, np.arange(30) % 3).metrics == evaluated(model, np.arange(30.0) % 3).metrics


@pytest.mark.parametrize("loss", ["softmax-cross-entropy", "half-squared"])
def test_it_is_shown_as_text_json_and_a_picture(loss: str, tmp_path: Path) -> None:
    model = model_of(loss)
    found = evaluated(model, random_labels(model) if model.is_classifier else np.arange(50.0))
    text = evaluation_text(found)
    for name in found.metrics:
        assert f"  {name} " in text
    figures = json.loads(evaluation_json(found))
    assert figures["metrics"].keys() == found.metrics.keys()
    draw_evaluation(found, tmp_path / "evaluation.png")
    assert (tmp_path / "evaluation.png").read_bytes().startswith(b"\x89PNG")
