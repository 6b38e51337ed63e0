"""Rescaling: when the scales in force fit the network's samples no more, and which hold instead.

Where agents keep running, mean and square of every scaled column are tracked beside the gradient, so that an idle agent
knows mean and deviation of the samples as they are now. Where these are far from the scales in force, it proposes them
as new scales, by the message that carries feature statistics. Scales need not be exact, but must be the same to the
last bit at all agents, and the name of the statistics says which they are: of two the later *revision* holds, and of
one revision the least name. So all agents end with the same, whoever proposes, and whatever is late.

An agent believes in a proposal that is the next revision and near what it has tracked itself; else what two neighbors
say; and after a while what one says, unless it is far off: parts of a network that have lost each other may both have
new scales. Scales that are false cost an epoch, and are replaced after it, since they do not fit.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import replace
from typing import Final, final

import numpy as np

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.counts import MAX_COUNT
from p2pnet.protocol.core.types import Array, FeatureStatistics, PeerId
from p2pnet.protocol.rounds.corroboration import Corroboration
from p2pnet.protocol.rounds.moments import LARGEST_MEAN

SPREAD_S: Final = 10.0
"""Idle agents propose within so many seconds, each at a time of its own, so that most hear of a proposal before."""

PATIENCE_S: Final = 30.0
"""How long the word of one neighbor waits for that of another."""

NEAR: Final = 0.1
"""A proposal is near what is tracked where its drift from that is less."""

FAR, FARTHEST = 100.0, 1e6
"""The largest drift of scales that one neighbor says: from what is tracked; and where nothing is, or there is no other
neighbor, from the scales in force.
"""

MAX_ADOPTED: Final = 16
"""Of one revision so many proposals are adopted at most."""

LEAST_DEVIATION: Final = 1e-12
"""Columns that deviate by less, relative to their mean, have no scale of their own."""

LEAST_VARIANCE: Final = 1e-12
"""Of a scaled column; one that varies less keeps the deviation that it had."""

_REVISION: Final = re.compile(r" rescaled ([1-9][0-9]{0,17})$")


def revision_of(survey: str) -> int:
    """How often scales have been replaced before those of this name."""
    match = _REVISION.search(survey)
    return min(int(match[1]), MAX_COUNT) if match else 0


def is_later(one: str, other: str) -> bool:
    """Whether the scales of one name replace those of the other; never where neither has replaced any."""
    ours, theirs = revision_of(one), revision_of(other)
    return ours > theirs or (ours == theirs > 0 and one < other)


def drift(scales: FeatureStatistics, mean: Array, variance: Array) -> Array:
    """By column, how far samples of this mean and variance are from scales: the distance of the mean in deviations, or
    by what part the deviation has grown or shrunk, whichever is more.
    """
    unit = _units(scales.mean, scales.variance)
    ratio = _units(mean, variance) / unit
    largest: Array = np.maximum(np.abs(mean - scales.mean) / unit, np.maximum(ratio, 1.0 / ratio) - 1.0)
    return largest


def _units(mean: Array, variance: Array) -> Array:
    """The deviations by which columns are divided; 1 for those that do not vary."""
    deviation = np.sqrt(variance)
    units: Array = np.where(deviation > LEAST_DEVIATION * np.abs(mean), deviation, 1.0)
    return units


@final
class Rescaling:
    """Knows one agent's scales, and how well they fit the network's samples."""

    def __init__(self, me: str, in_force: FeatureStatistics, limit: float, idle_s: float) -> None:
        """`me` names what this agent proposes. Scales are replaced where samples have drifted by more than `limit`."""
        self.in_force = in_force
        self._me = me
        self._limit = limit
        self._idle_s = idle_s
        self._idle_since = math.inf
        self._tracked: tuple[Array, Array] | None = None
        """Mean and variance of the network's samples as they are now, by column."""
        self.largest_drift = 0.0
        """Of the network's samples from the scales in force; 0 where nothing is known."""
        self._words: Corroboration[FeatureStatistics] = Corroboration()
        self._heard_at = math.inf
        """When the first of the words was heard."""
        self._n_adopted = 0

    # What is measured.

    def observe(self, moments: Array) -> None:
        """Take in the network's sums of scaled columns, of their squares, and the number of samples, (2 n + 1,), all
        divided by anything; other columns keep their mean and variance.
        """
        n_samples = float(moments[-1])
        means, squares = np.split(moments[:-1] / n_samples if n_samples > 0.0 else moments[:-1] * np.nan, 2)
        variances = squares - np.square(means)
        n = len(means)
        mean, variance = self.in_force.mean.copy(), self.in_force.variance.copy()
        unit = _units(mean, variance)[:n]
        mean[:n] += unit * means
        variance[:n] = np.where(variances > LEAST_VARIANCE, np.square(unit) * variances, variance[:n])
        self._tracked = (mean, variance) if np.isfinite(mean).all() and np.isfinite(variance).all() else None
        self._idle_since = math.inf
        self._measure()

    def become_idle(self, now: float) -> None:
        """Know that what was tracked last is of all agents."""
        self._idle_since = now

    def _measure(self) -> None:
        known = self._tracked
        self.largest_drift = 0.0 if known is None else float(drift(self.in_force, *known).max(initial=0.0))

    # What is proposed.

    def next_deadline(self, *, is_idle: bool) -> float | None:
        """The time at which scales are proposed, by an agent that is idle then, or a word is believed."""
        due_at = min(self._heard_at + PATIENCE_S, self._due_at() if is_idle else math.inf)
        return due_at if math.isfinite(due_at) else None

    def _due_at(self) -> float:
        if not math.isfinite(self._idle_since) or self.largest_drift <= self._limit:
            return math.inf
        digest = hashlib.sha256(f"{self._me} {self.in_force.survey}".encode()).digest()
        return self._idle_since + self._idle_s + SPREAD_S * int.from_bytes(digest[:4], "little") / 2**32

    def proposal(self, now: float) -> FeatureStatistics | None:
        """The scales that this agent proposes now, if any."""
        if self._tracked is None or now < self._due_at():
            return None
        mean, variance = self._tracked
        revision = revision_of(self.in_force.survey) + 1
        name = f"{self._me} rescaled {revision}"
        return replace(self.in_force, survey=name, mean=mean, variance=variance)

    # What is believed.

    def hear(self, peer: PeerId, scales: FeatureStatistics, now: float) -> None:
        """Record what a neighbor has in force, if it is later; ProtocolError where it cannot be of these columns."""
        if not is_later(scales.survey, self.in_force.survey):
            return
        ours = self.in_force
        if scales.mean.shape != ours.mean.shape or scales.variance.shape != ours.variance.shape:
            raise ProtocolError(f"FeatureStatistics.mean: {scales.mean.size} columns instead of {ours.mean.size}")
        is_finite = np.isfinite(scales.mean).all() and np.isfinite(scales.variance).all()
        if not is_finite or (scales.variance < 0).any() or (np.abs(scales.mean) > LARGEST_MEAN).any():
            raise ProtocolError("FeatureStatistics: no samples have this mean and variance")
        if scales.labels != ours.labels:
            raise ProtocolError("FeatureStatistics.labels: scales are new, labels are not")
        self._words.hear(peer, scales)
        self._heard_at = min(self._heard_at, now)

    def believed(self, now: float, n_neighbors: int) -> FeatureStatistics | None:
        """The scales to adopt, if any, with so many neighbors connected."""
        for scales in self._words.words.values():
            if self._is_confirmed(scales):
                return scales
        if (twice := self._words.seconded(_are_same)) is not None:
            return twice
        if now < self._heard_at + PATIENCE_S:
            return None
        self._heard_at = math.inf
        words = self._words.words.values()
        return next((scales for scales in words if self._is_possible(scales, is_only_one=n_neighbors <= 1)), None)

    def adopt(self, scales: FeatureStatistics) -> None:
        """Have these scales in force."""
        is_next = revision_of(scales.survey) > revision_of(self.in_force.survey)
        self._n_adopted = 1 if is_next else self._n_adopted + 1
        self.in_force = scales
        self._words, self._heard_at, self._idle_since = Corroboration(), math.inf, math.inf
        self._measure()

    def _is_confirmed(self, scales: FeatureStatistics) -> bool:
        """Whether a proposal is what this agent might have proposed itself."""
        if self._tracked is None or float(drift(scales, *self._tracked).max(initial=0.0)) > NEAR:
            return False
        if revision_of(scales.survey) == revision_of(self.in_force.survey):
            return self._n_adopted < MAX_ADOPTED
        is_next = revision_of(scales.survey) == revision_of(self.in_force.survey) + 1
        # Two agents measure the same drift nearly alike: one may be a little below the limit.
        return is_next and self.largest_drift > self._limit / 2

    def _is_possible(self, scales: FeatureStatistics, *, is_only_one: bool) -> bool:
        if self._tracked is None or is_only_one:
            return float(drift(self.in_force, scales.mean, scales.variance).max(initial=0.0)) <= FARTHEST
        return float(drift(scales, *self._tracked).max(initial=0.0)) <= FAR


def _are_same(one: FeatureStatistics, other: FeatureStatistics) -> bool:
    return (
        one.survey == other.survey
        and np.array_equal(one.mean, other.mean)
        and np.array_equal(one.variance, other.variance)
    )
