"""The training of one agent: learner, initial parameters and fingerprint, from options, samples and statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

import numpy as np

from p2pnet.data.samples import Samples
from p2pnet.data.scaling import Scaling, is_target_scaled, moments, moments_with_gaps, no_scaling, scaling_by
from p2pnet.errors import DataError
from p2pnet.protocol.core.events import Prepared
from p2pnet.protocol.core.types import Array, FeatureStatistics
from p2pnet.protocol.messages.training import MAX_LABELS, united
from p2pnet.protocol.rounds.fingerprints import SURVEY_FIELD
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.training.agreement import check_network, labels_and_levels, own_levels
from p2pnet.training.assessment import Assessment, assess
from p2pnet.training.class_weights import balancing, class_shares, with_class_weights
from p2pnet.training.early_stopping import EarlyStopping
from p2pnet.training.fingerprint import early_fingerprint, fingerprint
from p2pnet.training.held_out import HeldOut, most_sums
from p2pnet.training.learner import Learner, NextLearner
from p2pnet.training.model_file import ModelDescription
from p2pnet.training.options import TrainingOptions
from p2pnet.training.own_metrics import own_metrics
from p2pnet.training.problem import (
    Problem,
    SampleShape,
    check_optimizer,
    check_outputs,
    describe_model,
    make_optimizer,
    make_problem,
    worker_map,
)
from p2pnet.training.rescaling import moment_sums, rescaled

LARGEST_VALUE = 1e150
"""The largest magnitude of values that are squared and summed."""

ALONE = "alone"
"""The name of the statistics of one agent, which may lack labels that the network has."""

LEAST_DEVIATION_SQUARED = 1e-290
"""Variances below it have lost digits, as squares have below 1e-308."""


@dataclass(frozen=True, slots=True)
class Training:
    """Learner, initial parameters and fingerprint of one agent."""

    learner: Learner
    params: Array = field(repr=False)
    """those to begin with"""
    fingerprint: dict[str, str]
    description: ModelDescription = field(repr=False)
    """what is needed to use the trained parameters on raw samples"""
    metrics: Callable[[Array], Mapping[str, float]]
    """of parameters on the agent's own test samples, by name; the first is the test metric that the learner observes"""
    assess: Callable[[int, Array], Assessment]
    """of the parameters of a round, for people who watch"""
    held_out: HeldOut | None = field(default=None, repr=False)
    """what the network's metrics are of; None where no split is set"""
    stopping: EarlyStopping | None = field(default=None, repr=False)
    moments: Array = field(default_factory=lambda: np.zeros(0), repr=False)
    """what is tracked to know how far samples drift from their scales; nothing where these stay as they are"""
    statistics: FeatureStatistics | None = field(default=None, repr=False)
    """those that it was built with"""

    @property
    def metric_name(self) -> str:
        """The name of the test metric that the learner observes."""
        return "accuracy" if self.description.task == "classification" else "R²"

    @property
    def begun(self) -> Training:
        """The same without the parameters to begin with, which the node has then."""
        return replace(self, params=self.params[:0].copy())

    @property
    def prepared(self) -> Prepared:
        """What the node is to know of it."""
        n_metric_sums = 0 if self.held_out is None else self.held_out.n_sums
        n_candidates = 0 if self.stopping is None else self.stopping.n_candidates
        learner = self.learner
        return Prepared(
            self.fingerprint, self.params, n_metric_sums, n_candidates, learner.n_tracked, learner.has_curvature
        )


@dataclass(frozen=True, slots=True)
class Outline:
    """What is known of the training before the statistics stage."""

    fingerprint: dict[str, str]
    least_params: int
    """the number of parameters, and of what is tracked beside, were there no labels and levels but the agent's own"""
    most_params: int
    """the size of the largest vector exchanged: the same for the most labels and levels possible, or statistics"""


