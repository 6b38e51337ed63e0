"""One exchange: its formulas, what it conserves, and what stands in for shares that are missing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.core.events import Evaluated
from p2pnet.protocol.core.notices import CloseReason
from p2pnet.protocol.core.types import Array, PeerId
from p2pnet.protocol.links.link import MAX_UNRETURNED
from p2pnet.protocol.messages.training import Share
from p2pnet.protocol.rounds.bounds import MAX_GRADIENT, MAX_UNSTEADY
from p2pnet.protocol.rounds.exchange import NEARLY_NOTHING, Mixture, with_zeros_of
from p2pnet.protocol.rounds.neighbor import MAX_MISSED
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.steadiness import STEADY_ROUNDS
from tests.protocol.rounds.parts import N_MASS, N_PARAMS, Parts

MAX_RATIO = RoundOptions(1).max_ratio

vectors = st.lists(st.floats(-100, 100), min_size=N_PARAMS, max_size=N_PARAMS).map(np.array)


def give(parts: Parts, proposal: Array, round_: int = 0) -> dict[PeerId, Share]:
    """The shares that the agent gives in a round, by the neighbor."""
    effects = parts.exchange.give(round_, proposal, 1.0, is_quiet=False, now=float(round_), heard_since=0.0)
    return {effect.peer: effect.message for effect in effects if isinstance(effect.message, Share)}


def pair(momentum: float | None = 0.0) -> dict[PeerId, Parts]:
    """Two agents that are each other's only neighbor."""
    return {"ann": Parts("bob", me="ann", momentum=momentum), "bob": Parts("ann", me="bob", momentum=momentum)}


def exchange(agents: dict[PeerId, Parts], proposals: dict[PeerId, Array], round_: int, *lost: PeerId) -> list[Mixture]:
    """One round of two agents; the shares to those that are named are lost."""
    shares = {name: give(parts, proposals[name], round_) for name, parts in agents.items()}
    for name, given_ in shares.items():
        for peer, share in given_.items():
            if peer not in lost:
                agents[peer].hear(name, share, float(round_))
    mixtures = []
    for parts in agents.values():
        mixtures.append(parts.exchange.mix(round_))
        for neighbor, link in parts.neighborhood.open():
            link.acknowledge(agents[neighbor.peer].link(parts.neighborhood.identity.peer).newest_received, None, round_)
    return mixtures


@given(own=vectors, theirs=vectors, gradients=st.tuples(vectors, vectors))
def test_without_momentum_a_round_is_w_plus_c_times_the_difference_and_mass_moves_by_c(
    own: Array, theirs: Array, gradients: tuple[Array, Array]
) -> None:
    agents = pair()
    for parts, gradient in zip(agents.values(), gradients, strict=True):
        parts.exchange.evaluated(Evaluated(0, gradient, 3.0))
    masses = [parts.exchange.mass() for parts in agents.values()]
    weight = 0.75 / 2  # Metropolis for two agents of degree 1
    mixtures = exchange(agents, {"ann": own, "bob": theirs}, 0)

    expected = [own + weight * (theirs - own), theirs + weight * (own - theirs)]
    np.testing.assert_allclose([mixture.params for mixture in mixtures], expected, rtol=1e-12, atol=1e-12)
    for mixture in mixtures:
        reached = np.linalg.norm(theirs - own) / (1 + np.linalg.norm(mixture.params))
        assert mixture.disagreement == pytest.approx(reached)
        assert mixture.is_complete
    moved = [parts.exchange.mass() for parts in agents.values()]
    difference = weight * (masses[1] - masses[0])
    np.testing.assert_allclose(moved, [masses[0] + difference, masses[1] - difference], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 0.35, None])
@given(
    proposals=st.lists(st.tuples(vectors, vectors), min_size=1, max_size=5),
    lost=st.lists(st.sets(st.sampled_from(["ann", "bob"])), min_size=5, max_size=5),
)
def test_neither_loss_nor_momentum_makes_mass_or_lets_it_vanish(
    momentum: float | None, proposals: list[tuple[Array, Array]], lost: list[set[PeerId]]
) -> None:
    agents = pair(momentum)
    for parts in agents.values():
        parts.exchange.evaluated(Evaluated(0, np.arange(1.0, N_PARAMS + 1), 3.0))
    for round_, (own, theirs) in enumerate(proposals):
        exchange(agents, {"ann": own, "bob": theirs}, round_, *lost[round_])
    ann, bob = agents["ann"], agents["bob"]
    in_flight = ann.link("bob").sent - bob.link("ann").received + bob.link("ann").sent - ann.link("bob").received
    total = ann.exchange.mass() + bob.exchange.mass() + in_flight
    np.testing.assert_allclose(total, ann.tracker.own + bob.tracker.own, rtol=1e-12, atol=1e-9)


