"""Models and their Jacobian products, against finite differences and against each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnet.catalogue.activations import ACTIVATIONS
from p2pnet.errors import ConfigError, ModelError
from p2pnet.optim.arrays import Array
from p2pnet.optim.models.base import Linearization
from p2pnet.optim.models.mlp import Mlp

SIZES = [(5, 3), (5, 7, 3), (4, 6, 5, 2), (3, 4, 4, 4, 1)]
sizes = st.lists(st.integers(1, 6), min_size=2, max_size=5)
seeds = st.integers(0, 2**32 - 1)


def at_random(model: Mlp, seed: int, n_samples: int = 11) -> tuple[np.random.Generator, Array, Array]:
    rng = np.random.default_rng(seed)
    return (
        rng,
        model.init(rng) + 0.1 * rng.standard_normal(model.n_params),
        rng.standard_normal((n_samples, model.n_inputs)),
    )


@pytest.mark.parametrize("activation", ACTIVATIONS.built_in_names)
@pytest.mark.parametrize("layers", SIZES)
def test_jvp_is_the_derivative_of_predict(layers: tuple[int, ...], activation: str) -> None:
    model = Mlp(layers, activation)
    rng, params, X = at_random(model, 0)
    step = rng.standard_normal(model.n_params)
    h = 1e-6
    difference = (model.predict(params + h * step, X) - model.predict(params - h * step, X)) / (2 * h)
    np.testing.assert_allclose(model.linearize(params, X).jvp(step), difference, atol=2e-8)


@settings(max_examples=40, deadline=None)
@given(layers=sizes, seed=seeds)
def test_vjp_is_the_adjoint_of_jvp(layers: list[int], seed: int) -> None:
    model = Mlp(layers)
    rng, params, X = at_random(model, seed)
    step, cotangents = rng.standard_normal(model.n_params), rng.standard_normal((len(X), model.n_outputs))
    linearization = model.linearize(params, X)
    assert np.vdot(linearization.jvp(step), cotangents) == pytest.approx(
        step @ linearization.vjp(cotangents), abs=1e-10
    )


@settings(max_examples=30, deadline=None)
@given(layers=sizes, seed=seeds)
def test_the_formed_jacobian_says_the_same_as_the_products(layers: list[int], seed: int) -> None:
    model = Mlp(layers)
    rng, params, X = at_random(model, seed)
    linearization = model.linearize(params, X)
    J = linearization.jacobian()
    np.testing.assert_allclose(J, Linearization.jacobian(linearization), atol=1e-12)
    C = rng.standard_normal((len(X), model.n_outputs, 2))
    np.testing.assert_allclose(
        linearization.squared_column_norms(C), Linearization.squared_column_norms(linearization, C), atol=1e-10
    )


@settings(max_examples=60, deadline=None)
@given(layers=sizes, seed=seeds, data=st.data())
def test_a_restriction_is_the_whole_with_zeros_outside_its_block(
    layers: list[int], seed: int, data: st.DataObject
) -> None:
    model = Mlp(layers)
    rng, params, X = at_random(model, seed)
    bounds = [0, *(neuron.bias + 1 for neuron in model.neurons())]
    first, last = sorted(data.draw(st.sets(st.sampled_from(bounds), min_size=2, max_size=2)))
    block = slice(first, last)
    whole = model.linearize(params, X)
    part, padded = whole.restricted(block), Linearization.restricted(whole, block)
    assert part.n_params == padded.n_params == last - first
    step, cotangents = rng.standard_normal(part.n_params), rng.standard_normal((len(X), model.n_outputs))
    np.testing.assert_allclose(part.jvp(step), padded.jvp(step), atol=1e-12)
    np.testing.assert_allclose(part.vjp(cotangents), padded.vjp(cotangents), atol=1e-12)
    np.testing.assert_allclose(part.jacobian(), padded.jacobian(), atol=1e-12)
    C = rng.standard_normal((len(X), model.n_outputs, 2))
    np.testing.assert_allclose(part.squared_column_norms(C), padded.squared_column_norms(C), atol=1e-10)


def test_a_block_that_cuts_a_neuron_is_refused() -> None:
    model = Mlp((3, 2, 1))
    _, params, X = at_random(model, 0)
    with pytest.raises(ConfigError, match="cuts through a neuron of layer 0"):
        model.linearize(params, X).restricted(slice(0, 5))


def test_predictions_of_a_linearization_are_those_of_predict() -> None:
    model = Mlp((4, 6, 3), "gelu")
    _, params, X = at_random(model, 3)
    np.testing.assert_array_equal(model.linearize(params, X).predictions, model.predict(params, X))


def test_without_hidden_layers_the_model_is_linear() -> None:
    model = Mlp((4, 2))
    _, params, X = at_random(model, 1)
    W, b = model.layer(params, 0)
    np.testing.assert_allclose(model.predict(params, X), X @ W.T + b, atol=1e-14)
    assert model.describe() == "linear 4-2"


def test_float32_stays_float32() -> None:
    model = Mlp((4, 6, 3), "relu", np.float32)
    params = model.init(np.random.default_rng(0))
    X = np.ones((5, 4), np.float32)
    linearization = model.linearize(params, X)
    arrays = [params, model.predict(params, X), linearization.jvp(params), linearization.vjp(linearization.predictions)]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    assert model.describe() == "mlp 4-6-3 relu float32"


def test_neurons_and_biases_cover_every_parameter_once() -> None:
    model = Mlp((4, 6, 5, 2))
    neurons = model.neurons()
    covered = np.concatenate([np.append(neuron.weights, neuron.bias) for neuron in neurons])
    np.testing.assert_array_equal(covered, np.arange(model.n_params))
    np.testing.assert_array_equal(np.flatnonzero(model.is_bias()), [neuron.bias for neuron in neurons])
    assert [neuron.is_output for neuron in neurons] == [False] * 11 + [True] * 2


def test_initial_weights_keep_the_scale_of_signals() -> None:
    X = np.random.default_rng(1).standard_normal((200, 400))
    for activation in ("tanh", "relu"):
        model = Mlp((400, 400, 400, 400), activation)
        predictions = model.predict(model.init(np.random.default_rng(0)), X)
        assert 0.3 < predictions.std() < 3.0
        assert np.all(model.init(np.random.default_rng(0))[model.is_bias()] == 0.0)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus"])
def test_pruning_removes_dead_neurons_and_changes_no_prediction(activation: str) -> None:
    model = Mlp((4, 6, 5, 2), activation)
    _, params, X = at_random(model, 2)
    for layer, row in [(0, 1), (0, 4), (1, 0)]:
        model.layer(params, layer)[0][row] = 0.0
    smaller, kept = model.pruned(params)
    assert smaller.sizes == (4, 4, 4, 2)
    np.testing.assert_allclose(smaller.predict(kept, X), model.predict(params, X), atol=1e-13)


def test_pruning_keeps_one_neuron_of_a_dead_layer() -> None:
    model = Mlp((3, 4, 2))
    _, params, X = at_random(model, 2)
    model.layer(params, 0)[0][:] = 0.0
    smaller, kept = model.pruned(params)
    assert smaller.sizes == (3, 1, 2)
    np.testing.assert_allclose(smaller.predict(kept, X), model.predict(params, X), atol=1e-13)


def test_what_does_not_fit_is_refused_by_name() -> None:
    model = Mlp((3, 2, 1))
    with pytest.raises(ModelError, match="11 parameters"):
        model.predict(np.zeros(10), np.zeros((2, 3)))
    with pytest.raises(ModelError, match=r"\(n_samples, 3\)"):
        model.predict(np.zeros(11), np.zeros((2, 4)))
    with pytest.raises(ConfigError, match="activation 'swish': must be one of tanh, relu"):
        Mlp((3, 2, 1), "swish")
    with pytest.raises(ConfigError, match="layer sizes"):
        Mlp((3,))
