"""The network's curvature: measured as the second derivative, and with it one gradient for all agents, wherever they
are.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.losses.half_squared import HalfSquared
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.network_curvature import (
    MAX_PARAMS,
    REACH,
    NetworkCurvature,
    check_size,
    gradient_variance,
    hessian,
    is_needed,
)

LINEAR = Mlp((3, 1))
N_AGENTS = 4


def linear_objective(seed: int, n_samples: int = 20) -> LocalObjective:
    """Of rows that are spread and placed differently at each agent."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, 3)) * rng.uniform(0.1, 3.0, 3) + rng.standard_normal(3)
    return LocalObjective(LINEAR, HalfSquared(), X, X @ rng.standard_normal(3) + rng.standard_normal())


def measured(objective: LocalObjective, params: Array) -> NetworkCurvature:
    curvature = NetworkCurvature(objective)
    curvature.measure(params, objective.gradient(params))
    return curvature


def test_the_hessian_of_a_linear_model_is_its_gram_matrix() -> None:
    objective = linear_objective(0)
    X = np.column_stack([objective.samples.X, np.ones(20)])
    params = np.random.default_rng(1).standard_normal(4)
    found = hessian(objective, params, objective.gradient(params))
    np.testing.assert_allclose(found, X.T @ X / 20, atol=1e-6)


def test_the_hessian_is_the_second_difference_of_the_value() -> None:
    rng = np.random.default_rng(2)
    model = Mlp((3, 4, 3))
    objective = LocalObjective(model, SoftmaxCrossEntropy(), rng.standard_normal((30, 3)), rng.integers(0, 3, 30))
    params, one, other, h = rng.standard_normal(model.n_params), *rng.standard_normal((2, model.n_params)), 1e-4
    found = hessian(objective, params, objective.gradient(params))
    signs = [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]
    values = [sign * objective.value(params + h * (a * one + b * other)) for a, b, sign in signs]
    assert one @ found @ other == pytest.approx(sum(values) / (4 * h * h), rel=1e-4)


@given(st.lists(st.integers(0, 2**16), min_size=N_AGENTS, max_size=N_AGENTS))
def test_where_gradients_are_affine_all_agents_have_the_networks_gradient_wherever_they_are(seeds: list[int]) -> None:
    objectives = [linear_objective(seed) for seed in seeds]
    params = [np.random.default_rng(seed + 1).standard_normal(4) for seed in seeds]
    agents = [measured(objective, w) for objective, w in zip(objectives, params, strict=True)]
    direction = np.mean([each.gradient(w) for each, w in zip(objectives, params, strict=True)], axis=0)
    tracked = np.mean([agent.tracked(w) for agent, w in zip(agents, params, strict=True)], axis=0)
    for agent, w in zip(agents, params, strict=True):
        estimate, model = agent.model(w, direction, tracked)
        expected = np.mean([objective.gradient(w) for objective in objectives], axis=0)
        np.testing.assert_allclose(estimate, expected, atol=1e-5 * (1.0 + np.abs(expected).max()))
        curvature = np.mean([hessian(each, w, each.gradient(w)) for each in objectives], axis=0)
        np.testing.assert_allclose(model.curvature(np.zeros(4)).product(w), curvature @ w, atol=1e-4)


def test_before_it_is_measured_there_is_none() -> None:
    curvature = NetworkCurvature(linear_objective(0))
    assert curvature.tracked(np.ones(4)).size == 0
    assert not curvature.is_known(1000, np.zeros(0))
    assert measured(linear_objective(0), np.ones(4)).tracked(np.ones(4)).size == 4 + 10


@pytest.mark.parametrize(
    ("heard_in", "first_step"), [(50, 60), (49, 60), (53, 63), (200, 210)], ids=lambda number: str(number)
)
def test_it_is_stepped_along_from_round_60_on_and_ten_rounds_after_it_was_heard_of(
    heard_in: int, first_step: int
) -> None:
    curvature, tracked = NetworkCurvature(linear_objective(0)), np.ones(14)
    known = [round_ for round_ in range(heard_in, 300) if curvature.is_known(round_, tracked)]
    assert known == list(range(first_step, 300))


