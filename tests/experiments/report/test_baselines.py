from collections.abc import Iterator

import numpy as np
import pytest
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from p2pnet.agent.options import default_problem
from p2pnet.data.datasets import load_dataset
from p2pnet.data.samples import Samples
from p2pnet.experiments.report.baselines import train_baselines, train_centrally
from p2pnet.optim.penalties.base import SmoothPenalty
from p2pnet.training.problem import Problem, make_problem


@pytest.fixture(autouse=True)
def _one_blas_thread() -> Iterator[None]:
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def load(data: str, hidden: tuple[int, ...], penalty: str) -> tuple[Problem, Samples, Samples]:
    train, test = load_dataset(data, None, "auto", 0)
    return make_problem(default_problem(train.task, hidden=hidden, penalty=penalty), train), train, test


def lbfgs_objective(problem: Problem, samples: Samples, n_iterations: int) -> float:
    cost, penalty = problem.local_objective(samples), problem.penalty
    assert isinstance(penalty, SmoothPenalty)

    def objective(params: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = cost.value_and_gradient(params)
        return value + penalty.value(params), gradient + penalty.gradient(params)

    limits = {"maxiter": n_iterations, "maxfun": 10 * n_iterations, "ftol": 0.0, "gtol": 0.0}
    solution = minimize(objective, problem.first_params(), jac=True, method="L-BFGS-B", options=limits)
    return float(solution.fun)


def test_central_training_reaches_what_lbfgs_reaches_on_digits() -> None:
    problem, train, test = load("digits", (32,), "l2:1e-3")
    trained = train_centrally(problem, train)

    assert trained.is_converged
    assert trained.objective == pytest.approx(problem.objective(trained.params, problem.local_objective(train)))
    assert trained.objective <= 1.02 * lbfgs_objective(problem, train, 600)
    assert problem.metric(test)(trained.params) > 0.97


def test_a_convex_problem_is_solved_to_its_only_minimum() -> None:
    problem, train, _ = load("breast-cancer", (), "l2:1e-2")
    trained = train_centrally(problem, train, tolerance=1e-12)

    assert trained.is_converged
    assert trained.objective == pytest.approx(lbfgs_objective(problem, train, 2000), rel=1e-8)


def test_a_penalty_with_a_kink_is_taken_too() -> None:
    problem, train, _ = load("breast-cancer", (), "l1:1e-2")
    trained = train_centrally(problem, train, tolerance=1e-9)

    gradient = problem.local_objective(train).gradient(trained.params)
    assert problem.penalty.optimality_distance(trained.params, gradient) < 1e-4
    assert np.mean(trained.params == 0.0) > 0.3


def test_training_never_returns_worse_than_it_began_with_and_says_when_it_was_cut_short() -> None:
    problem, train, _ = load("digits", (8,), "l2:1e-3")
    first = problem.objective(problem.first_params(), problem.local_objective(train))
    few = train_centrally(problem, train, max_steps=2)
    none = train_centrally(problem, train, should_stop=lambda: True)

    assert (few.n_steps, few.is_converged) == (2, False)
    assert few.objective < first
    assert (none.n_steps, none.is_converged, none.objective) == (0, False, first)


def test_baselines_are_the_same_whenever_they_are_trained() -> None:
    problem, train, _ = load("digits", (4,), "l2:1e-3")
    shards = [train.take(np.arange(start, start + 100)) for start in (0, 100, 200)]
    one, other = (train_baselines(problem, train, shards) for _ in range(2))

    assert len(one.alone) == 3
    np.testing.assert_array_equal(one.central.params, other.central.params)
    for mine, again, shard in zip(one.alone, other.alone, shards, strict=True):
        np.testing.assert_array_equal(mine.params, again.params)
        assert mine.objective == problem.objective(mine.params, problem.local_objective(shard))


def test_baselines_end_when_their_time_is_up() -> None:
    problem, train, _ = load("digits", (32,), "l2:1e-3")
    baselines = train_baselines(problem, train, [train], time_limit_s=0.0)

    assert not baselines.central.is_converged
    assert baselines.central.n_steps <= 1