def make_outline(options: TrainingOptions, train: Samples, summary: LocalStatistics | None) -> Outline:
    """Outline the training of raw samples; raises the error of the first part that is not fit for it."""
    n_levels = sum(len(category.levels) for category in train.categories)
    n_outputs = max(train.n_outputs, 2 if train.task == "classification" else 1)
    least = SampleShape(train.task, train.n_features + min(n_levels, MAX_LABELS), n_outputs, train.shape)
    n_found = MAX_LABELS if train.categories or (summary is not None and summary.labels) else 0
    most = SampleShape(
        train.task,
        train.n_features + (n_found if train.categories else 0),
        n_found if n_found and train.task == "classification" and not options.has_given_classes else least.n_outputs,
        train.shape,
    )
    problem = make_problem(options.problem, least)
    check_optimizer(problem, options.optimizer)
    if train.task == "regression":
        problem.loss.encode(train.Y, problem.model.n_outputs)
    _check_inputs(problem, train)
    n_columns = train.n_features + is_target_scaled(train, options.problem.loss)
    n_tracked = 2 * n_columns + 1 if options.is_rescaled else 0
    least_params, most_params = problem.model.n_params, make_problem(options.problem, most).model.n_params
    options.weighting.check(problem.model)
    return Outline(
        early_fingerprint(problem, options, train),
        least_params + n_tracked,
        max(
            most_params + n_tracked,
            options.weighting.most_tracked(problem.model, most_params),
            0 if summary is None else summary.n_sums,
            most_sums(most) if options.is_measured else 0,
        ),
    )


def _check_inputs(problem: Problem, train: Samples) -> None:
    """DataError where a model does not take inputs such as the samples have, with the agent's own levels."""
    first = train.take(slice(1)).with_levels({category.name: category.levels for category in train.categories})
    # Means and labels are for the network to agree on.
    problem.local_objective(replace(first, X=np.zeros_like(first.X), Y=np.zeros_like(first.Y)))


def summarize(
    options: TrainingOptions, train: Samples, test: Samples, validation: Samples | None = None
) -> LocalStatistics | None:
    """Compute the agent's contribution to the statistics stage; None where no statistics are needed.

    Labels and levels are those of all samples, since the model must know them; means and deviations are of those that
    are trained on, or what is tested on would have been seen before.
    """
    is_scaling = options.scaling == "network"
    held_out = (test,) if validation is None else (test, validation)
    labels = united(() if options.has_given_classes else test.classes, own_levels(train, *held_out))
    is_balancing = options.class_weights == "balanced"
    # Whoever has no level to tell still waits for those of others.
    if not is_scaling and not labels and not train.categories and not is_balancing:
        return None
    n_samples = float(train.n_samples if train.weights is None else train.weights.sum())
    n_columns = train.n_features + is_target_scaled(train, options.problem.loss)
    counts: Array | None = None
    if not is_scaling or not n_columns:
        # Only its labels are the network's business.
        mean = variance = np.zeros(0 if is_balancing else 1)
    elif train.has_gaps:
        mean, variance = _moments(options, train)
        _, _, counts = moments_with_gaps(train, is_target_scaled(train, options.problem.loss))
    else:
        mean, variance = _moments(options, train)
    if is_balancing:
        # As columns that are 1 for the samples of a class, and 0 for others.
        shares = class_shares(train)
        mean, variance = np.append(mean, shares), np.append(variance, shares * (1.0 - shares))
        counts = None if counts is None else np.append(counts, np.full(len(shares), n_samples))
    return LocalStatistics(n_samples, mean, variance, labels, bool(train.categories), counts)


