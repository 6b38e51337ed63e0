"""The exported pipeline, without p2pnet, against the model."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from p2pnet.errors import ModelError
from p2pnet.interop.sklearn_export import export_sklearn, pipeline_arguments
from p2pnet.interop.sklearn_pipeline import make_pipeline
from tests.training.models import COLUMNS, model_of, rows_for


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "identity"])
@pytest.mark.parametrize(
    ("loss", "classes"),
    [
        ("softmax-cross-entropy", ("zebra", "ant", "bee")),
        ("softmax-cross-entropy", ("zebra", "ant")),
        ("softmax-cross-entropy", ("ant", "zebra")),
        ("logistic", ("zebra", "ant")),
        ("logistic", ("ant", "zebra")),
        ("half-squared", ()),
        ("huber", ()),
    ],
)
def test_the_pipeline_predicts_as_the_model(activation: str, loss: str, classes: tuple[str, ...]) -> None:
    model = model_of(loss, activation=activation, classes=classes)
    pipeline = make_pipeline(pipeline_arguments(model))
    X = pd.DataFrame(rows_for(model, 100), columns=list(COLUMNS))
    if not model.is_classifier:
        np.testing.assert_allclose(pipeline.predict(X), model.predict(X), rtol=1e-10)
        return
    assert pipeline.predict(X).tolist() == model.predict(X).tolist()
    found = pd.DataFrame(pipeline.predict_proba(X), columns=list(pipeline.classes_))
    np.testing.assert_allclose(found[list(model.classes)], model.predict_proba(X), atol=1e-10)


def test_a_linear_model_becomes_a_pipeline_as_well() -> None:
    model = model_of("half-squared", hidden=())
    X = pd.DataFrame(rows_for(model), columns=list(COLUMNS))
    np.testing.assert_allclose(make_pipeline(pipeline_arguments(model)).predict(X), model.predict(X), rtol=1e-10)


def test_the_file_is_all_that_is_needed(tmp_path: Path) -> None:
    model = model_of("half-squared")
    export_sklearn(model, tmp_path / "exported.py")
    X = rows_for(model, 5)
    np.save(tmp_path / "X.npy", X)
    code = """
import sys; import numpy as np; import pandas as pd
from exported import MODEL, pipeline
assert "p2pnet" not in sys.modules
X = pd.DataFrame(np.load("X.npy"), columns=MODEL["feature_names"])
np.save("y.npy", pipeline.predict(X))
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model.predict(X), rtol=1e-10)


def test_what_scikit_learn_has_not_is_an_error() -> None:
    with pytest.raises(ModelError, match="no activation gelu; export to onnx"):
        pipeline_arguments(model_of(activation="gelu"))
    with pytest.raises(ModelError, match="no loss poisson-deviance; export to onnx"):
        pipeline_arguments(model_of("poisson-deviance"))
