"""Mean and variance of all samples, from sums that are averaged about a reference.

Agent k has n_k samples with mean m_k and variance V_k, by column. About a reference (u, v), the same at all agents, its
sums are

    x_k = n_k (m_k − u,  V_k − v + (m_k − u)²),  n_k      whose network averages, divided, are  δ, q,

and the network has the mean u + δ and the variance v + q − δ². Where values are missing, n_k is another for each
column, the number of values that are there, and these numbers are averaged beside the sums.

Rounding. With ε = 2⁻⁵², after t rounds the ledger of a link holds totals of the order of t times what is averaged. So
the error of δ is some ε t |δ|, and that of the variance ε t (|q| + δ²). Both are nothing beside the deviation where
the reference is *near*: then |δ| is at most a deviation, and q − δ² at most half of the variance; less, the older the
ledgers. Digits are lost where the reference is far off, about zero for example: then all that is needed of the result
is a reference that is near.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Array, WireArray

Quantity = TypeVar("Quantity")

TOLERANCE = 1e-12
"""Of means and deviations, relative to the deviation."""

EPSILON = float(np.finfo(np.float64).eps)

NOISE = 8 * EPSILON
"""No finer agreement than this, relative to a column's mean, is asked of it."""

RESOLUTION = 2.0**-36
"""A reference need not be nearer than this to the mean, relative to it: a column that deviates by less has few digits
of its own."""

ROUNDING = 64
"""The error of a variance is at most this times ε t (v + |q| + δ²): the totals of some links, with momentum."""

MASK_ROUNDING = 1 / 4
"""Of what a mask rounds by in a round: it spreads in the first ones, and adds to the totals once."""

KNOWN = 2.0**-17
"""Of the mask of a number of values: what is smaller beside it is not known to be there."""

STEADY, STEADY_BESIDE_MASKS = 1 / 64, KNOWN / 8
"""How little the number of values of a column must change before another reference is made of it: relative to itself,
or to its mask. Divided by what is still mostly mask, sums may seem steady for long."""

LIFETIME = TOLERANCE / (2 * EPSILON)
"""In rounds: so old ledgers round by half of the tolerance, ε t σ, where the reference is a deviation off."""

LARGEST_MEAN = 1e150
"""Of a reference: its square can still be told."""

LEAST_VARIANCE = float(np.finfo(np.float64).tiny)
"""What a reference has less of is 0, with bits that say how large masks are."""

LEAST_ROUNDS = 8
"""An estimate that has stayed the same for fewer rounds may have heard of no other agent yet."""


@dataclass(frozen=True, slots=True)
class LocalStatistics:
    """What one agent contributes: its samples' mean and variance by column, and its labels."""

    n_samples: float
    """with weights, their sum"""
    mean: Array = field(repr=False)
    variance: Array = field(repr=False)
    labels: tuple[str, ...] = ()
    """of classes, and levels of categories"""
    may_be_labelled: bool = False
    """whether other agents may have labels where this one has none, as where its levels are too rare to be told"""
    counts: Array | None = field(default=None, repr=False)
    """the samples that have a value, by column, weighted as `n_samples`; None where all have"""

    @property
    def has_labels(self) -> bool:
        """Whether there are labels in this network, as far as this agent knows."""
        return bool(self.labels) or self.may_be_labelled

    @property
    def has_gaps(self) -> bool:
        """Whether values may be missing, here or elsewhere."""
        return self.counts is not None

    @property
    def n_sums(self) -> int:
        """How many sums are averaged."""
        return (3 if self.has_gaps else 2) * len(self.mean)


