"""ONNX files, run by onnxruntime, against the model itself."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import onnxruntime
import pytest

from p2pnet.catalogue.activations import ACTIVATIONS
from p2pnet.catalogue.losses import LOSSES
from p2pnet.data.encoding import EncodedColumn, Encoding, MissingRule
from p2pnet.data.scaling import Scaling
from p2pnet.errors import ModelError
from p2pnet.interop.onnx_export import export_onnx, onnx_bytes
from p2pnet.interop.sklearn_export import pipeline_arguments
from p2pnet.optim.models.mlp import Mlp
from p2pnet.training.model_file import ModelDescription, ModelFile, Network
from p2pnet.training.trained_model import TrainedModel, trained_model
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


def encoded_model(encoding: Encoding) -> TrainedModel:
    """A model of random weights whose columns become inputs by the encoding."""
    rng = np.random.default_rng(3)
    inputs = encoding.inputs
    network = Mlp((len(inputs), 5, 3))
    description = ModelDescription(
        network=Network(text=network.describe(), sizes=network.sizes, activations=("tanh", "identity")),
        task="classification",
        classes=("a", "b", "c"),
        feature_names=inputs,
        target_name="kind",
        scaling=Scaling(rng.standard_normal(len(inputs)), rng.uniform(0.5, 2.0, len(inputs))),
        loss="softmax-cross-entropy",
        encoding=encoding,
    )
    return trained_model(ModelFile(params=rng.standard_normal(network.n_params), description=description))


SEX = EncodedColumn("sex", "category", ("f", "m"))
WARD = EncodedColumn("ward", "category", ("1", "2", "süd"))
AGE, SIZE = EncodedColumn("age", "number"), EncodedColumn("size", "number")


@pytest.mark.parametrize("missing", get_args(MissingRule))
@pytest.mark.parametrize("columns", [(SEX, AGE, WARD, SIZE), (AGE, SIZE), (WARD,)])
def test_categories_and_gaps_are_encoded_as_the_model_does(
    columns: tuple[EncodedColumn, ...], missing: MissingRule
) -> None:
    encoding = Encoding(columns, missing)
    model = encoded_model(encoding)
    numbers = [c.name for c in columns if c.kind == "number"]
    categories = [c.name for c in columns if c.kind == "category"]
    rng = np.random.default_rng(4)
    X = rng.standard_normal((60, len(numbers)))
    C = rng.choice(np.array(["f", "m", "1", "2", "süd", "elsewhere"], dtype=object), (60, len(categories)))
    if encoding.fills_gaps:
        X[rng.uniform(size=X.shape) < 0.3] = np.nan
        C[rng.uniform(size=C.shape) < 0.3] = ""
        C[rng.uniform(size=C.shape) < 0.1] = "NA"
    rows = {name: X[:, k] for k, name in enumerate(numbers)} | {name: C[:, k] for k, name in enumerate(categories)}
    given = {"X": X} if numbers else {}
    if categories:
        given["C"] = C
    session = onnxruntime.InferenceSession(onnx_bytes(model), providers=["CPUExecutionProvider"])
    label, probabilities = session.run(None, given)
    np.testing.assert_allclose(probabilities, model.predict_proba(rows), atol=1e-12)
    assert label.tolist() == model.predict(rows).tolist()


def test_dates_are_refused_with_what_to_do_instead() -> None:
    model = encoded_model(Encoding((AGE, EncodedColumn("admitted", "date"))))
    with pytest.raises(ModelError, match=r"column 'admitted' is a date.*predict with p2pnet"):
        onnx_bytes(model)


def test_scikit_learn_refuses_what_it_does_not_encode_and_names_the_other_way() -> None:
    with pytest.raises(ModelError, match="export to onnx instead"):
        pipeline_arguments(encoded_model(Encoding((AGE, SEX))))
    with pytest.raises(ModelError, match="does not: predict with p2pnet"):
        pipeline_arguments(encoded_model(Encoding((AGE, EncodedColumn("admitted", "date")))))
