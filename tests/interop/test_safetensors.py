"""safetensors files: from the tensors and the metadata alone come the model's outputs."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from p2pnet.interop.safetensors_export import export_safetensors
from tests.training.models import model_of, rows_for


@pytest.mark.parametrize("loss", ["softmax-cross-entropy", "half-squared"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_the_tensors_are_the_layers_and_the_scaling(loss: str, precision: str, tmp_path: Path) -> None:
    model = model_of(loss, precision=precision)
    export_safetensors(model, tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", "np") as file:
        said = {name: json.loads(text) for name, text in file.metadata().items()}
        A = (rows_for(model) - file.get_tensor("feature_mean")) / file.get_tensor("feature_scale")
        A = A.astype(precision)
        for number, activation in enumerate(said["layer_activations"]):
            weight, bias = file.get_tensor(f"layers.{number}.weight"), file.get_tensor(f"layers.{number}.bias")
            assert weight.dtype == bias.dtype == precision
            A = A @ weight.T + bias
            A = np.tanh(A) if activation == "tanh" else A
        np.testing.assert_allclose(A, model.outputs(rows_for(model)), rtol=1e-5 if precision == "float32" else 1e-12)
        if loss == "half-squared":
            values = A[:, 0] * file.get_tensor("target_scale") + file.get_tensor("target_mean")
            np.testing.assert_allclose(values, model.predict(rows_for(model)), rtol=1e-5)
    assert said == json.loads(json.dumps(model.file.describe()))
