"""Newton's method with a smooth penalty: the gradient of φ, and a line search that decreases φ enough."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnet.errors import ConfigError
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.base import Penalty
from p2pnet.optim.penalties.elastic_net import l1
from p2pnet.optim.penalties.squared_l2 import SquaredL2
from p2pnet.optim.solvers.newton import SmoothNewton
from p2pnet.optim.surrogates.partial import PartialLinearization
from p2pnet.optim.surrogates.problem import SurrogateProblem

MODEL = Mlp((4, 5, 3))


def problem_with(penalty: Penalty, seed: int = 0) -> SurrogateProblem:
    rng = np.random.default_rng(seed)
    objective = LocalObjective(MODEL, SoftmaxCrossEntropy(), rng.standard_normal((20, 4)), rng.integers(0, 3, 20))
    w = MODEL.init(rng)
    model = PartialLinearization().local_model(objective, w, rng)
    return SurrogateProblem(model, w, model.gradient_at_origin + 0.1 * rng.standard_normal(w.size), penalty, 0.3)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_point_has_the_gradient_of_the_problem(seed: int) -> None:
    problem = problem_with(SquaredL2(0.2), seed)
    rng, newton = np.random.default_rng(seed), SmoothNewton(problem)
    d, t, h = rng.standard_normal((2, MODEL.n_params)).tolist(), rng.standard_normal(MODEL.n_params), 1e-5
    step = np.array(d[0])
    point = newton.point(step, problem.local_model.tangents(step), problem.value(problem.params + step))
    v = problem.params + step
    difference = (problem.value(v + h * t) - problem.value(v - h * t)) / (2 * h)
    assert point.gradient @ t == pytest.approx(difference, abs=1e-6)
    assert point.residual == pytest.approx(np.linalg.norm(point.gradient))
    assert newton.origin().value == pytest.approx(problem.value(problem.params))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), length=st.floats(0.01, 100.0))
def test_the_line_search_ends_where_phi_has_decreased_enough(seed: int, length: float) -> None:
    problem = problem_with(SquaredL2(0.2), seed)
    newton = SmoothNewton(problem)
    start = newton.origin()
    change = -length * start.gradient
    end = newton.moved(start, change, problem.local_model.tangents(change))
    taken = float(end.step @ change) / float(change @ change)
    assert 0.0 < taken <= 1.0
    assert np.log2(taken) == pytest.approx(round(np.log2(taken)), abs=1e-9)
    assert end.value == pytest.approx(problem.value(problem.params + end.step))
    assert end.value <= start.value + 1e-4 * taken * float(start.gradient @ change) + 1e-12


def test_uphill_there_is_no_step() -> None:
    problem = problem_with(SquaredL2(0.2))
    newton = SmoothNewton(problem)
    start = newton.origin()
    assert newton.moved(start, start.gradient, problem.local_model.tangents(start.gradient)) is start


def test_the_damping_is_tau_and_the_penaltys_curvature() -> None:
    assert SmoothNewton(problem_with(SquaredL2(0.2))).diagonal == pytest.approx(0.5)


def test_a_nonsmooth_penalty_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a smooth penalty"):
        SmoothNewton(problem_with(l1(0.1)))
