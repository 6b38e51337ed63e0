"""A model that is scaled anew computes what it computed before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.data.samples import Samples
from p2pnet.data.scaling import Scaling, moments, scaling_by
from p2pnet.optim.models.mlp import Mlp
from p2pnet.training.rescaling import moment_sums, rescaled

ACCURACY = 1e-12


def scaling(rng: np.random.Generator, n_features: int, size: float) -> Scaling:
    return Scaling(
        size * rng.standard_normal(n_features),
        np.exp(rng.uniform(-3, 3, n_features)),
        float(size * rng.standard_normal()),
        float(np.exp(rng.uniform(-3, 3))),
    )


def predicted(model: Mlp, params: np.ndarray, by: Scaling, X: np.ndarray) -> np.ndarray:
    return np.asarray(by.target_mean + by.target_scale * model.predict(params, by.inputs(X)))


@given(st.integers(0, 2**32), st.lists(st.integers(1, 5), max_size=2), st.integers(1, 3), st.floats(0.0, 10.0))
def test_the_function_of_raw_samples_is_the_same(seed: int, hidden: list[int], n_outputs: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    model = Mlp((4, *hidden, n_outputs), "tanh")
    params = rng.standard_normal(model.n_params)
    before, after = scaling(rng, 4, size), scaling(rng, 4, size)
    X = before.feature_mean + before.feature_scale * rng.standard_normal((20, 4))
    old = predicted(model, params, before, X)
    new = predicted(model, rescaled(model, params, before, after), after, X)
    # Numbers that cancel have no more digits than the largest of them.
    largest = 1.0 + np.abs(old).max() + np.abs(rescaled(model, params, before, after)).max() * after.target_scale
    assert np.abs(new - old).max() <= ACCURACY * largest * (1.0 + size)


def test_there_and_back_are_the_same_parameters() -> None:
    rng = np.random.default_rng(1)
    model = Mlp((4, 3, 1), "tanh")
    params = rng.standard_normal(model.n_params)
    one, other = scaling(rng, 4, 1.0), scaling(rng, 4, 1.0)
    back = rescaled(model, rescaled(model, params, one, other), other, one)
    np.testing.assert_allclose(back, params, rtol=ACCURACY, atol=ACCURACY)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_samples_that_fit_their_scales_have_mean_zero_and_square_one(is_weighted: bool) -> None:
    rng = np.random.default_rng(2)
    weights = rng.uniform(0.5, 2.0, 30) if is_weighted else None
    X, Y = 7.0 + 3.0 * rng.standard_normal((30, 2)), rng.standard_normal((30, 1))
    samples = Samples(X, Y, "regression", (), ("a", "b"), "y", weights)
    fitting = scaling_by(*moments(samples, is_target_scaled=True), 2)
    *sums, n_samples = moment_sums(samples, fitting, is_target_scaled=True)
    assert n_samples == pytest.approx(30.0 if weights is None else weights.sum())
    means, squares = np.split(np.array(sums) / n_samples, 2)
    np.testing.assert_allclose(means, 0.0, atol=1e-12)
    np.testing.assert_allclose(squares, 1.0, rtol=1e-12)