@given(own=vectors, theirs=vectors, momentum=st.floats(0, 0.5))
def test_the_mean_of_the_parameters_does_not_feel_the_momentum(own: Array, theirs: Array, momentum: float) -> None:
    agents = pair(momentum)
    params = {"ann": own, "bob": theirs}
    for round_ in range(4):
        mixtures = exchange(agents, params, round_)
        params = {name: mixture.params for name, mixture in zip(agents, mixtures, strict=True)}
        np.testing.assert_allclose((params["ann"] + params["bob"]) / 2, (own + theirs) / 2, rtol=1e-9, atol=1e-9)


def test_momentum_keeps_a_part_of_what_flowed_in_the_round_before() -> None:
    agents = pair(momentum=0.2)
    weight = 1.2 * 0.75 / 2
    zero, one = np.zeros(N_PARAMS), np.ones(N_PARAMS)
    first, _ = exchange(agents, {"ann": zero, "bob": one}, 0)
    np.testing.assert_allclose(first.params, weight * one)
    second, _ = exchange(agents, {"ann": zero, "bob": one}, 1)
    np.testing.assert_allclose(second.params, (weight + 0.2 * weight) * one)


def test_the_last_share_stands_in_for_a_missing_one_while_it_is_recent_and_then_the_own_parameters() -> None:
    agents = pair()
    zero, one = np.zeros(N_PARAMS), np.ones(N_PARAMS)
    exchange(agents, {"ann": zero, "bob": one}, 0)
    parts = agents["ann"]
    for round_ in range(1, MAX_MISSED + 1):
        give(parts, zero, round_)
        mixture = parts.exchange.mix(round_)
        assert mixture.is_complete
        np.testing.assert_allclose(mixture.params, 0.375 * one)
    give(parts, zero, MAX_MISSED + 1)
    mixture = parts.exchange.mix(MAX_MISSED + 1)
    assert not mixture.is_complete
    np.testing.assert_array_equal(mixture.params, zero)


def test_a_neighbor_is_given_up_once() -> None:
    parts = Parts("ann")
    given_up = []
    for round_ in range(3):
        parts.exchange.give(round_, np.zeros(N_PARAMS), 1.0, is_quiet=False, now=1.0 + round_, heard_since=0.0)
        given_up.append([neighbor.peer for neighbor in parts.exchange.mix(round_).given_up])
    assert given_up == [["ann"], [], []]


def test_a_neighbor_that_gives_nothing_back_gets_parameters_without_mass() -> None:
    parts = Parts("ann")
    parts.exchange.evaluated(Evaluated(0, np.ones(N_PARAMS), 1.0))
    totals = []
    for round_ in range(MAX_UNRETURNED + 2):
        share = give(parts, np.ones(N_PARAMS), round_)["ann"]
        np.testing.assert_array_equal(share.params, np.ones(N_PARAMS))
        totals.append(share.total[-1])
        parts.link("ann").acknowledge(share.sequence, None, float(round_))
    steps = np.diff([0.0, *totals])
    assert (steps[:MAX_UNRETURNED] > 0).all()
    assert (steps[MAX_UNRETURNED:] == 0).all()


def test_an_agent_skips_to_the_round_of_a_neighbor_that_went_on_but_never_past_the_last() -> None:
    parts = Parts("ann", "bob")
    assert parts.exchange.next_round(3, max_rounds=100) == 4
    parts.hear("ann", parts.share("ann", 9))
    assert parts.exchange.next_round(3, max_rounds=100) == 9
    parts.hear("bob", parts.share("bob", 500))
    assert parts.exchange.next_round(3, max_rounds=100) == 9


@pytest.mark.parametrize(("size", "is_honest"), [(1.0, True), (0.5 * MAX_RATIO, True), (1e3 * MAX_RATIO, False)])
def test_numbers_beyond_all_measure_are_known_as_such(size: float, is_honest: bool) -> None:
    def is_in_measure(params: Array, total: Array) -> bool:
        parts = Parts("ann")
        parts.exchange.evaluated(Evaluated(0, np.ones(N_PARAMS), 1.0))
        share = parts.share("ann", 0, params, total)
        parts.hear("ann", share)
        return (
            parts.exchange.objection("ann", parts.link("ann"), share, np.zeros(N_PARAMS))
            is not CloseReason.OUT_OF_RANGE
        )

    in_one = np.array([size, 0.0])
    assert is_in_measure(in_one, np.zeros(N_MASS)) == is_honest
    assert is_in_measure(np.zeros(N_PARAMS), np.concatenate([in_one, [0.0, 0.0]])) == is_honest


def test_the_largest_proximal_weight_is_that_of_the_open_links() -> None:
    parts = Parts("ann", "bob")
    assert parts.exchange.largest_proximal_weight() == 0.0
    parts.neighbor("ann").proximal_weight, parts.neighbor("bob").proximal_weight = 2.0, 5.0
    assert parts.exchange.largest_proximal_weight() == 5.0
    parts.close("bob")
    parts.neighbor("bob").proximal_weight = 5.0
    assert parts.exchange.largest_proximal_weight() == 2.0


