"""The rule of two: what one neighbor alone says ends nothing and moves little."""

import math
from operator import eq
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.rounds.corroboration import Corroboration, left_by_two, reached_by_two
from p2pnet.protocol.rounds.last_round import LINKS_AROUND, LastRound, bound_for, links_around
from p2pnet.protocol.rounds.lead import AT_ONCE, Lead
from p2pnet.protocol.rounds.termination import TerminationDetector
from tests.protocol.rounds.parts import Parts


def test_a_word_counts_once_two_have_said_it() -> None:
    words = Corroboration[str]()
    words.hear("ann", "yes")
    assert words.seconded(eq) is None
    words.hear("ann", "yes")
    assert words.seconded(eq) is None
    words.hear("bob", "no")
    assert words.seconded(eq) is None
    words.hear("cy", "yes")
    assert words.seconded(eq) == "yes"
    words.keep({"ann", "bob"})
    assert words.seconded(eq) is None


@given(st.lists(st.integers(0, 100), max_size=5), st.integers(0, 10**9))
def test_one_liar_moves_a_number_no_further_than_the_honest_have_got(honest: list[int], lie: int) -> None:
    reached, left = reached_by_two([*honest, lie]), left_by_two([*honest, lie])
    assert reached is None or reached <= max(honest)
    assert left is None or left >= min(honest)


# --------------------------------------------------------------------------------------------------- rounds ahead


def test_an_agent_goes_on_with_the_round_that_two_neighbors_have_got_to() -> None:
    assert Lead(is_asynchronous=False).next_round(3, []) == 4
    assert Lead(is_asynchronous=False).next_round(3, [900, 800, 700]) == 800 + AT_ONCE


def test_on_the_word_of_one_it_skips_some_rounds_at_once_and_then_as_many_as_it_does() -> None:
    lead = Lead(is_asynchronous=False)
    rounds = [0]
    for _ in range(100):
        rounds.append(lead.next_round(rounds[-1], [10**9]))
    assert rounds[1] == 1 + AT_ONCE
    assert rounds[-1] == AT_ONCE + 2 * 100 - 1


def test_one_that_was_behind_with_its_only_neighbor_catches_up() -> None:
    lead, round_, theirs = Lead(is_asynchronous=False), 0, 200
    for _ in range(300):
        theirs += 1
        round_ = lead.next_round(round_, [theirs] if theirs > round_ + 1 else [])
    assert theirs - round_ <= 1


# ------------------------------------------------------------------------------------------------- the last round


def agent(*neighbors: str, links_around: int = 1) -> tuple[LastRound, TerminationDetector]:
    """An agent that was stationary, with all others so many links around it."""
    parts = Parts(*neighbors)
    parts.termination.begin_round(is_quiet=True)
    parts.termination.max_diameter = 32
    parts.termination.farthest = links_around
    return LastRound(parts.neighborhood, parts.termination), parts.termination


def test_a_last_round_that_one_of_several_neighbors_names_is_not_believed() -> None:
    last_round, termination = agent("ann", "bob", links_around=LINKS_AROUND - 1)
    last_round.named("ann", 40, 20)
    last_round.named("ann", 40, 21)
    assert termination.stop_round < 0
    last_round.named("bob", 41, 22)
    assert termination.stop_round == 41


def test_it_is_believed_by_an_agent_that_knows_all_around_it_to_be_stationary() -> None:
    last_round, termination = agent("ann", "bob", links_around=LINKS_AROUND)
    last_round.named("ann", 40, 20)
    assert termination.stop_round == 40


def test_all_agents_whose_count_can_be_as_far_as_they_are_from_who_names_the_round_know_enough() -> None:
    assert bound_for(7) == 7
    for diameter in range(1, 100):
        assert links_around(bound_for(diameter)) <= bound_for(diameter) + 1 - diameter
        assert bound_for(diameter) <= math.ceil(1.25 * diameter)


@given(st.integers(3, 20), st.integers(0, 2**32), st.sampled_from([0.3, 0.6, 0.9]))
def test_once_a_last_round_is_named_all_learn_it_however_short_each_was_stationary(
    n_agents: int, seed: int, often: float
) -> None:
    """On a ring each agent has two neighbors, of which the other may know no more than it does."""
    diameter, rng = n_agents // 2, Random(seed)  # noqa: S311
    names = [f"agent-{k}" for k in range(n_agents)]
    around = [(names[k - 1], names[(k + 1) % n_agents]) for k in range(n_agents)]
    parts = [Parts(*neighbors) for neighbors in around]
    detectors = dict(zip(names, (TerminationDetector(bound_for(diameter)) for _ in names), strict=True))
    hearing = [LastRound(each.neighborhood, detectors[name]) for name, each in zip(names, parts, strict=True)]
    named_in: int | None = None
    for round_ in range(200):
        for detector in detectors.values():
            detector.begin_round(is_quiet=named_in is None and rng.random() < often)
        counts = {name: detector.count for name, detector in detectors.items()}
        stops = {name: detector.stop_round for name, detector in detectors.items()}
        for name, neighbors, last_round in zip(names, around, hearing, strict=True):
            for neighbor in neighbors:
                last_round.named(neighbor, stops[neighbor], round_)
            detectors[name].end_round(round_, [counts[neighbor] for neighbor in neighbors])
        if named_in is None and any(detector.stop_round >= 0 for detector in detectors.values()):
            named_in = round_
        if named_in is not None and round_ == named_in + diameter:
            assert all(detector.stop_round >= 0 for detector in detectors.values())
            return


def test_the_only_neighbor_is_believed_and_one_that_has_gone_is_not_counted() -> None:
    last_round, termination = agent("ann")
    last_round.named("gone", 30, 20)
    assert termination.stop_round < 0
    last_round.named("ann", 40, 20)
    assert termination.stop_round == 40


def test_who_was_never_stationary_believes_nobody() -> None:
    parts = Parts("ann", "bob")
    last_round = LastRound(parts.neighborhood, parts.termination)
    for peer in ("ann", "bob"):
        last_round.named(peer, 40, 20)
    assert parts.termination.stop_round < 0


@pytest.mark.parametrize("n_links", [1, 2])
def test_one_that_has_ended_ends_no_agent_that_expects_another_back(n_links: int) -> None:
    parts = Parts("ann", "bob")
    for peer in ("ann", "bob")[:n_links]:
        parts.neighbor(peer).finished_sequence = 0
        parts.neighbor(peer).round = 50
    if n_links == 1:
        parts.close("bob")
        parts.neighbor("bob").absent_until = 10.0
    assert parts.neighborhood.ended_with(1.0) == (50 if n_links == 2 else None)
