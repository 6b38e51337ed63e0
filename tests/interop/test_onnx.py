"""ONNX files, run by onnxruntime, against the model itself."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from p2pnet.catalogue.activations import ACTIVATIONS
from p2pnet.catalogue.losses import LOSSES
from p2pnet.errors import ModelError
from p2pnet.interop.onnx_export import export_onnx, onnx_bytes
from p2pnet.training.trained_model import TrainedModel
from tests.training.models import model_of, rows_for


def run(content: bytes, X: Any) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": X}), strict=True))


def assert_agrees(model: TrainedModel, content: bytes, tolerance: float) -> None:
    X = rows_for(model, 200)
    found = run(content, X)
    if not model.is_classifier:
        np.testing.assert_allclose(found["prediction"], model.predict(X), rtol=tolerance, atol=tolerance)
        return
    assert found["label"].tolist() == model.predict(X).tolist()
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(X), atol=tolerance)


@pytest.mark.parametrize("loss", LOSSES.built_in_names)
@pytest.mark.parametrize("activation", ACTIVATIONS.built_in_names)
def test_every_loss_and_activation_gives_the_predictions_of_the_model(loss: str, activation: str) -> None:
    model = model_of(loss, activation=activation)
    assert_agrees(model, onnx_bytes(model), 1e-12)


@pytest.mark.parametrize("loss", ["softmax-cross-entropy", "half-squared"])
def test_single_precision_agrees_to_its_own_precision(loss: str) -> None:
    model = model_of(loss, precision="float32")
    assert_agrees(model, onnx_bytes(model), 1e-5)


@pytest.mark.parametrize("loss", ["logistic", "half-squared"])
def test_a_linear_model_and_a_pruned_one_are_files_as_well(loss: str, tmp_path: Path) -> None:
    model = model_of(loss, hidden=())
    export_onnx(model, tmp_path / "linear.onnx")
    assert_agrees(model, (tmp_path / "linear.onnx").read_bytes(), 1e-12)
    deep = model_of(loss)
    deep.file.params[deep.network.neurons()[2].weights] = 0.0
    sparse = TrainedModel(deep.file, deep.network, deep.loss)
    assert len(onnx_bytes(sparse.pruned())) < len(onnx_bytes(sparse))
    assert_agrees(sparse, onnx_bytes(sparse.pruned()), 1e-12)


def test_values_far_from_zero_do_not_lose_their_digits() -> None:
    """Scaling is in double precision, also before a network in single."""
    model = model_of("half-squared", precision="float32")
    model.description.scaling.feature_mean[:] += 1e8
    assert_agrees(model, onnx_bytes(model), 1e-5)


def test_the_metadata_says_what_the_model_file_says() -> None:
    model = model_of()
    props = {prop.key: json.loads(prop.value) for prop in onnx.load_from_string(onnx_bytes(model)).metadata_props}
    assert props == json.loads(json.dumps(model.file.describe()))
    assert props["feature_names"] == list(model.columns)


def test_what_has_no_onnx_form_is_an_error() -> None:
    model = model_of()
    shape = replace(model.description.network, activations=("swish", "swish", "identity"))
    file = replace(model.file, description=replace(model.description, network=shape))
    with pytest.raises(ModelError, match="activation swish has no ONNX form"):
        onnx_bytes(TrainedModel(file, model.network, model.loss))