def make_training(
    options: TrainingOptions,
    train: Samples,
    test: Samples,
    statistics: FeatureStatistics | None,
    validation: Samples | None = None,
) -> Training:
    """Build the training of raw samples; DataError where they do not fit the feature statistics."""
    n_levels = 0
    found = statistics
    scaling_of = train
    weights = options.class_weights
    parts = [train, test, *([] if validation is None else [validation])]
    if statistics is not None:
        check_network(options, train, statistics)
        labels, levels = labels_and_levels(statistics.labels, train)
        n_levels = sum(map(len, levels.values()))
        if labels:
            parts = [_with_labels(options, samples, labels) for samples in parts]
        parts = [samples.with_levels(levels) for samples in parts]
        if weights == "balanced":
            n_classes = len(train.classes)
            weights = balancing(train.classes, statistics.mean[-n_classes:])
            statistics = replace(
                statistics, mean=statistics.mean[:-n_classes], variance=statistics.variance[:-n_classes]
            )
    scaling = _scaling(options, scaling_of, statistics, n_levels)
    if options.scaling != "none":
        parts = [scaling.apply(samples) for samples in parts]
    if weights is not None and weights != "balanced":
        parts = [with_class_weights(samples, weights) for samples in parts]
    train, test, *others = parts
    problem = make_problem(options.problem, train)
    options.weighting.check(problem.model)
    if statistics is None or statistics.survey != ALONE:
        check_outputs(problem, options.problem, train)
    held_out = HeldOut(problem, others[0], test, scaling.target_scale) if others else None
    stopping = None
    if options.patience is not None and others:
        stopping = EarlyStopping(*problem.loss_sum(others[0]), options.patience)
    moments_of = np.zeros(0)
    if options.is_rescaled and statistics is not None:
        is_scaled = is_target_scaled(scaling_of, options.problem.loss)
        moments_of = moment_sums(scaling_of, scaling, is_target_scaled=is_scaled)
    optimizer = make_optimizer(problem, options.optimizer, train, worker_map(options.optimizer.workers))
    scales = {}
    is_by_statistics = options.scaling == "network" or options.class_weights == "balanced"
    if statistics is not None and is_by_statistics:  # labels are compared as classes
        scales = {SURVEY_FIELD: statistics.survey}
    return Training(
        learner=NextLearner(
            optimizer,
            problem.metric(test),
            options.weighting,
            step_limit_s=options.step_limit_s,
            held_out=None if held_out is None else held_out.sums,
            stopping=stopping,
            moments=moments_of,
        ),
        params=cast(Array, problem.first_params()),
        fingerprint=fingerprint(problem, options, train) | scales,
        description=describe_model(problem, options.problem, train, scaling),
        metrics=lambda params: own_metrics(problem, params, test, scaling.target_scale),
        assess=partial(assess, problem, test, scaling.target_scale),
        held_out=held_out,
        stopping=stopping,
        moments=moments_of,
        statistics=found,
    )


def scaled_anew(training: Training, renewed: Training, params: Array) -> Training:
    """The training by other scales with the parameters that give the same function of raw samples as those given, and
    with the proximal weight of its learner; all else that depends on coordinates is forgotten.
    """
    learner = renewed.learner
    if not isinstance(learner, NextLearner):
        raise AssertionError(f"{type(learner).__name__} has no model to scale anew")
    learner.begin_elsewhere(training.learner)
    before, after = training.description.scaling, renewed.description.scaling
    return replace(renewed, params=rescaled(learner.model, params, before, after))


def statistics_alone(summary: LocalStatistics | None, samples: Samples) -> FeatureStatistics | None:
    """The feature statistics of this agent alone, with at least two labels for classification."""
    if summary is None:
        return None
    labels, _ = labels_and_levels(summary.labels, samples)
    others = (f"not {labels[0]}",) if len(labels) == 1 else ()
    return FeatureStatistics(ALONE, (*summary.labels, *others), summary.mean, summary.variance)


def _with_labels(options: TrainingOptions, samples: Samples, labels: tuple[str, ...]) -> Samples:
    try:
        return samples.with_classes(labels)
    except DataError as error:
        raise DataError(
            f"{options.source}, column {samples.target_name!r}: {error} that the network trains already; an agent that "
            "joins late can bring no new label: leave those rows out, or begin anew with all agents, or with all "
            "labels in data.classes"
        ) from error


def _moments(options: TrainingOptions, train: Samples) -> tuple[Array, Array]:
    """Mean and variance of the inputs, and of a target that is scaled; DataError where they are no numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, variance = moments(train, is_target_scaled(train, options.problem.loss))
    names = (*train.feature_names, train.target_name)
    too_large = ~((np.abs(mean) < LARGEST_VALUE) & (variance < LARGEST_VALUE**2))
    if too_large.any():
        name = names[int(np.argmax(too_large))]
        raise DataError(f"{options.source}, column {name!r}: values beyond {LARGEST_VALUE:g} are not scaled")
    for place in np.flatnonzero(variance < LEAST_DEVIATION_SQUARED):
        values = train.X[:, place] if place < train.n_features else train.Y[:, 0]
        if np.nanmin(values, initial=np.inf) < np.nanmax(values, initial=-np.inf) and not (mean[place] ** 2):
            raise DataError(
                f"{options.source}, column {names[place]!r}: its values, up to {np.nanmax(np.abs(values)):g}, are too "
                "small to be scaled; give them in another unit"
            )
    return mean, variance


def _scaling(options: TrainingOptions, train: Samples, statistics: FeatureStatistics | None, n_levels: int) -> Scaling:
    n_features = train.n_features + n_levels
    if options.scaling == "none":
        return no_scaling(n_features)
    if options.scaling == "network" and statistics is not None:
        return scaling_by(statistics.mean, statistics.variance, n_features, n_levels)
    return scaling_by(*_moments(options, train), n_features, n_levels)
