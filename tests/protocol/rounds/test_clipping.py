"""How far a neighbor's parameters may be from the agent's own, and what becomes of one that stays farther off."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import LinkId, Nonce, PeerId
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.links.tracker import Tracker
from p2pnet.protocol.rounds.clipping import (
    GROWTH,
    MAX_ALLOWANCE,
    PART_AT_ONCE,
    REACH,
    REACH_OF_STEP,
    ROUNDS_REMEMBERED,
    Clipping,
)
from p2pnet.protocol.rounds.steadiness import STEADY_ROUNDS

TOLERANCE = 1e-3
SIZE = 100.0
NEIGHBORS = ("ann", "bob", "eve")


def links(n_links: int = 3, counter: int = 1) -> list[Link]:
    return [
        Link(LinkId(Nonce(1, counter), Nonce(k, 1)), 3, 1, 64, ResendTimer(0.2, 1.0)) for k in range(1, n_links + 1)
    ]


class Agent:
    """An agent with parameters of one size, whose steps and distances to its neighbors the tests name."""

    def __init__(self, n_rounds: int = 0, first_round: int = 0) -> None:
        self.clipping = Clipping(TOLERANCE)
        self.links = links()
        self.tracker = Tracker(1)
        self.sees_samples(100.0)
        self.round = first_round
        for _ in range(n_rounds):
            self.goes_through()

    def sees_samples(self, n_samples: float) -> None:
        """The samples per agent are estimated at this number from now on."""
        self.tracker.replace_own(np.zeros(1), n_samples)
        self.tracker.update(())

    def steps(self, length: float) -> float:
        """The radius of the next round, which begins with a step of this length."""
        proposal = np.array([SIZE, 0.0])
        self.clipping.step_from(proposal - np.array([0.0, length]))
        radius = self.clipping.begin_round(self.round, proposal, self.links, self.tracker)
        self.round += 1
        return radius

    def goes_through(self, step: float = 1.0, **distances: float) -> set[PeerId]:
        """The neighbors that are convicted in a round; those that are not named are at a distance of 1."""
        self.steps(step)
        return self.clipping.far_off({**dict.fromkeys(NEIGHBORS, 1.0), **distances})


def rounds_until_convicted(agent: Agent, distance: float, limit: int = 400) -> int:
    return next((n for n in range(1, limit) if agent.goes_through(eve=distance)), limit)


def test_the_radius_is_of_the_middle_neighbor_and_of_the_longest_step_in_the_last_rounds() -> None:
    agent = Agent(20)
    agent.goes_through(ann=2.0, bob=1.5, eve=500.0)
    assert agent.steps(1.0) == 2.0 * REACH
    assert agent.steps(8.0) == 8.0 * REACH_OF_STEP
    for _ in range(2 * ROUNDS_REMEMBERED):
        agent.goes_through()
    assert agent.steps(1.0) == REACH


@given(
    steps=st.lists(st.floats(0.0, 1e12), min_size=2, max_size=20),
    distances=st.lists(st.floats(0.0, 1e12), min_size=2, max_size=8),
)
def test_beyond_a_part_of_the_parameters_the_radius_grows_slowly(steps: list[float], distances: list[float]) -> None:
    agent = Agent(ROUNDS_REMEMBERED)
    before = agent.steps(1.0)
    for step in steps:
        agent.clipping.far_off({f"peer {k}": distance for k, distance in enumerate(distances)})
        radius = agent.steps(step)
        assert radius <= GROWTH**2 * max(before, PART_AT_ONCE * SIZE) * (1 + 1e-12)
        before = max(radius, before)


def test_what_counts_as_agreement_is_never_cut() -> None:
    agent = Agent()
    for _ in range(20):
        agent.goes_through(step=1e-9, ann=1e-9, bob=1e-9, eve=1e-9)
    assert agent.steps(0.0) == pytest.approx(TOLERANCE * (1 + SIZE))


def test_where_nothing_has_moved_yet_and_where_there_is_one_neighbor_nothing_is_cut() -> None:
    assert Agent().steps(0.0) == math.inf
    agent = Agent(20)
    agent.links = links(1)
    assert agent.steps(1.0) == math.inf
    assert agent.clipping.far_off({"eve": 1e10}) == set()


def test_one_that_stays_far_off_is_convicted_the_sooner_the_farther() -> None:
    assert rounds_until_convicted(Agent(20), 1e10) == 3
    assert rounds_until_convicted(Agent(20), 1.2 * REACH) == 11
    assert rounds_until_convicted(Agent(20), 0.99 * REACH) == 400


def test_one_that_is_far_off_now_and_then_is_forgiven() -> None:
    agent = Agent(20)
    for n in range(400):
        assert not agent.goes_through(eve=2.0 * REACH if n % 16 == 0 else 1.0)


def test_nobody_is_far_off_where_the_middle_neighbor_is_as_far() -> None:
    agent = Agent(20)
    for distance in 2.0 ** np.arange(1.0, 40.0):
        assert not agent.goes_through(ann=distance, bob=distance, eve=1.5 * distance)


def test_where_links_have_changed_of_late_distances_are_allowed_until_they_have_had_the_time_to_shrink() -> None:
    agent = Agent(20)
    agent.links = links(counter=2)
    far = 0.5 * SIZE
    for _ in range(STEADY_ROUNDS):
        assert not agent.goes_through(eve=far)
    for _ in range(100):
        far *= 0.95
        assert not agent.goes_through(eve=far)
    assert rounds_until_convicted(agent, 0.5 * SIZE) == 3


def test_one_whose_many_samples_are_just_being_found_out_is_allowed_its_long_steps() -> None:
    agent = Agent(2)
    agent.sees_samples(1e6)
    for _ in range(STEADY_ROUNDS):
        assert not agent.goes_through(eve=4.0 * SIZE)


@pytest.mark.parametrize("agent", [Agent(20), Agent(first_round=30)], ids=["links have changed", "comes late"])
def test_not_even_then_is_more_allowed_than_some_sizes_of_the_parameters(agent: Agent) -> None:
    agent.links = links(counter=2)
    assert rounds_until_convicted(agent, 10.0 * MAX_ALLOWANCE * SIZE) == 3


def test_one_that_was_convicted_is_allowed_nothing_when_it_comes_back() -> None:
    agent = Agent(20)
    rounds_until_convicted(agent, 1e10)
    agent.links = links(2)
    for _ in range(STEADY_ROUNDS):
        agent.steps(1.0)
        agent.clipping.far_off({"ann": 1.0, "bob": 1.0})
    agent.links = links(counter=3)
    assert rounds_until_convicted(agent, 10.0 * REACH) == 3


def test_radius_and_strikes_begin_anew_with_an_epoch() -> None:
    agent = Agent(20)
    for _ in range(2):
        assert not agent.goes_through(eve=1e10)
    agent.clipping.begin_anew()
    assert agent.steps(50.0) == REACH_OF_STEP * 50.0
    for _ in range(STEADY_ROUNDS):
        assert not agent.goes_through(ann=10.0, bob=50.0, eve=200.0)
