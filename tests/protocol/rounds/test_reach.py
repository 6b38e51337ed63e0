"""How far neighbors may be in the first rounds."""

import math

import numpy as np
import pytest

from p2pnet.protocol.rounds.reach import FAR, FAR_AT_FIRST, FIRST_ROUNDS, MAX_FAR_ROUNDS, MEASURED_ROUNDS, Reach

STEP = 2.0
SMALL, LARGE = np.zeros(3), np.array([0.0, STEP, 0.0])


def begun(n_rounds: int = 1, first_round: int = 0) -> Reach:
    """An agent that has made so many steps of one size."""
    reach = Reach()
    for round_ in range(first_round, first_round + n_rounds):
        reach.step_from(SMALL)
        reach.see_step(round_, LARGE)
    return reach


def test_neighbors_are_within_five_steps_at_first_and_within_three_later_until_all_is_known_by_audits() -> None:
    assert begun().reach == FAR_AT_FIRST * STEP
    assert begun(FIRST_ROUNDS + 1).reach == FAR * STEP
    assert begun(MEASURED_ROUNDS + 1).reach == math.inf


def test_the_longest_step_so_far_counts() -> None:
    reach = begun()
    reach.step_from(SMALL)
    reach.see_step(1, 0.1 * LARGE)
    assert reach.reach == FAR_AT_FIRST * STEP


def test_an_agent_that_comes_later_or_trains_on_with_other_samples_measures_nothing() -> None:
    assert begun(first_round=3).reach == math.inf
    reach = begun()
    reach.begin_anew()
    assert reach.reach == math.inf
    assert reach.far_off({"ann": 0.0, "eve": 1e9}) == set()


@pytest.mark.parametrize("distance", [1.1 * FAR_AT_FIRST * STEP, math.inf, math.nan])
def test_one_that_is_beyond_reach_again_and_again_is_convicted_and_unusual_from_the_first_time_on(
    distance: float,
) -> None:
    reach = begun()
    for _ in range(MAX_FAR_ROUNDS):
        assert reach.far_off({"ann": 1.0, "eve": distance}) == set()
        assert reach.unusual == {"eve"}
    assert reach.far_off({"ann": 1.0, "eve": distance}) == {"eve"}


def test_an_agent_that_is_far_from_all_others_convicts_none() -> None:
    reach = begun()
    for _ in range(2 * MAX_FAR_ROUNDS):
        assert reach.far_off({"ann": 1e6, "eve": 1e9}) == set()


def test_where_others_come_or_go_nobody_is_convicted() -> None:
    reach = begun()
    for weight in (1.0, 0.5):
        reach.see_tracked((), weight)
    for _ in range(2 * MAX_FAR_ROUNDS):
        assert reach.far_off({"ann": 1.0, "eve": 1e9}) == set()
