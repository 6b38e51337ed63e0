"""Proposals: whole steps, steps that fall as NEXT's proof of convergence asks, and steps with momentum."""

from itertools import pairwise

import numpy as np
import pytest

from p2pnet.optim.arrays import Array
from p2pnet.optim.step_sizes import DiminishingStep, FullStep, MomentumStep, StepSizeRule


def after_first_steps(rule: StepSizeRule) -> StepSizeRule:
    w = np.zeros(2)
    for _ in range(MomentumStep.N_FIRST_STEPS):
        assert np.array_equal(rule.proposal(w, w + 1.0, w - 1.0, 0.0), w + 1.0)
    return rule


def minimise(curvature: Array, proximal_weight: float, rule: StepSizeRule, tolerance: float) -> int:
    """Steps until the gradient of ½ wᵀ diag(curvature) w has fallen to `tolerance`, with v = w − ∇ / weight."""
    w, previous = np.ones_like(curvature), None
    for n_steps in range(10_000):
        if np.linalg.norm(curvature * w) <= tolerance:
            return n_steps
        proposal = rule.proposal(w, w - curvature * w / proximal_weight, previous, 0.0)
        w, previous = proposal, w
    raise AssertionError(f"still at {w}")


def test_a_full_step_stays_full() -> None:
    w, v = np.zeros(2), np.ones(2)
    assert FullStep().proposal(w, v, w - 1.0, 0.0) is v


def test_a_diminishing_step_follows_its_recursion_and_falls_like_one_over_the_decay_times_the_round() -> None:
    rule = DiminishingStep(0.5, 0.1)
    steps = [float(rule.proposal(np.zeros(1), np.ones(1), None, 0.0)[0]) for _ in range(20_000)]
    assert steps[:2] == [0.5, 0.5 * (1 - 0.1 * 0.5)]
    assert all(later < earlier for earlier, later in pairwise(steps))
    assert steps[-1] * 0.1 * len(steps) == pytest.approx(1.0, rel=0.02)


def test_momentum_grows_with_the_steps_that_go_on_and_ends_with_one_that_turns_back() -> None:
    rule = after_first_steps(MomentumStep())
    w, ahead, behind = np.zeros(1), np.ones(1), -np.ones(1)
    proposals = [float(rule.proposal(w, ahead, behind, 0.0)[0]) for _ in range(26)]
    assert proposals == pytest.approx([1 + t / (t + 3) for t in range(1, 27)])
    assert all(float(rule.proposal(w, ahead, behind, 0.0)[0]) <= 1.9 for _ in range(30))
    assert rule.proposal(w, behind, behind, 0.0) is behind
    assert float(rule.proposal(w, ahead, behind, 0.0)[0]) == pytest.approx(1.25)


@pytest.mark.parametrize(("disagreement", "kept"), [(0.0, 1.0), (0.5, 0.75), (2.0, 0.0), (5.0, 0.0)])
def test_momentum_keeps_only_the_displacement_that_agents_share(disagreement: float, kept: float) -> None:
    rule = after_first_steps(MomentumStep())
    w, v = np.zeros(1), np.ones(1)
    assert float(rule.proposal(w, v, w - 2.0, disagreement)[0]) == pytest.approx(1.0 + 0.25 * 2.0 * kept)


def test_with_momentum_a_flat_valley_takes_a_fraction_of_the_steps() -> None:
    curvature, weight = np.array([1.0, 0.1, 0.003]), 1.0
    plain = minimise(curvature, weight, FullStep(), 1e-8)
    assert minimise(curvature, weight, MomentumStep(), 1e-8) < plain / 4


def test_momentum_leaves_what_a_penalty_has_set_to_zero() -> None:
    rule = MomentumStep()
    previous, params, best_response = np.array([2.0, 1.0]), np.array([1.0, 0.5]), np.array([0.5, 0.0])
    for _ in range(MomentumStep.N_FIRST_STEPS):
        rule.proposal(params, best_response, previous, 0.0)
    proposal = rule.proposal(params, best_response, previous, 0.0)
    assert proposal[0] < best_response[0]
    assert proposal[1] == 0.0
