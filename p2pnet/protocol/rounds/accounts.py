"""Accounts of the statistics stage: what is tracked, under one name, and for how long it has stayed the same.

sizes      logarithms of deviations and of samples, before there is a reference, where links are masked
moments    sums about a reference
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import final

import numpy as np

from p2pnet.protocol.core.effects import RunLocalStep
from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.masks import Masking
from p2pnet.protocol.rounds.masking import (
    MOST_TOO_LARGE,
    OwnSizes,
    are_counts_too_large,
    later_counts,
    masking_about,
    samples_for_masks,
    with_counts,
)
from p2pnet.protocol.rounds.moments import (
    Estimate,
    LocalStatistics,
    Plateau,
    Reference,
    exact_change,
    rough_change,
)

ROUGHLY = 1 / 4
EXACTLY = 1 / 8
"""For this part of all rounds about a reference an estimate must have stayed the same, to replace the reference and to
end."""

ROUGHLY_MASKED = 1 / 8
"""The same to replace a reference where links are masked: what masks leave is far larger before it falls."""


class Account(ABC):
    """What is tracked in one account, and what follows from it."""

    def __init__(self, name: int, begun_at: int) -> None:
        self.name = name
        self.begun_at = begun_at
        """The round in which it began."""
        self.far_at: int | None = None
        """The round, counted from then, in which the reference was known to be far off."""

    @property
    @abstractmethod
    def masking(self) -> Masking | None:
        """The masks of links in this account."""

    @abstractmethod
    def own(self, own: LocalStatistics) -> tuple[Array, float]:
        """The agent's own sums, and what they are divided by in the end."""

    @abstractmethod
    def observe(self, effect: RunLocalStep, age: int) -> None:
        """Take in what is tracked in this round; `age` counts rounds."""

    @property
    @abstractmethod
    def estimate(self) -> Estimate | None:
        """Mean and variance of all samples, as far as they are known."""

    @abstractmethod
    def is_exact(self, age: int) -> bool:
        """Whether the estimate is that of all agents, to the tolerance."""

    @abstractmethod
    def is_used_up(self, age: int) -> bool:
        """Whether all is known that another reference is to be made from."""

    @abstractmethod
    def next_reference(self) -> Reference:
        """What to average about from now on."""

    @property
    @abstractmethod
    def worst(self) -> tuple[int, float]:
        """The column that has moved farthest since estimates last settled, and how far, in units of the tolerance."""


@final
class SizesAccount(Account):
    """Averages logarithms of sizes, to a bit."""

    def __init__(self, name: int, begun_at: int, sizes: OwnSizes, n_columns: int) -> None:
        super().__init__(name, begun_at)
        self._sizes = sizes
        self._n_columns = n_columns
        self._plateau: Plateau[Array] = Plateau(lambda before, after: np.abs(after - before), ROUGHLY_MASKED)
        self._typical: Array = np.zeros(n_columns + 1)

    @property
    def masking(self) -> Masking:
        return self._sizes.masking

    def own(self, own: LocalStatistics) -> tuple[Array, float]:
        return self._sizes.sums()

    def observe(self, effect: RunLocalStep, age: int) -> None:
        averages = effect.direction * effect.mean_samples
        self._typical = self._sizes.typical(averages, effect.mean_samples, self._n_columns)
        self._plateau.observe(self._typical, age)

    @property
    def estimate(self) -> None:
        return None

    def is_exact(self, age: int) -> bool:
        return False

    def is_used_up(self, age: int) -> bool:
        return self._plateau.has_lasted(age)

    def next_reference(self) -> Reference:
        return self._sizes.first_reference(self._typical)

    @property
    def worst(self) -> tuple[int, float]:
        return (0, np.inf)


@final
class MomentsAccount(Account):
    """Averages sums about a reference."""

    def __init__(self, name: int, begun_at: int, reference: Reference, n_sums: int, *, is_masking: bool) -> None:
        """`is_masking`: whether what follows is to be masked, as far as this agent names it."""
        super().__init__(name, begun_at)
        self.reference = reference
        self._has_gaps = n_sums > 2 * len(reference.mean)
        self._masking = masking_about(reference, n_sums)
        self._is_masking = is_masking
        part = ROUGHLY if self._masking is None else ROUGHLY_MASKED
        self._rough: Plateau[Estimate] = Plateau(rough_change, part)
        self._exact: Plateau[Estimate] = Plateau(exact_change, EXACTLY)
        self._estimate = Estimate.about(reference, np.zeros(n_sums), 0)
        self._mean_samples = 1.0

    @property
    def masking(self) -> Masking | None:
        return self._masking

    def own(self, own: LocalStatistics) -> tuple[Array, float]:
        return self.reference.sums(own), own.n_samples

    def observe(self, effect: RunLocalStep, age: int) -> None:
        self._mean_samples = effect.mean_samples
        masks = None if self._masking is None else self._masking.sizes / max(effect.mean_samples, 1.0)
        self._estimate = Estimate.about(self.reference, effect.direction, age, masks)
        self._rough.observe(self._estimate, age)
        self._exact.observe(self._estimate, age)

    @property
    def estimate(self) -> Estimate:
        return self._estimate

    @property
    def _is_near(self) -> bool:
        is_fitting = self.reference.n_samples <= MOST_TOO_LARGE * max(self._mean_samples, 1.0)
        if self._masking is not None and self._has_gaps:
            is_fitting = is_fitting and not are_counts_too_large(self.reference, self._mean_counts).any()
        return is_fitting and not self._estimate.is_far().any()

    @property
    def _mean_counts(self) -> Array:
        return self._estimate.part * self._mean_samples

    def is_exact(self, age: int) -> bool:
        return self._is_near and self._exact.has_lasted(age)

    def is_used_up(self, age: int) -> bool:
        return not self._is_near and self._rough.has_lasted(age)

    def next_reference(self) -> Reference:
        if not self._is_masking:
            return self._estimate.as_reference()
        reference = self._estimate.as_reference(samples_for_masks(self._mean_samples))
        if not self._has_gaps:
            return reference
        return with_counts(reference, later_counts(self.reference, self._mean_counts, reference.n_samples))

    @property
    def worst(self) -> tuple[int, float]:
        return self._exact.worst


def account_name(epoch: int, revision: int, run: str, *, is_of_sizes: bool = False) -> int:
    """The number that names an account; the first one is the same in every run."""
    first = "sizes" if is_of_sizes else ""
    named = f"{epoch} {revision} {run if revision else first}"
    return int.from_bytes(hashlib.blake2b(named.encode(), digest_size=7).digest(), "big")