def test_links_that_open_disturb_the_direction_once() -> None:
    parts = Parts("ann")
    parts.exchange.evaluated(Evaluated(0, np.ones(N_PARAMS), 1.0))
    assert parts.exchange.is_undisturbed()
    parts.join("bob")
    assert not parts.exchange.is_undisturbed()
    assert parts.exchange.is_undisturbed()


def test_lost_mass_disturbs_the_direction_until_the_weight_is_steady_again() -> None:
    agents = pair()
    for parts in agents.values():
        parts.exchange.evaluated(Evaluated(0, np.ones(N_PARAMS), 1.0))
    params = {name: np.zeros(N_PARAMS) for name in agents}
    exchange(agents, params, 0)
    assert agents["bob"].exchange.is_undisturbed()
    exchange(agents, params, 1, "bob")
    assert not agents["bob"].exchange.is_undisturbed()
    exchange(agents, params, 2)
    assert not agents["bob"].exchange.is_undisturbed()
    for round_ in range(3, 12):
        exchange(agents, params, round_)
    agents["bob"].exchange.is_undisturbed()
    exchange(agents, params, 12)
    assert agents["bob"].exchange.is_undisturbed()


@given(st.lists(st.tuples(st.booleans(), st.floats(-1, 1)), min_size=1, max_size=8))
def test_zeros_of_a_step_return_where_next_to_nothing_is_left(pairs: list[tuple[bool, float]]) -> None:
    step = np.array([0.0 if is_zero else 1.0 for is_zero, _ in pairs])
    params = np.array([value for _, value in pairs])
    cleared = with_zeros_of(step, params)
    limit = NEARLY_NOTHING * np.abs(params).max()
    for before, after, stepped in zip(params, cleared, step, strict=True):
        assert after == (0.0 if stepped == 0.0 and abs(before) <= limit else before)


def test_what_flows_over_a_link_is_clipped_to_the_smaller_radius_of_both_ends() -> None:
    agents = pair()
    proposals = {"ann": np.zeros(N_PARAMS), "bob": np.array([3.0, 4.0])}
    shares = {name: give(parts, proposals[name]) for name, parts in agents.items()}
    assert shares["ann"]["bob"].radius is None
    agents["ann"].hear("bob", replace(shares["bob"]["ann"], radius=0.5))
    mixture = agents["ann"].exchange.mix(0)
    np.testing.assert_allclose(mixture.params, 0.75 / 2 * 0.5 * np.array([0.6, 0.8]))
    assert mixture.disagreement == pytest.approx(0.5 / (1 + np.linalg.norm(mixture.params)))


@given(rounds=st.lists(st.tuples(vectors, vectors, vectors), min_size=1, max_size=8))
def test_clipped_or_not_mixing_leaves_the_mean_of_all_parameters_as_it_is(rounds: list[tuple[Array, ...]]) -> None:
    names = ("ann", "bob", "eve")
    agents = {me: Parts(*(name for name in names if name != me), me=me, is_clipped=True) for me in names}
    for parts in agents.values():
        parts.exchange.evaluated(Evaluated(0, np.ones(N_PARAMS), 3.0))
    for round_, proposals in enumerate(rounds):
        shares = {
            name: give(parts, proposal, round_)
            for (name, parts), proposal in zip(agents.items(), proposals, strict=True)
        }
        for sender, given_ in shares.items():
            for peer, share in given_.items():
                agents[peer].hear(sender, share, float(round_))
        mixed = [parts.exchange.mix(round_).params for parts in agents.values()]
        np.testing.assert_allclose(np.mean(mixed, axis=0), np.mean(proposals, axis=0), atol=1e-9)
        for parts in agents.values():
            for neighbor, link in parts.neighborhood.open():
                own = parts.neighborhood.identity.peer
                link.acknowledge(agents[neighbor.peer].link(own).newest_received, None, round_)


@pytest.mark.parametrize("keeps_running", [False, True])
def test_where_agents_keep_running_the_first_gradient_out_of_bounds_is_taken_for_samples_that_have_changed(
    *, keeps_running: bool
) -> None:
    parts = Parts("ann", "bob", is_bounded=True, keeps_running=keeps_running)
    for _ in range(STEADY_ROUNDS + 2):
        parts.exchange.evaluated(Evaluated(0, np.ones(N_PARAMS), 1.0))
    size = 2.0 * MAX_GRADIENT

    def judged(peer: PeerId, gradient: float) -> CloseReason | None:
        total = np.zeros(N_MASS)
        total[0] = gradient
        share = parts.share(peer, 0, total=total)
        assert parts.link(peer).accept(share, 0, 0.0)
        return parts.exchange.objection(peer, parts.link(peer), share, np.zeros(N_PARAMS))

    size *= np.sqrt(N_PARAMS)
    assert judged("ann", size) is (None if keeps_running else CloseReason.TOO_MUCH_GRADIENT)
    assert judged("bob", size * MAX_UNSTEADY) is CloseReason.TOO_MUCH_GRADIENT
