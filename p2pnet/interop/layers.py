"""A trained layered network as plain matrices, which is what other libraries take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from p2pnet.errors import ModelError
from p2pnet.optim.models.mlp import Mlp
from p2pnet.training.trained_model import TrainedModel

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Layer:
    """φ(W a + b): weights (fan_out, fan_in), biases (fan_out,), and the name of φ."""

    weights: Array
    biases: Array
    activation: str


def layers_of(model: TrainedModel) -> list[Layer]:
    """The layers from the inputs to the outputs; ModelError for a network that has none."""
    network = model.network
    if not isinstance(network, Mlp):
        raise ModelError(f"{network.describe()}: a model of one's own is code, which cannot be exported")
    activations = model.description.network.activations
    layers = []
    for index, activation in enumerate(activations):
        weights, biases = network.layer(model.file.params, index)
        layers.append(Layer(weights.astype(np.float64), biases.astype(np.float64), activation))
    return layers
