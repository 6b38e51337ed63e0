"""A quadratic model is what its factor says: value, gradient and curvature fit each other, for blocks as well."""

import numpy as np
import pytest

from p2pnet.optim.arrays import Array
from p2pnet.optim.penalties.no_penalty import NoPenalty
from p2pnet.optim.solvers.best_response import BestResponseSolver
from p2pnet.optim.surrogates.problem import SurrogateProblem
from p2pnet.optim.surrogates.quadratic import QuadraticModel

N = 6
RNG = np.random.default_rng(0)
FACTOR = RNG.standard_normal((4, N))
B = FACTOR.T @ FACTOR
GRADIENT = RNG.standard_normal(N)
MODEL = QuadraticModel(FACTOR, 2.0, GRADIENT)


def test_values_are_those_of_the_quadratic_function() -> None:
    step = RNG.standard_normal(N)
    assert MODEL.value(step) == pytest.approx(2.0 + GRADIENT @ step + 0.5 * step @ B @ step)
    assert MODEL.value(np.zeros(N)) == 2.0


def test_the_gradient_is_the_derivative_of_the_value() -> None:
    step, h = RNG.standard_normal(N), 1e-6
    differences = [(MODEL.value(step + h * e) - MODEL.value(step - h * e)) / (2 * h) for e in np.eye(N)]
    np.testing.assert_allclose(MODEL.gradient(step), differences, rtol=1e-6)


def test_the_curvature_is_the_same_everywhere() -> None:
    direction = RNG.standard_normal(N)
    curvature = MODEL.curvature(RNG.standard_normal(N))
    np.testing.assert_allclose(curvature.product(direction), B @ direction)
    np.testing.assert_allclose(curvature.diagonal(), B.diagonal())
    np.testing.assert_allclose(curvature.factor().T @ curvature.factor(), B)


@pytest.mark.parametrize("solver", ["auto", "direct", "cg", "cg-jacobi"])
def test_solvers_find_its_minimiser(solver: str) -> None:
    params: Array = RNG.standard_normal(N)
    problem = SurrogateProblem(MODEL, params, GRADIENT, NoPenalty(), 0.3)
    solution = BestResponseSolver(solver).solve(problem, tolerance=1e-12, max_iterations=100, should_stop=lambda: False)
    expected = params - np.linalg.solve(B + 0.3 * np.eye(N), GRADIENT)
    np.testing.assert_allclose(solution.best_response, expected, atol=1e-9)
