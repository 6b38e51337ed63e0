"""Masked links where columns have gaps: numbers of values are hidden as all else is, and nothing else changes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnet.protocol.links.conservation import conservation_error
from p2pnet.protocol.messages.training import MASKS, Hello
from p2pnet.protocol.rounds.masking import (
    OFF,
    SIZE,
    OwnSizes,
    counts_of,
    later_counts,
    masking_about,
    with_counts,
)
from p2pnet.protocol.rounds.moments import LocalStatistics, Reference
from p2pnet.simulation.virtual_network import Conditions
from tests.protocol.rounds.test_masking import OWN, Network, shards, sizes


def gappy_shards(n_agents: int, offset: float, seed: int) -> list[LocalStatistics]:
    """Of the first column all values are there, of the second few, the third one agent has, and the last some have."""
    rng = np.random.default_rng(seed)
    own = []
    for k, one in enumerate(shards(n_agents, offset, seed)):
        parts = np.array([1.0, 0.02, float(k == n_agents - 1), rng.uniform() * (rng.uniform() < 0.6 or k == 0)])
        counts = np.ceil(parts * one.n_samples)
        is_there = counts > 0
        own.append(replace(one, mean=one.mean * is_there, variance=one.variance * is_there, counts=counts))
    return own


@settings(max_examples=6)
@given(
    st.integers(2, 6),
    st.sampled_from(["ring", "path", "star", "full"]),
    st.sampled_from([0.0, 1e3]),
    st.integers(0, 2**32 - 1),
)
def test_what_is_found_of_columns_with_gaps_is_what_is_found_without_masks(
    n_agents: int, graph: str, offset: float, seed: int
) -> None:
    own = gappy_shards(n_agents, offset, seed)
    network = Network(own, graph)
    means, deviations = network.run()
    plain_means, plain_deviations = Network(own, graph, without_masks=range(n_agents)).run()
    assert np.abs(means - plain_means).max() <= 1e-12 * max(offset, 1.0)
    assert np.abs(deviations / plain_deviations - 1).max() <= 1e-12
    assert all(MASKS in message.capabilities for *_, message in network.post.sent if isinstance(message, Hello))


def test_numbers_of_values_are_masked_and_the_sums_of_all_are_what_they_were() -> None:
    own = gappy_shards(6, 10.0, 7)
    network = Network(own, "ring", Conditions(loss_rate=0.2, max_delay_s=0.003))
    n_masked = 0
    for _ in range(20):
        network.simulation.run(deadline=network.simulation.now + 0.05)
        ledgers = [machine.ledger() for machine in network.machines.values()]
        masks = {(ledger.agent, link.peer): link.mask for ledger in ledgers for link in ledger.links}
        for (one, other), mask in masks.items():
            mirrored = masks.get((other, one))
            if mask is None or mirrored is None or not (mask + mirrored == 0.0).all():
                continue  # one of them is in another account still
            n_masked += 1
            assert (mask[8:] != 0.0).tolist() == [True] * 5 + [False]
    assert n_masked > 100
    network.run()
    network.simulation.run(deadline=network.simulation.now + 1.0)
    assert conservation_error([machine.ledger() for machine in network.machines.values()]) < 1e-12


@pytest.mark.parametrize("without_masks", [[0], [2], [0, 1, 3], [4]])
@pytest.mark.parametrize("graph", ["ring", "path"])
def test_where_columns_have_gaps_agents_of_an_earlier_release_find_the_same_with_the_others(
    graph: str, without_masks: Sequence[int]
) -> None:
    own = gappy_shards(5, 10.0, 3)
    means, deviations = Network(own, graph, without_masks=without_masks).run()
    plain_means, plain_deviations = Network(own, graph, without_masks=range(5)).run()
    assert np.abs(means - plain_means).max() <= 1e-12 * 10
    assert np.abs(deviations / plain_deviations - 1).max() <= 1e-12


# How large masks are.


def test_masks_of_a_column_with_gaps_are_for_its_values() -> None:
    reference = with_counts(Reference(np.array([1.0, 2.0]), np.array([9.0, 0.0]), 64.0), np.array([4.0, 64.0]))
    masking = masking_about(reference, n_sums=6)
    assert masking is not None
    least = 2.0 * 2.0**-30  # of a column that is not known to vary
    expected = [4 * 3.0, 64 * least, 4 * 9.0, 64 * least**2, 4.0, 64.0, 64.0, 0.0]
    assert masking.sizes == pytest.approx([SIZE * part for part in expected], rel=1e-12)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.floats(0.0, 1e300)), min_size=1, max_size=5),
    st.integers(40, 60),
)
def test_a_variance_says_how_many_values_masks_are_for_and_is_none_the_less_what_it_was(
    columns: list[tuple[int, float]], bits: int
) -> None:
    counts = np.array([2.0**some for some, _ in columns])
    before = Reference(np.zeros(len(columns)), np.array([v for _, v in columns]), 2.0**bits)
    after = with_counts(before, counts)
    assert counts_of(after).tolist() == counts.tolist()
    assert np.allclose(after.plain_variance, before.plain_variance, rtol=2.0**-46, atol=0.0)


def test_no_masks_are_for_less_than_one_value_nor_for_more_than_all_samples() -> None:
    assert counts_of(Reference(np.zeros(1), np.array([63 * 5e-324]), 4.0)).tolist() == [1.0]
    more = with_counts(Reference(np.zeros(2), np.ones(2), 4.0), np.array([1.0, 64.0]))
    assert more.n_samples == 64.0
    assert counts_of(more).tolist() == [1.0, 64.0]


GAPPY = replace(OWN, counts=np.array([100.0, 4.0, 1.0]))


def test_typical_numbers_of_values_are_of_those_that_have_some() -> None:
    sums, _ = sizes(GAPPY).sums()
    assert (np.abs(sums[6:] - np.log2([100.0, 1.0, 1.0])) <= 2.0).all()
    assert sums[7] == 0.0
    averages = np.array([6.0, 1.0, 0.0, 1.0, 0.5, 1e-3, 4.0, 2.0, 0.0])
    typical = OwnSizes.typical(averages, 74.0, 3)
    assert typical[[0, 1, 3, 4, 6]].tolist() == [6.0, 2.0, 4.0, 4.0, 10.0]


def test_the_first_reference_is_for_some_times_the_typical_values_and_all_samples_of_a_column_that_is_nowhere() -> None:
    nowhere = -461.0
    reference = sizes(GAPPY).first_reference(np.array([1.0, nowhere, 2.0, 3.0, 460.0, 0.0, 5.0]))
    assert reference.n_samples == 8 * 2.0**5
    assert counts_of(reference).tolist() == [8 * 2.0**3, 8 * 2.0**5, 8.0]
    assert reference.plain_variance[1] == reference.mean[1] == 0.0


def test_an_agent_that_has_more_values_than_masks_are_for_asks_for_more_in_that_column_only() -> None:
    few = with_counts(Reference(OWN.mean, np.array([4.0, 0.0, 1.0]), 64.0), np.array([4.0, 64.0, 1.0]))
    raised = sizes(GAPPY).raised(few)
    assert raised is not None
    assert counts_of(raised)[0] >= 100.0
    assert counts_of(raised)[1:].tolist() == [64.0, 1.0]
    assert raised.plain_variance == pytest.approx(few.plain_variance, rel=1e-13)
    assert sizes(GAPPY).raised(raised) is None


def test_many_values_near_the_mean_are_no_reason_for_another_variance_and_those_far_off_are() -> None:
    many = replace(GAPPY, counts=np.array([1e6, 4.0, 1.0]), n_samples=1e6)
    near = with_counts(
        Reference(OWN.mean - [4.0, 0.0, 0.0], np.array([4.0, 0.0, 1.0]), 2.0**20), np.array([1.0, 4.0, 1.0])
    )
    raised = sizes(many).raised(near)
    assert raised is not None
    assert raised.plain_variance == pytest.approx(near.plain_variance, rel=1e-13)
    assert counts_of(raised)[0] >= 1e6
    far = replace(near, mean=OWN.mean - [4.0 * OFF, 0.0, 0.0])
    raised = sizes(many).raised(far)
    assert raised is not None
    assert np.sqrt(raised.plain_variance[0]) >= 4.0 * OFF


def test_where_a_column_lies_the_first_agent_that_has_values_says() -> None:
    typical = np.array([1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 5.0])
    without = replace(GAPPY, mean=np.array([3.0, 0.0, 0.0]), counts=np.array([100.0, 0.0, 0.0]))
    first = sizes(without).first_reference(typical)
    assert first.mean[1:].tolist() == first.plain_variance[1:].tolist() == [0.0, 0.0]
    one = replace(GAPPY, mean=np.array([3.0, 0.0, 1e6]), variance=np.array([4.0, 0.0, 9.0]))
    named = sizes(one).raised(first)
    assert named is not None
    assert 0.0 < abs(named.mean[2] - 1e6) <= 8 * 3.0
    assert np.sqrt(named.plain_variance[2]) == pytest.approx(24 * 3.0)
    assert named.mean[:2].tolist() == first.mean[:2].tolist()
    assert sizes(one).raised(named) is None
    # Another agent keeps that, and says the same of a column of its own.
    asking = sizes(replace(one, mean=np.array([3.0, 1e3, 1e6 + 1.0]), variance=np.array([4.0, 1.0, 9.0])))
    asking.hear(named)
    both = asking.raised(first)
    assert both is not None
    assert both.mean[2] == named.mean[2]
    assert 0.0 < abs(both.mean[1] - 1e3) <= 8.0


def test_masks_that_others_have_asked_for_by_column_are_in_what_an_agent_asks_for() -> None:
    about = Reference(OWN.mean, np.array([4.0, 0.0, 1.0]), 64.0)
    asking = sizes(GAPPY)
    asking.hear(with_counts(about, np.array([1.0, 4.0, 32.0])))
    raised = asking.raised(with_counts(about, np.array([1.0, 4.0, 1.0])))
    assert raised is not None
    assert counts_of(raised)[0] >= 100.0
    assert counts_of(raised)[1:].tolist() == [4.0, 32.0]


def test_later_masks_of_columns_are_for_four_times_the_mean_values_and_of_those_not_known_for_few() -> None:
    reference = with_counts(Reference(np.zeros(4), np.ones(4), 2.0**20), np.full(4, 2.0**20))
    later = later_counts(reference, np.array([100.0, 0.0, -3.0, 1e9]), 2.0**12)
    assert later.tolist() == [512.0, 256.0, 256.0, 2.0**12]
