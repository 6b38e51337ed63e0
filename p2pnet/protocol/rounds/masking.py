"""How large masks of the statistics stage are: ten times what they hide, though no agent knows how large that is.

What is tracked about a reference (u, v, n) is masked within

    S n (s,  s²,  1)    for   n_k (m_k − u,  V_k − v + (m_k − u)²),  n_k     with  s = √v,  S = 10

and where values may be missing, column j within the same of n_j, in place of n, its number of values among the rest:
there are columns that hardly anybody has values of, beside whose sums masks for all samples would be far too large.

Before the first reference, all agents average logarithms of *sizes*, in bits, under masks of a known size: of the
deviation of each column, of its number of values, and of the number of samples. Each agent makes its own uncertain by
random bits that it keeps to itself. The first reference follows from these averages: v is the square of some typical
deviations, n some times the typical number of samples, n_j that of values, and u the mean of the agent that names it,
moved by random deviations. Later references are averages of all agents, so they tell nothing of one.

An agent whose own sums would stick out of the masks does not enter them: it names the same reference with larger ones.
"""

from __future__ import annotations

import hashlib
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.protocol.core.counts import bounded
from p2pnet.protocol.core.types import Array, WireArray
from p2pnet.protocol.links.ledger import norm
from p2pnet.protocol.links.masks import Masking, Masks
from p2pnet.protocol.rounds.moments import LARGEST_MEAN, LocalStatistics, Reference

SIZE: Final = 10.0
"""S"""

LEAST_DEVIATION: Final = 2.0**-30
"""Of a column without any known one, relative to its mean: masks of that size round by less than can be told."""

LARGEST_MASK: Final = 1e140
"""Its square is still a number."""

SPREAD_OF_SIZES: Final = 16.0
"""By so many bits agents may differ in size."""

LARGEST_BITS: Final = 460.0
"""The square of a number of so many bits, times many deviations, is one that a reference may have."""

ABOVE_ZERO: Final = 64.0
"""Added to the bits of the samples, so that what is divided by is positive."""

OWN_BITS: Final = 2.0
"""By so many bits, more or less, each agent makes its sizes uncertain."""

LEAST_PART: Final = 1 / 64
"""A column that a smaller part of all agents have varies nowhere, as far as is known."""

MOVED, DEVIATIONS, SAMPLES = 8.0, 24.0, 8.0
"""In typical deviations: by how much the first reference is moved, and its √v; its n, in typical numbers of samples."""

MOST_SAMPLES: Final = 2.0**60
"""n of any reference."""

REVISIONS: Final = 64
"""The revision of a reference grows by as many, and the rest says n, one more than its logarithm. So agents that know
nothing of masks pass n on, and none mistakes it.
"""

SAMPLES_LATER: Final = 4.0
"""n of a later reference, in agents' mean numbers of samples."""

COVERED: Final = 8.0
"""What is larger by this than n (s, s², 1) sticks out."""

OFF: Final = 64.0
"""What is larger by this in a column only needs another v there."""

MOST_TOO_LARGE: Final = 2.0**14
"""Masks for so many times the samples or values that there are cost digits."""

COUNT_BITS: Final = 63
"""Of the last six bits of a variance, which say how many times less the values of its column are than the samples, as a
logarithm. So agents that know nothing of masks pass that on, too; and what they make up asks for smaller masks, which
no agent enters, and not for larger ones.
"""

MAX_RAISED: Final = 4
"""So often an agent asks for another v; then for a larger n, which no better reference replaces."""


