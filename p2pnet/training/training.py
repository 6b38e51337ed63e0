"""What an agent trains, made from its settings, its samples, and what the survey has found out about all others'."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from p2pnet.config import Settings
from p2pnet.data.samples import Samples, in_order
from p2pnet.data.scaling import Scaling, is_target_scaled, moments, no_scaling, scaling_by
from p2pnet.errors import DataError, ProtocolError
from p2pnet.protocol.core.types import Array, FeatureStatistics
from p2pnet.protocol.messages.training import MAX_LABELS, check_labels
from p2pnet.protocol.rounds.fingerprints import SURVEY_FIELD
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.training.learner import Learner, NextLearner, Weighting
from p2pnet.training.problem import early_fingerprint, fingerprint, make_optimizer, make_problem, worker_map

LARGEST_VALUE = 1e150
"""Of what is squared and summed."""


@dataclass(frozen=True, slots=True)
class Training:
    """The mathematics of one agent, ready to begin."""

    learner: Learner
    params: Array = field(repr=False)
    """the parameters that training begins with"""
    fingerprint: dict[str, str]
    early_fingerprint: dict[str, str]
    """what of it is known before the survey"""
    description: dict[str, Any] = field(repr=False)
    """what is needed to use the trained parameters on raw samples"""


def summarize(settings: Settings, train: Samples, test: Samples) -> LocalStatistics | None:
    """What this agent contributes to the survey; None where there is nothing to be found out."""
    is_scaling = settings.data.standardize == "network"
    labels = test.classes if settings.data.classes is None else ()
    if not is_scaling and not labels:
        return None
    try:
        check_labels(labels)
    except ProtocolError as error:
        raise DataError(f"{settings.data.source}, column {train.target_name!r}: {error}") from error
    n_samples = float(train.n_samples if train.weights is None else train.weights.sum())
    if not is_scaling:
        return LocalStatistics(
            n_samples, np.zeros(1), np.zeros(1), labels
        )  # only its labels are the network's business
    return LocalStatistics(n_samples, *_moments(settings, train), labels)


def make_training(settings: Settings, train: Samples, test: Samples, survey: FeatureStatistics | None) -> Training:
    """The training of these raw samples; DataError where they do not go together with what the survey has found."""
    if survey is not None and survey.labels:
        train, test = (_with_labels(settings, samples, survey.labels) for samples in (train, test))
    scaling = _scaling(settings, train, survey)
    description = _description(train, scaling)
    if settings.data.standardize != "none":
        train, test = scaling.apply(train), scaling.apply(test)
    problem = make_problem(settings.model, settings.objective, train)
    optimizer = make_optimizer(problem, settings.algorithm, train, worker_map(settings.algorithm.workers))
    scales = {}
    if survey is not None and settings.data.standardize == "network":  # labels are compared as classes
        scales = {SURVEY_FIELD: survey.survey}
    return Training(
        learner=NextLearner(
            optimizer,
            problem.metric(test),
            Weighting(settings.algorithm.weighting),
            step_limit_s=math.inf if settings.algorithm.local_step_s is None else settings.algorithm.local_step_s,
        ),
        params=problem.first_params().astype(np.float64, copy=False),
        fingerprint=fingerprint(problem, settings, train) | scales,
        early_fingerprint=early_fingerprint(problem, settings, train),
        description={"model": problem.model.describe(), **description},
    )


def survey_alone(summary: LocalStatistics | None) -> FeatureStatistics | None:
    """What the survey would find if there were no other agents; of labels at least two."""
    if summary is None:
        return None
    labels = summary.labels if len(summary.labels) != 1 else (*summary.labels, f"not {summary.labels[0]}")
    return FeatureStatistics("alone", labels, summary.mean, summary.variance)


def most_params(settings: Settings, train: Samples, summary: LocalStatistics | None) -> int:
    """The size of the largest vector exchanged: of parameters for as many labels as there may be, or in the survey."""
    n_in_survey = 0 if summary is None else 2 * summary.mean.size
    if summary is not None and summary.labels:
        more = (f"{number} more" for number in range(MAX_LABELS - len(summary.labels)))
        train = train.with_classes((*summary.labels, *more))
    return max(make_problem(settings.model, settings.objective, train).model.n_params, n_in_survey)


def _with_labels(settings: Settings, samples: Samples, labels: tuple[str, ...]) -> Samples:
    where = f"{settings.data.source}, column {samples.target_name!r}"
    classes = in_order(labels)
    if len(classes) < 2:
        raise DataError(f"{where}: has the one class {classes[0]!r} only, and so have all agents; nothing to learn")
    try:
        return samples.with_classes(classes)
    except DataError as error:
        raise DataError(
            f"{where}: {error} that the network trains already; whoever joins late can bring no new label: "
            "leave those rows out, or begin anew with all agents, or with all labels in data.classes"
        ) from error


def _moments(settings: Settings, train: Samples) -> tuple[Array, Array]:
    with np.errstate(over="ignore", invalid="ignore"):
        mean, variance = moments(train, is_target_scaled(train, settings.objective.loss_for(train.task)))
    too_large = ~((np.abs(mean) < LARGEST_VALUE) & (variance < LARGEST_VALUE**2))
    if too_large.any():
        name = (*train.feature_names, train.target_name)[int(np.argmax(too_large))]
        raise DataError(f"{settings.data.source}, column {name!r}: values beyond {LARGEST_VALUE:g} are not scaled")
    return mean, variance


def _scaling(settings: Settings, train: Samples, survey: FeatureStatistics | None) -> Scaling:
    if settings.data.standardize == "none":
        return no_scaling(train.n_features)
    if settings.data.standardize == "network" and survey is not None:
        return scaling_by(survey.mean, survey.variance, train.n_features)
    return scaling_by(*_moments(settings, train), train.n_features)


def _description(train: Samples, scaling: Scaling) -> dict[str, Any]:
    return {
        "task": train.task,
        "classes": np.array(train.classes, dtype=str),
        "feature_names": np.array(train.feature_names, dtype=str),
        "target_name": train.target_name,
        "feature_mean": scaling.feature_mean,
        "feature_scale": scaling.feature_scale,
        "target_mean": scaling.target_mean,
        "target_scale": scaling.target_scale,
    }
