"""Class weights: what a sample counts by its label, agreed on by all agents."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from p2pnet.agent.options import training_options
from p2pnet.config import settings_of
from p2pnet.data.encoding import EncodedColumn, Encoding
from p2pnet.data.samples import Samples
from p2pnet.errors import ConfigError, DataError
from p2pnet.protocol.core.effects import Evaluate
from p2pnet.protocol.core.types import FeatureStatistics
from p2pnet.training.class_weights import balancing, class_shares, describe, with_class_weights
from p2pnet.training.options import TrainingOptions
from p2pnet.training.training import make_training, summarize

CLASSES = ("a", "b", "c")


def options(**values: Any) -> TrainingOptions:
    settings = {"data.source": "t.csv", "data.classes": CLASSES, "model.hidden": (), **values}
    return training_options(settings_of(settings, "agent.toml"), "classification")


def shard(counts: list[int], seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    return Samples(
        rng.standard_normal((sum(counts), 2)),
        np.repeat(np.arange(3), counts),
        "classification",
        CLASSES,
        ("u", "v"),
        "y",
    )


def found_by(told: TrainingOptions, shards: list[Samples]) -> FeatureStatistics:
    """What all agents find together: mean and variance about it, by definition."""
    summaries = [summarize(told, samples, samples) for samples in shards]
    parts = [summary for summary in summaries if summary is not None]
    assert len(parts) == len(shards)
    n = np.array([part.n_samples for part in parts])[:, None]
    means = np.array([part.mean for part in parts])
    mean = (n * means).sum(axis=0) / n.sum()
    variance = (n * (np.array([part.variance for part in parts]) + (means - mean) ** 2)).sum(axis=0) / n.sum()
    return FeatureStatistics("run", (), mean, variance)


@pytest.mark.parametrize("scaling", ["network", "local", "none"])
def test_balanced_classes_count_alike_over_all_agents(scaling: str) -> None:
    told = options(**{"objective.class_weights": "balanced", "data.standardize": scaling})
    shards = [shard([90, 10, 0]), shard([10, 10, 30], seed=1)]
    found = found_by(told, shards)
    np.testing.assert_allclose(found.mean[-3:], [100 / 150, 20 / 150, 30 / 150])
    totals = np.zeros(3)
    for samples in shards:
        training = make_training(told, samples, samples, found)
        evaluated = training.learner.evaluate(Evaluate(0, training.params, 0.0))
        own = np.bincount(samples.Y, minlength=3) * 50.0 / np.array([100, 20, 30])
        assert evaluated.n_samples == pytest.approx(own.sum())
        totals += own
        assert training.description.scaling.feature_mean.shape == (2,)
    np.testing.assert_allclose(totals, [50, 50, 50])


def test_weights_by_label_are_those_of_the_objective() -> None:
    samples = shard([3, 2, 1])
    plain = options()
    told = options(**{"objective.class_weights": {"b": 4.0}})
    statistics = found_by(plain, [samples])
    repeated = samples.take(np.repeat(np.arange(6), [1, 1, 1, 4, 4, 1]))
    weighted = make_training(told, samples, samples, statistics)
    expected = make_training(plain, repeated, samples, statistics)
    asked = Evaluate(0, weighted.params, 0.0)
    one, other = weighted.learner.evaluate(asked), expected.learner.evaluate(asked)
    np.testing.assert_allclose(one.gradient_sum, other.gradient_sum, atol=1e-12)
    assert one.n_samples == other.n_samples == 12
    assert weighted.metrics(weighted.params) == make_training(plain, samples, samples, statistics).metrics(
        weighted.params
    )


def test_columns_with_gaps_do_not_disturb_the_counts() -> None:
    samples = shard([5, 3, 2])
    X = samples.X.copy()
    X[0, 0] = np.nan
    told = options(**{"objective.class_weights": "balanced"})
    encoding = Encoding((EncodedColumn("u", "number"), EncodedColumn("v", "number")), "mean")
    summary = summarize(told, replace(samples, X=X, encoding=encoding), samples)
    assert summary is not None
    assert summary.counts is not None
    assert summary.counts.tolist() == [9, 10, 10, 10, 10]
    np.testing.assert_allclose(summary.mean[2:], [0.5, 0.3, 0.2])


def test_weights_of_samples_are_kept() -> None:
    samples = replace(shard([2, 1, 0]), weights=np.array([1.0, 3.0, 2.0]))
    np.testing.assert_allclose(class_shares(samples), [4 / 6, 2 / 6, 0])
    assert with_class_weights(samples, {"a": 2.0}).weights is not None
    np.testing.assert_array_equal(with_class_weights(samples, {"a": 2.0}).weights, [2, 6, 2])
    assert balancing(CLASSES, class_shares(samples))["c"] == 1.0


@pytest.mark.parametrize(
    ("weights", "task", "classes", "what"),
    [
        ("balanced", "classification", None, "needs all labels in data.classes"),
        ("balanced", "regression", None, "a regression has no classes"),
        ({"a": 2.0}, "regression", None, "a regression has no classes"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights: Any, task: Any, classes: Any, what: str) -> None:
    values = {"data.source": "t.csv", "data.classes": classes, "objective.class_weights": weights}
    with pytest.raises(ConfigError, match=what):
        training_options(settings_of(values, "agent.toml"), task)


def test_a_label_that_there_is_not_is_named() -> None:
    samples = shard([3, 2, 1])
    told = options(**{"objective.class_weights": {"d": 2.0}})
    with pytest.raises(DataError, match=r"objective\.class_weights: label 'd' is none of the classes a, b, c"):
        make_training(told, samples, samples, found_by(options(), [samples]))


def test_all_agents_must_weight_alike() -> None:
    assert "class weights" not in options().agreed
    assert options(**{"objective.class_weights": {"b": 2, "a": 0.5}}).agreed["class weights"] == "a 0.5, b 2"
    assert describe("balanced") == "balanced"
