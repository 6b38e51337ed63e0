"""A model whose columns are dates, categories and gaps predicts from raw tables of the same form."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from p2pnet.data.encoding import EncodedColumn, Encoding
from p2pnet.data.frame_files import read_frame
from p2pnet.data.reading import read_samples
from p2pnet.data.roles import Roles
from p2pnet.data.scaling import Scaling
from p2pnet.errors import DataError, ModelError
from p2pnet.optim.models.mlp import Mlp
from p2pnet.training.evaluation import evaluate
from p2pnet.training.model_file import ModelDescription, ModelFile, Network
from p2pnet.training.trained_model import TrainedModel, trained_model

WARDS = ("ICU", "lab")
TEXT = "ward,seen,age,outcome\nICU,1970-01-02,40,well\nlab,1970-01-03,50,ill\n ICU,1970-01-04,60,ill\nfoyer,,70,well\n"


def model(missing: Any = "mean") -> TrainedModel:
    columns = (EncodedColumn("age", "number"), EncodedColumn("seen", "date"), EncodedColumn("ward", "category", WARDS))
    encoding = Encoding(columns, missing)
    n_inputs = len(encoding.inputs)
    network = Mlp((n_inputs, 4, 2), "tanh", np.dtype(np.float64))
    rng = np.random.default_rng(0)
    description = ModelDescription(
        network=Network(
            text=network.describe(), sizes=network.sizes, activations=("tanh", "identity"), precision="float64"
        ),
        task="classification",
        classes=("ill", "well"),
        feature_names=encoding.inputs,
        target_name="outcome",
        scaling=Scaling(rng.standard_normal(n_inputs), rng.uniform(0.5, 2.0, n_inputs)),
        loss="softmax-cross-entropy",
        encoding=encoding,
    )
    made = trained_model(ModelFile(params=rng.standard_normal(network.n_params), description=description))
    return trained_model(ModelFile.from_bytes(made.file.to_bytes()))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_predictions_are_those_of_the_samples_as_they_were_trained_on(table: Path) -> None:
    made = model()
    samples = read_samples(table, Roles(categorical=("ward",), dates=("seen",), missing="mean"))
    inputs = made.description.scaling.apply(samples.with_levels({"ward": WARDS})).X
    assert inputs[3, 1:8].tolist() == [0.0] * 7  # the mean stands for the date that is missing
    expected = made.network.predict(made.file.params, inputs)
    frame = read_frame(table, made.description.text_columns)
    np.testing.assert_allclose(made.outputs(frame), expected, rtol=1e-12)
    assert evaluate(made, frame).n_samples == 4


def test_rows_in_memory_predict_as_files_do(table: Path) -> None:
    made = model()
    expected = made.outputs(read_frame(table, made.description.text_columns))
    assert made.columns == ("age", "seen", "ward")
    rows: list[dict[str, Any]] = [
        {"age": 40.0, "seen": "1970-01-02", "ward": "ICU"},
        {"age": 50.0, "seen": date(1970, 1, 3), "ward": "lab"},
        {"age": 60.0, "seen": "1970-01-04 00:00", "ward": "ICU"},
        {"age": 70.0, "seen": None, "ward": "nowhere"},
    ]
    np.testing.assert_allclose(made.outputs(rows), expected)
    frame = pd.DataFrame(rows).assign(seen=pd.to_datetime([row["seen"] for row in rows], format="mixed"))
    np.testing.assert_allclose(made.outputs(frame), expected)
    columns = {name: [row[name] for row in rows] for name in ("age", "ward")}
    dates = [date(1970, 1, day) if day else None for day in (2, 3, 4, 0)]
    np.testing.assert_allclose(made.outputs(pl.DataFrame({**columns, "seen": dates})), expected)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"seen": "soon"}, "row 0, column 'seen': 'soon' is no date"),
        ({"age": "old"}, "row 0, column 'age': text 'old' where a number is needed"),
        ({"age": float("inf")}, "row 0, column 'age': inf is not a finite number"),
    ],
)
def test_what_cannot_be_encoded_is_named(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError, match=what):
        model().predict([{"age": 40, "seen": "1970-01-02", "ward": "ICU"} | changes])


def test_gaps_are_refused_by_a_model_that_saw_none() -> None:
    for name in ("age", "seen", "ward"):
        row = {"age": 40, "seen": "1970-01-02", "ward": "ICU", name: None}
        assert model("indicator").predict([row]).shape == (1,)
        for missing in ("refuse", "drop"):
            with pytest.raises(DataError, match=f"row 0, column {name!r}: the value is missing"):
                model(missing).predict([row])


def test_levels_and_gaps_are_told_by_the_inputs_that_they_have() -> None:
    made = model("indicator")
    rows = [{"age": 0.1, "seen": "1970-01-01", "ward": ward} for ward in ("ICU", "lab", "nowhere", None)]
    assert len({tuple(row) for row in made.outputs(rows).tolist()}) == 4


def test_a_file_whose_encoding_does_not_fit_is_refused() -> None:
    made = model()
    assert made.description.encoding is not None
    other = replace(made.description.encoding, missing="indicator")
    damaged = replace(made.file, description=replace(made.description, encoding=other))
    with pytest.raises(ModelError, match="its encoding has other inputs than feature_names"):
        ModelFile.from_bytes(damaged.to_bytes())
