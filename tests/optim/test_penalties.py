"""Penalties: prox against its definition, optimality distance against the prox, parts against the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from p2pnet.catalogue import penalties as catalogue
from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.base import NonsmoothPenalty, Penalty, SmoothPenalty
from p2pnet.optim.penalties.box import Box, non_negativity
from p2pnet.optim.penalties.by_name import penalty_by_name
from p2pnet.optim.penalties.elastic_net import ElasticNet, l1
from p2pnet.optim.penalties.group_l2 import GroupL2, neuron_groups
from p2pnet.optim.penalties.no_penalty import NoPenalty
from p2pnet.optim.penalties.squared_l2 import SquaredL2

PENALIZED = np.array([True, True, False, True, True, False])
PENALTIES: list[Penalty] = [
    NoPenalty(),
    SquaredL2(0.7),
    SquaredL2(0.7, PENALIZED),
    l1(0.4),
    l1(0.4, PENALIZED),
    ElasticNet(0.6, 0.3, PENALIZED),
    GroupL2(0.3, np.array([0, 0, -1, 1, 1, -1])),
    Box(-0.3, 0.5, PENALIZED),
    non_negativity(),
]
every_penalty = pytest.mark.parametrize("penalty", PENALTIES, ids=lambda penalty: penalty.describe())
vectors = st.lists(st.floats(-3, 3), min_size=6, max_size=6).map(np.array)
steps = st.floats(0.05, 5.0)


@every_penalty
@settings(max_examples=60, deadline=None)
@given(w=vectors, step=steps, seed=st.integers(0, 2**32 - 1))
def test_no_point_is_better_than_the_prox(penalty: Penalty, w: Array, step: float, seed: int) -> None:
    """prox minimises r(v) + ‖v − w‖²/(2 step), which is 1/step-strongly convex: others lose at least their distance."""

    def objective(v: Array) -> float:
        return penalty.value(v) + float((v - w) @ (v - w)) / (2 * step)

    p = penalty.prox(w, step)
    least = objective(p)
    rng = np.random.default_rng(seed)
    others = [w, 0 * w, *(p + 10.0 ** rng.uniform(-4, 0) * rng.standard_normal(6) for _ in range(20))]
    for v in others:
        gap = float((v - p) @ (v - p)) / (2 * step)
        assert objective(v) >= least + gap - 1e-9 * (1 + abs(least))


@pytest.mark.parametrize("penalty", [p for p in PENALTIES if not isinstance(p, Box)], ids=lambda p: p.describe())
def test_a_general_minimiser_finds_the_same_prox(penalty: Penalty) -> None:
    w = np.array([0.9, -0.1, 0.4, -1.2, 0.3, 0.0])
    found = minimize(
        lambda v: penalty.value(v) + float((v - w) @ (v - w)) / 1.6,
        w + 0.01,
        method="Powell",
        options={"xtol": 1e-10, "ftol": 1e-15},
    )
    np.testing.assert_allclose(penalty.prox(w, 0.8), found.x, atol=1e-5)


@every_penalty
@settings(max_examples=60, deadline=None)
@given(w=vectors, step=steps)
def test_the_prox_is_optimal_by_the_optimality_distance(penalty: Penalty, w: Array, step: float) -> None:
    p = penalty.prox(w, step)
    assert penalty.optimality_distance(p, (p - w) / step) < 1e-9


@every_penalty
@settings(max_examples=40, deadline=None)
@given(w=vectors, g=vectors)
def test_the_optimality_distance_bounds_the_prox_gradient_step(penalty: Penalty, w: Array, g: Array) -> None:
    """‖w − prox(w − g)‖ is at most the distance of −g to ∂r(w), and both vanish together.

    On a grid: a hair's breadth inside a bound, the distance is that of the interior and the step is the hair's breadth.
    """
    w, g = np.round(w, 6), np.round(g, 6)
    inside = np.round(penalty.prox(w, 1.0), 6)
    moved = float(np.linalg.norm(inside - penalty.prox(inside - g, 1.0)))
    distance = penalty.optimality_distance(inside, g)
    assert moved <= distance + 1e-9
    assert distance < 1e-6 or moved > 1e-12


@pytest.mark.parametrize("penalty", [p for p in PENALTIES if isinstance(p, SmoothPenalty)], ids=lambda p: p.describe())
def test_smooth_penalties_know_their_derivatives(penalty: SmoothPenalty) -> None:
    rng = np.random.default_rng(0)
    w, t, h = rng.standard_normal(6), rng.standard_normal(6), 1e-5
    assert penalty.gradient(w) @ t == pytest.approx((penalty.value(w + h * t) - penalty.value(w - h * t)) / (2 * h))
    change = (penalty.gradient(w + h * t) - penalty.gradient(w - h * t)) / (2 * h)
    np.testing.assert_allclose(penalty.curvature() * t, change, atol=1e-9)


@pytest.mark.parametrize(
    "penalty", [p for p in PENALTIES if isinstance(p, NonsmoothPenalty)], ids=lambda penalty: penalty.describe()
)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_in_its_free_parameters_a_penalty_is_smooth_with_the_derivatives_it_says(
    penalty: NonsmoothPenalty, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    w = penalty.prox(rng.standard_normal(6), 0.5)
    active = penalty.active_set(w)
    is_away = np.abs(w) > 1e-2  # changes cannot be measured across a kink, nor beside it
    t, h = rng.standard_normal(6) * (active.is_free & is_away), 1e-6
    assert active.gradient @ t == pytest.approx(
        (penalty.value(w + h * t) - penalty.value(w - h * t)) / (2 * h), abs=1e-7
    )
    change = (penalty.active_set(w + h * t).gradient - penalty.active_set(w - h * t).gradient) / (2 * h)
    np.testing.assert_allclose((active.curvature(t) - change)[active.is_free & is_away], 0.0, atol=1e-3)
    far = active.projected(w + 3.0 * rng.standard_normal(6) * active.is_free)
    np.testing.assert_array_equal(far[~active.is_free], w[~active.is_free])
    assert np.isfinite(penalty.value(far))
    if isinstance(penalty, ElasticNet):
        assert np.all((far * w)[PENALIZED] >= 0.0)


def test_unpenalized_parameters_are_free() -> None:
    w = np.full(6, 0.2)
    for penalty in (l1(10.0, PENALIZED), ElasticNet(10.0, 0.5, PENALIZED), Box(0.0, 0.1, PENALIZED)):
        np.testing.assert_array_equal(penalty.prox(w, 1.0)[~PENALIZED], w[~PENALIZED])
        assert np.all(penalty.prox(w, 1.0)[PENALIZED] != 0.2)


def test_a_group_vanishes_as_a_whole() -> None:
    penalty = GroupL2(0.3, np.array([0, 0, -1, 1, 1, -1]))
    p = penalty.prox(np.array([0.2, 0.1, 0.5, 2.0, 1.0, -0.5]), 1.0)
    np.testing.assert_array_equal(p[[0, 1]], 0.0)
    assert np.all(p[[2, 3, 4, 5]] != 0.0)


def test_groups_are_the_fan_in_of_neurons_and_biases_join_only_if_asked() -> None:
    model = Mlp((3, 2, 1))
    np.testing.assert_array_equal(neuron_groups(model.neurons(), model.n_params), [0, 0, 0, -1, 1, 1, 1, -1, 2, 2, -1])
    np.testing.assert_array_equal(
        neuron_groups(model.neurons(), model.n_params, is_bias_penalized=True), [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    )


NUMBERS = {"STRENGTH": 0.5, "L1_RATIO": 0.5, "LOWER": -1.0, "UPPER": 1.0}


@pytest.mark.parametrize("entry", list(catalogue.PENALTIES), ids=lambda entry: entry.name)
def test_by_name_biases_are_left_out_unless_asked(entry: catalogue.PenaltyEntry) -> None:
    model, name = Mlp((3, 2, 1)), entry.name
    numbers = [NUMBERS[parameter.name] for parameter in entry.parameters]
    assert isinstance(penalty_by_name(name, model, *numbers), SmoothPenalty if entry.is_smooth else NonsmoothPenalty)
    w = np.linspace(-2.0, -1.5, model.n_params)
    left_out = penalty_by_name(name, model, *numbers).prox(w, 1.0)
    np.testing.assert_array_equal(left_out[model.is_bias()], w[model.is_bias()])
    if name != "none":
        asked = penalty_by_name(name, model, *numbers, is_bias_penalized=True).prox(w, 1.0)
        assert np.all(asked != w)


def test_what_makes_no_sense_is_refused() -> None:
    model = Mlp((3, 2, 1))
    with pytest.raises(ConfigError, match="penalty 'l0': must be one of none, l2"):
        penalty_by_name("l0", model)
    with pytest.raises(ConfigError, match="strength is -1"):
        SquaredL2(-1.0)
    with pytest.raises(ConfigError, match="l1_ratio is 2"):
        ElasticNet(1.0, 2.0)
    with pytest.raises(ConfigError, match="lower bound"):
        Box(1.0, 0.0)


def test_outside_a_box_the_value_is_infinite() -> None:
    box = Box(-1.0, 1.0)
    assert box.value(np.array([0.0, 1.5])) == np.inf
    assert box.optimality_distance(np.array([0.0, 1.5]), np.zeros(2)) == np.inf
    assert box.value(np.array([0.0, 1.0])) == 0.0


@every_penalty
@settings(max_examples=30, deadline=None)
@given(w=vectors)
def test_feasible_parameters_are_the_limit_of_the_prox(penalty: Penalty, w: Array) -> None:
    feasible = penalty.feasible(w)
    np.testing.assert_array_equal(feasible, penalty.prox(w, 0.0))
    assert np.isfinite(penalty.value(feasible))


@pytest.mark.parametrize("penalty", [p for p in PENALTIES if isinstance(p, SmoothPenalty)], ids=lambda p: p.describe())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_curvature_has_the_precision_of_the_parameters(penalty: SmoothPenalty, dtype: type) -> None:
    params: Array = np.linspace(-1.0, 1.0, 6).astype(dtype)
    found = penalty.curvature_in_precision_of(params)
    np.testing.assert_allclose(found, penalty.curvature(), rtol=float(np.finfo(dtype).eps))
    assert penalty.gradient(params).dtype == penalty.prox(params, 0.3).dtype == dtype
    assert (params * found).dtype == dtype
