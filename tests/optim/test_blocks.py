"""Blocks: how they are cut, and that parallel best responses are those of each block alone."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnet.errors import ConfigError
from p2pnet.optim.arrays import Array
from p2pnet.optim.local_objective import LocalObjective, serial_map
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.by_name import penalty_by_name
from p2pnet.optim.solvers.base import Solution, Status, solve
from p2pnet.optim.solvers.blocks import partition, solve_blocks
from p2pnet.optim.solvers.by_name import choose_solver
from p2pnet.optim.surrogates.base import Surrogate
from p2pnet.optim.surrogates.full import FullLinearization
from p2pnet.optim.surrogates.partial import PartialLinearization
from p2pnet.optim.surrogates.problem import SurrogateProblem

MODEL = Mlp((4, 6, 3))
RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 4))
Y = np.argmax(X[:, :3] + 0.5 * RNG.standard_normal((40, 3)), axis=1)
COST = LocalObjective(MODEL, SoftmaxCrossEntropy(), X, Y)


def problem_at(w: Array, penalty_name: str, surrogate: Surrogate, tau: float = 0.5) -> SurrogateProblem:
    local_model = surrogate.local_model(COST, w, np.random.default_rng(0))
    numbers = (-1.0, 1.0) if penalty_name == "box" else (1e-2,)
    penalty = penalty_by_name(penalty_name, MODEL, *numbers)
    return SurrogateProblem(local_model, w, local_model.gradient_at_origin, penalty, tau)


def exactly(problem: SurrogateProblem) -> Solution:
    return solve(problem, choose_solver(problem), tolerance=1e-10, max_iterations=5000)


@settings(max_examples=80, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=2, max_size=5), data=st.data())
def test_blocks_are_whole_neurons_and_cover_everything_in_order(sizes: list[int], data: st.DataObject) -> None:
    model = Mlp(sizes)
    ends = {neuron.bias + 1 for neuron in model.neurons()}
    n_blocks = data.draw(st.integers(1, len(ends)))
    blocks = partition(model, n_blocks)
    assert len(blocks) == n_blocks
    assert blocks[0].start == 0
    assert all(before.stop == after.start for before, after in pairwise(blocks))
    assert blocks[-1].stop == model.n_params
    assert all(block.stop in ends and block.stop > block.start for block in blocks)


def test_blocks_cost_about_the_same() -> None:
    for n_blocks in (2, 3, 4, 8):
        lengths = [block.stop - block.start for block in partition(Mlp((784, 256, 10)), n_blocks)]
        assert max(lengths) < 1.1 * min(lengths)


def test_more_blocks_than_neurons_are_refused() -> None:
    with pytest.raises(ConfigError, match="10 blocks of mlp 4-6-3 tanh: from 1 to 9"):
        partition(MODEL, 10)


@pytest.mark.parametrize("penalty_name", ["l2", "l1", "group", "box"])
@pytest.mark.parametrize("n_blocks", [1, 2, 5, 9])
def test_each_block_answers_as_it_would_alone_with_the_others_at_w(penalty_name: str, n_blocks: int) -> None:
    w = 0.5 * MODEL.init(np.random.default_rng(1))
    problem = problem_at(w, penalty_name, PartialLinearization())
    blocks = partition(MODEL, n_blocks)
    with ThreadPoolExecutor(3) as pool:
        solution = solve_blocks(problem, blocks, exactly, pool.map)
    assert solution.status is Status.CONVERGED
    np.testing.assert_array_equal(
        solution.best_response, solve_blocks(problem, blocks, exactly, serial_map).best_response
    )
    rng = np.random.default_rng(2)
    for block in blocks:
        v = w.copy()
        v[block] = solution.best_response[block]
        least = problem.value(v)
        for _ in range(5):
            other = v.copy()
            other[block] += 0.1 * rng.standard_normal(block.stop - block.start)
            assert problem.value(problem.penalty.prox(other, 1e-12)) > least


def test_one_block_is_the_whole_problem() -> None:
    problem = problem_at(MODEL.init(np.random.default_rng(1)), "l2", PartialLinearization())
    whole = exactly(problem)
    block = solve_blocks(problem, partition(MODEL, 1), exactly, serial_map)
    np.testing.assert_allclose(block.best_response, whole.best_response, atol=1e-12)


def test_full_linearisation_does_not_notice_blocks() -> None:
    problem = problem_at(MODEL.init(np.random.default_rng(1)), "group", FullLinearization())
    blocks = solve_blocks(problem, partition(MODEL, 4), exactly, serial_map)
    np.testing.assert_allclose(blocks.best_response, exactly(problem).best_response, atol=1e-14)


@pytest.mark.parametrize("penalty_name", ["l2", "l1", "group"])
def test_repeated_best_responses_of_blocks_reach_the_minimum(penalty_name: str) -> None:
    """Of a convex objective, whose blocks interact through the softmax."""
    model = Mlp((4, 3))
    cost, penalty = LocalObjective(model, SoftmaxCrossEntropy(), X, Y), penalty_by_name(penalty_name, model, 5e-2)
    w = model.init(np.random.default_rng(1))
    for _ in range(150):
        local_model = PartialLinearization().local_model(cost, w, np.random.default_rng(0))
        problem = SurrogateProblem(local_model, w, local_model.gradient_at_origin, penalty, 0.05)
        w = solve_blocks(problem, partition(model, 3), exactly, serial_map).best_response
    assert penalty.optimality_distance(w, cost.gradient(w)) < 1e-6


def test_the_least_successful_block_gives_the_status() -> None:
    problem = problem_at(MODEL.init(np.random.default_rng(1)), "l2", PartialLinearization())
    blocks = partition(MODEL, 2)
    limits = iter([100, 1])
    solution = solve_blocks(
        problem, blocks, lambda part: solve(part, choose_solver(part), max_iterations=next(limits)), serial_map
    )
    assert solution.status is Status.ITERATION_LIMIT
