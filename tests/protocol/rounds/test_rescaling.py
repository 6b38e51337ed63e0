"""Of all scales that are proposed one holds at all agents, and only those hold that fit."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Array, FeatureStatistics
from p2pnet.protocol.rounds.rescaling import (
    FAR,
    MAX_ADOPTED,
    PATIENCE_S,
    SPREAD_S,
    Rescaling,
    drift,
    is_later,
    revision_of,
)

LIMIT, IDLE_S = 0.5, 10.0
FIRST = FeatureStatistics("ann 1.0", (), np.array([10.0, 0.0]), np.array([4.0, 1.0]))
N_SAMPLES = 40.0

NAMES = st.builds(
    lambda name, revision: f"{name} 1 rescaled {revision}" if revision else f"{name} 1.0",
    st.text("ab", min_size=1, max_size=3),
    st.integers(0, 3),
)


def moved(shift: float) -> Array:
    return np.array([FIRST.mean[0] + shift, FIRST.mean[1]])


def rescaling(me: str = "bob 1") -> Rescaling:
    return Rescaling(me, FIRST, LIMIT, IDLE_S)


def sums(mean: Array, variance: Array, by: FeatureStatistics = FIRST) -> Array:
    """What agents track of samples with this mean and variance."""
    unit = np.sqrt(by.variance)
    means = (mean - by.mean) / unit
    return N_SAMPLES * np.concatenate([means, variance / by.variance + means**2, [1.0]])


def drifted(name: str, shift: float = 3.0) -> FeatureStatistics:
    return FeatureStatistics(name, (), moved(shift), FIRST.variance)


def one_that_has_measured(shift: float = 3.0, me: str = "bob 1") -> Rescaling:
    agent = rescaling(me)
    agent.observe(sums(moved(shift), FIRST.variance))
    agent.become_idle(now=0.0)
    return agent


@given(NAMES, NAMES, NAMES)
def test_of_any_scales_that_were_proposed_one_is_the_latest(one: str, other: str, third: str) -> None:
    assert not (is_later(one, other) and is_later(other, one))
    if one != other and max(revision_of(one), revision_of(other)) > 0:
        assert is_later(one, other) or is_later(other, one)
    if is_later(one, other) and is_later(other, third):
        assert is_later(one, third)


def test_scales_that_were_never_replaced_are_not_replaced_by_others_such() -> None:
    assert not is_later("ann 1.0", "bob 1.0")
    assert not is_later("bob 1.0", "ann 1.0")


@pytest.mark.parametrize(("mean", "variance", "expected"), [(11.0, 4.0, 0.5), (10.0, 9.0, 0.5), (10.0, 1.0, 1.0)])
def test_drift_is_of_the_mean_in_deviations_or_the_part_by_which_these_change(
    mean: float, variance: float, expected: float
) -> None:
    found = drift(FIRST, np.array([mean, 0.0]), np.array([variance, 1.0]))
    np.testing.assert_allclose(found, [expected, 0.0])


def test_an_idle_agent_proposes_what_the_samples_are_now_after_a_while_of_its_own() -> None:
    agent = one_that_has_measured()
    due_at = agent.next_deadline(is_idle=True)
    assert due_at is not None
    assert IDLE_S <= due_at <= IDLE_S + SPREAD_S
    assert agent.proposal(due_at - 0.01) is None
    proposed = agent.proposal(due_at)
    assert proposed is not None
    np.testing.assert_allclose(proposed.mean, [13.0, 0.0])
    np.testing.assert_allclose(proposed.variance, FIRST.variance)
    assert proposed.survey == "bob 1 rescaled 1"
    assert one_that_has_measured(me="cid 1").next_deadline(is_idle=True) != due_at


def test_what_has_hardly_drifted_is_left_as_it_is() -> None:
    assert one_that_has_measured(shift=0.9).next_deadline(is_idle=True) is None


def test_a_column_that_does_not_vary_any_more_keeps_its_deviation() -> None:
    agent = rescaling()
    agent.observe(sums(moved(3.0), np.array([4.0, 0.0])))
    agent.become_idle(0.0)
    proposed = agent.proposal(IDLE_S + SPREAD_S)
    assert proposed is not None
    np.testing.assert_allclose(proposed.variance, FIRST.variance)


def test_what_an_agent_has_measured_itself_it_believes_at_once_and_nothing_else_of_one_among_several() -> None:
    agent = one_that_has_measured()
    agent.hear("eve", drifted("eve 1 rescaled 1", shift=9.0), 1.0)
    assert agent.believed(1.0, n_neighbors=3) is None
    agent.hear("cid", drifted("cid 1 rescaled 1", shift=3.01), 2.0)
    believed = agent.believed(2.0, n_neighbors=3)
    assert believed is not None
    assert believed.survey == "cid 1 rescaled 1"


def test_an_agent_without_need_is_not_talked_into_other_scales_that_fit_as_well() -> None:
    agent = one_that_has_measured(shift=0.1)
    agent.hear("eve", drifted("eve 1 rescaled 1", shift=0.1), 1.0)
    assert agent.believed(1.0, n_neighbors=3) is None


def test_what_two_say_is_believed() -> None:
    agent = rescaling()
    for peer in ("cid", "dan"):
        assert agent.believed(1.0, n_neighbors=3) is None
        agent.hear(peer, drifted("cid 1 rescaled 4"), 1.0)
    assert agent.believed(1.0, n_neighbors=3) is not None


@pytest.mark.parametrize(
    ("shift", "n_neighbors", "is_believed"), [(20.0, 3, True), (3 * FAR, 3, False), (3 * FAR, 1, True)]
)
def test_what_one_says_is_believed_after_a_while_unless_it_is_far_off(
    shift: float, n_neighbors: int, is_believed: bool
) -> None:
    agent = one_that_has_measured(shift=0.0)
    agent.hear("cid", drifted("cid 1 rescaled 1", shift), 1.0)
    due_at = agent.next_deadline(is_idle=False)
    assert due_at == 1.0 + PATIENCE_S
    assert agent.believed(due_at - 0.01, n_neighbors) is None
    assert (agent.believed(due_at, n_neighbors) is not None) is is_believed


def test_of_proposals_at_one_time_the_least_name_holds_and_a_liar_is_followed_so_often_only() -> None:
    agent = one_that_has_measured()
    n_adopted = 0
    for place in range(40):
        agent.hear("eve", drifted(f"{'a' * place}b 1 rescaled 1"), 1.0)
        if (scales := agent.believed(1.0, n_neighbors=3)) is not None:
            agent.adopt(scales)
            n_adopted += 1
    assert n_adopted == MAX_ADOPTED
    agent.hear("cid", drifted("z 1 rescaled 1"), 1.0)
    assert agent.believed(1.0, n_neighbors=3) is None


@pytest.mark.parametrize(
    "wrong",
    [
        FeatureStatistics("eve 1 rescaled 1", (), np.zeros(3), np.ones(3)),
        FeatureStatistics("eve 1 rescaled 1", (), np.zeros(2), np.array([1.0, -1.0])),
        FeatureStatistics("eve 1 rescaled 1", (), np.array([0.0, math.nan]), np.ones(2)),
        FeatureStatistics("eve 1 rescaled 1", ("new",), np.zeros(2), np.ones(2)),
    ],
)
def test_scales_that_cannot_be_are_refused(wrong: FeatureStatistics) -> None:
    with pytest.raises(ProtocolError, match="FeatureStatistics"):
        rescaling().hear("eve", wrong, 0.0)
