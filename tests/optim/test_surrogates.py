"""Surrogates: what NEXT asks of them (gradient consistency, convexity), and what they say they compute."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnet.catalogue import losses as catalogue
from p2pnet.optim.arrays import AnyArray, Array
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.losses.base import Loss
from p2pnet.optim.losses.by_name import loss_by_name
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.no_penalty import NoPenalty
from p2pnet.optim.surrogates.base import Surrogate
from p2pnet.optim.surrogates.full import FullLinearization
from p2pnet.optim.surrogates.partial import PartialLinearization
from p2pnet.optim.surrogates.problem import SurrogateProblem

MODELS = [((4,), "tanh"), ((4, 5), "tanh"), ((4, 5, 3), "relu"), ((4, 3), "gelu")]
LOSSES = {
    "half-squared": 2,
    "huber": 1,
    "log-cosh": 2,
    "poisson-deviance": 1,
    "logistic": 1,
    "squared-hinge": 3,
    "softmax-cross-entropy": 3,
}
SURROGATES: list[Surrogate] = [FullLinearization(), PartialLinearization(), PartialLinearization(7)]
combinations = [
    pytest.param(Mlp((*sizes, n_outputs), activation), loss_by_name(name), surrogate, id=f"{sizes}-{name}-{index}")
    for sizes, activation in MODELS
    for name, n_outputs in LOSSES.items()
    for index, surrogate in enumerate(SURROGATES)
]


def local_objective(model: Mlp, loss: Loss, rng: np.random.Generator, n_samples: int = 20) -> LocalObjective:
    Y: AnyArray = rng.standard_normal((n_samples, model.n_outputs))
    if "classification" in catalogue.LOSSES[loss.name].tasks:
        Y = rng.integers(0, max(model.n_outputs, 2), n_samples)
    if loss.name == "poisson-deviance":
        Y = rng.integers(0, 4, n_samples)
    X = rng.standard_normal((n_samples, model.n_inputs))
    return LocalObjective(model, loss, X, Y, rng.uniform(0.5, 2.0, n_samples), n_chunks=2)


def difference(function: object, at: Array, along: Array, h: float) -> Array:
    assert callable(function)
    return np.asarray((function(at + h * along) - function(at - h * along)) / (2 * h))


@pytest.mark.parametrize(("model", "loss", "surrogate"), combinations)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 10.0), tau=st.floats(1e-3, 10.0))
def test_the_gradient_at_w_is_the_direction_whatever_the_surrogate(
    model: Mlp, loss: Loss, surrogate: Surrogate, seed: int, scale: float, tau: float
) -> None:
    rng = np.random.default_rng(seed)
    cost, w = local_objective(model, loss, rng), model.init(rng)
    direction = rng.standard_normal(model.n_params)
    local_model = surrogate.local_model(cost, w, rng)
    problem = SurrogateProblem(local_model, w, direction, NoPenalty(), tau, scale)
    np.testing.assert_array_equal(problem.smooth_gradient(w), direction)
    # … and the local model has the value and the gradient of the true cost at w, subsampled or not.
    value, gradient = cost.value_and_gradient(w)
    zero = np.zeros_like(w)
    assert local_model.value(zero) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(local_model.gradient(zero), gradient, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("model", "loss", "surrogate"), combinations)
def test_the_problem_knows_its_derivatives_and_is_convex(model: Mlp, loss: Loss, surrogate: Surrogate) -> None:
    rng = np.random.default_rng(5)
    cost, w = local_objective(model, loss, rng), model.init(rng)
    local_model = surrogate.local_model(cost, w, rng)
    problem = SurrogateProblem(local_model, w, rng.standard_normal(model.n_params), NoPenalty(), 0.3, 0.7)
    v, t = w + 0.3 * rng.standard_normal(len(w)), rng.standard_normal(len(w))
    slope = problem.smooth_gradient(v) @ t
    assert slope == pytest.approx(float(difference(problem.value, v, t, 1e-6)), abs=1e-4)
    bend = (problem.smooth_gradient(v + t) - problem.smooth_gradient(v)) @ t
    assert bend >= 0.3 * float(t @ t) * (1 - 1e-12)  # τ-strongly convex
    step = v - w
    assert local_model.gradient(step) @ t == pytest.approx(
        float(difference(local_model.value, step, t, 1e-6)), abs=1e-4
    )
    if loss.name not in {"huber", "squared-hinge"}:
        change = difference(local_model.gradient, step, t, 1e-6)
        np.testing.assert_allclose(local_model.curvature(step).product(t), change, atol=1e-6)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_formed_curvature_says_the_same_as_its_products(name: str) -> None:
    rng = np.random.default_rng(6)
    model = Mlp((4, 5, LOSSES[name]))
    local_model = PartialLinearization().local_model(
        local_objective(model, loss_by_name(name), rng), model.init(rng), rng
    )
    curvature = local_model.curvature(0.1 * rng.standard_normal(model.n_params))
    H = np.stack([curvature.product(column) for column in np.eye(model.n_params)])
    M = curvature.factor()
    np.testing.assert_allclose(M.T @ M, H, atol=1e-12)
    np.testing.assert_allclose(curvature.diagonal(), np.diag(H), atol=1e-12)


def test_partial_linearisation_of_a_linear_model_is_the_cost_itself() -> None:
    rng = np.random.default_rng(7)
    model = Mlp((4, 3))
    cost, w = local_objective(model, SoftmaxCrossEntropy(), rng), model.init(rng)
    local_model = PartialLinearization().local_model(cost, w, rng)
    step = rng.standard_normal(model.n_params)
    assert local_model.value(step) == pytest.approx(cost.value(w + step), rel=1e-12)
    np.testing.assert_allclose(local_model.gradient(step), cost.gradient(w + step), atol=1e-14)


def test_a_subsample_of_all_samples_is_no_subsample() -> None:
    rng = np.random.default_rng(8)
    model = Mlp((4, 5, 3))
    cost, w = local_objective(model, SoftmaxCrossEntropy(), rng), model.init(rng)
    step = rng.standard_normal(model.n_params)
    all_of_them, one_less = (PartialLinearization(n).local_model(cost, w, rng) for n in (20, 19))
    plain = PartialLinearization().local_model(cost, w, rng)
    assert all_of_them.value(step) == plain.value(step)
    assert one_less.value(step) != plain.value(step)


def test_a_subsample_leaves_out_samples_without_weight() -> None:
    rng = np.random.default_rng(9)
    model = Mlp((4, 3))
    X, Y = rng.standard_normal((10, 4)), rng.integers(0, 3, 10)
    weights = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    w = model.init(rng)
    step = rng.standard_normal(model.n_params)
    cost = LocalObjective(model, SoftmaxCrossEntropy(), X, Y, weights)
    subsampled, plain = (PartialLinearization(n).local_model(cost, w, rng) for n in (5, None))
    assert subsampled.value(step) == pytest.approx(plain.value(step), rel=1e-12)


def test_products_split_over_chunks_in_threads_equal_the_serial_ones() -> None:
    rng = np.random.default_rng(11)
    model = Mlp((4, 5, 3))
    X, Y = rng.standard_normal((50, 4)), rng.integers(0, 3, 50)
    w, step = model.init(rng), rng.standard_normal(model.n_params)
    serial = PartialLinearization().local_model(LocalObjective(model, SoftmaxCrossEntropy(), X, Y), w, rng)
    with ThreadPoolExecutor(3) as pool:
        cost = LocalObjective(model, SoftmaxCrossEntropy(), X, Y, n_chunks=3, chunk_map=pool.map)
        chunked = PartialLinearization().local_model(cost, w, rng)
        np.testing.assert_allclose(chunked.gradient(step), serial.gradient(step), rtol=1e-12, atol=1e-14)
        product = chunked.curvature(step).product(step)
        np.testing.assert_allclose(product, serial.curvature(step).product(step), rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(product, chunked.curvature(step).product(step))
