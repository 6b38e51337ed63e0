"""Predictions from raw rows, whatever holds them; columns by name."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from p2pnet.errors import DataError, ModelError
from p2pnet.training.predict_json import predict_json
from p2pnet.training.trained_model import trained_model
from tests.training.models import COLUMNS, as_dicts, model_of, rows_for

X = rows_for(model_of())
ORDERS = list(permutations(range(4)))

Make = Callable[[Sequence[str], NDArray[Any]], Any]


def structured(names: Sequence[str], values: NDArray[Any]) -> Any:
    return np.array([tuple(row) for row in values.tolist()], dtype=[(name, "f8") for name in names])


HOLDERS: dict[str, Make] = {
    "pandas": lambda names, values: pd.DataFrame(values, columns=list(names)),
    "polars": lambda names, values: pl.DataFrame({name: values[:, k] for k, name in enumerate(names)}),
    "dicts": lambda names, values: [dict(zip(names, row, strict=True)) for row in values.tolist()],
    "columns": lambda names, values: {name: values[:, k] for k, name in enumerate(names)},
    "structured array": structured,
}
by_name = pytest.mark.parametrize("make", HOLDERS.values(), ids=HOLDERS)


@by_name
@pytest.mark.parametrize("loss", ["softmax-cross-entropy", "half-squared"])
def test_every_holder_of_rows_and_every_order_of_columns_gives_the_same(make: Make, loss: str) -> None:
    model = model_of(loss)
    expected = model.outputs(X)
    for order in ORDERS:
        rows = make([COLUMNS[k] for k in order], X[:, order])
        np.testing.assert_array_equal(model.outputs(rows), expected)
        np.testing.assert_array_equal(model.predict(rows), model.predict(X))


@by_name
@given(place=st.integers(0, 3), name=st.text(min_size=1, max_size=8).filter(lambda name: name not in COLUMNS))
def test_a_renamed_column_is_never_a_number(make: Make, place: int, name: str) -> None:
    names = [name if k == place else column for k, column in enumerate(COLUMNS)]
    with pytest.raises(DataError, match=f"has no column {COLUMNS[place]!r}"):
        model_of().predict(make(names, X))


@by_name
def test_a_missing_and_an_unknown_column_are_named(make: Make) -> None:
    model = model_of()
    with pytest.raises(DataError, match="has no column 'height'"):
        model.predict(make(["age", "blood pressure", "größe"], X[:, [0, 2, 3]]))
    with pytest.raises(DataError, match="has no column 'height'; it has 'heigth', which is not known"):
        model.predict(make(["age", "heigth", "blood pressure", "größe"], X))
    more = make([*COLUMNS, "id"], np.column_stack([X, X[:, :1]]))
    with pytest.raises(DataError, match="column 'id' is not known to the model"):
        model.predict(more)
    np.testing.assert_array_equal(model.predict(more, ignore=["id"]), model.predict(X))


@by_name
def test_the_target_may_stand_beside_the_features(make: Make) -> None:
    model = model_of()
    rows = make([*COLUMNS, "kind"], np.column_stack([X, X[:, :1]]))
    np.testing.assert_array_equal(model.predict(rows), model.predict(X))


def test_columns_without_names_must_be_as_many() -> None:
    model = model_of()
    np.testing.assert_array_equal(model.outputs(pd.DataFrame(X)), model.outputs(X))
    np.testing.assert_array_equal(model.outputs(X.tolist()), model.outputs(X))
    for wrong in (X[:, :3], np.column_stack([X, X])):
        with pytest.raises(DataError, match=rf"{wrong.shape[1]} columns without names, where the model takes 4"):
            model.predict(wrong)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("1.5", "row 2, column 'height': text '1.5' where a number is needed"),
        ("tall", "text 'tall' where a number is needed"),
        (None, "row 2, column 'height': the value is missing"),
        (float("nan"), "row 2, column 'height': the value is missing"),
        (float("inf"), "inf is not a finite number"),
        (10**400, "inf is not a finite number"),
        (1j, "1j where a number is needed"),
        ([1.0], r"\[1.0\] where a number is needed"),
        (pd.NA, "the value is missing"),
    ],
)
def test_a_value_that_is_no_number_is_named_by_row_and_column(value: object, what: str) -> None:
    rows = as_dicts(model_of(), X)
    rows[2]["height"] = value
    with pytest.raises(DataError, match=what):
        model_of().predict(rows)


def test_missing_values_of_data_frames_are_named() -> None:
    frame = pd.DataFrame(X, columns=list(COLUMNS))
    frame.loc[3, "age"] = np.nan
    with pytest.raises(DataError, match="row 3, column 'age': the value is missing"):
        model_of().predict(frame)
    with pytest.raises(DataError, match="row 3, column 'age': the value is missing"):
        model_of().predict(frame.convert_dtypes())
    polars = pl.DataFrame({name: [None if k == 3 else 1 for k in range(9)] for name in COLUMNS})
    with pytest.raises(DataError, match="row 3, column 'age': the value is missing"):
        model_of().predict(polars)


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (X[0], r"ndarray of shape \(4,\); give an array"),
        ("rows", "give an array"),
        (7, "give an array"),
        ({"age": 1.0}, "'age' is no column of values; give a list of dicts"),
        ([{"age": 1.0}, {"age": 1.0, "id": 2}], "row 1: has 'id', which row 0 has not"),
        ([{"age": 1.0, "id": 2}, {"age": 1.0}], "row 1: has no 'id', which row 0 has"),
        ({"age": [1.0], "height": [1.0, 2.0]}, "columns of 1 and of 2 values"),
        ([{1: 2.0}], "column 1 is no text"),
        (np.zeros((2, 4, 1)), "give an array"),
    ],
)
def test_what_holds_no_rows_is_refused(rows: Any, what: str) -> None:
    with pytest.raises(DataError, match=what):
        model_of().predict(rows)


def test_columns_of_one_name_are_refused() -> None:
    frame = pd.DataFrame(np.column_stack([X, X[:, :1]]), columns=[*COLUMNS, "age"])
    with pytest.raises(DataError, match="more than one column 'age'"):
        model_of().predict(frame)


def test_no_rows_have_no_predictions() -> None:
    model = model_of()
    nothing: list[Any] = [[], np.empty((0, 4)), pd.DataFrame(X[:0], columns=list(COLUMNS))]
    for rows in nothing:
        assert model.predict(rows).shape == (0,)
        assert model.predict_proba(rows).shape == (0, 3)
    assert predict_json(model, []) == {"target": "kind", "predictions": [], "probabilities": []}


@pytest.mark.parametrize("loss", ["softmax-cross-entropy", "logistic", "squared-hinge"])
def test_the_label_is_the_most_probable_one(loss: str) -> None:
    model = model_of(loss)
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert model.predict(X).tolist() == [model.classes[k] for k in probabilities.argmax(axis=1)]


def test_a_scaled_target_is_scaled_back() -> None:
    model = model_of("half-squared")
    np.testing.assert_allclose(model.predict(X), 250.0 + 40.0 * model.outputs(X)[:, 0])


def test_counts_are_the_exponential_of_the_output() -> None:
    model = model_of("poisson-deviance")
    np.testing.assert_allclose(model.predict(X), np.exp(model.outputs(X)[:, 0]))


def test_a_regression_has_no_probabilities() -> None:
    with pytest.raises(ModelError, match="no probabilities: it is a regression"):
        model_of("huber").predict_proba(X)


@pytest.mark.parametrize("loss", ["softmax-cross-entropy", "half-squared"])
def test_pruning_changes_no_prediction(loss: str) -> None:
    model = model_of(loss, hidden=(6, 5))
    params = model.file.params.copy()
    neurons = model.network.neurons()
    for k in (1, 4, 8):
        params[neurons[k].weights] = 0.0
    sparse = trained_model(replace(model.file, params=params))
    pruned = sparse.pruned()
    assert pruned.description.network.sizes == (4, 4, 4, pruned.network.n_outputs)
    np.testing.assert_allclose(pruned.outputs(X), sparse.outputs(X), atol=1e-12)
    again = type(pruned.file).from_bytes(pruned.file.to_bytes())
    np.testing.assert_array_equal(trained_model(again).outputs(X), pruned.outputs(X))


# As JSON.


def test_json_holds_labels_and_probabilities() -> None:
    model = model_of()
    answer = predict_json(model, as_dicts(model, X, (2, 0, 3, 1)))
    assert answer["predictions"] == model.predict(X).tolist()
    found = np.array([[row[label] for label in model.classes] for row in answer["probabilities"]])
    np.testing.assert_array_equal(found, model.predict_proba(X))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*COLUMNS, "x"]), inner, max_size=5),
    max_leaves=12,
)


@given(rows=json_values)
def test_any_json_is_answered_or_is_an_error_in_its_rows(rows: object) -> None:
    try:
        answer = predict_json(model_of(), rows)
    except DataError:
        return
    assert isinstance(rows, list)
    assert len(answer["predictions"]) == len(rows)
