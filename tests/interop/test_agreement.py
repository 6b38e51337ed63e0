"""One trained model, all ways to ask it: the same predictions, columns in any order; a renamed one is an error."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes

import p2pnet
from p2pnet.cli.group import main
from p2pnet.errors import DataError
from p2pnet.training.predict_json import predict_json
from p2pnet.training.trained_model import TrainedModel

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Trained:
    """What scikit-learn's wrapper has trained, and saved as a model file."""

    estimator: Any
    path: Path
    frame: pd.DataFrame

    @property
    def model(self) -> TrainedModel:
        loaded: TrainedModel = p2pnet.load(self.path)
        return loaded


@pytest.fixture(scope="module", params=["classification", "regression"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    is_classifier = request.param == "classification"
    frame, y = (load_breast_cancer if is_classifier else load_diabetes)(return_X_y=True, as_frame=True)
    kind = p2pnet.P2PClassifier if is_classifier else p2pnet.P2PRegressor
    estimator = kind(hidden=(6,), n_agents=3, rounds=30, random_state=0).fit(frame, y)
    path = tmp_path_factory.mktemp("trained") / "model.npz"
    estimator.model_.save(path)
    return Trained(estimator, path, frame)


def by_cli(trained: Trained, frame: pd.DataFrame) -> Numbers:
    rows = trained.path.with_name("rows.csv")
    frame.to_csv(rows, index=False)
    flags = ["--proba"] if trained.model.is_classifier else []
    result = CliRunner().invoke(main, ["predict", str(trained.path), str(rows), *flags])
    if result.exit_code:
        raise DataError(result.stderr)
    _, *lines = csv.reader(result.stdout.splitlines())
    return np.array([line[1:] if flags else line for line in lines], dtype=float)


def by_python(trained: Trained, rows: Any) -> Numbers:
    model = trained.model
    found: Numbers = model.predict_proba(rows) if model.is_classifier else model.predict(rows)
    return found.reshape(len(found), -1)


def by_polars(trained: Trained, frame: pd.DataFrame) -> Numbers:
    return by_python(trained, pl.DataFrame({name: frame[name].to_numpy() for name in frame}))


def by_dicts(trained: Trained, frame: pd.DataFrame) -> Numbers:
    return by_python(trained, frame.to_dict("records"))


def by_json(trained: Trained, frame: pd.DataFrame) -> Numbers:
    body = json.loads(frame.to_json(orient="records", double_precision=15))
    answer = json.loads(json.dumps(predict_json(trained.model, body)))
    if trained.model.is_classifier:
        return np.array([[row[label] for label in trained.model.classes] for row in answer["probabilities"]])
    return np.array(answer["predictions"]).reshape(-1, 1)


def by_scikit_learn(trained: Trained, frame: pd.DataFrame) -> Numbers:
    estimator = trained.estimator
    found: Numbers = estimator.predict_proba(frame) if trained.model.is_classifier else estimator.predict(frame)
    return found.reshape(len(found), -1)


BY_NAME: dict[str, Callable[[Trained, pd.DataFrame], Numbers]] = {
    "command line": by_cli,
    "pandas": by_python,
    "polars": by_polars,
    "dicts": by_dicts,
    "JSON": by_json,
    "scikit-learn": by_scikit_learn,
}


def distance(found: Numbers, expected: Numbers) -> float:
    """The largest, relative to values above 1."""
    return float(np.max(np.abs(found - expected) / np.maximum(np.abs(expected), 1.0)))


@pytest.mark.parametrize("way", BY_NAME)
def test_all_ways_agree_and_a_shuffled_column_order_gives_the_same(trained: Trained, way: str) -> None:
    expected = by_python(trained, trained.frame.to_numpy())
    shuffled = trained.frame.sample(frac=1.0, axis=1, random_state=3)
    assert list(shuffled) != list(trained.frame)
    for frame in (trained.frame, shuffled):
        assert distance(BY_NAME[way](trained, frame), expected) < 1e-6


@pytest.mark.parametrize("way", BY_NAME)
def test_a_renamed_column_is_never_a_number(trained: Trained, way: str) -> None:
    for name in list(trained.frame)[:3]:
        renamed = trained.frame.rename(columns={name: f"{name} 2"})
        with pytest.raises((DataError, ValueError), match=name):
            BY_NAME[way](trained, renamed)


@pytest.mark.parametrize("flags", [[], ["--prune"]])
def test_onnx_agrees(trained: Trained, flags: list[str]) -> None:
    out = trained.path.with_suffix(".onnx")
    command = ["export", str(trained.path), "--format", "onnx", "--out", str(out), *flags]
    assert CliRunner().invoke(main, command).exit_code == 0
    session = onnxruntime.InferenceSession(str(out))
    output = "probabilities" if trained.model.is_classifier else "prediction"
    (found,) = session.run([output], {"X": trained.frame.to_numpy()})
    assert distance(found.reshape(len(found), -1), by_python(trained, trained.frame)) < 1e-5
