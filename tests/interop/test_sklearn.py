"""scikit-learn's own checks of estimators, and what the estimators add."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from p2pnet.interop.sklearn import P2PClassifier, P2PRegressor
from tests.training.models import COLUMNS, model_of, rows_for

SMALL: dict[str, Any] = {"hidden": (4,), "n_agents": 2, "rounds": 25, "random_state": 0}

BY_NAME = "columns are matched by name: another order of those of fit is put right, where the check wants an error"
BY_SHARD = (
    "rows are cut into shards by their number, so that a row of weight 2 and two rows train along other ways to "
    "a solution that is the same only when training has converged"
)


EXPECTED_FAILURES = {
    "check_dataframe_column_names_consistency": BY_NAME,
    "check_sample_weight_equivalence_on_dense_data": BY_SHARD,
}


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [P2PClassifier(**SMALL), P2PRegressor(**SMALL)], expected_failed_checks=lambda _: EXPECTED_FAILURES
)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_column_that_is_shuffled_gives_the_same_and_a_renamed_one_is_an_error() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    fitted = P2PClassifier(**SMALL).fit(X, y)
    np.testing.assert_array_equal(fitted.predict_proba(X[X.columns[::-1]]), fitted.predict_proba(X))
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(X.rename(columns={X.columns[0]: "length"}))


@pytest.mark.parametrize("partition", ["iid", "sorted"])
def test_shards_of_any_kind_train_one_classifier(partition: str) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    fitted = P2PClassifier(n_agents=5, partition=partition, hidden=(8,), rounds=40, random_state=0).fit(X, y)
    assert fitted.score(X, y) > 0.97
    assert 1 < fitted.n_iter_ <= 40
    assert fitted.model_.file.provenance.agent == "agent-1 of 5 simulated"
    assert fitted.model_.file.metrics == {}, "nothing was kept for a test"


@pytest.mark.parametrize("n_agents", [1, 4])
def test_a_linear_model_over_shards_is_the_least_squares_solution_of_all_rows(n_agents: int) -> None:
    X, y = load_diabetes(return_X_y=True)
    fitted = P2PRegressor(hidden=(), penalty="none", n_agents=n_agents, rounds=300, tolerance=1e-9, random_state=0).fit(
        X, y
    )
    A = np.column_stack([X, np.ones(len(X))])
    np.testing.assert_allclose(fitted.predict(X), A @ np.linalg.lstsq(A, y)[0], rtol=1e-4)


def test_it_stands_in_pipelines_and_searches() -> None:
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(
        make_pipeline(MinMaxScaler(), P2PClassifier(**SMALL)), {"p2pclassifier__hidden": [(), (4,)]}, cv=2
    )
    assert search.fit(X, y).best_score_ > 0.9
    assert cross_val_score(P2PClassifier(**SMALL), X, y.astype(str), cv=2).min() > 0.9


@pytest.mark.parametrize(("loss", "kind"), [("softmax-cross-entropy", P2PClassifier), ("half-squared", P2PRegressor)])
def test_a_trained_model_becomes_an_estimator(loss: str, kind: Any) -> None:
    model = model_of(loss)
    frame = pd.DataFrame(rows_for(model), columns=list(COLUMNS))
    np.testing.assert_array_equal(kind.from_model(model).predict(frame), model.predict(frame))
