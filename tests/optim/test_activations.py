"""Activations: slopes against finite differences, values against SciPy, and by name."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from p2pnet.catalogue.activations import ACTIVATIONS, ActivationEntry
from p2pnet.optim.arrays import Array
from p2pnet.optim.models.activations.base import Activation
from p2pnet.optim.models.activations.by_name import activation_by_name
from p2pnet.optim.models.activations.gelu import Gelu
from p2pnet.optim.models.activations.identity import IdentityActivation
from p2pnet.optim.models.activations.relu import Relu
from p2pnet.optim.models.activations.sigmoid import Sigmoid
from p2pnet.optim.models.activations.softplus import Softplus
from p2pnet.optim.models.activations.tanh import Tanh

Z = np.linspace(-30.0, 30.0, 1000)[np.newaxis, :]  # not at 0
EVERY: list[tuple[Activation, Array, float]] = [
    (IdentityActivation(), Z, 0.0),
    (Tanh(), np.tanh(Z), 0.0),
    (Sigmoid(), expit(Z), 1e-15),
    (Relu(), np.where(Z > 0.0, Z, 0.0), 0.0),
    (Gelu(), Z * norm.cdf(Z), 1e-3),
    (Softplus(), -np.log(expit(-np.minimum(Z, 25.0))) + np.maximum(Z - 25.0, 0.0), 1e-10),
]


@pytest.mark.parametrize(("activation", "expected", "error"), EVERY, ids=lambda each: getattr(each, "name", ""))
def test_values_are_those_of_the_definition(activation: Activation, expected: Array, error: float) -> None:
    np.testing.assert_allclose(activation.value(Z), expected, atol=error, rtol=1e-12)


@pytest.mark.parametrize("entry", list(ACTIVATIONS), ids=lambda entry: entry.name)
def test_slopes_are_derivatives_and_continuous_where_the_catalogue_says_so(entry: ActivationEntry) -> None:
    activation, h = activation_by_name(entry.name), 1e-6
    value, slope = activation.value_and_slope(Z)
    np.testing.assert_array_equal(value, activation.value(Z))
    np.testing.assert_allclose(slope, (activation.value(Z + h) - activation.value(Z - h)) / (2 * h), atol=1e-8)
    near_zero = activation.value_and_slope(np.array([[-1e-9, 1e-9]]))[1][0]
    assert (abs(near_zero[1] - near_zero[0]) < 1e-6) == entry.is_smooth


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept_and_far_values_are_finite(dtype: type[np.floating]) -> None:
    far = np.array([[-1e4, -100.0, 100.0, 1e4]], dtype=dtype)
    for activation, _, _ in EVERY:
        for result in (activation.value(far), *activation.value_and_slope(far)):
            assert result.dtype == dtype
            assert np.isfinite(result).all()


def test_by_name_each_is_its_own_class() -> None:
    assert {type(activation_by_name(name)) for name in ACTIVATIONS.built_in_names} == {
        type(activation) for activation, _, _ in EVERY
    }
    assert all(activation_by_name(activation.name).name == activation.name for activation, _, _ in EVERY)
