"""Masked links of the statistics stage: how large masks are, and that they change nothing but what neighbors see."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnet.experiments.topologies.by_name import make_topology
from p2pnet.protocol.core.effects import Effect, Send
from p2pnet.protocol.core.types import Array, Message, PeerId
from p2pnet.protocol.links.conservation import conservation_error
from p2pnet.protocol.links.masks import LinkSecrets, Masks
from p2pnet.protocol.messages.training import MASKS, Hello, LabelSet
from p2pnet.protocol.node import Node, NodeEvent
from p2pnet.protocol.rounds.masking import (
    COVERED,
    MAX_RAISED,
    OFF,
    SIZE,
    OwnSizes,
    masking_about,
    revision_after,
    samples_for_masks,
    samples_of,
)
from p2pnet.protocol.rounds.moments import LocalStatistics, Reference
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.statistics import StatisticsMachine
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.link_secrets import SimulatedSecrets
from p2pnet.simulation.observer import Observer
from p2pnet.simulation.rounds_only import StatisticsOnly, WiredPeering, nothing_to_train
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions

QUICK = Timing(round_timeout_floor_s=0.2, resend_s=0.1, resend_floor_s=0.05, start_timeout_s=5.0)
DEADLINE_S = 60.0


class Post(Observer):
    """What each agent sends."""

    def __init__(self) -> None:
        self.sent: list[tuple[PeerId, PeerId, Message]] = []

    def started(self, now: float, peer: PeerId) -> None:
        return

    def happened(self, now: float, peer: PeerId, event: NodeEvent) -> None:
        return

    def wanted(self, now: float, peer: PeerId, effect: Effect) -> None:
        if isinstance(effect, Send):
            self.sent.append((peer, effect.peer, effect.message))


class Network:
    """Agents that find out the statistics, some with masks and some of an earlier release."""

    def __init__(
        self,
        own: Sequence[LocalStatistics],
        graph: str,
        conditions: Conditions | None = None,
        without_masks: Sequence[int] = (),
    ) -> None:
        edges = make_topology(graph, len(own), np.random.default_rng(0))
        names = [f"agent-{k}" for k in range(len(own))]
        self.post = Post()
        self.simulation = Simulator(conditions or Conditions(), 0, observers=[self.post])
        self.simulation.connect([(names[j], names[k]) for j, k in edges])
        self.machines: dict[str, StatisticsMachine] = {}
        for k, (name, one) in enumerate(zip(names, own, strict=True)):
            options = RoundOptions(1, expected_neighbors=sum(k in edge for edge in edges), max_diameter=8, timing=QUICK)
            session = StatisticsOnly(Identity(name, name, 1, {}), options, one, has_masks=k not in without_masks)
            self.machines[name] = session.machine
            self.simulation.add(name, Node(session, WiredPeering(), Random(0)), nothing_to_train)  # noqa: S311

    def run(self) -> tuple[Array, Array]:
        """Mean and deviation that all find."""
        machines = list(self.machines.values())
        self.simulation.run(until=lambda: all(machine.found for machine in machines), deadline=DEADLINE_S)
        found = [machine.found for machine in machines]
        assert None not in found
        means = np.array([one.mean for one in found if one is not None])
        deviations = np.sqrt([one.variance for one in found if one is not None])
        return means, deviations


def shards(n_agents: int, offset: float, seed: int) -> list[LocalStatistics]:
    rng = np.random.default_rng(seed)
    samples = [
        rng.standard_normal((rng.integers(5, 500), 4)) + rng.standard_normal(4) + offset for _ in range(n_agents)
    ]
    return [LocalStatistics(len(one), one.mean(axis=0), one.var(axis=0)) for one in samples]


@settings(max_examples=6)
@given(
    st.integers(2, 6),
    st.sampled_from(["ring", "path", "star", "full"]),
    st.sampled_from([0.0, 1e3]),
    st.integers(0, 2**32 - 1),
)
def test_what_is_found_is_what_is_found_without_masks(n_agents: int, graph: str, offset: float, seed: int) -> None:
    own = shards(n_agents, offset, seed)
    means, deviations = Network(own, graph).run()
    plain_means, plain_deviations = Network(own, graph, without_masks=range(n_agents)).run()
    assert np.abs(means - plain_means).max() <= 1e-12 * max(offset, 1.0)
    assert np.abs(deviations / plain_deviations - 1).max() <= 1e-12


def test_masks_are_in_the_books_of_both_ends_and_in_no_sum() -> None:
    network = Network(shards(6, 10.0, 1), "ring", Conditions(loss_rate=0.2, max_delay_s=0.003))
    errors, n_masked = [], 0
    for _ in range(30):
        network.simulation.run(deadline=network.simulation.now + 0.03)
        ledgers = [machine.ledger() for machine in network.machines.values()]
        masks = {
            (ledger.agent, link.peer): link.mask for ledger in ledgers for link in ledger.links if link.mask is not None
        }
        for (one, other), mask in masks.items():
            if (other, one) in masks and mask.shape == masks[other, one].shape:
                is_balanced = (mask + masks[other, one] == 0.0).all()
                n_masked += bool(is_balanced)
        total_mask = sum(masks.values(), np.zeros(10))
        errors.append(float(np.abs(total_mask).max()))
    assert n_masked > 100
    network.run()
    assert min(errors) <= 1e-6  # in most rounds all agents are in one account


def test_the_books_balance_at_rest() -> None:
    own = shards(5, 10.0, 2)
    network = Network(own, "ring")
    network.run()
    # All have found the same, and the last shares have come.
    network.simulation.run(deadline=network.simulation.now + 1.0)
    ledgers = [machine.ledger() for machine in network.machines.values()]
    assert all(link.mask is not None for ledger in ledgers for link in ledger.links)
    assert conservation_error(ledgers) < 1e-12


@pytest.mark.parametrize("without_masks", [[0], [2], [0, 1, 3], [4]])
@pytest.mark.parametrize("graph", ["ring", "path"])
def test_agents_of_an_earlier_release_find_the_same_with_the_others(graph: str, without_masks: Sequence[int]) -> None:
    own = shards(5, 10.0, 3)
    network = Network(own, graph, without_masks=without_masks)
    means, deviations = network.run()
    plain_means, plain_deviations = Network(own, graph, without_masks=range(5)).run()
    assert np.abs(means - plain_means).max() <= 1e-12 * 10
    assert np.abs(deviations / plain_deviations - 1).max() <= 1e-12
    old = {f"agent-{k}" for k in without_masks}
    for sender, _, message in network.post.sent:
        if isinstance(message, Hello):
            assert (MASKS in message.capabilities) is (sender not in old)


def test_no_agent_tells_what_is_its_own() -> None:
    """No reference that is named is a mean of one agent, and no share about the first one shows what an agent has."""
    own = shards(6, 0.0, 4)
    network = Network(own, "full")
    network.run()
    references = [m for *_, m in network.post.sent if isinstance(m, LabelSet) and m.revision]
    for one in own:
        nearest = min(float(np.abs(reference.mean - one.mean).max()) for reference in references)
        assert nearest > 0.1


# How large masks are.


class Known(LinkSecrets):
    def shared_with(self, peer: PeerId) -> bytes:
        return peer.encode()


OWN = LocalStatistics(100.0, np.array([3.0, 0.0, 5.0]), np.array([4.0, 0.0, 0.0]))


def sizes(own: LocalStatistics = OWN) -> OwnSizes:
    return OwnSizes(own, Masks("ann", SimulatedSecrets("ann")))


def test_sizes_are_bits_of_deviations_or_of_what_does_not_vary_and_made_uncertain() -> None:
    sums, n_samples = sizes().sums()
    bits, there = np.split(sums, 2)
    assert there.tolist() == [1.0, 0.0, 1.0]
    assert bits[1] == 0.0
    expected = np.log2([2.0, 5.0])
    assert (np.abs(bits[[0, 2]] - expected) <= 2.0).all()
    assert (bits[[0, 2]] != expected).all()
    assert abs(n_samples - 64.0 - np.log2(100.0)) <= 2.0


def test_what_is_typical_is_the_mean_of_those_that_have_it() -> None:
    averages = np.array([6.0, 1.0, 0.0, 1.0, 0.5, 1e-3])  # in half of all, 1.0 bits of 0.5; nowhere
    typical = OwnSizes.typical(averages, 74.0, 3)
    assert typical[[0, 1, 3]].tolist() == [6.0, 2.0, 10.0]
    assert typical[2] < -100


def test_the_first_reference_is_some_deviations_from_the_agents_mean_and_masks_are_for_some_more() -> None:
    reference = sizes().first_reference(np.array([1.0, -1000.0, 2.0, 5.0]))
    assert reference.n_samples == 8 * 2.0**5
    assert reference.mean[1] == reference.variance[1] == 0.0
    distance = np.abs(reference.mean - OWN.mean)[[0, 2]]
    deviation = np.array([2.0, 4.0])
    assert (distance <= 8 * deviation).all()
    assert (distance > 0).all()
    assert np.sqrt(reference.variance)[[0, 2]].tolist() == (24 * deviation).tolist()


def test_masks_are_ten_times_what_a_reference_says() -> None:
    masking = masking_about(Reference(np.array([1.0, 2.0**30]), np.array([9.0, 0.0]), 50.0), n_sums=6)
    assert masking is not None
    least = 1.0  # of a column that is not known to vary
    expected = [3.0, least, 9.0, least, 1.0, 1.0, 1.0, 0.0]
    assert masking.sizes.tolist() == [SIZE * 50.0 * part for part in expected]


def test_about_a_reference_of_an_earlier_release_nothing_is_masked() -> None:
    assert masking_about(Reference.zero(3), n_sums=6) is None


def test_masks_of_a_reference_beyond_all_numbers_are_numbers() -> None:
    masking = masking_about(Reference(np.full(1, 1e150), np.full(1, 1e300), 2.0**60), n_sums=2)
    assert masking is not None
    assert np.isfinite(masking.sizes).all()
    assert np.isfinite(masking.expected)


def test_references_that_differ_in_anything_have_masks_of_their_own() -> None:
    references = [
        Reference(np.array([mean]), np.array([variance]), n_samples)
        for mean in (0.0, 1.0)
        for variance in (1.0, 2.0)
        for n_samples in (1.0, 2.0)
    ]
    subjects = {masking.subject for one in references if (masking := masking_about(one, 2)) is not None}
    assert len(subjects) == len(references)


def test_an_agent_that_sticks_out_asks_for_larger_masks_and_one_that_does_not_asks_for_none() -> None:
    fits = Reference(OWN.mean, np.array([4.0, 0.0, 1.0]), 64.0)
    assert sizes().raised(fits) is None
    few = Reference(OWN.mean, np.array([4.0, 0.0, 1.0]), 100.0 / COVERED / 2)
    raised = sizes().raised(few)
    assert raised is not None
    assert raised.n_samples >= 100.0
    assert np.array_equal(raised.variance, few.variance)
    assert np.array_equal(raised.mean, few.mean)


def test_a_column_that_is_far_off_gets_another_variance() -> None:
    far = Reference(OWN.mean - np.array([1.0, 0.0, 1e3 * OFF]), np.array([4.0, 0.0, 1.0]), 64.0)
    raised = sizes().raised(far)
    assert raised is not None
    assert raised.n_samples == 64.0
    assert raised.variance[:2].tolist() == far.variance[:2].tolist()
    assert np.sqrt(raised.variance[2]) >= 1e3 * OFF
    assert sizes().raised(raised) is None


def test_an_agent_asks_for_another_variance_a_few_times_and_then_for_more_samples() -> None:
    """A better reference may have the same variance again; but no agent enters what sticks out."""
    off = [np.array([1.0, 0.0, (100.0 + k) * OFF]) for k in range(MAX_RAISED + 2)]
    asking = sizes()
    raised = [asking.raised(Reference(OWN.mean - one, np.array([4.0, 0.0, 1.0]), 64.0)) for one in off]
    assert [one is not None and one.variance[2] > 1.0 for one in raised] == [True] * MAX_RAISED + [False] * 2
    assert all(one is not None and one.n_samples > 64.0 for one in raised[-2:])
    last = raised[-1]
    assert last is not None
    assert asking.raised(last) is None


def test_masks_that_others_have_asked_for_about_the_same_means_are_in_what_an_agent_asks_for() -> None:
    few = Reference(OWN.mean, np.array([4.0, 0.0, 1.0]), 1.0)
    asking = sizes()
    asking.hear(Reference(OWN.mean + 1.0, np.array([9.0, 9.0, 9.0]), 2.0**50))  # about others
    asking.hear(Reference(OWN.mean, np.array([4.0, 7.0, 1.0]), 4.0))
    raised = asking.raised(few)
    assert raised is not None
    assert raised.variance.tolist() == [4.0, 7.0, 1.0]
    assert 100.0 <= raised.n_samples <= 1000.0


def test_an_agent_with_masks_enters_nothing_where_there_are_none() -> None:
    raised = sizes().raised(Reference(OWN.mean, np.array([4.0, 0.0, 1.0])))
    assert raised is not None
    assert raised.n_samples >= 100.0
    assert sizes().raised(raised) is None


@pytest.mark.parametrize(("mean_samples", "n_samples"), [(1.0, 4.0), (100.0, 512.0), (0.0, 1.0), (-5.0, 1.0)])
def test_later_masks_are_for_four_times_the_mean_samples_and_more(mean_samples: float, n_samples: float) -> None:
    assert samples_for_masks(mean_samples) == n_samples


@given(st.integers(0, 2**40), st.integers(0, 60))
def test_a_revision_says_how_large_masks_are_and_a_later_one_is_larger(revision: int, bits: int) -> None:
    after = revision_after(revision, 2.0**bits)
    assert samples_of(after) == 2.0**bits
    assert after > revision


def test_the_first_revision_and_those_of_full_sixty_fours_have_no_masks() -> None:
    assert samples_of(0) == samples_of(64) == 0.0
