"""What stands between the round machine and the mathematics."""

import math
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest

from p2pnet.agent.options import default_optimizer, default_problem
from p2pnet.data.samples import Samples
from p2pnet.optim.local_optimizer import LocalOptimizer
from p2pnet.optim.network_curvature import FIRST_MEASURED_ROUND, FIRST_STEP_ROUND
from p2pnet.optim.step_sizes import N_STEPS
from p2pnet.protocol.core.effects import Audit, Evaluate, RunLocalStep
from p2pnet.protocol.core.events import LocalStepDone
from p2pnet.protocol.core.types import Array
from p2pnet.training.learner import NextLearner, Weighting
from p2pnet.training.problem import make_optimizer, make_problem
from p2pnet.training.records import LearnerState


def learner_with(
    step_limit_s: float, at_the_third_look: Callable[[], None] = lambda: None
) -> tuple[NextLearner, Array]:
    """A learner whose clock goes on by a second whenever it is read, and its first parameters."""
    rng = np.random.default_rng(0)
    samples = Samples(rng.standard_normal((60, 5)), rng.integers(0, 3, 60), "classification", ("a", "b", "c"), (), "y")
    problem = make_problem(default_problem("classification", hidden=(8,)), samples)
    optimizer = make_optimizer(problem, default_optimizer(solver="cg", solver_tolerance=0.0), samples)
    looks = count()

    def clock() -> float:
        now = next(looks)
        if now == 3:
            at_the_third_look()
        return float(now)

    learner = NextLearner(optimizer, lambda _: 0.0, step_limit_s=step_limit_s, clock=clock)
    return learner, problem.first_params().astype(np.float64)


def step_of(learner: NextLearner, params: Array, round_: int = 0) -> LocalStepDone:
    evaluated = learner.evaluate(Evaluate(round_, params, 0.0))
    direction = evaluated.gradient_sum / evaluated.n_samples
    curvature = evaluated.curvature / evaluated.n_samples
    return learner.run_local_step(
        RunLocalStep(round_, params, direction, 60.0, 0.0, is_complete=True, curvature=curvature)
    )


def test_a_step_stops_when_its_time_is_up_with_what_it_has() -> None:
    learner, params = learner_with(step_limit_s=4.0)
    done = step_of(learner, params)
    assert learner.n_iterations == 3  # the clock is read when the time begins, and before each iteration
    assert learner.optimizer.objective.value(done.params) < learner.optimizer.objective.value(params)


def test_with_the_networks_curvature_a_step_goes_to_the_minimum_of_what_is_tracked() -> None:
    """A network of one agent, far on: the step is Newton's with curvature |H|, and nothing is left to be tracked."""
    rng = np.random.default_rng(0)
    samples = Samples(rng.standard_normal((60, 3)), rng.standard_normal((60, 1)), "regression", (), (), "y")
    problem = make_problem(default_problem("regression", hidden=()), samples)
    optimizer = make_optimizer(problem, default_optimizer(proximal_weight=1e-9), samples)
    learner = NextLearner(optimizer, lambda _: 0.0, Weighting.NETWORK)
    params = problem.first_params().astype(np.float64)
    assert learner.has_curvature
    for round_, n_tracked in ((FIRST_MEASURED_ROUND - 1, 0), (FIRST_MEASURED_ROUND, 4 + 10)):
        step_of(learner, params, round_)
        assert learner.evaluate(Evaluate(round_ + 1, params, 0.0)).curvature.size == n_tracked
    step_of(learner, params, FIRST_MEASURED_ROUND + 2)
    done = step_of(learner, params, FIRST_STEP_ROUND + 4)
    minimum = step_of(learner, done.params, FIRST_STEP_ROUND + 8)
    assert minimum.residual < 1e-6 * done.residual


def gradient_far_off(learner: NextLearner, params: Array, round_: int, curvature: Array | None = None) -> None:
    """A step where the network's gradient has nothing to do with the agent's own."""
    evaluated = learner.evaluate(Evaluate(round_, params, 0.0))
    beside = np.zeros(0) if curvature is None else curvature
    away = RunLocalStep(
        round_, params, -10.0 * evaluated.gradient_sum / 60, 60.0, 0.0, is_complete=True, curvature=beside
    )
    learner.run_local_step(away)


@pytest.mark.parametrize("weighting", [Weighting.AUTO, Weighting.PROXY])
def test_by_default_curvature_is_measured_where_the_gradient_is_far_from_the_networks(weighting: Weighting) -> None:
    learner, params = linear_learner(weighting)
    step_of(learner, params, FIRST_MEASURED_ROUND)
    assert learner.evaluate(Evaluate(FIRST_MEASURED_ROUND + 1, params, 0.0)).curvature.size == 0
    gradient_far_off(learner, params, FIRST_MEASURED_ROUND - 2)
    assert learner.evaluate(Evaluate(FIRST_MEASURED_ROUND + 1, params, 0.0)).curvature.size == 0
    gradient_far_off(learner, params, FIRST_MEASURED_ROUND + 2)
    found = learner.evaluate(Evaluate(FIRST_MEASURED_ROUND + 3, params, 0.0)).curvature.size
    assert found == (14 if weighting is Weighting.AUTO else 0)