@dataclass(frozen=True, slots=True)
class Reference:
    """(u, v): what means and variances are averaged relative to, (n_columns,) each."""

    mean: WireArray = field(repr=False)
    variance: WireArray = field(repr=False)
    """Where values may be missing, its last bits say how large masks are (`masking.py`); 0 may be a subnormal then."""
    n_samples: float = 0.0
    """How many samples masks are measured by (`masking.py`); 0 where links are not masked."""

    @classmethod
    def zero(cls, n_columns: int) -> Reference:
        """The one that all agents have before they know anything."""
        return cls(np.zeros(n_columns), np.zeros(n_columns))

    @property
    def plain_variance(self) -> Array:
        """v, 0 where that is only bits."""
        return np.where(self.variance >= LEAST_VARIANCE, self.variance, 0.0)

    def sums(self, own: LocalStatistics) -> Array:
        """n_k (m_k − u, V_k − v + (m_k − u)²), (2 n_columns,), and where values are missing n_k, (3 n_columns,)."""
        offset = own.mean - self.mean
        moment = own.variance - self.plain_variance + offset * offset
        if own.counts is None:
            return own.n_samples * np.concatenate([offset, moment])
        return np.concatenate([own.counts * offset, own.counts * moment, own.counts])

    def check(self, n_columns: int) -> Reference:
        """The same, or ProtocolError: it must be of so many columns, and its squares numbers."""
        if self.mean.shape != (n_columns,) or self.variance.shape != (n_columns,):
            raise ProtocolError(f"LabelSet.mean: {self.mean.size} columns instead of {n_columns}")
        if (self.variance < 0).any() or (self.variance > LARGEST_MEAN**2).any():
            raise ProtocolError("LabelSet.variance: a variance is negative, or too large")
        if (np.abs(self.mean) > LARGEST_MEAN).any():
            raise ProtocolError(f"LabelSet.mean: a mean is beyond {LARGEST_MEAN:g}")
        return self


