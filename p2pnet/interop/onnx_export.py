"""ONNX: the whole way from raw values to predictions, encoding and scaling included.

Inputs are those of `onnx_inputs`: X (n_rows, n_columns) in double, and C, text, where columns are categories. Outputs
of a classification: `label` (n_rows,), text, and where the loss has them `probabilities` (n_rows, n_classes); of a
regression: `prediction` (n_rows,), double. The network is computed in its own precision. Names of columns and all else
that the model file says are in the metadata.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from p2pnet.catalogue.extras import import_extra
from p2pnet.data.encoding import Encoding
from p2pnet.data.files import write_file
from p2pnet.errors import ModelError
from p2pnet.interop.layers import layers_of
from p2pnet.interop.onnx_graph import Graph
from p2pnet.interop.onnx_inputs import OPSET_ML, raw_inputs
from p2pnet.training.trained_model import TrainedModel

OPSET: Final = 17
IR_VERSION: Final = 8
"""The oldest that has the operators, so that old runtimes take the file."""


def export_onnx(model: TrainedModel, path: Path) -> None:
    """Write the model in ONNX; ModelError for dates, an activation or a loss that have no ONNX form here."""
    write_file(path, onnx_bytes(model))


def onnx_bytes(model: TrainedModel) -> bytes:
    """The bytes of the ONNX file."""
    onnx = import_extra("onnx", "onnx")
    description = model.description
    graph = Graph(onnx, np.dtype(np.float64))
    scaling = description.scaling
    encoding = description.encoding or Encoding.plain(description.feature_names)
    name, inputs = raw_inputs(graph, encoding)
    name = graph.add("Sub", name, graph.constant(scaling.feature_mean))
    name = graph.add("Div", name, graph.constant(scaling.feature_scale))
    if encoding.fills_gaps:
        name = graph.add("Where", graph.add("IsNaN", name), graph.constant(0.0), name)
    if model.network.dtype == np.float32:
        graph.dtype = np.dtype(np.float32)
        name = graph.add("Cast", name, to=onnx.TensorProto.FLOAT)
    for layer in layers_of(model):
        name = graph.add("MatMul", name, graph.constant(layer.weights.T))
        name = _activated(graph, layer.activation, graph.add("Add", name, graph.constant(layer.biases)))
    outputs = _classify(graph, model, name) if model.is_classifier else _regress(graph, model, name)
    made = onnx.helper.make_graph(graph.nodes, "p2pnet", inputs, outputs, graph.constants)
    opsets = [onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid("ai.onnx.ml", OPSET_ML)]
    file = onnx.helper.make_model(made, opset_imports=opsets, producer_name="p2pnet", ir_version=IR_VERSION)
    said = {name: json.dumps(value, ensure_ascii=False) for name, value in model.file.describe().items()}
    onnx.helper.set_model_props(file, said)
    onnx.checker.check_model(file)
    content: bytes = file.SerializeToString()
    return content


def _activated(graph: Graph, activation: str, z: str) -> str:
    """φ(z) by the formulas of `optim/models/activations`."""
    match activation:
        case "identity":
            return z
        case "tanh":
            return graph.add("Tanh", z)
        case "relu":
            return graph.add("Relu", z)
        case "sigmoid":
            return _sigmoid(graph, z)
        case "softplus":
            # log(1 + eᶻ) = max(z, 0) + log(1 + e^−|z|), which never overflows.
            decayed = graph.add("Exp", graph.add("Neg", graph.add("Abs", z)))
            rest = graph.add("Log", graph.add("Add", decayed, graph.constant(1.0)))
            return graph.add("Add", graph.add("Max", z, graph.constant(0.0)), rest)
        case "gelu":
            cubic = graph.add("Mul", graph.add("Mul", graph.add("Mul", z, z), z), graph.constant(0.044715))
            inner = graph.add("Mul", graph.add("Add", z, cubic), graph.constant(np.sqrt(2.0 / np.pi)))
            grown = graph.add("Add", graph.add("Tanh", inner), graph.constant(1.0))
            return graph.add("Mul", graph.add("Mul", z, graph.constant(0.5)), grown)
        case _:
            raise ModelError(f"activation {activation} has no ONNX form here")


def _sigmoid(graph: Graph, z: str) -> str:
    half = graph.constant(0.5)
    return graph.add("Add", graph.add("Mul", graph.add("Tanh", graph.add("Mul", z, half)), half), half)


def _regress(graph: Graph, model: TrainedModel, name: str) -> list[Any]:
    onnx, scaling = graph.onnx, model.description.scaling
    if model.description.loss == "poisson-deviance":
        name = graph.add("Exp", name)
    elif model.description.loss not in ("half-squared", "huber", "log-cosh"):
        raise ModelError(f"loss {model.description.loss} has no ONNX form here")
    name = graph.add("Cast", graph.add("Squeeze", name, graph.whole(1)), to=onnx.TensorProto.DOUBLE)
    graph.dtype = np.dtype(np.float64)
    name = graph.add("Mul", name, graph.constant(scaling.target_scale))
    graph.add("Add", name, graph.constant(scaling.target_mean), output="prediction")
    return [onnx.helper.make_tensor_value_info("prediction", onnx.TensorProto.DOUBLE, ["rows"])]


def _classify(graph: Graph, model: TrainedModel, name: str) -> list[Any]:
    onnx, classes = graph.onnx, model.classes
    if model.network.n_outputs == 1:
        is_positive = graph.add("Greater", graph.add("Squeeze", name, graph.whole(1)), graph.constant(0.0))
        index = graph.add("Cast", is_positive, to=onnx.TensorProto.INT64)
    else:
        index = graph.add("ArgMax", name, axis=1, keepdims=0)
    graph.add("Gather", graph.texts(classes), index, output="label")
    outputs = [onnx.helper.make_tensor_value_info("label", onnx.TensorProto.STRING, ["rows"])]
    if not model.has_probabilities:
        return outputs
    match model.description.loss:
        case "softmax-cross-entropy":
            probabilities = graph.add("Softmax", name, axis=1)
        case "logistic":
            probabilities = _two_classes(graph, _sigmoid(graph, name))
        case "squared-hinge":
            half = graph.constant(0.5)
            grown = graph.add("Add", graph.add("Mul", name, half), half)
            clipped = graph.add("Min", graph.add("Max", grown, graph.constant(0.0)), graph.constant(1.0))
            probabilities = _two_classes(graph, clipped)
        case other:
            raise ModelError(f"loss {other} has no ONNX form here")
    graph.add("Cast", probabilities, output="probabilities", to=onnx.TensorProto.DOUBLE)
    shape = ["rows", len(classes)]
    return [*outputs, onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.DOUBLE, shape)]


def _two_classes(graph: Graph, positive: str) -> str:
    return graph.add("Concat", graph.add("Sub", graph.constant(1.0), positive), positive, axis=1)