@final
class OwnSizes:
    """What one agent contributes to the averages of sizes, and what it makes of masks and averages."""

    def __init__(self, own: LocalStatistics, masks: Masks) -> None:
        self._own = own
        n_columns = len(own.mean)
        bits = OWN_BITS * masks.own_numbers("bits", n_columns + 1)
        self._moved = MOVED * masks.own_numbers("moved", n_columns)
        self._raised_bits = 1.0 + masks.own_numbers("raised", n_columns + 1)
        deviation = np.sqrt(own.variance)
        size = np.where(deviation > 0, deviation, np.abs(own.mean))
        self._size = size
        self._is_there = size > 0
        self._bits = np.clip(np.log2(np.where(self._is_there, size, 1.0)), -LARGEST_BITS, LARGEST_BITS) + bits[:-1]
        self._bits_of_samples = float(np.log2(max(own.n_samples, 1.0)) + bits[-1])
        self._bits_of_counts: Array | None = None
        if own.counts is not None:
            made_uncertain = OWN_BITS * masks.own_numbers("bits of counts", n_columns)
            self._bits_of_counts = np.log2(np.maximum(own.counts, 1.0)) + made_uncertain
        self._raised_bits_of_counts = 1.0 + masks.own_numbers("raised counts", n_columns)
        self._n_raised = 0
        self._largest: Reference | None = None
        """The last means that were heard of, with the largest masks about these."""

    @property
    def masking(self) -> Masking:
        """The masks of what is averaged of sizes."""
        n_columns, n_sums = len(self._own.mean), self._own.n_sums
        bits = np.full(n_columns, SIZE * SPREAD_OF_SIZES)
        counts = np.full(n_sums - 2 * n_columns, SIZE * SPREAD_OF_SIZES)
        sizes = np.concatenate([bits, np.full(n_columns, SIZE), counts, [SIZE * SPREAD_OF_SIZES, 0.0]])
        # Another agent may be ahead, and about the first reference already.
        return Masking(b"sizes", sizes, is_needed=True, expected=norm(Reference.zero(n_columns).sums(self._own)))

    def sums(self) -> tuple[Array, float]:
        """(is there × bits, is there, and with gaps is there × bits of values) by column; and bits of samples."""
        there = self._is_there.astype(np.float64)
        counts = [] if self._bits_of_counts is None else [there * self._bits_of_counts]
        return np.concatenate([there * self._bits, there, *counts]), ABOVE_ZERO + self._bits_of_samples

    @staticmethod
    def typical(averages: Array, samples: float, n_columns: int) -> Array:
        """(n_columns + 1,), with gaps (2 n_columns + 1,): the average bits by column, −LARGEST_BITS − 1 for one that is
        nowhere, of its values, and of samples.
        """
        bits, part, *counts = np.split(averages, len(averages) // n_columns)
        is_there = part > LEAST_PART
        known = [
            np.where(is_there, np.clip(one / np.where(is_there, part, 1.0), -LARGEST_BITS, LARGEST_BITS), nowhere)
            for one, nowhere in zip((bits, *counts), (-LARGEST_BITS - 1, LARGEST_BITS), strict=False)
        ]
        return np.concatenate([*known, [samples - ABOVE_ZERO]])

    def first_reference(self, typical: Array) -> Reference:
        """What to average about, by the typical bits of all agents, and this agent's means."""
        bits, bits_of_counts = np.split(typical[:-1], [len(self._own.mean)])
        is_there = bits >= -LARGEST_BITS
        if self._own.counts is not None:
            is_there &= self._own.counts > 0  # where a column lies, an agent says that has values of it
        deviation = np.where(is_there, 2.0 ** np.where(is_there, bits, 0.0), 0.0)
        unit = np.maximum(deviation, np.sqrt(self._own.variance))
        mean = self._own.mean + np.where(is_there, self._moved * unit, 0.0)
        n_samples, *counts = np.minimum(
            SAMPLES * 2.0 ** np.clip(np.rint([typical[-1], *bits_of_counts]), 0, 60), MOST_SAMPLES
        )
        reference = Reference(
            np.clip(np.where(is_there, mean, 0.0), -LARGEST_MEAN, LARGEST_MEAN),
            np.square(np.where(is_there, DEVIATIONS * unit, 0.0)),
            float(n_samples),
        )
        return with_counts(reference, np.minimum(counts, n_samples)) if self._own.has_gaps else reference

    def hear(self, reference: Reference) -> None:
        """Remember what masks others have asked for about the same means, and where they say that columns lie, so that
        all are soon large enough for all.
        """
        before = self._largest
        if before is not None and self._are_about_the_same(before, reference):
            mean = np.where(self._are_open(before), reference.mean, before.mean)
            variance = np.maximum(before.variance, reference.variance)
            largest = Reference(mean, variance, max(before.n_samples, reference.n_samples))
            if self._own.has_gaps:
                largest = with_counts(largest, np.maximum(counts_of(before), counts_of(reference)))
            reference = largest
        self._largest = reference

    def raised(self, reference: Reference) -> Reference | None:
        """The reference with masks so large that this agent may enter its sums; None where they are."""
        lacking = self._lacking(reference)
        if lacking is None:
            return None
        self.hear(reference)
        largest = reference if self._largest is None else self._largest
        raised = self._lacking(largest) or largest
        self._n_raised += int(not np.array_equal(_without_bits(raised.variance), _without_bits(reference.variance)))
        self.hear(raised)
        return raised

    def _are_open(self, reference: Reference) -> NDArray[np.bool_]:
        """By column, whether it lies nowhere yet: with gaps, the first agent that has values says where."""
        is_open: NDArray[np.bool_] = (reference.mean == 0.0) & (reference.plain_variance == 0.0)
        return is_open & self._own.has_gaps

    def _are_about_the_same(self, one: Reference, other: Reference) -> bool:
        return bool((self._are_open(one) | self._are_open(other) | (one.mean == other.mean)).all())

    def _lacking(self, reference: Reference) -> Reference | None:
        """The reference with what it lacks; None where it lacks nothing."""
        own, n_columns = self._own, len(self._own.mean)
        n_samples = reference.n_samples or 1.0
        counts = counts_of(reference) if own.has_gaps else np.full(n_columns, n_samples)
        own_counts = np.full(n_columns, own.n_samples) if own.counts is None else own.counts
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            first, second = np.split(np.abs(reference.sums(own))[: 2 * n_columns], 2)
            unit = _units(reference)
            need = np.maximum(first / unit, second / unit / unit) / counts
            need = np.where(first + second > 0, need, 0.0)
        # What has many values, in a column of which others have few, need not be far off.
        off = OFF * np.maximum(own_counts / counts, 1.0) if own.has_gaps else OFF
        is_off = ~(need <= off) & (np.isinf(need) | (self._n_raised < MAX_RAISED))
        need = np.maximum(np.where(is_off, 0.0, need), own_counts / counts)
        most = max(0.0 if own.has_gaps else float(need.max(initial=0.0)), own.n_samples / n_samples)
        is_covered = most <= COVERED and not (own.has_gaps and (need > COVERED).any())
        if reference.n_samples and not is_off.any() and is_covered:
            return None
        if most > COVERED or not reference.n_samples:
            n_samples = float(_raised(np.array(n_samples), np.array(most), self._raised_bits[-1:])[0])
        distance = np.clip(own.mean - reference.mean, -LARGEST_MEAN / 8, LARGEST_MEAN / 8)
        apart = np.sqrt(np.square(distance) + own.variance) * 2.0 ** self._raised_bits[:-1]
        is_placed = is_off & self._are_open(reference)
        mean = np.clip(own.mean + self._moved * self._size, -LARGEST_MEAN, LARGEST_MEAN)
        apart = np.where(is_placed, np.minimum(DEVIATIONS * self._size, LARGEST_MEAN / 2), apart)
        lacking = Reference(
            np.where(is_placed, mean, reference.mean),
            np.where(is_off, np.square(apart), reference.variance),
            n_samples,
        )
        if not own.has_gaps:
            return lacking
        is_raised = (need > COVERED) | (not reference.n_samples)
        return with_counts(lacking, np.where(is_raised, _raised(counts, need, self._raised_bits_of_counts), counts))


def _raised(counts: Array, need: Array, more_bits: Array) -> Array:
    """As many samples, or values by column, as are needed, powers of two, and some bits more."""
    bits = np.ceil(np.log2(np.maximum(need, 1.0)) + more_bits)
    raised: Array = np.minimum(counts * 2.0 ** np.minimum(bits, 60), MOST_SAMPLES)
    return raised


def masking_about(reference: Reference, n_sums: int) -> Masking | None:
    """The masks of sums about a reference; None where it asks for none."""
    if not reference.n_samples:
        return None
    unit, n_columns = _units(reference), len(reference.mean)
    has_gaps = n_sums > 2 * n_columns
    counts = counts_of(reference) if has_gaps else np.full(n_columns, reference.n_samples)
    with np.errstate(over="ignore"):
        of_columns = [counts * unit, counts * unit * unit, *([counts] if has_gaps else [])]
    sizes = np.concatenate([*of_columns, [reference.n_samples, 0.0]])
    named = (np.asarray(part, dtype="<f8") for part in (reference.mean, reference.variance, reference.n_samples))
    digest = hashlib.blake2b(b"".join(part.tobytes() for part in named), digest_size=32).digest()
    sizes = np.minimum(SIZE * sizes, LARGEST_MASK)
    return Masking(digest, sizes, is_needed=False, expected=norm(sizes))


def samples_of(revision: int) -> float:
    """The n of the reference of this revision; 0 where links are not masked."""
    bits = revision % REVISIONS
    return 2.0 ** (bits - 1) if bits else 0.0


def revision_after(revision: int, n_samples: float) -> int:
    """The revision of the next reference, with masks for so many samples, a power of two."""
    bits = int(np.log2(n_samples)) + 1
    return bounded((revision // REVISIONS + 1) * REVISIONS + bits)


def samples_for_masks(mean_samples: float) -> float:
    """N of a later reference: a power of two, from the mean number of an agent's samples."""
    return 2.0 ** int(np.ceil(np.log2(np.clip(SAMPLES_LATER * mean_samples, 1.0, MOST_SAMPLES))))


# Masks of columns with gaps.


def counts_of(reference: Reference) -> Array:
    """(n_columns,): n_j, how many values masks are measured by, where values may be missing."""
    bits = np.asarray(reference.variance, dtype=np.float64).view(np.int64) & COUNT_BITS
    counts: Array = np.maximum(reference.n_samples * 0.5**bits, 1.0)
    return counts


def with_counts(reference: Reference, counts: Array) -> Reference:
    """The reference with masks for so many values by column, powers of two, and for no fewer samples."""
    n_samples = max(reference.n_samples, float(counts.max(initial=1.0)))
    bits = np.rint(np.log2(n_samples / counts)).astype(np.int64)
    variance = (_without_bits(reference.variance).view(np.int64) | bits).view(np.float64)
    return Reference(reference.mean, variance, n_samples)


def later_counts(reference: Reference, mean_counts: Array, n_samples: float) -> Array:
    """n_j of a later reference, by the mean number of an agent's values about this one; those that are not known are
    fewer than can be told beside this one's masks.
    """
    known = np.maximum(mean_counts, counts_of(reference) / MOST_TOO_LARGE)
    return np.asarray(2.0 ** np.ceil(np.log2(np.clip(SAMPLES_LATER * known, 1.0, n_samples))))


def are_counts_too_large(reference: Reference, mean_counts: Array) -> NDArray[np.bool_]:
    """By column, whether masks are for far more values than there are, beside sums that are not nothing."""
    counts = counts_of(reference)
    return (counts > 1.0) & (counts > MOST_TOO_LARGE * mean_counts) & (_units(reference) > 0.0)


def _without_bits(variance: WireArray) -> Array:
    return (np.asarray(variance, dtype=np.float64).view(np.int64) & ~COUNT_BITS).view(np.float64)


def _units(reference: Reference) -> Array:
    """s, by column."""
    least: Array = LEAST_DEVIATION * np.abs(reference.mean)
    return np.where(reference.plain_variance > 0, np.sqrt(reference.variance), least)
