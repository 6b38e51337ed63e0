"""Step sizes fall as NEXT's proof of convergence asks."""

from itertools import pairwise

import pytest

from p2pnet.optim.step_sizes import DiminishingStep, FullStep


def test_a_full_step_stays_full() -> None:
    rule = FullStep()
    assert [rule.next() for _ in range(3)] == [1.0, 1.0, 1.0]


def test_a_diminishing_step_follows_its_recursion_and_falls_like_one_over_the_decay_times_the_round() -> None:
    rule = DiminishingStep(0.5, 0.1)
    steps = [rule.next() for _ in range(20_000)]
    assert steps[:2] == [0.5, 0.5 * (1 - 0.1 * 0.5)]
    assert all(later < earlier for earlier, later in pairwise(steps))
    assert steps[-1] * 0.1 * len(steps) == pytest.approx(1.0, rel=0.02)
