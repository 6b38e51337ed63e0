"""The number of agents is estimated from the mean of random signs, each agent's own."""

import numpy as np
import pytest

from p2pnet.protocol.links.tracker import N_SIGNS, Tracker, signs_of


@pytest.mark.parametrize("n_agents", [1, 2, 7, 40, 300])
def test_the_mean_of_all_signs_tells_how_many_there_are(n_agents: int) -> None:
    signs = [signs_of(f"agent-{k}", N_SIGNS) for k in range(n_agents)]
    tracker = Tracker(2, np.mean(signs, axis=0))
    tracker.replace_own(np.array([1.0, 2.0]), 5.0)
    assert tracker.network_size == pytest.approx(n_agents, rel=0.35)


def test_signs_are_an_agents_own_and_balanced() -> None:
    signs = signs_of("agent-1", 4001)
    assert set(signs) == {-1.0, 1.0}
    assert abs(signs.mean()) < 0.1
    assert np.array_equal(signs, signs_of("agent-1", 4001))
    assert not np.array_equal(signs, signs_of("agent-2", 4001))


def test_signs_leave_gradient_and_samples_alone() -> None:
    with_signs, without = Tracker(2, signs_of("agent-1", 9)), Tracker(2)
    for tracker in (with_signs, without):
        tracker.replace_own(np.array([1.0, 2.0]), 5.0)
        tracker.update([])
    np.testing.assert_array_equal(with_signs.direction, without.direction)
    assert with_signs.mean_samples == without.mean_samples == 5.0
    assert without.network_size == 1.0