def test_where_samples_are_dealt_at_random_and_plenty_it_is_not_needed() -> None:
    whole = linear_objective(4, n_samples=4000)
    params = np.random.default_rng(5).standard_normal(4)
    rows = np.random.default_rng(6).permutation(4000)
    direction = whole.gradient(params)
    for part in np.split(rows, 20):
        objective = whole.of(whole.samples.taken(part))
        assert not is_needed(objective, params, objective.gradient(params), direction)


def test_where_samples_differ_it_is_needed() -> None:
    whole = linear_objective(4, n_samples=4000)
    params = np.random.default_rng(5).standard_normal(4)
    rows = np.argsort(whole.samples.targets.reshape(-1))
    direction = whole.gradient(params)
    needed = []
    for part in np.split(rows, 20):
        objective = whole.of(whole.samples.taken(part))
        needed.append(is_needed(objective, params, objective.gradient(params), direction))
    assert sum(needed) >= 15


def test_with_fewer_samples_than_parameters_it_is_needed_wherever_they_come_from() -> None:
    params, needed = np.ones(4), {}
    for n_samples in (3, 4):
        objective = linear_objective(7, n_samples)
        gradient = objective.gradient(params)
        needed[n_samples] = is_needed(objective, params, gradient, gradient)
    assert needed == {3: True, 4: False}


def test_the_variance_of_gradients_is_that_of_single_samples() -> None:
    objective = linear_objective(8, n_samples=4000)
    params = np.random.default_rng(9).standard_normal(4)
    X = np.column_stack([objective.samples.X, np.ones(4000)])
    errors = objective.model.predict(params, objective.samples.X) - objective.samples.targets
    gradients = X * errors.reshape(-1, 1)
    found = [gradient_variance(objective.of(objective.samples.taken(rows)), params) for rows in _halves()]
    assert np.mean(found) == pytest.approx(gradients.var(axis=0).sum(), rel=0.2)


def _halves() -> list[np.ndarray]:
    return [np.random.default_rng(k).permutation(4000)[:2000] for k in range(20)]


def test_it_is_measured_anew_where_the_parameters_have_moved_far_enough() -> None:
    rng = np.random.default_rng(3)
    model = Mlp((3, 4, 1))
    objective = LocalObjective(model, HalfSquared(), rng.standard_normal((30, 3)), rng.standard_normal(30))
    params = rng.standard_normal(model.n_params)
    curvature, along = measured(objective, params), np.eye(model.n_params)[0]
    first = curvature.tracked(params)[model.n_params :]
    reach = REACH * (1.0 + np.linalg.norm(params))
    for distance, is_measured in ((0.9 * reach, False), (1.2 * reach, True)):
        moved = params + distance * along
        curvature.measure(moved, objective.gradient(moved))
        assert (curvature.tracked(params)[model.n_params :] != first).any() == is_measured


def test_directions_of_negative_curvature_count_by_their_size() -> None:
    curvature = NetworkCurvature(linear_objective(0))
    mean = np.diag([2.0, -3.0, 0.5, 0.0])
    tracked = np.concatenate([np.zeros(4), mean[np.triu_indices(4)]])
    _, model = curvature.model(np.zeros(4), np.zeros(4), tracked)
    np.testing.assert_allclose(model.curvature(np.zeros(4)).diagonal(), [2.0, 3.0, 0.5, 0.0], atol=1e-12)


def test_large_models_are_refused_with_what_to_do() -> None:
    check_size(Mlp((MAX_PARAMS - 1, 1)))
    with pytest.raises(ConfigError, match=r"algorithm\.weighting: .*at most 512; linear 512-1 has 513: .*choose proxy"):
        check_size(Mlp((MAX_PARAMS, 1)))
