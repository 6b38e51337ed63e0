"""Curvature on a link: nothing of it is lost, what is rounded away does no harm where steps are taken, and what does
not change costs next to nothing.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.codec import Codec
from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import Array, LinkId, Nonce
from p2pnet.protocol.links.curvature import n_curvature, plus
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import CODED, TRAINING_MESSAGES, Share

N = 40
SIZE = n_curvature(N)
HERE = LinkId(Nonce(1, 1), Nonce(2, 1))
PRECISIONS = (64, 32, CODED)


class Pair:
    """Two ends of a link, of which one gives."""

    def __init__(self, precision: int, *, has_curvature: bool = True) -> None:
        self.giver, self.taker = (
            Link(link_id, N + 2, N, precision, ResendTimer(0.2, 1.0), has_curvature=has_curvature)
            for link_id in (HERE, HERE.mirrored())
        )
        self.round = 0

    def share(self, given: Array, mass: Array, params: Array) -> Share:
        self.round += 1
        link = self.giver
        base, total, of_params = link.give(np.ones(N + 2), params, self.round)
        return Share(
            link_id=link.link_id,
            sequence=link.sequence,
            acknowledged=link.tell_received(),
            base=base,
            precision=link.precision,
            round=self.round,
            next_degree=1,
            proximal_weight=1.0,
            first_residual=1.0,
            quiet=0,
            stop_round=-1,
            is_held=False,
            total=total,
            params=of_params,
            curvature=link.give_curvature(given, mass),
        )

    def deliver(self, share: Share) -> None:
        codec = Codec(TRAINING_MESSAGES)
        received = codec.decode(codec.encode(share))
        assert isinstance(received, Share)
        self.taker.accept(received, self.round, 0.0)
        self.taker.apply(self.round)
        self.giver.acknowledge(share.sequence, None, 0.0)


def curvature_of(seed: int) -> Array:
    """c and H of an agent somewhere, as they are tracked: H with eigenvalues of several sizes."""
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((N, N)) * np.geomspace(1.0, 1e-3, N)
    matrix = factor @ factor.T
    return np.concatenate([matrix @ rng.standard_normal(N), matrix[np.triu_indices(N)]])


def gradient_at(curvature: Array, params: Array) -> Array:
    matrix = np.zeros((N, N))
    matrix[np.triu_indices(N)] = curvature[N:]
    gradient: Array = (matrix + np.triu(matrix, 1).T) @ params - curvature[:N]
    return gradient


@pytest.mark.parametrize("precision", PRECISIONS)
def test_both_ends_have_the_same_total_to_the_last_bit_whatever_is_lost(precision: int) -> None:
    rng, pair = np.random.default_rng(0), Pair(precision)
    for step in range(30):
        mass = curvature_of(step // 10)
        share = pair.share(0.2 * mass, mass, rng.standard_normal(N))
        if rng.random() < 0.6:
            pair.deliver(share)
            np.testing.assert_array_equal(pair.taker.curvature_received, pair.giver.curvature_sent)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_a_link_has_moved_counts_with_the_newest_share_though_it_waits_for_its_round(precision: int) -> None:
    pair, mass = Pair(precision), curvature_of(0)
    assert pair.taker.curvature_moved().size == 0
    for _ in range(3):
        pair.taker.accept(pair.share(0.2 * mass, mass, np.ones(N)), pair.round, 0.0)
        np.testing.assert_array_equal(pair.taker.curvature_moved(), pair.giver.curvature_sent)
        np.testing.assert_array_equal(pair.giver.curvature_moved(), -pair.giver.curvature_sent)
    assert pair.taker.curvature_received.size == 0
    assert pair.taker.apply(pair.round)
    np.testing.assert_array_equal(pair.taker.curvature_moved(), pair.giver.curvature_sent)
    pair.taker.give(np.ones(N + 2), np.ones(N), pair.round)
    pair.taker.give_curvature(0.1 * mass, mass)
    moved = pair.giver.curvature_sent - pair.taker.curvature_sent
    np.testing.assert_array_equal(pair.taker.curvature_moved(), moved)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_where_nothing_is_tracked_nothing_is_sent(precision: int) -> None:
    pair = Pair(precision)
    share = pair.share(np.zeros(0), np.zeros(0), np.ones(N))
    assert len(Codec(TRAINING_MESSAGES).encode(share)) == 3
    pair.deliver(share)
    assert pair.taker.curvature_received.size == 0


def test_the_gradient_at_the_shares_parameters_is_right_however_coarse_the_curvature() -> None:
    pair, mass, params = Pair(32), curvature_of(1), np.random.default_rng(2).standard_normal(N)
    pair.deliver(pair.share(mass, mass, params))
    read, away = pair.taker.curvature_received, params + 1.0
    error = np.linalg.norm(gradient_at(read, params) - gradient_at(mass, params))
    error_away = np.linalg.norm(gradient_at(read, away) - gradient_at(mass, away))
    assert error < 0.01 * np.linalg.norm(gradient_at(mass, params))
    assert error_away > 5 * error
    assert np.linalg.norm(read - mass) > 0.01 * np.linalg.norm(mass)


def test_what_is_rounded_away_stays_with_the_giver_and_is_told_later() -> None:
    pair, mass, params = Pair(32), curvature_of(1), np.ones(N)
    errors = []
    for _ in range(12):
        missing = mass - pair.giver.curvature_sent if pair.giver.curvature_sent.size else mass
        pair.deliver(pair.share(missing, mass, params))
        errors.append(float(np.linalg.norm(pair.taker.curvature_received - mass) / np.linalg.norm(mass)))
    assert errors[0] > 0.01
    assert errors[-1] < 0.005


def test_what_has_been_told_costs_next_to_nothing_to_tell_again() -> None:
    pair, mass = Pair(32), curvature_of(1)
    sizes = []
    for _ in range(20):
        missing = mass - pair.giver.curvature_sent if pair.giver.curvature_sent.size else mass
        share = pair.share(missing, mass, np.ones(N))
        sizes.append(share.curvature.nbytes)
        pair.deliver(share)
    assert sizes[0] < 0.8 * SIZE
    assert sizes[-1] < 0.15 * SIZE


def test_a_neighbor_that_tracks_none_may_not_send_any() -> None:
    pair = Pair(32)
    share = pair.share(curvature_of(0), curvature_of(0), np.ones(N))
    other = Pair(32, has_curvature=False)
    with pytest.raises(ProtocolError, match="tracked here by no agent"):
        other.deliver(share)


@pytest.mark.parametrize("precision", PRECISIONS)
@given(data=st.binary(min_size=1, max_size=200), place=st.integers(0, 10_000))
def test_garbage_is_a_protocol_error_at_worst(precision: int, data: bytes, place: int) -> None:
    pair = Pair(precision)
    share = pair.share(curvature_of(0), curvature_of(0), np.ones(N))
    code = bytearray(share.curvature.tobytes())
    place %= len(code)
    code[place : place + len(data)] = data
    for damaged in (bytes(code), data, bytes(code[:place])):
        frame: NDArray[np.uint8] = np.frombuffer(damaged, dtype=np.uint8)
        taker = Pair(precision)
        try:
            taker.deliver(replace(share, curvature=frame))
        except ProtocolError:
            assert not taker.taker.has_news
        else:
            assert np.isfinite(taker.taker.curvature_received).all()


def test_nothing_is_zero_in_sums() -> None:
    some, nothing = np.ones(3), np.zeros(0)
    assert plus(some, nothing).tolist() == plus(nothing, some).tolist() == [1.0] * 3
    assert plus(some, some).tolist() == [2.0] * 3
