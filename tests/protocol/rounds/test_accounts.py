"""Accounts of the statistics stage: what each tracks, when it has told all that it can, and what follows."""

import math

import numpy as np
import pytest

from p2pnet.protocol.core.effects import RunLocalStep
from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.masks import Masks
from p2pnet.protocol.rounds.accounts import MomentsAccount, SizesAccount, account_name
from p2pnet.protocol.rounds.masking import MOST_TOO_LARGE, OwnSizes
from p2pnet.protocol.rounds.moments import LocalStatistics, Reference
from p2pnet.simulation.link_secrets import SimulatedSecrets

OWN = LocalStatistics(100.0, np.array([1.0]), np.array([4.0]))
NEAR = Reference(np.array([1.0]), np.array([4.0]), 128.0)


def tracked(*sums: float, mean_samples: float = 100.0) -> RunLocalStep:
    """What is tracked in a round: these averages, relative to those of the samples."""
    averages: Array = np.array(sums)
    return RunLocalStep(0, np.zeros(0), averages / mean_samples, mean_samples, 0.0, True, 1.0)


def sizes_account() -> SizesAccount:
    return SizesAccount(1, 0, OwnSizes(OWN, Masks("ann", SimulatedSecrets("ann"))), 1)


def moments_account(reference: Reference, *, is_masking: bool = True) -> MomentsAccount:
    return MomentsAccount(1, 0, reference, OWN.n_sums, is_masking=is_masking)


def test_an_account_of_sizes_is_used_up_once_it_has_stayed_within_a_bit() -> None:
    account = sizes_account()
    rounds = [10.0 * 0.5**age for age in range(30)]  # bits that the average is off by
    used_up = []
    for age, off in enumerate(rounds):
        account.observe(tracked(2.0 + off, 1.0, mean_samples=70.0), age)
        used_up.append(account.is_used_up(age))
    assert used_up.index(True) == 6 + 8  # within a bit of what it was in round 6, for eight rounds
    assert not account.is_exact(29)
    assert account.estimate is None
    assert account.worst == (0, math.inf)


def test_the_first_reference_follows_from_sizes() -> None:
    account = sizes_account()
    account.observe(tracked(2.0, 1.0, mean_samples=64.0 + 5.0), 0)
    reference = account.next_reference()
    assert reference.n_samples == 8 * 2.0**5
    assert np.sqrt(reference.variance).tolist() == [24 * 2.0**2]
    sums, samples = account.own(OWN)
    assert len(sums) == OWN.n_sums
    assert samples > 0


def test_about_a_near_reference_an_estimate_that_stays_is_exact() -> None:
    account = moments_account(NEAR)
    for age in range(9):
        account.observe(tracked(0.0, 0.0), age)
    assert account.is_exact(8)
    assert not account.is_used_up(8)
    assert account.estimate.mean.tolist() == [1.0]
    assert account.own(OWN)[0].tolist() == [0.0, 0.0]
    assert account.worst == (0, 0.0)


@pytest.mark.parametrize(("is_masking", "n_samples"), [(True, 512.0), (False, 0.0)])
def test_about_a_far_reference_it_tells_the_next_one(is_masking: bool, n_samples: float) -> None:
    account = moments_account(Reference(np.array([1e3]), np.array([1.0]), 128.0), is_masking=is_masking)
    distance = 1.0 - 1e3
    for age in range(9):
        account.observe(tracked(100.0 * distance, 100.0 * (4.0 - 1.0 + distance**2)), age)
    assert account.is_used_up(8)
    assert not account.is_exact(8)
    following = account.next_reference()
    assert following.mean.tolist() == [1.0]
    assert following.variance == pytest.approx(4.0)
    assert following.n_samples == n_samples


def test_masks_that_are_far_too_large_are_replaced_though_the_reference_is_near() -> None:
    account = moments_account(Reference(NEAR.mean, NEAR.variance, 200.0 * MOST_TOO_LARGE))
    for age in range(9):
        account.observe(tracked(0.0, 0.0), age)
    assert account.is_used_up(8)
    assert not account.is_exact(8)


def test_without_masks_an_estimate_has_to_stay_for_longer() -> None:
    far = Reference(np.array([1e3]), np.array([1.0]))
    plain, masked = moments_account(far), moments_account(Reference(far.mean, far.variance, 128.0))
    for account in (plain, masked):
        for age in range(100):
            off = 1e9 if age < 80 else 0.0
            account.observe(tracked(100.0 * (1.0 - 1e3) + off, 1e8 + off), age)
    assert masked.is_used_up(99)
    assert not plain.is_used_up(99)


def test_the_first_account_is_the_same_in_every_run_and_another_where_sizes_are_averaged() -> None:
    assert account_name(0, 0, "ann 1.0") == account_name(0, 0, "bob 1.0")
    assert account_name(0, 0, "ann 1.0") != account_name(0, 0, "ann 1.0", is_of_sizes=True)
    later = {
        account_name(epoch, revision, run) for epoch in (0, 1) for revision in (1, 2) for run in ("ann 1.0", "bob 1.0")
    }
    assert len(later) == 8
    assert account_name(0, 1, "ann 1.0") == account_name(0, 1, "ann 1.0", is_of_sizes=True)
