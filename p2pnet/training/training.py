"""The training of one agent: learner, initial parameters and fingerprint, from options, samples and statistics."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from p2pnet.data.samples import Samples, in_order
from p2pnet.data.scaling import Scaling, is_target_scaled, moments, no_scaling, scaling_by
from p2pnet.errors import DataError, ProtocolError
from p2pnet.protocol.core.types import Array, FeatureStatistics
from p2pnet.protocol.messages.training import MAX_LABELS, check_labels
from p2pnet.protocol.rounds.fingerprints import SURVEY_FIELD
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.training.learner import Learner, NextLearner
from p2pnet.training.model_file import ModelDescription
from p2pnet.training.options import TrainingOptions
from p2pnet.training.problem import (
    describe_model,
    early_fingerprint,
    fingerprint,
    make_optimizer,
    make_problem,
    worker_map,
)

LARGEST_VALUE = 1e150
"""The largest magnitude of values that are squared and summed."""


@dataclass(frozen=True, slots=True)
class Training:
    """Learner, initial parameters and fingerprint of one agent."""

    learner: Learner
    params: Array = field(repr=False)
    """the initial parameters"""
    fingerprint: dict[str, str]
    early_fingerprint: dict[str, str]
    """its fields known before the statistics stage"""
    description: ModelDescription = field(repr=False)
    """what is needed to use the trained parameters on raw samples"""
    metric_name: str
    """of the test metric that the learner observes"""


def summarize(options: TrainingOptions, train: Samples, test: Samples) -> LocalStatistics | None:
    """Compute the agent's contribution to the statistics stage; None where no statistics are needed."""
    is_scaling = options.scaling == "network"
    labels = () if options.has_given_classes else test.classes
    if not is_scaling and not labels:
        return None
    try:
        check_labels(labels)
    except ProtocolError as error:
        raise DataError(f"{options.source}, column {train.target_name!r}: {error}") from error
    n_samples = float(train.n_samples if train.weights is None else train.weights.sum())
    if not is_scaling:
        return LocalStatistics(
            n_samples, np.zeros(1), np.zeros(1), labels
        )  # only its labels are the network's business
    return LocalStatistics(n_samples, *_moments(options, train), labels)


def make_training(
    options: TrainingOptions, train: Samples, test: Samples, statistics: FeatureStatistics | None
) -> Training:
    """Build the training of raw samples; DataError where they do not fit the feature statistics."""
    if statistics is not None and statistics.labels:
        train, test = (_with_labels(options, samples, statistics.labels) for samples in (train, test))
    scaling = _scaling(options, train, statistics)
    if options.scaling != "none":
        train, test = scaling.apply(train), scaling.apply(test)
    problem = make_problem(options.problem, train)
    optimizer = make_optimizer(problem, options.optimizer, train, worker_map(options.optimizer.workers))
    scales = {}
    if statistics is not None and options.scaling == "network":  # labels are compared as classes
        scales = {SURVEY_FIELD: statistics.survey}
    return Training(
        learner=NextLearner(
            optimizer,
            problem.metric(test),
            options.weighting,
            step_limit_s=options.step_limit_s,
        ),
        params=problem.first_params().astype(np.float64, copy=False),
        fingerprint=fingerprint(problem, options, train) | scales,
        early_fingerprint=early_fingerprint(problem, options, train),
        description=describe_model(problem, options.problem, train, scaling),
        metric_name=problem.metric_name,
    )


def statistics_alone(summary: LocalStatistics | None) -> FeatureStatistics | None:
    """The feature statistics of this agent alone, with at least two labels for classification."""
    if summary is None:
        return None
    labels = summary.labels if len(summary.labels) != 1 else (*summary.labels, f"not {summary.labels[0]}")
    return FeatureStatistics("alone", labels, summary.mean, summary.variance)


def most_params(options: TrainingOptions, train: Samples, summary: LocalStatistics | None) -> int:
    """The size of the largest vector exchanged: parameters for the most labels possible, or feature statistics."""
    n_in_survey = 0 if summary is None else 2 * summary.mean.size
    if summary is not None and summary.labels:
        more = (f"{number} more" for number in range(MAX_LABELS - len(summary.labels)))
        train = train.with_classes((*summary.labels, *more))
    return max(make_problem(options.problem, train).model.n_params, n_in_survey)


def _with_labels(options: TrainingOptions, samples: Samples, labels: tuple[str, ...]) -> Samples:
    where = f"{options.source}, column {samples.target_name!r}"
    classes = in_order(labels)
    if len(classes) < 2:
        raise DataError(f"{where}: has the one class {classes[0]!r} only, and so have all agents; nothing to learn")
    try:
        return samples.with_classes(classes)
    except DataError as error:
        raise DataError(
            f"{where}: {error} that the network trains already; an agent that joins late can bring no new label: "
            "leave those rows out, or begin anew with all agents, or with all labels in data.classes"
        ) from error


def _moments(options: TrainingOptions, train: Samples) -> tuple[Array, Array]:
    with np.errstate(over="ignore", invalid="ignore"):
        mean, variance = moments(train, is_target_scaled(train, options.problem.loss))
    too_large = ~((np.abs(mean) < LARGEST_VALUE) & (variance < LARGEST_VALUE**2))
    if too_large.any():
        name = (*train.feature_names, train.target_name)[int(np.argmax(too_large))]
        raise DataError(f"{options.source}, column {name!r}: values beyond {LARGEST_VALUE:g} are not scaled")
    return mean, variance


def _scaling(options: TrainingOptions, train: Samples, statistics: FeatureStatistics | None) -> Scaling:
    if options.scaling == "none":
        return no_scaling(train.n_features)
    if options.scaling == "network" and statistics is not None:
        return scaling_by(statistics.mean, statistics.variance, train.n_features)
    return scaling_by(*_moments(options, train), train.n_features)
