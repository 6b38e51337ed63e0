"""Predictions as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from typing import Any

from p2pnet.data.frame import Frame
from p2pnet.training.trained_model import TrainedModel


def predictions_csv(model: TrainedModel, frame: Frame, ignore: Collection[str] = (), *, is_proba: bool = False) -> str:
    """A header with the target's name, then a row for each row of the frame; numbers are written so that they are read
    back exactly. With `is_proba` a column `probability of LABEL` for each label.
    """
    outputs = model.outputs(frame, ignore)
    header = [model.description.target_name]
    columns: list[list[Any]]
    if model.is_classifier:
        columns = [[model.classes[k] for k in model.class_indices(outputs)]]
    else:
        columns = [model.values(outputs).tolist()]
    if is_proba:
        header += [f"probability of {label}" for label in model.classes]
        columns += model.probabilities(outputs).T.tolist()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue()
