"""Agents count how far around them all is quiet, and so end with the same round."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.experiments.topologies.by_name import make_topology
from p2pnet.protocol.rounds.termination import SLACK_ROUNDS, Stationarity, TerminationDetector
from p2pnet.simulation.graphs import diameter, neighbors_of


def test_stationary_is_relative_to_the_largest_first_residual_that_anybody_has_told_of() -> None:
    stationarity = Stationarity(1e-2)
    stationarity.hear(3.0)
    assert stationarity.is_reached(residual=0.03, disagreement=0.01)
    assert not stationarity.is_reached(residual=0.031, disagreement=0.0)
    assert not stationarity.is_reached(residual=0.0, disagreement=0.011)
    stationarity.hear(0.1)
    stationarity.hear(5.0)
    assert stationarity.is_reached(residual=0.05, disagreement=0.0)


def test_before_anything_has_been_heard_nobody_is_stationary() -> None:
    stationarity = Stationarity(1e-2)
    stationarity.hear(np.inf)
    assert not stationarity.is_reached(residual=np.inf, disagreement=0.0)
    assert not stationarity.is_reached(residual=1e-9, disagreement=0.0)


@pytest.mark.parametrize("is_heard_before", [True, False])
def test_a_neighbors_first_residual_counts_up_to_sixteen_times_the_agents_own(is_heard_before: bool) -> None:
    stationarity = Stationarity(1e-3)
    if is_heard_before:
        stationarity.hear(1e300)
    stationarity.measured(2.0)
    stationarity.hear(5.0)
    assert stationarity.first_residual == (32.0 if is_heard_before else 5.0)
    stationarity.hear(1e300)
    assert stationarity.first_residual == 32.0
    assert not stationarity.is_reached(0.033, 0.0)


def test_an_agent_whose_own_first_residual_is_nothing_believes_its_neighbors() -> None:
    stationarity = Stationarity(1e-3)
    stationarity.measured(0.0)
    stationarity.hear(7.0)
    assert stationarity.first_residual == 7.0


def test_with_tolerance_zero_nobody_comes_to_rest() -> None:
    stationarity = Stationarity(0.0)
    stationarity.hear(3.0)
    assert not stationarity.is_reached(residual=0.0, disagreement=0.0)


class Network:
    """Agents that exchange counts in rounds; what is lost is simply not updated."""

    def __init__(self, topology: str, n: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        edges = make_topology(topology, n, self.rng)
        self.neighbors = neighbors_of(edges, n)
        longest = diameter(edges, n)
        assert longest is not None
        self.counts = [TerminationDetector(longest) for _ in range(n)]
        self.heard = [dict.fromkeys(neighbors, 0) for neighbors in self.neighbors]
        self.ended: dict[int, int] = {}

    def round(self, round_: int, are_quiet: list[bool], loss_rate: float) -> None:
        for k, count in enumerate(self.counts):
            if 0 <= count.stop_round <= round_:
                self.ended.setdefault(k, round_)
            count.begin_round(are_quiet[k])
        for k, neighbors in enumerate(self.neighbors):
            for j in neighbors:
                if self.rng.random() >= loss_rate:
                    self.heard[k][j] = self.counts[j].count
                    self.counts[k].learn(self.counts[j].stop_round, round_)
        for k, count in enumerate(self.counts):
            count.end_round(round_, self.heard[k].values())


@pytest.mark.parametrize("topology", ["ring", "path", "star", "grid", "full"])
@pytest.mark.parametrize("loss_rate", [0.0, 0.1])
def test_all_end_with_the_same_round_and_only_after_all_were_quiet(topology: str, loss_rate: float) -> None:
    for seed in range(20):
        network = Network(topology, 9, seed)
        quiet_from = [int(round_) for round_ in network.rng.integers(0, 30, 9)]
        for round_ in range(200):
            network.round(round_, [round_ >= first for first in quiet_from], loss_rate)
        assert len(network.ended) == 9
        assert len(set(network.ended.values())) == 1
        assert network.ended[0] > max(quiet_from)


@given(st.integers(0, 8), st.integers(0, 2**32 - 1), st.floats(0, 0.6))
def test_one_that_is_never_quiet_keeps_all_others_from_ending(restless: int, seed: int, loss_rate: float) -> None:
    network = Network("ring", 9, seed)
    for round_ in range(60):
        network.round(round_, [k != restless for k in range(9)], loss_rate)
    assert network.ended == {}
    assert all(count.stop_round < 0 for count in network.counts)


def test_the_round_to_end_with_lies_further_off_than_word_has_to_travel() -> None:
    count = TerminationDetector(max_diameter=1)
    for round_ in range(2):
        count.begin_round(is_quiet=True)
        count.end_round(round_, [count.count])
    assert count.stop_round == 1 + 1 + SLACK_ROUNDS


def test_the_earliest_round_named_holds() -> None:
    count = TerminationDetector(4)
    count.begin_round(is_quiet=True)
    for named in (-1, 40, 30, 50):
        count.learn(named, round_=20)
    assert count.stop_round == 30


def test_who_was_never_quiet_does_not_believe_that_everybody_was() -> None:
    count = TerminationDetector(4)
    count.begin_round(is_quiet=False)
    count.learn(40, round_=20)
    assert count.stop_round < 0
    count.begin_round(is_quiet=True)
    count.learn(40, round_=21)
    assert count.stop_round == 40


def test_a_last_round_long_past_is_not_believed_and_one_just_past_is() -> None:
    count = TerminationDetector(4)
    count.begin_round(is_quiet=True)
    count.learn(40, round_=41 + SLACK_ROUNDS)
    assert count.stop_round < 0
    count.learn(40, round_=40 + SLACK_ROUNDS)
    assert count.stop_round == 40
