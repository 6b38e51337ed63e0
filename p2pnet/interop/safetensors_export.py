"""safetensors: the layers as matrices, and scaling, for whatever computes the network itself.

Tensors: `layers.K.weight` (fan_out, fan_in) and `layers.K.bias` (fan_out,), K from 0, as torch.nn.Linear has them, in
the network's precision; `feature_mean` and `feature_scale` (n_features,), `target_mean` and `target_scale` (1,) in
double. The metadata has all that the model file says, JSON text by name, the activation of each layer among it, and how
columns become inputs (`encoding`, `feature_names`).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from p2pnet.catalogue.extras import import_extra
from p2pnet.data.files import write_file
from p2pnet.interop.layers import layers_of
from p2pnet.training.trained_model import TrainedModel


def export_safetensors(model: TrainedModel, path: Path) -> None:
    """Write the model's tensors."""
    library = import_extra("safetensors.numpy", "safetensors")
    scaling, dtype = model.description.scaling, model.network.dtype
    tensors = {
        "feature_mean": scaling.feature_mean,
        "feature_scale": scaling.feature_scale,
        "target_mean": np.array([scaling.target_mean]),
        "target_scale": np.array([scaling.target_scale]),
    }
    for number, layer in enumerate(layers_of(model)):
        tensors[f"layers.{number}.weight"] = np.ascontiguousarray(layer.weights, dtype=dtype)
        tensors[f"layers.{number}.bias"] = np.ascontiguousarray(layer.biases, dtype=dtype)
    said = {name: json.dumps(value, ensure_ascii=False) for name, value in model.file.describe().items()}
    write_file(path, library.save(tensors, said))
