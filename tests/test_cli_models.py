"""The commands that use a trained model."""

import csv
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner, Result

from p2pnet.cli.group import main
from p2pnet.training.trained_model import load
from tests.training.models import COLUMNS, model_of, rows_for


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a model, and rows that it can predict for, their columns in another order."""
    monkeypatch.chdir(tmp_path)
    model = model_of()
    model.save("model.npz")
    X = rows_for(model, 30)
    write_csv("rows.csv", [*COLUMNS[::-1]], X[:, ::-1].tolist())
    labels = model.predict(X).tolist()
    write_csv(
        "labelled.csv", ["kind", *COLUMNS], [[label, *row] for label, row in zip(labels, X.tolist(), strict=True)]
    )
    return tmp_path


def write_csv(name: str, header: list[str], rows: list[list[object]]) -> None:
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def p2pnet(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def said(*arguments: str) -> str:
    result = p2pnet(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def assert_fails(result: Result, what: str, exit_code: int = 65) -> None:
    assert result.exit_code == exit_code
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert what in result.stderr


def test_predictions_come_in_the_order_of_the_rows() -> None:
    X = rows_for(model_of(), 30)
    header, *rows = csv.reader(said("predict", "model.npz", "rows.csv").splitlines())
    assert header == ["kind"]
    assert [label for (label,) in rows] == model_of().predict(X).tolist()


def test_probabilities_are_read_back_exactly(here: Path) -> None:
    assert said("predict", "model.npz", "rows.csv", "--proba", "--out", "out.csv") == ""
    header, *rows = csv.reader((here / "out.csv").read_text(encoding="utf-8").splitlines())
    assert header == ["kind", *(f"probability of {label}" for label in model_of().classes)]
    found = np.array([row[1:] for row in rows], dtype=float)
    np.testing.assert_array_equal(found, model_of().predict_proba(rows_for(model_of(), 30)))


def test_rows_of_an_npz_are_told_by_name_or_by_place() -> None:
    X = rows_for(model_of(), 30)
    np.savez("placed.npz", X=X)
    np.savez("named.npz", X=X[:, ::-1], feature_names=np.array(COLUMNS[::-1]), y=np.zeros(30), target_name="kind")
    np.savez("renamed.npz", X=X, feature_names=np.array(["a", *COLUMNS[1:]]))
    expected = said("predict", "model.npz", "rows.csv")
    assert said("predict", "model.npz", "placed.npz") == expected
    assert said("predict", "model.npz", "named.npz") == expected
    assert_fails(p2pnet("predict", "model.npz", "renamed.npz"), "has no column 'age'; it has 'a', which is not known")


def test_the_target_may_be_in_the_rows_and_other_columns_are_named_or_ignored() -> None:
    expected = said("predict", "model.npz", "rows.csv")
    assert said("predict", "model.npz", "labelled.csv") == expected
    write_csv("more.csv", ["id", *COLUMNS], [["x", *row] for row in rows_for(model_of(), 30).tolist()])
    assert_fails(p2pnet("predict", "model.npz", "more.csv"), "column 'id' is not known to the model")
    assert said("predict", "model.npz", "more.csv", "--ignore", "id") == expected


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Age,height,blood pressure,größe\n1,2,3,4\n", "has no column 'age'; it has 'Age', which is not known"),
        ("age,height,blood pressure,größe\n1,2,3,4\n1,2,,4\n", "line 3, column 'blood pressure': the value is missing"),
        ("age,height,blood pressure,größe\n1,2,3,4\n1,tall,3,4\n", "line 3, column 'height': text 'tall'"),
        ("age,height,blood pressure,größe\n1,2,3\n", "line 2: has 3 values, the header names 4 columns"),
        ("age,height,blood pressure,größe\n1,2,3,inf\n", "line 2, column 'größe': text 'inf' where a number is needed"),
        ("age,age,height,blood pressure,größe\n1,1,2,3,4\n", "2 columns are called 'age'"),
        ("", "is empty"),
        ('age,"\n', "is not CSV"),
    ],
)
def test_what_is_wrong_with_rows_is_one_line_that_says_where(text: str, what: str) -> None:
    Path("wrong.csv").write_text(text, encoding="utf-8")
    assert_fails(p2pnet("predict", "model.npz", "wrong.csv"), what)


def test_what_is_wrong_with_files_is_one_line(here: Path) -> None:
    assert_fails(p2pnet("predict", "missing.npz", "rows.csv"), "missing.npz: no such file")
    assert_fails(p2pnet("predict", "model.npz", "missing.csv"), "missing.csv: no such file")
    assert_fails(p2pnet("predict", "model.npz", "rows.txt"), "end in .csv, .tsv, .npz or .parquet")
    assert_fails(p2pnet("predict", "rows.csv", "rows.csv"), "rows.csv: is not an NPZ archive")
    assert_fails(p2pnet("predict", "model.npz", "rows.csv", "--out", "no/out.csv"), "no/out.csv: cannot be written")
    (here / "empty.csv").write_bytes(b"")
    assert_fails(p2pnet("predict", "model.npz", "empty.csv"), "empty.csv: is empty; it must begin with a header line")


def test_a_regression_predicts_numbers_and_no_probabilities() -> None:
    model_of("half-squared").save("model.npz")
    _, *rows = said("predict", "model.npz", "rows.csv").splitlines()
    np.testing.assert_array_equal(np.array(rows, float), model_of("half-squared").predict(rows_for(model_of(), 30)))
    assert_fails(p2pnet("predict", "model.npz", "rows.csv", "--proba"), "it is a regression")


def test_an_evaluation_is_text_json_and_a_picture(here: Path) -> None:
    text = said("evaluate", "model.npz", "labelled.csv", "--plot", "evaluation.png")
    assert "30 samples of kind, classification" in text
    assert "accuracy" in text
    assert "confusion" in text
    assert "calibration" in text
    assert (here / "evaluation.png").stat().st_size > 1000
    figures = json.loads(said("evaluate", "model.npz", "labelled.csv", "--json"))
    assert figures["metrics"]["accuracy"]["value"] == 1.0
    assert figures["metrics"]["accuracy"]["low"] == pytest.approx(30 / (30 + 1.959963984540054**2))
    assert_fails(p2pnet("evaluate", "model.npz", "rows.csv"), "has no column 'kind'")


def test_a_model_is_inspected_as_text_and_as_json() -> None:
    assert "mlp 4-6-5-3 tanh" in said("inspect", "model.npz")
    described = json.loads(said("inspect", "model.npz", "--json"))
    assert described["feature_names"] == list(COLUMNS)
    assert described["agent"] == "ann"


def test_a_model_is_exported_under_its_own_name_or_another(here: Path) -> None:
    assert said("export", "model.npz", "--format", "safetensors") == "model.safetensors\n"
    assert said("export", "model.npz", "--format", "sklearn", "--out", "made.py") == "made.py\n"
    assert said("export", "model.npz", "--format", "onnx", "--prune") == "model.onnx\n"
    assert {"model.safetensors", "made.py", "model.onnx"} <= {path.name for path in here.iterdir()}
    session = onnxruntime.InferenceSession("model.onnx")
    labels, _ = session.run(None, {"X": rows_for(model_of(), 30)})
    assert labels.tolist() == load("model.npz").predict(rows_for(model_of(), 30)).tolist()


def test_a_file_of_release_0_1_is_given_its_loss() -> None:
    old = Path(__file__).parent / "compatibility" / "release_0_1" / "model.npz"
    write_csv("flowers.csv", ["x4", "x3", "x2", "x1"], [[0.0, 0.0, 0.0, 0.0]])
    assert said("predict", str(old), "flowers.csv") == "species\nversicolor\n"
    assert_fails(p2pnet("predict", str(old), "flowers.csv", "--loss", "huber"), "loss huber is not for classification")
