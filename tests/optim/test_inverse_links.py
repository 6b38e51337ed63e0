"""Inverse links: what the outputs estimate at the minimiser of the expected loss."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, softmax

from p2pnet.catalogue.losses import LOSSES
from p2pnet.optim.losses.base import Loss
from p2pnet.optim.losses.by_name import loss_by_name
from p2pnet.optim.losses.margin import Logistic, SquaredHinge
from p2pnet.optim.losses.poisson_deviance import PoissonDeviance
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy

outputs = st.floats(-30.0, 30.0)


@pytest.mark.parametrize("loss", [Logistic(), SquaredHinge()])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_one_output_at_its_best_for_a_share_of_class_one_gives_that_share(loss: Loss, share: float) -> None:
    n_ones = int(1000 * share)
    targets = loss.encode(np.repeat([1, 0], [n_ones, 1000 - n_ones]), 1)
    best = minimize(lambda p: loss.value(np.full((1000, 1), p[0]), targets), np.zeros(1)).x
    np.testing.assert_allclose(loss.inverse_link(best.reshape(1, 1)), [[1.0 - share, share]], atol=1e-4)


def test_outputs_at_their_best_for_shares_of_classes_give_those_shares() -> None:
    loss, shares = SoftmaxCrossEntropy(), np.array([0.2, 0.7, 0.1])
    targets = loss.encode(np.repeat([0, 1, 2], (100 * shares).round().astype(int)), 3)
    best = minimize(lambda p: loss.value(np.tile(p, (100, 1)), targets), np.zeros(3)).x
    np.testing.assert_allclose(loss.inverse_link(best.reshape(1, 3)), [shares], atol=1e-4)


def test_the_output_at_its_best_for_counts_gives_their_mean() -> None:
    loss, counts = PoissonDeviance(), np.array([0, 3, 1, 4, 2])
    targets = loss.encode(counts, 1)
    best = minimize(lambda p: loss.value(np.full((5, 1), p[0]), targets), np.zeros(1)).x
    np.testing.assert_allclose(loss.inverse_link(best.reshape(1, 1)), [[2.0]], rtol=1e-4)


@given(st.lists(st.lists(outputs, min_size=3, max_size=3), min_size=1, max_size=5))
def test_softmax_and_sigmoid_are_scipys(rows: list[list[float]]) -> None:
    P = np.array(rows)
    np.testing.assert_allclose(SoftmaxCrossEntropy().inverse_link(P), softmax(P, axis=1), atol=1e-14)
    np.testing.assert_allclose(Logistic().inverse_link(P[:, :1])[:, 1], expit(P[:, 0]), atol=1e-14)


@given(st.lists(st.lists(st.floats(-1e300, 1e300), min_size=3, max_size=3), min_size=1, max_size=5))
def test_probabilities_sum_to_one_whatever_the_outputs(rows: list[list[float]]) -> None:
    for loss in (SoftmaxCrossEntropy(), Logistic(), SquaredHinge()):
        for P in (np.array(rows), np.array(rows)[:, :1]):
            if P.shape[1] == 1 and isinstance(loss, SoftmaxCrossEntropy):
                continue
            probabilities = loss.inverse_link(P)
            assert probabilities.min() >= 0.0
            np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)


def test_the_losses_of_classes_have_probabilities_and_all_others_have_none() -> None:
    for entry in LOSSES:
        assert loss_by_name(entry.name).has_probabilities == ("classification" in entry.tasks)


@pytest.mark.parametrize("name", ["half-squared", "huber", "log-cosh"])
def test_where_outputs_are_values_they_stay_as_they_are(name: str) -> None:
    P = np.linspace(-3.0, 3.0, 5).reshape(-1, 1)
    np.testing.assert_array_equal(loss_by_name(name).inverse_link(P), P)
