"""Mean and variance from sums about a reference: exact wherever that is near, and known to be far off where it is."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Array
from p2pnet.protocol.rounds.moments import (
    LEAST_ROUNDS,
    TOLERANCE,
    Estimate,
    LocalStatistics,
    Plateau,
    Reference,
    exact_change,
    rough_change,
)


def shards(rng: np.random.Generator, n_agents: int, offset: float = 0.0, spread: float = 1.0) -> list[LocalStatistics]:
    """Of 1 to 10⁷ samples each."""
    return [
        LocalStatistics(
            float(int(10 ** rng.uniform(0, 7))), rng.standard_normal(3) * spread + offset, rng.uniform(0, 1, 3)
        )
        for _ in range(n_agents)
    ]


def averages(reference: Reference, own: list[LocalStatistics]) -> Array:
    """(δ, q)."""
    sums: Array = sum((reference.sums(one) for one in own), np.zeros(6))
    return sums / sum(one.n_samples for one in own)


def exact_moments(own: list[LocalStatistics]) -> tuple[Array, Array]:
    """Pooled mean and deviation, from fractions."""
    total = sum(Fraction(one.n_samples) for one in own)
    means, deviations = [], []
    for column in range(len(own[0].mean)):
        rows = [
            (Fraction(o.n_samples), Fraction(float(o.mean[column])), Fraction(float(o.variance[column]))) for o in own
        ]
        mean = sum(n * m for n, m, _ in rows) / total
        means.append(float(mean))
        deviations.append(float(sum(n * (v + (m - mean) ** 2) for n, m, v in rows) / total) ** 0.5)
    return np.array(means), np.array(deviations)


def estimate(mean: float, variance: float, age: int = 0, **changes: float) -> Estimate:
    """Of one column, about the very same unless told otherwise."""
    about = Reference(np.array([changes.get("u", mean)]), np.array([changes.get("v", variance)]))
    offset = mean - about.mean
    moment = variance - about.variance + offset * offset
    return Estimate.about(about, np.concatenate([offset, moment]), age)


@given(st.integers(2, 9), st.sampled_from([0.0, 1e3, 1e6, 1e9]), st.integers(0, 2**32 - 1))
def test_about_a_reference_that_is_near_means_and_deviations_are_those_of_all_samples(
    n_agents: int, offset: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    own = shards(rng, n_agents, offset, spread=10.0 ** rng.integers(-3, 4))
    mean, deviation = exact_moments(own)
    near = Reference(mean + rng.uniform(-0.5, 0.5, 3) * deviation, deviation**2 * rng.uniform(0.7, 1.3, 3))
    found = Estimate.about(near, averages(near, own), LEAST_ROUNDS)
    assert not found.is_far().any()
    assert (np.abs(found.mean - mean) <= 1e-13 * deviation + np.spacing(np.abs(mean))).all()
    assert (np.abs(found.deviation - deviation) <= 1e-13 * deviation).all()


@given(st.integers(2, 9), st.sampled_from([1e3, 1e6, 1e9]), st.integers(0, 2**32 - 1))
def test_about_zero_a_column_far_from_it_gives_a_reference_that_is_near(
    n_agents: int, offset: float, seed: int
) -> None:
    own = shards(np.random.default_rng(seed), n_agents, offset)
    zero = Reference.zero(3)
    first = Estimate.about(zero, averages(zero, own), 50)
    assert first.is_far().all()
    reference = first.as_reference()
    for _ in range(2):  # where no digit of the variance was left, a second one is needed
        reference = Estimate.about(reference, averages(reference, own), 50).as_reference()
    assert not Estimate.about(reference, averages(reference, own), 50).is_far().any()


@pytest.mark.parametrize(
    ("u", "v", "is_far"),
    [(0.9, 1.0, False), (1.1, 1.0, True), (0.0, 0.6, False), (0.0, 0.4, True), (0.0, 1.4, False), (0.0, 1.6, True)],
)
def test_a_reference_is_near_within_a_deviation_and_half_of_the_variance(u: float, v: float, is_far: bool) -> None:
    assert estimate(0.0, 1.0, u=u, v=v).is_far().tolist() == [is_far]


def test_the_older_the_books_the_nearer_a_reference_must_be() -> None:
    assert not estimate(0.0, 1.0, u=0.125, age=17_900).is_far()
    assert estimate(0.0, 1.0, u=0.125, age=18_100).is_far()
    assert not estimate(0.0, 1.0, v=0.9375, age=17_900).is_far()
    assert estimate(0.0, 1.0, v=0.9375, age=18_100).is_far()
    assert not estimate(0.0, 1.0, u=1e-6, age=10**9).is_far()


@pytest.mark.parametrize("value", [0.0, 1.0, 2024.0, 1e9, -1e-9])
def test_a_column_that_is_constant_everywhere_needs_one_reference_and_has_no_variance(value: float) -> None:
    own = [LocalStatistics(n, np.full(3, value), np.zeros(3)) for n in (1.0, 1e7, 240.0)]
    zero = Reference.zero(3)
    reference = Estimate.about(zero, averages(zero, own), 1000).as_reference()
    found = Estimate.about(reference, averages(reference, own), 1000)
    assert not found.is_far().any()
    np.testing.assert_allclose(found.mean, value, rtol=1e-15)
    assert (found.deviation <= 1e-15 * abs(value)).all()


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        (Reference(np.zeros(2), np.zeros(1)), "LabelSet.mean: 2 columns instead of 1"),
        (Reference(np.zeros(1), np.zeros(2)), "LabelSet.mean"),
        (Reference(np.zeros(1), np.array([-1.0])), "LabelSet.variance: a variance is negative"),
        (Reference(np.zeros(1), np.array([2e300])), "LabelSet.variance"),
        (Reference(np.array([-2e150]), np.zeros(1)), "LabelSet.mean: a mean is beyond 1e\\+150"),
    ],
)
def test_a_reference_that_cannot_be_is_refused(reference: Reference, what: str) -> None:
    with pytest.raises(ProtocolError, match=what):
        reference.check(1)


# How long an estimate has stayed the same.


def test_changes_are_told_in_units_of_the_tolerance_and_of_what_float64_can_tell() -> None:
    before = estimate(1.0, 4.0)
    assert exact_change(before, replace(before, mean=before.mean + 2 * TOLERANCE)) == pytest.approx(1.0, rel=1e-3)
    assert exact_change(before, estimate(1.0, 4.0 + 8 * TOLERANCE)) == pytest.approx(1.0, rel=1e-3)
    far = estimate(1e6, 1e-6)
    assert exact_change(far, replace(far, mean=far.mean + 8 * np.spacing(1e6))) <= 1.0
    assert rough_change(before, replace(before, mean=before.mean + 0.25)) == pytest.approx(1.0)
    assert rough_change(before, estimate(1.0, 4.4, v=4.0)) == pytest.approx(8 / 11, rel=1e-3)
    assert exact_change(estimate(0.0, 0.0), estimate(0.0, 0.0)) == 0.0


def test_a_plateau_lasts_from_when_the_estimate_came_within_one_unit_for_a_part_of_all_rounds() -> None:
    plateau = Plateau(exact_change, 1 / 8)
    for age in range(160):
        plateau.observe(estimate(2.0**-age, 1.0), age)
        if plateau.has_lasted(age):
            break
    # 2^−39 is the first below two units, and 46 the first round of which an eighth has passed since, eight at least.
    assert age in range(46, 50)


def test_an_estimate_that_is_no_number_or_leaves_a_plateau_begins_a_new_one() -> None:
    plateau = Plateau(exact_change, 1 / 8)
    steady = estimate(1.0, 1.0)
    plateau.observe(steady, 0)
    plateau.observe(steady, LEAST_ROUNDS)
    assert plateau.has_lasted(LEAST_ROUNDS)
    plateau.observe(replace(steady, mean=np.array([np.nan])), 9)
    assert not plateau.has_lasted(9)
    plateau.observe(steady, 10)
    plateau.observe(steady, 17)
    assert not plateau.has_lasted(17)
    plateau.observe(steady, 18)
    assert plateau.has_lasted(18)
    plateau.observe(estimate(1.0 + 3e-12, 1.0), 19)
    column, change = plateau.worst
    assert column == 0
    assert change == pytest.approx(3.0, rel=1e-3)
