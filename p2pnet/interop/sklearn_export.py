"""scikit-learn: a Python file that makes a fitted pipeline, with no pickle and without p2pnet."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from p2pnet.data.files import write_file
from p2pnet.errors import ModelError
from p2pnet.interop.layers import layers_of
from p2pnet.training.trained_model import TrainedModel

_ACTIVATIONS: Final = {"identity": "identity", "tanh": "tanh", "relu": "relu", "sigmoid": "logistic"}
"""As scikit-learn names them."""


def export_sklearn(model: TrainedModel, path: Path) -> None:
    """Write a module whose `pipeline` is a fitted scikit-learn Pipeline; ModelError for what scikit-learn has not."""
    numbers = json.dumps(pipeline_arguments(model), indent=1, ensure_ascii=True)
    spec = importlib.util.find_spec("p2pnet.interop.sklearn_pipeline")
    if spec is None or spec.origin is None:
        raise ModelError("p2pnet is not installed as files, which this export copies from")
    source = Path(spec.origin).read_text(encoding="utf-8")
    # JSON of numbers and text is Python, too.
    text = f"{source}\n\nMODEL = {numbers}\n\npipeline = make_pipeline(MODEL)\n"
    write_file(path, text.encode())


def pipeline_arguments(model: TrainedModel) -> Mapping[str, Any]:
    """What `sklearn_pipeline.make_pipeline` takes."""
    if (encoding := model.description.encoding) is not None:
        has_dates = any(column.kind == "date" for column in encoding.columns)
        raise ModelError(
            "it makes inputs of dates, categories or missing values, which this pipeline does not: "
            + ("predict with p2pnet" if has_dates else "export to onnx instead, or predict with p2pnet")
        )
    layers = layers_of(model)
    hidden = layers[0].activation
    if hidden not in _ACTIVATIONS:
        raise ModelError(f"scikit-learn's networks have no activation {hidden}; export to onnx instead")
    description, scaling = model.description, model.description.scaling
    weights, biases = [layer.weights.T for layer in layers], [layer.biases for layer in layers]
    match description.loss:
        case "half-squared" | "huber" | "log-cosh":
            out_activation = "identity"
            weights[-1] = weights[-1] * scaling.target_scale
            biases[-1] = biases[-1] * scaling.target_scale + scaling.target_mean
        case "softmax-cross-entropy":
            out_activation = "softmax"
            if len(model.classes) == 2:
                # Of two classes scikit-learn has the log-odds of the second.
                out_activation = "logistic"
                weights[-1] = weights[-1][:, 1:] - weights[-1][:, :1]
                biases[-1] = biases[-1][1:] - biases[-1][:1]
        case "logistic":
            out_activation = "logistic"
        case other:
            raise ModelError(f"scikit-learn's networks have no loss {other}; export to onnx instead")
    if model.classes and list(model.classes) != sorted(model.classes):
        # scikit-learn has classes in the order of the alphabet.
        weights, biases = _sorted_outputs(model.classes, weights, biases)
    return {
        "feature_names": list(description.feature_names),
        "feature_mean": scaling.feature_mean.tolist(),
        "feature_scale": scaling.feature_scale.tolist(),
        "weights": [np.asarray(matrix).tolist() for matrix in weights],
        "biases": [np.asarray(vector).tolist() for vector in biases],
        "activation": _ACTIVATIONS[hidden],
        "out_activation": out_activation,
        "classes": sorted(model.classes),
    }


def _sorted_outputs(classes: tuple[str, ...], weights: list[Any], biases: list[Any]) -> tuple[list[Any], list[Any]]:
    """Outputs in the order of the alphabet; a single output, the log-odds of the second class, turned round."""
    if weights[-1].shape[1] == 1:
        return [*weights[:-1], -weights[-1]], [*biases[:-1], -biases[-1]]
    order = sorted(range(len(classes)), key=classes.__getitem__)
    return [*weights[:-1], weights[-1][:, order]], [*biases[:-1], biases[-1][order]]
