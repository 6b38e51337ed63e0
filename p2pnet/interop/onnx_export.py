"""ONNX: the whole way from raw values to predictions, scaling included.

Input X (n_rows, n_features) in double, the columns in the model's order. Outputs of a classification: `label`
(n_rows,), text, and where the loss has them `probabilities` (n_rows, n_classes); of a regression: `prediction`
(n_rows,), double. The network is computed in its own precision. Names of columns and all else that the model file says
are in the metadata.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.files import write_file
from p2pnet.errors import ModelError
from p2pnet.interop.extras import import_extra
from p2pnet.interop.layers import layers_of
from p2pnet.training.trained_model import TrainedModel

OPSET: Final = 17
IR_VERSION: Final = 8
"""The oldest that has the operators, so that old runtimes take the file."""


def export_onnx(model: TrainedModel, path: Path) -> None:
    """Write the model in ONNX; ModelError for an activation or a loss that has no ONNX form here."""
    write_file(path, onnx_bytes(model))


def onnx_bytes(model: TrainedModel) -> bytes:
    """The bytes of the ONNX file."""
    onnx = import_extra("onnx", "onnx")
    description = model.description
    graph = _Graph(onnx, np.dtype(np.float64))
    scaling = description.scaling
    name = graph.add("Sub", "X", graph.constant(scaling.feature_mean))
    name = graph.add("Div", name, graph.constant(scaling.feature_scale))
    if model.network.dtype == np.float32:
        graph.dtype = np.dtype(np.float32)
        name = graph.add("Cast", name, to=onnx.TensorProto.FLOAT)
    for layer in layers_of(model):
        name = graph.add("MatMul", name, graph.constant(layer.weights.T))
        name = _activated(graph, layer.activation, graph.add("Add", name, graph.constant(layer.biases)))
    outputs = _classify(graph, model, name) if model.is_classifier else _regress(graph, model, name)
    double = onnx.TensorProto.DOUBLE
    inputs = [onnx.helper.make_tensor_value_info("X", double, ["rows", len(description.feature_names)])]
    made = onnx.helper.make_graph(graph.nodes, "p2pnet", inputs, outputs, graph.constants)
    opset = onnx.helper.make_opsetid("", OPSET)
    file = onnx.helper.make_model(made, opset_imports=[opset], producer_name="p2pnet", ir_version=IR_VERSION)
    said = {name: json.dumps(value, ensure_ascii=False) for name, value in model.file.describe().items()}
    onnx.helper.set_model_props(file, said)
    onnx.checker.check_model(file)
    content: bytes = file.SerializeToString()
    return content


@final
class _Graph:
    """Nodes and constants, each named anew."""

    def __init__(self, onnx: Any, dtype: np.dtype[Any]) -> None:
        self.onnx = onnx
        self.dtype = dtype
        """Of constants from here on."""
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any) -> str:
        return self._keep(np.asarray(values, dtype=self.dtype))

    def whole(self, *values: int) -> str:
        return self._keep(np.array(values, dtype=np.int64))

    def texts(self, values: Sequence[str]) -> str:
        return self._keep(np.array(values, dtype=object))

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """The name of the node's output."""
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def _keep(self, values: NDArray[Any]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


def _activated(graph: _Graph, activation: str, z: str) -> str:
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


def _sigmoid(graph: _Graph, z: str) -> str:
    half = graph.constant(0.5)
    return graph.add("Add", graph.add("Mul", graph.add("Tanh", graph.add("Mul", z, half)), half), half)


def _regress(graph: _Graph, model: TrainedModel, name: str) -> list[Any]:
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


def _classify(graph: _Graph, model: TrainedModel, name: str) -> list[Any]:
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


def _two_classes(graph: _Graph, positive: str) -> str:
    return graph.add("Concat", graph.add("Sub", graph.constant(1.0), positive), positive, axis=1)
