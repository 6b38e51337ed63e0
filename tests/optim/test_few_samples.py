"""The mean loss over few of an agent's samples."""

import numpy as np
import pytest

from p2pnet.optim.arrays import AnyArray
from p2pnet.optim.few_samples import FewSamples
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.losses.half_squared import HalfSquared
from p2pnet.optim.models.mlp import Mlp

RNG = np.random.default_rng(1)


def objective_of(n_rows: int, weights: AnyArray | None = None) -> LocalObjective:
    model = Mlp((2, 3, 1))
    X = RNG.standard_normal((n_rows, 2))
    return LocalObjective(model, HalfSquared(), X, X[:, 0] - X[:, 1], weights)


def some_params(objective: LocalObjective) -> AnyArray:
    return RNG.standard_normal(objective.model.n_params)


def test_with_few_samples_it_is_the_objective_itself() -> None:
    objective = objective_of(50)
    params = some_params(objective)
    assert FewSamples(objective, 50).loss(params) == pytest.approx(objective.value(params), rel=1e-12)


def test_with_many_it_is_that_of_some_rows_from_end_to_end_and_always_the_same() -> None:
    objective = objective_of(1000)
    params = some_params(objective)
    rows = [0, 250, 500, 749, 999]
    of_rows = objective.samples.taken(np.array(rows))
    expected = objective.loss.value(objective.model.predict(params, of_rows.X), of_rows.targets, None)
    few = FewSamples(objective, 5)
    assert few.loss(params) == pytest.approx(expected, rel=1e-12)
    assert few.loss(params) == few.loss(params)


def test_rows_without_weight_are_not_among_them() -> None:
    weights = np.zeros(1000)
    weights[600:604] = 2.0
    objective = objective_of(1000, weights)
    params = some_params(objective)
    assert FewSamples(objective, 256).loss(params) == pytest.approx(objective.value(params), rel=1e-12)


def test_where_it_overflows_it_is_not_finite_and_nothing_is_raised() -> None:
    objective = objective_of(50)
    assert not np.isfinite(FewSamples(objective).loss(np.full(objective.model.n_params, 1e200)))
