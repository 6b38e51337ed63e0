"""Losses against finite differences, against their definitions, and against scikit-learn's scaling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, mean_poisson_deviance

from p2pnet.catalogue import losses as catalogue
from p2pnet.errors import ConfigError, DataError
from p2pnet.optim.arrays import AnyArray, Array
from p2pnet.optim.losses.base import Loss
from p2pnet.optim.losses.by_name import loss_by_name
from p2pnet.optim.losses.half_squared import HalfSquared
from p2pnet.optim.losses.huber import Huber
from p2pnet.optim.losses.log_cosh import LogCosh
from p2pnet.optim.losses.margin import Logistic, SquaredHinge
from p2pnet.optim.losses.poisson_deviance import PoissonDeviance
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy

LOSSES: list[tuple[Loss, int]] = [
    (HalfSquared(), 2),
    (Huber(0.7), 2),
    (LogCosh(), 2),
    (PoissonDeviance(), 2),
    (Logistic(), 1),
    (Logistic(), 3),
    (SquaredHinge(), 1),
    (SquaredHinge(), 3),
    (SoftmaxCrossEntropy(), 4),
]
every_loss = pytest.mark.parametrize(("loss", "n_outputs"), LOSSES, ids=[f"{loss.name}-{n}" for loss, n in LOSSES])


def sample_targets(loss: Loss, n_outputs: int, rng: np.random.Generator, n_samples: int = 9) -> AnyArray:
    if "classification" in catalogue.LOSSES[loss.name].tasks:
        return rng.integers(0, max(n_outputs, 2), n_samples)
    if loss.name == "poisson-deviance":
        return rng.integers(0, 5, (n_samples, n_outputs))
    return rng.standard_normal((n_samples, n_outputs))


def drawn(loss: Loss, n_outputs: int, seed: int) -> tuple[Array, AnyArray, Array, Array]:
    rng = np.random.default_rng(seed)
    targets = loss.encode(sample_targets(loss, n_outputs, rng), n_outputs)
    P, T = 2.0 * rng.standard_normal((9, n_outputs)), rng.standard_normal((9, n_outputs))
    return P, targets, T, rng.uniform(0.0, 3.0, 9)


@every_loss
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), is_weighted=st.booleans())
def test_gradient_is_the_derivative_of_value(loss: Loss, n_outputs: int, seed: int, is_weighted: bool) -> None:
    P, targets, T, weights = drawn(loss, n_outputs, seed)
    s, h = weights if is_weighted else None, 1e-5
    difference = (loss.value(P + h * T, targets, s) - loss.value(P - h * T, targets, s)) / (2 * h)
    assert np.vdot(loss.gradient(P, targets, s), T) == pytest.approx(difference, abs=2e-5)


@every_loss
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), is_weighted=st.booleans())
def test_curvature_is_the_derivative_of_the_gradient(loss: Loss, n_outputs: int, seed: int, is_weighted: bool) -> None:
    P, targets, T, weights = drawn(loss, n_outputs, seed)
    s, h = weights if is_weighted else None, 1e-6
    if catalogue.LOSSES[loss.name].n_derivatives < 2:  # stay away from the kinks of the gradient
        kink = np.abs(P - targets) - 0.7 if loss.name == "huber" else targets * P - 1.0
        P = np.where(np.abs(kink) < 1e-3, P + 0.01, P)
    difference = (loss.gradient(P + h * T, targets, s) - loss.gradient(P - h * T, targets, s)) / (2 * h)
    np.testing.assert_allclose(loss.curvature(P, targets, T, s), difference, atol=1e-7)


@every_loss
def test_the_root_of_the_hessian_is_one(loss: Loss, n_outputs: int) -> None:
    P, targets, T, weights = drawn(loss, n_outputs, 4)
    hessian = loss.hessian(P, targets, weights).scaled(0.3)
    R = hessian.root()
    np.testing.assert_allclose(np.einsum("iar,ibr,ib->ia", R, R, T), hessian.apply(T), atol=1e-14)
    np.testing.assert_allclose(hessian.apply(T), 0.3 * loss.curvature(P, targets, T, weights), atol=1e-14)


@every_loss
def test_a_weight_of_two_is_a_sample_taken_twice(loss: Loss, n_outputs: int) -> None:
    P, targets, _, _ = drawn(loss, n_outputs, 5)
    weights = np.array([2.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    rows = [0, 0, 2, 3, 4, 5, 6, 7, 8]
    assert loss.value(P, targets, weights) == pytest.approx(loss.value(P[rows], targets[rows]), rel=1e-13)
    total = loss.gradient(P, targets, weights).sum(axis=0)
    np.testing.assert_allclose(total, loss.gradient(P[rows], targets[rows]).sum(axis=0), atol=1e-15)


@every_loss
def test_float32_stays_float32(loss: Loss, n_outputs: int) -> None:
    P, targets, T, _ = drawn(loss, n_outputs, 6)
    P, T = P.astype(np.float32), T.astype(np.float32)
    if np.issubdtype(targets.dtype, np.floating):
        targets = targets.astype(np.float32)
    weights = np.ones(len(P), np.float32)
    for s in (None, weights):
        assert loss.gradient(P, targets, s).dtype == np.float32
        assert loss.curvature(P, targets, T, s).dtype == np.float32
        assert loss.hessian(P, targets, s).root().dtype == np.float32


def test_the_scaling_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    P, labels = rng.standard_normal((20, 3)), rng.integers(0, 3, 20)
    probabilities = np.exp(P) / np.exp(P).sum(axis=1, keepdims=True)
    assert SoftmaxCrossEntropy().value(P, labels) == pytest.approx(log_loss(labels, probabilities, labels=[0, 1, 2]))
    counts = rng.integers(0, 4, 20)
    deviance = mean_poisson_deviance(counts, np.exp(P[:, 0]))
    loss = PoissonDeviance()
    assert loss.value(P[:, :1], loss.encode(counts, 1)) == pytest.approx(deviance / 2)


def test_two_class_softmax_is_logistic_of_the_difference() -> None:
    rng = np.random.default_rng(1)
    P, labels = rng.standard_normal((20, 2)), rng.integers(0, 2, 20)
    logistic = Logistic()
    expected = logistic.value(P[:, 1:] - P[:, :1], logistic.encode(labels, 1))
    assert SoftmaxCrossEntropy().value(P, labels) == pytest.approx(expected)


def test_far_predictions_do_not_overflow() -> None:
    P, zeros, labels = np.array([[1e4], [-1e4]]), np.zeros((2, 1)), np.array([0, 1])
    for loss in (LogCosh(), Huber()):
        assert loss.value(P, zeros) == pytest.approx(1e4, rel=1e-3)
    assert Logistic().value(P, Logistic().encode(labels, 1)) == pytest.approx(1e4)
    assert SoftmaxCrossEntropy().value(np.hstack([P, -P]), labels[::-1]) == pytest.approx(2e4)
    assert PoissonDeviance().value(P, zeros) == np.inf


@pytest.mark.parametrize(
    ("name", "Y", "n_outputs", "message"),
    [
        ("half-squared", np.zeros((3, 2)), 1, r"expected \(n_samples, 1\)"),
        ("half-squared", np.array([1.0, np.nan]), 1, "not a finite number"),
        ("poisson-deviance", np.array([1.0, -1.0]), 1, "negative"),
        ("softmax-cross-entropy", np.array([0, 3]), 3, "whole numbers 0 to 2"),
        ("softmax-cross-entropy", np.array([0.5, 1.0]), 3, "whole numbers 0 to 2"),
        ("softmax-cross-entropy", np.array([0, 1]), 1, "use logistic"),
        ("logistic", np.array([-1, 1]), 1, "whole numbers 0 to 1"),
        ("squared-hinge", np.zeros((2, 2)), 1, "expected class indices"),
    ],
)
def test_targets_that_do_not_fit_are_refused(name: str, Y: AnyArray, n_outputs: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        loss_by_name(name).encode(Y, n_outputs)


def test_every_built_in_loss_is_tested_and_takes_its_settings() -> None:
    assert {loss.name for loss, _ in LOSSES} == set(catalogue.LOSSES.built_in_names)
    huber = loss_by_name("huber", {"huber_delta": 0.7, "other": 3.0})
    assert huber.describe() == "huber delta=0.7"
    assert loss_by_name("huber").describe() == "huber delta=1"


def test_unknown_names_and_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"loss 'log-kosh': must be one of half-squared, .* did you mean log-cosh"):
        loss_by_name("log-kosh")
    with pytest.raises(ConfigError, match="must be positive"):
        Huber(0.0)