def test_by_default_curvature_is_measured_as_soon_as_some_has_come_from_others() -> None:
    learner, params = linear_learner(Weighting.AUTO)
    gradient_far_off(learner, params, FIRST_MEASURED_ROUND, curvature=np.ones(14))
    assert learner.evaluate(Evaluate(FIRST_MEASURED_ROUND + 1, params, 0.0)).curvature.size == 14


def linear_learner(weighting: Weighting) -> tuple[NextLearner, Array]:
    rng = np.random.default_rng(0)
    samples = Samples(rng.standard_normal((60, 3)), rng.standard_normal((60, 1)), "regression", (), (), "y")
    problem = make_problem(default_problem("regression", hidden=()), samples)
    learner = NextLearner(make_optimizer(problem, default_optimizer(), samples), lambda _: 0.0, weighting)
    return learner, problem.first_params().astype(np.float64)


@pytest.mark.parametrize("factor", [1e150, 1e300, np.inf, np.nan])
@pytest.mark.parametrize("weighting", [Weighting.PROXY, Weighting.NETWORK])
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_whatever_is_tracked_a_step_is_finite(weighting: Weighting, factor: float) -> None:
    rng = np.random.default_rng(0)
    samples = Samples(rng.standard_normal((60, 3)), rng.standard_normal((60, 1)), "regression", (), (), "y")
    problem = make_problem(default_problem("regression", hidden=()), samples)
    learner = NextLearner(make_optimizer(problem, default_optimizer(), samples), lambda _: 0.0, weighting)
    params = problem.first_params().astype(np.float64)
    gradient, curvature = factor * np.ones(4), factor * np.ones(14 if weighting is Weighting.NETWORK else 0)
    learner.evaluate(Evaluate(FIRST_MEASURED_ROUND, params, 0.0))
    for round_ in (FIRST_MEASURED_ROUND, FIRST_STEP_ROUND):
        step = RunLocalStep(round_, params, gradient, 60.0, 0.0, is_complete=True, curvature=curvature)
        learner.run_local_step(step)
    assert np.isfinite(learner.run_local_step(step).params).all()


def test_a_step_that_is_cut_short_ends_with_what_it_has() -> None:
    learner, params = learner_with(step_limit_s=np.inf, at_the_third_look=lambda: learner.cut_short(0))
    done = step_of(learner, params)
    assert learner.n_iterations == 3
    assert learner.optimizer.objective.value(done.params) < learner.optimizer.objective.value(params)


def test_the_step_after_one_that_was_cut_short_is_whole() -> None:
    learner, params = learner_with(step_limit_s=np.inf)
    learner.cut_short(0)
    step_of(learner, params, round_=1)
    assert learner.n_iterations >= 20


def test_where_time_is_up_before_a_step_is_found_that_helps_the_agent_stays_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LocalOptimizer, "_decreases", lambda *_: False)
    learner, params = learner_with(step_limit_s=4.0)
    weight = learner.optimizer.rule.weight
    done = step_of(learner, params)
    np.testing.assert_array_equal(done.params, params)
    assert learner.optimizer.rule.weight > weight


def test_without_a_limit_the_solver_takes_its_iterations() -> None:
    learner, params = learner_with(step_limit_s=np.inf)
    step_of(learner, params)
    assert learner.n_iterations >= 20


@pytest.mark.parametrize(("n_rounds_later", "is_gone_on_with"), [(0, True), (20, True), (21, False)])
def test_the_numbers_of_an_earlier_run_are_gone_on_with_unless_the_network_has_gone_on(
    n_rounds_later: int, is_gone_on_with: bool
) -> None:
    (earlier, params), (later, _) = learner_with(math.inf), learner_with(math.inf)
    earlier.evaluate(Evaluate(100, params, 0.0))
    earlier.optimizer.rule.weight = 7.0
    later.restore(earlier.state())
    assert later.state() == earlier.state()
    assert (step_of(later, params, 100 + n_rounds_later).proximal_weight == 7.0) == is_gone_on_with


@pytest.mark.parametrize("n_rounds_later", [20, 200])
def test_an_agent_that_returns_is_not_in_its_first_steps_again(n_rounds_later: int) -> None:
    (earlier, params), (later, _) = learner_with(math.inf), learner_with(math.inf)
    earlier.evaluate(Evaluate(100, params, 0.0))
    later.restore(LearnerState({**earlier.state().numbers, N_STEPS: 40.0}))
    step_of(later, params, 100 + n_rounds_later)
    assert later.state().numbers[N_STEPS] == 41.0


def test_an_audit_tells_the_losses_of_own_samples_and_those_halfway_where_they_are_worse() -> None:
    learner, params = learner_with(math.inf)
    learner.evaluate(Evaluate(0, params, 0.0))
    objective = learner.optimizer.objective
    own, other = 1.1 * params, -1.1 * params
    near = learner.audit(Audit(3, own, {"ann": other}))
    far = learner.audit(Audit(3, own, {"ann": other}, is_way_too=True))
    assert near.round == 3
    assert (near.first, near.own) == pytest.approx((objective.value(params), objective.value(own)))
    assert near.others["ann"] == pytest.approx(objective.value(other))
    halfway = objective.value(0.0 * params)
    assert far.others["ann"] == pytest.approx(max(objective.value(other), halfway))
