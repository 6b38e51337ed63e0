"""Masks of links: the same at both ends, another for each link and each subject, and nothing in the sum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import Array, LinkId, Nonce, PeerId
from p2pnet.protocol.links.conservation import AgentLedger, LinkLedger, conservation_error
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.links.masks import LinkSecrets, Masking, Masks
from p2pnet.protocol.links.tracker import Tracker

SIZES = np.array([1.0, 1e-3, 1e12, 0.0])
MASKING = Masking(b"about zero", SIZES, is_needed=False, expected=1e12)
HERE = LinkId(Nonce(7, 2), Nonce(5, 3))

counts = st.integers(0, 2**63 - 1)
nonces = st.builds(Nonce, counts, counts)
secrets = st.binary(min_size=32, max_size=32)
names = st.text(min_size=1, max_size=40)


class Known(LinkSecrets):
    """One secret for all peers."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def shared_with(self, peer: PeerId) -> bytes:
        return self._secret


def mask_of(
    secret: bytes = b"s" * 32, link_id: LinkId = HERE, masking: Masking = MASKING, me: str = "ann", peer: str = "bob"
) -> Array:
    return Masks(me, Known(secret)).of_link(peer, link_id, masking)


@given(secrets, nonces, nonces, st.binary(max_size=64), st.tuples(names, names).filter(lambda pair: pair[0] != pair[1]))
def test_both_ends_derive_the_same_mask_and_its_sum_over_the_link_is_zero(
    secret: bytes, mine: Nonce, theirs: Nonce, subject: bytes, pair: tuple[str, str]
) -> None:
    masking = Masking(subject, SIZES, is_needed=False, expected=1.0)
    here = mask_of(secret, LinkId(mine, theirs), masking, *pair)
    there = mask_of(secret, LinkId(theirs, mine), masking, *reversed(pair))
    assert (here + there).tolist() == [0.0] * len(SIZES)
    assert (np.abs(here) <= SIZES).all()


@given(secrets, secrets)
def test_without_the_same_secret_there_is_no_same_mask(one: bytes, other: bytes) -> None:
    assert np.array_equal(mask_of(one), mask_of(other)) is (one == other)


@given(nonces, nonces)
def test_another_nonce_makes_another_mask(one: Nonce, other: Nonce) -> None:
    first, second = (mask_of(link_id=LinkId(nonce, HERE.theirs)) for nonce in (one, other))
    assert np.array_equal(first, second) is (one == other)


def test_another_subject_makes_another_mask_and_the_same_one_the_same() -> None:
    assert np.array_equal(mask_of(), mask_of())
    assert not (mask_of() == mask_of(masking=Masking(b"about one", SIZES, is_needed=False, expected=1.0)))[:3].any()


def test_what_has_no_size_has_no_mask_and_all_that_has_is_masked() -> None:
    assert (mask_of() != 0.0).tolist() == [True, True, True, False]


def test_the_numbers_are_those_of_any_release_of_any_library() -> None:
    mask = mask_of(masking=Masking(b"about zero", np.ones(3), is_needed=False, expected=1.0))
    assert mask.tolist() == [0.49503565146072304, 0.31399515090722785, 0.8444299538192646]


def test_masks_are_uniform() -> None:
    mask = mask_of(masking=Masking(b"many", np.ones(10_000), is_needed=False, expected=1.0))
    assert abs(mask.mean()) < 0.02
    assert mask.var() == pytest.approx(1 / 3, rel=0.03)
    assert np.abs(mask).max() > 0.999


def test_what_one_agent_alone_knows_is_the_same_each_time_and_other_for_each_purpose() -> None:
    masks = Masks("ann", Known(b"s" * 32))
    assert np.array_equal(masks.own_numbers("bits", 5), masks.own_numbers("bits", 5))
    assert not (masks.own_numbers("bits", 5) == masks.own_numbers("moved", 5)).any()


# In the books of a link.


def link(*, is_confirmed: bool = True) -> Link:
    opened = Link(HERE, len(SIZES), 0, 64, ResendTimer(0.2, 1.0))
    opened.mask_with(mask_of())
    if is_confirmed:
        opened.confirm()
    return opened


def test_a_mask_counts_as_received_once_the_other_end_has_opened_the_link() -> None:
    tracker = Tracker(2)
    tracker.replace_own(np.array([1.0, 2.0]), 3.0)
    assert tracker.mass([link(is_confirmed=False)]).tolist() == tracker.own.tolist()
    assert tracker.mass([link()]).tolist() == (tracker.own + mask_of()).tolist()


def test_a_mask_ends_with_its_account_and_is_on_no_share() -> None:
    masked = link()
    assert masked.give(np.zeros(len(SIZES)), np.zeros(0))[1].tolist() == [0.0] * len(SIZES)
    masked.begin_account(5)
    assert masked.mask is None


def test_masks_that_differ_at_both_ends_are_found_by_the_audit() -> None:
    def error(mask: Array) -> float:
        nothing, own = np.zeros(4), np.array([3.0, 0.0, 0.0, 4.0])
        here, there = mask_of(masking=Masking(b"", np.ones(4), is_needed=False, expected=1.0)), mask
        ledgers = [
            AgentLedger("ann", own, own + here, (LinkLedger("bob", HERE, nothing, nothing, here),)),
            AgentLedger("bob", own, own + there, (LinkLedger("ann", HERE.mirrored(), nothing, nothing, there),)),
        ]
        return conservation_error(ledgers)

    mirrored = mask_of(
        me="bob", peer="ann", link_id=HERE.mirrored(), masking=Masking(b"", np.ones(4), is_needed=False, expected=1.0)
    )
    assert error(mirrored) < 1e-16
    assert error(mirrored + np.array([1.0, 0.0, 0.0, 0.0])) == pytest.approx((1.0 + 1.0) / 10.0)
