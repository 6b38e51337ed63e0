"""Predictions for rows that came as JSON, such as the body of a request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from p2pnet.errors import DataError
from p2pnet.training.trained_model import TrainedModel


def predict_json(model: TrainedModel, rows: object) -> dict[str, Any]:
    """What JSON can hold: the predictions for `rows`, a list of objects with a number for each of the model's columns.

    {"target": name, "predictions": [label or number, …], "probabilities": [{label: probability, …}, …]}, the last for
    a classification by a loss that has probabilities. DataError says what is wrong with the rows, a missing or unknown
    column by its name; nothing else is raised for any decoded JSON. How many rows may come is the caller's to limit.
    """
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise DataError('the rows: must be a list of objects, as in [{"age": 41, "height": 1.8}]')
    outputs = model.outputs(rows)
    answer: dict[str, Any] = {"target": model.description.target_name}
    if not model.is_classifier:
        # JSON has no infinity.
        answer["predictions"] = [value if math.isfinite(value) else None for value in model.values(outputs).tolist()]
        return answer
    answer["predictions"] = [model.classes[k] for k in model.class_indices(outputs)]
    if model.has_probabilities:
        probabilities = model.probabilities(outputs).tolist()
        answer["probabilities"] = [dict(zip(model.classes, row, strict=True)) for row in probabilities]
    return answer
