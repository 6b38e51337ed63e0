"""What stands between the round machine and the mathematics."""

from itertools import count

import numpy as np

from p2pnet.agent.data import Samples
from p2pnet.config import AlgorithmSettings, ModelSettings, ObjectiveSettings
from p2pnet.consensus.effects import Evaluate, LocalStepDone, RunLocalStep
from p2pnet.consensus.messages import Array
from p2pnet.learner import NextLearner
from p2pnet.problem import make_optimizer, make_problem


def learner_with(step_limit_s: float) -> tuple[NextLearner, Array]:
    """A learner whose clock goes on by a second whenever it is read, and its first parameters."""
    rng = np.random.default_rng(0)
    samples = Samples(rng.standard_normal((60, 5)), rng.integers(0, 3, 60), "classification", ("a", "b", "c"), (), "y")
    problem = make_problem(ModelSettings(hidden=(8,)), ObjectiveSettings(), samples)
    optimizer = make_optimizer(problem, AlgorithmSettings(solver="cg", solver_tolerance=0.0), samples)
    clock = count()
    learner = NextLearner(optimizer, lambda _: 0.0, step_limit_s=step_limit_s, clock=lambda: float(next(clock)))
    return learner, problem.first_params().astype(np.float64)


def step_of(learner: NextLearner, params: Array) -> LocalStepDone:
    evaluated = learner.evaluate(Evaluate(0, params, 0.0))
    direction = evaluated.gradient_sum / evaluated.n_samples
    return learner.run_local_step(RunLocalStep(0, params, direction, 60.0, 0.0, is_complete=True))


def test_a_step_stops_when_its_time_is_up_with_what_it_has() -> None:
    learner, params = learner_with(step_limit_s=4.0)
    done = step_of(learner, params)
    assert learner.n_iterations == 3  # the clock is read when the time begins, and before each iteration
    assert learner.optimizer.cost.value(done.params) < learner.optimizer.cost.value(params)


def test_without_a_limit_the_solver_takes_its_iterations() -> None:
    learner, params = learner_with(step_limit_s=np.inf)
    step_of(learner, params)
    assert learner.n_iterations >= 20