@final
@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean and variance of all samples as one agent knows them, and how exact they can be; (n_columns,) each."""

    mean: Array = field(repr=False)
    variance: Array = field(repr=False)
    rounding: Array = field(repr=False)
    """A bound on the error of the variance by rounding."""
    rounding_of_mean: Array = field(repr=False)
    """The same of the mean, as far as masks are rounded."""
    distance: Array = field(repr=False)
    """|δ|, of the reference from the mean."""
    reference: Reference = field(repr=False)
    age: int
    """Of the account, in rounds."""
    part: Array = field(repr=False)
    """Of all samples, those that have a value; 1 where none may be missing."""
    mask_of_part: Array = field(repr=False)
    """The size of its mask; 0 for none."""

    @classmethod
    def about(cls, reference: Reference, averages: Array, age: int, masks: Array | None = None) -> Estimate:
        """From the network's averages of the sums, relative to that of the samples, after `age` rounds; `masks` are the
        sizes of masks of the sums, relative to the samples, too.
        """
        n_columns = len(reference.mean)
        offset, moment, *parts = np.split(averages, len(averages) // n_columns)
        masks = np.zeros(len(averages)) if masks is None else masks
        part, mask_of_part = np.ones(n_columns), np.zeros(n_columns)
        if parts:
            part, mask_of_part = parts[0], masks[2 * n_columns : 3 * n_columns]
        # Where no value is known to be there, the reference stays; what a mask has made negative is no number yet.
        divisor = np.where(np.abs(part) > KNOWN * mask_of_part, part, np.inf)
        offset = np.clip(offset / divisor, -LARGEST_MEAN, LARGEST_MEAN)
        moment = moment / divisor
        center = reference.plain_variance
        variance = center + (moment - offset * offset)
        size = center + np.abs(moment) + offset * offset
        masked = ROUNDING * EPSILON * MASK_ROUNDING * masks
        of_mean, of_variance = masked[:n_columns], masked[n_columns : 2 * n_columns]
        rounding = ROUNDING * EPSILON * max(age, LEAST_ROUNDS) * size + of_variance / np.abs(divisor)
        return cls(
            *(reference.mean + offset, np.maximum(variance, 0.0), rounding, of_mean / np.abs(divisor), np.abs(offset)),
            *(reference, age, part, mask_of_part),
        )

    @property
    def deviation(self) -> Array:
        return np.sqrt(self.variance)

    def is_far(self) -> NDArray[np.bool_]:
        """By column, whether the reference costs digits:

            |δ| > f σ,   or   |σ² − v| > f σ²/2,     f = min(1, LIFETIME / age)

        with f σ at least RESOLUTION |mean|, and f σ²/2 at least its rounding.
        """
        part = min(1.0, LIFETIME / max(self.age, 1))
        least = RESOLUTION * np.abs(self.mean)
        is_off = self.distance > np.maximum(part * self.deviation, least)
        allowed = np.maximum(part * self.variance / 2, np.maximum(self.rounding, least * least))
        is_wrong = ~(np.abs(self.variance - self.reference.plain_variance) <= allowed)
        return is_off | is_wrong

    def as_reference(self, n_samples: float = 0.0) -> Reference:
        """The same, for what is averaged from now on, with masks for so many samples.

        A mean or a variance that is all rounding counts as 0, which costs nothing where nothing varies.
        """
        return Reference(
            np.where(np.abs(self.mean) >= self.rounding_of_mean, self.mean, 0.0),
            np.where(self.variance > self.rounding, self.variance, 0.0),
            n_samples,
        )


def exact_change(before: Estimate, after: Estimate) -> Array:
    """By column, the change of mean and deviation, the larger, in units of

    max(TOLERANCE σ, NOISE |mean|).
    """
    unit = np.maximum(after.deviation, NOISE / TOLERANCE * np.abs(after.mean))
    unit = TOLERANCE * np.where(unit > 0, unit, 1.0)
    changes = np.maximum(np.abs(after.mean - before.mean), np.abs(after.deviation - before.deviation))
    ratio: Array = changes / unit
    return ratio


def rough_change(before: Estimate, after: Estimate) -> Array:
    """By column, the change of mean and variance, the larger, in units of what a reference may be off by:

    max(σ, least) / 8   and   max(σ², least², rounding) / 8,    least = max(RESOLUTION |mean|, rounding of the mean);

    where the number of values is masked, its change counts, too (STEADY).
    """
    least = np.maximum(RESOLUTION * np.abs(after.mean), after.rounding_of_mean)
    unit = np.maximum(after.deviation, least) / 8
    of_means = np.abs(after.mean - before.mean) / np.where(unit > 0, unit, 1.0)
    unit = np.maximum(np.maximum(after.variance, least * least), after.rounding) / 8
    of_variances = np.abs(after.variance - before.variance) / np.where(unit > 0, unit, 1.0)
    unit = np.maximum(STEADY * np.abs(after.part), STEADY_BESIDE_MASKS * after.mask_of_part)
    of_parts = np.where(after.mask_of_part > 0, np.abs(after.part - before.part) / np.where(unit > 0, unit, 1.0), 0.0)
    return np.maximum(np.maximum(of_means, of_variances), of_parts)


@final
class Plateau(Generic[Quantity]):
    """Since when an estimate has stayed within one unit of what it was then.

    A change from one round to the next says little where the graph is slow: the error is 1/(1 − λ) times as large, if
    it falls by the factor λ a round. Over a part of all rounds so far, in each of which it fell, it says much: where an
    error has fallen to one unit in t rounds, it falls to 1e-12^(1/8) = 0.03 of that in t/8 more.
    """

    def __init__(self, change: Callable[[Quantity, Quantity], Array], part: float) -> None:
        """`change` gives the change by column; a plateau has to last for `part` of all rounds."""
        self._change = change
        self._part = part
        self._anchor: Quantity | None = None
        self._since = 0
        self.worst: tuple[int, float] = (0, np.inf)
        """The column with the largest change since the plateau began, and that change."""

    def observe(self, estimate: Quantity, age: int) -> None:
        """Take in the estimate of this round; `age` counts rounds."""
        if self._anchor is not None:
            changes = self._change(self._anchor, estimate)
            column = int(np.argmax(np.where(np.isnan(changes), np.inf, changes)))
            self.worst = (column, float(changes[column]))
            if self.worst[1] <= 1.0:
                return
        self._anchor, self._since = estimate, age

    def has_lasted(self, age: int) -> bool:
        """Whether it is long enough to be believed."""
        return self._anchor is not None and age - self._since >= max(LEAST_ROUNDS, self._part * age)
