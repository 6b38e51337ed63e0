"""What parameters are like, for people who watch a training: layers and sparsity, and the quality on own samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from p2pnet.data.samples import Samples
from p2pnet.optim.arrays import Array
from p2pnet.optim.metrics import confusion_matrix, f1_scores
from p2pnet.optim.models.mlp import Mlp
from p2pnet.training.own_metrics import own_metrics
from p2pnet.training.problem import Problem


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """One layer of weights, or all parameters of a model that has no layers known here."""

    name: str
    n_inputs: int
    n_outputs: int
    n_params: int
    n_zero: int
    """parameters that are exactly 0, as penalties of the l1 kind make them"""
    n_idle: int
    """neurons whose fan-in weights are all 0: they put out a constant, and can be pruned"""
    norm: float


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """How well one class is told from the others on the agent's own test samples."""

    label: str
    n_samples: int
    precision: float
    """0 where the class is never predicted"""
    recall: float
    """0 where it does not occur"""
    f1: float


@final
@dataclass(frozen=True, slots=True)
class Assessment:
    """Parameters at the beginning of a round."""

    round: int
    network: str
    """the model as text"""
    layers: tuple[LayerSummary, ...]
    metrics: dict[str, float] = field(default_factory=dict)
    """on the agent's own test samples, by name; none without such"""
    per_class: tuple[ClassQuality, ...] = ()


def assess(problem: Problem, samples: Samples, target_scale: float, round_: int, params: Array) -> Assessment:
    """The assessment of parameters by scaled test samples of the agent's own; metrics are as `own_metrics` has them."""
    return Assessment(
        round=round_,
        network=problem.model.describe(),
        layers=tuple(_layers(problem, params)),
        metrics=own_metrics(problem, params, samples, target_scale),
        per_class=tuple(_per_class(problem, params, samples)),
    )


def _layers(problem: Problem, params: Array) -> Sequence[LayerSummary]:
    model = problem.model
    if not isinstance(model, Mlp):
        return [_summary("all parameters", model.n_inputs, model.n_outputs, params, n_idle=0)]
    layers = []
    for index in range(model.n_layers):
        weights, biases = model.layer(params, index)
        name = "output" if index == model.n_layers - 1 else f"hidden {index + 1}"
        n_outputs, n_inputs = weights.shape
        n_idle = int((~weights.any(axis=1)).sum())
        values = np.concatenate([weights.ravel(), biases])
        layers.append(_summary(name, n_inputs, n_outputs, values, n_idle=n_idle))
    return layers


def _summary(name: str, n_inputs: int, n_outputs: int, values: Array, *, n_idle: int) -> LayerSummary:
    n_zero, norm = int((values == 0.0).sum()), float(np.linalg.norm(values))
    return LayerSummary(name, n_inputs, n_outputs, values.size, n_zero, n_idle, norm)


def _per_class(problem: Problem, params: Array, samples: Samples) -> Sequence[ClassQuality]:
    if not samples.n_samples or not samples.classes:
        return []
    model = problem.model
    X = np.ascontiguousarray(samples.X, dtype=model.dtype)
    outputs = model.predict(params.astype(model.dtype, copy=False), X)
    predicted = outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0).astype(np.intp)
    confusion = confusion_matrix(predicted, samples.Y, len(samples.classes))
    hits, support, n_predicted = np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    columns = (support, hits / np.maximum(n_predicted, 1), hits / np.maximum(support, 1), f1_scores(confusion))
    rows = zip(samples.classes, *(column.tolist() for column in columns), strict=True)
    return [ClassQuality(*row) for row in rows]
