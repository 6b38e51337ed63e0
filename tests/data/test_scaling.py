"""Standardised samples, and what is summarised of them before they can be."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from p2pnet.agent.options import training_options
from p2pnet.catalogue.losses import Task
from p2pnet.config import Settings
from p2pnet.data.samples import Samples
from p2pnet.data.scaling import moments, no_scaling, scaling_by
from p2pnet.errors import DataError
from p2pnet.protocol.core.types import FeatureStatistics
from p2pnet.protocol.messages.training import MAX_LABELS, TOO_MANY
from p2pnet.training.options import TrainingOptions
from p2pnet.training.training import Training, make_training, statistics_alone, summarize

RNG = np.random.default_rng(0)
X = np.column_stack([RNG.normal(1e6, 3.0, 50), RNG.normal(0.0, 1e-3, 50), np.full(50, 0.1)])


def regression(Y: Any = None, X: Any = X) -> Samples:
    Y = 100.0 + 7.0 * RNG.standard_normal((50, 1)) if Y is None else Y
    return Samples(X, Y, "regression", (), ("a", "b", "constant"), "y")


def classification(*labels: str) -> Samples:
    Y = np.arange(50) % len(labels)
    return Samples(X, Y, "classification", labels, ("a", "b", "constant"), "label")


def options(task: Task, loss: str = "auto", **data: Any) -> TrainingOptions:
    settings = Settings.model_validate(
        {"data": {"source": Path("x.csv"), **data}, "model": {"hidden": (3,)}, "objective": {"loss": loss}}
    )
    return training_options(settings, task)


def train(told: TrainingOptions, samples: Samples, survey: FeatureStatistics | None = None) -> Training:
    return make_training(told, samples, samples, survey or statistics_alone(summarize(told, samples, samples), samples))


def test_scaled_columns_have_mean_zero_and_deviation_one_but_for_those_that_do_not_vary() -> None:
    samples = regression()
    scaled = scaling_by(*moments(samples, is_target_scaled=True), n_features=3).apply(samples)
    np.testing.assert_allclose(scaled.X.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(scaled.X.std(axis=0), [1, 1, 0], atol=1e-9)
    np.testing.assert_allclose([scaled.Y.mean(), scaled.Y.std()], [0, 1], atol=1e-12)
    np.testing.assert_array_equal(no_scaling(3).apply(samples).X, samples.X)


def test_labels_are_never_scaled() -> None:
    samples = classification("ant", "bee")
    scaled = scaling_by(*moments(samples, is_target_scaled=False), n_features=3).apply(samples)
    assert scaled.Y is samples.Y


def test_a_sample_of_weight_three_counts_as_three() -> None:
    weights = RNG.integers(0, 4, 50).astype(float)
    samples = replace(regression(), weights=weights)
    repeated = samples.take(np.repeat(np.arange(50), weights.astype(int)))
    for one, other in zip(moments(samples, True), moments(replace(repeated, weights=None), True), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-12)
    summary = summarize(options("regression"), samples, samples)
    assert summary is not None
    assert summary.n_samples == weights.sum()


@pytest.mark.parametrize(("loss", "is_scaled"), [("auto", True), ("huber", True), ("poisson-deviance", False)])
def test_targets_of_a_regression_are_scaled_unless_they_are_counts(loss: str, is_scaled: bool) -> None:
    samples = regression()
    description = train(options("regression", loss), samples).description
    expected = (samples.Y.mean(), samples.Y.std()) if is_scaled else (0.0, 1.0)
    assert (description.scaling.target_mean, description.scaling.target_scale) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("data", "n_columns", "labels"),
    [
        ({}, 3, ("ant", "bee")),
        ({"classes": ("ant", "bee")}, 3, ()),
        ({"standardize": "none"}, 1, ("ant", "bee")),
        ({"standardize": "local"}, 1, ("ant", "bee")),
    ],
)
def test_no_more_is_told_than_what_is_to_be_found_out(data: Any, n_columns: int, labels: tuple[str, ...]) -> None:
    samples = classification("ant", "bee")
    summary = summarize(options("classification", **data), samples, samples)
    assert summary is not None
    assert (len(summary.mean), summary.labels) == (n_columns, labels)
    assert n_columns == 3 or not (summary.mean.any() or summary.variance.any())


@pytest.mark.parametrize("how", ["none", "local"])
def test_nothing_is_told_where_nothing_is_to_be_found_out(how: str) -> None:
    ants = classification("ant", "bee")
    assert summarize(options("classification", standardize=how, classes=("ant", "bee")), ants, ants) is None
    assert summarize(options("regression", standardize=how), regression(), regression()) is None


def test_each_scales_by_its_own_or_by_the_networks_or_not_at_all() -> None:
    samples = regression()
    survey = FeatureStatistics("ann 1", (), np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 9.0, 16.0, 25.0]))
    by_network = train(options("regression"), samples, survey).description.scaling
    np.testing.assert_array_equal(by_network.feature_mean, [1, 2, 3])
    np.testing.assert_array_equal(by_network.feature_scale, [2, 3, 4])
    assert (by_network.target_mean, by_network.target_scale) == (4.0, 5.0)
    own = train(options("regression", standardize="local"), samples).description.scaling
    np.testing.assert_allclose(own.feature_mean, X.mean(axis=0))
    as_it_is = train(options("regression", standardize="none"), samples).description.scaling
    np.testing.assert_array_equal(as_it_is.feature_scale, [1, 1, 1])


def test_the_networks_labels_become_classes_in_their_order() -> None:
    survey = FeatureStatistics("ann 1", ("10", "2", "9"), np.zeros(3), np.ones(3))
    trained = train(options("classification"), classification("9", "10"), survey)
    assert trained.description.classes == ("2", "9", "10")
    assert trained.params.shape == (3 * 4 + 3 * 4,)
    assert trained.fingerprint["survey"] == "ann 1"


def test_who_found_the_labels_is_nothing_to_agree_on_where_no_scales_were_found() -> None:
    survey = FeatureStatistics("ann 1", ("ant", "bee"), np.zeros(1), np.zeros(1))
    trained = train(options("classification", standardize="local"), classification("ant", "bee"), survey)
    assert "survey" not in trained.fingerprint


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        (("ant", "cat"), "x.csv, column 'label': label 'bee' is none of the classes ant, cat that the network trains"),
        (("ant",), "column 'label': has the one class 'ant' only, and so have all agents"),
    ],
)
def test_labels_that_cannot_be_trained_are_one_line(labels: tuple[str, ...], what: str) -> None:
    found = FeatureStatistics("ann 1", labels, np.zeros(3), np.ones(3))
    with pytest.raises(DataError, match=what):
        train(options("classification"), classification("ant", "bee"), found)


def test_values_too_large_to_square_are_named_by_column() -> None:
    samples = regression(X=np.where(np.arange(3) == 1, 1e200, X))
    with pytest.raises(DataError, match=r"x\.csv, column 'b': values beyond 1e\+150"):
        summarize(options("regression"), samples, samples)


def test_too_many_labels_end_all_agents_alike() -> None:
    labels = tuple(f"label {number}" for number in range(MAX_LABELS + 1))
    samples = classification(*labels)
    summary = summarize(options("classification"), samples, samples)
    assert summary is not None
    assert summary.labels == TOO_MANY
    for _ in range(2):  # whoever has few labels of its own has the same from the network
        with pytest.raises(DataError, match=r"the network has more than 1024 labels .*name labels in data\.classes"):
            train(options("classification"), samples, FeatureStatistics("ann 1", TOO_MANY, np.zeros(3), np.ones(3)))
        samples = classification("ant", "bee")


def test_a_loss_for_two_labels_is_refused_by_what_the_network_has() -> None:
    found = FeatureStatistics("ann 1", ("ant", "bee", "cat"), np.zeros(3), np.ones(3))
    for own in (("ant", "bee"), ("bee", "cat"), ("ant", "bee", "cat")):
        with pytest.raises(DataError, match="the network has the labels ant, bee, cat, and objective"):
            train(options("classification", "logistic"), classification(*own), found)


def test_values_too_small_to_square_are_named_by_column() -> None:
    samples = regression(X=X * [1.0, 1e-200, 1.0])
    with pytest.raises(DataError, match=r"column 'b': its values, up to .*e-203, are too small to be scaled"):
        summarize(options("regression"), samples, samples)
