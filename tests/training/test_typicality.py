"""Whether an agent's targets look like the network's."""

import numpy as np
import pytest

from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.losses.by_name import loss_by_name
from p2pnet.optim.models.mlp import Mlp
from p2pnet.training.typicality import is_typical

RNG = np.random.default_rng(0)


def objective(loss: str, targets: np.ndarray, n_outputs: int = 1) -> LocalObjective:
    return LocalObjective(Mlp([2, n_outputs]), loss_by_name(loss), np.ones((len(targets), 2)), targets)


@pytest.mark.parametrize(
    ("mean", "deviation", "expected"), [(0.0, 1.0, True), (0.0, 0.2, False), (1.5, 1.0, False), (0.0, 9.0, False)]
)
def test_targets_of_a_regression_are_as_wide_as_the_networks_and_lie_about_its_mean(
    mean: float, deviation: float, expected: bool
) -> None:
    targets = mean + deviation * RNG.standard_normal((200, 1))
    assert is_typical(objective("half-squared", targets)) is expected


def test_of_classes_all_are_there() -> None:
    classes = np.tile(np.arange(3), 10)
    assert is_typical(objective("softmax-cross-entropy", classes, 3))
    assert not is_typical(objective("softmax-cross-entropy", classes[classes != 1], 3))


@pytest.mark.parametrize(("part", "expected"), [(0.5, True), (0.3, True), (0.01, False)])
def test_of_two_classes_told_apart_by_a_sign_neither_is_rare(part: float, expected: bool) -> None:
    classes = (np.arange(100) < 100 * part).astype(int)
    assert is_typical(objective("squared-hinge", classes)) is expected
