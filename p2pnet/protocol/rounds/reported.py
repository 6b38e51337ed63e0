"""Feature statistics that neighbors past the statistics stage report, and when one agent still in it believes them."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import final

import numpy as np

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Array, FeatureStatistics, PeerId
from p2pnet.protocol.messages.training import check_labels
from p2pnet.protocol.rounds.corroboration import Corroboration
from p2pnet.protocol.rounds.moments import LARGEST_MEAN, LocalStatistics

PATIENCE_S = 3.0
"""How long the word of one neighbor waits for that of another, which may still connect."""

SAME = 1e-6
"""Of a deviation: results that differ by less are one, which each agent has rounded in its own way."""

LIKELY_MEANS, LIKELY_RATIO = 1.0, 4.0
"""What one neighbor reports is likely while others are still averaging where it is as near as that to what they have so
far: in deviations; ratio of variances. Scaled by that a training comes to the same.
"""

ROUNDING = 1e-13
"""Of a mean: what is smaller beside it is rounding, also where a column does not vary at all."""

POSSIBLE_RATIO = 1e12
"""Of what the only neighbor reports to what this agent's own samples show."""


@final
class ReportedStatistics:
    """Hears what neighbors report, and finds out what is to be believed of it.

    That is, in this order: what this agent has found itself, so that the neighbor has only been faster; what two
    neighbors report alike; after a while what the only neighbor reports, if its own samples do not rule it out; and
    what one neighbor reports among others that are averaging, if it is as good as what these have so far.
    """

    def __init__(self, own: LocalStatistics) -> None:
        self._own = own
        self._reports: Corroboration[FeatureStatistics] = Corroboration()
        self._since: float | None = None
        self._n_waits = 0

    @property
    def is_waiting(self) -> bool:
        """Whether the stage is not to end yet, since the first report may still be believed."""
        return self._since is not None and self._n_waits == 1

    def next_deadline(self) -> float | None:
        """The time at which a report is believed, if none comes before."""
        return None if self._since is None else self._since + PATIENCE_S

    def hear(self, peer: PeerId, found: FeatureStatistics, now: float) -> None:
        """Record a report that passes the check."""
        self._reports.hear(peer, found)
        if self._since is None and self._is_possible(found):
            self._since = now
            self._n_waits += 1

    def believed(
        self, known: Sequence[FeatureStatistics], averaging: Set[PeerId], now: float, *, is_only_one: bool
    ) -> FeatureStatistics | None:
        """The report to adopt, if any. `known` is what this agent has found so far, the latest last; `averaging` are
        the neighbors that do so with it. `is_only_one` where there is no second neighbor to wait for.
        """
        reports = self._reports.words
        for report in reports.values():
            if any(_are_same(report, found) for found in known):
                return report
        if (twice := self._reports.seconded(_are_same)) is not None:
            return twice
        if self._since is None or (now < self._since + PATIENCE_S and not is_only_one):
            return None
        self._since = None
        possible = [report for report in reports.values() if self._is_possible(report)]
        if averaging - reports.keys():
            possible = [report for report in possible if known and _is_likely(report, known[-1])]
            return possible[0] if len(possible) == 1 else None
        # Parts that were averaged apart: one of them it is.
        return min(possible, key=lambda report: len({*self._own.labels} - {*report.labels}), default=None)

    def check(self, found: FeatureStatistics) -> None:
        """ProtocolError where a report cannot be of these columns, or of any samples."""
        n_columns = len(self._own.mean)
        if found.mean.shape != (n_columns,) or found.variance.shape != (n_columns,):
            raise ProtocolError(f"FeatureStatistics.mean: {found.mean.size} columns instead of {n_columns}")
        if (found.variance < 0).any() or (found.variance > LARGEST_MEAN**2).any():
            raise ProtocolError("FeatureStatistics.variance: a variance is negative, or too large")
        if (np.abs(found.mean) > LARGEST_MEAN).any():
            raise ProtocolError(f"FeatureStatistics.mean: a mean is beyond {LARGEST_MEAN:g}")
        if found.labels and not self._own.has_labels:
            raise ProtocolError("FeatureStatistics.labels: there are none in this network")
        check_labels(found.labels)

    def _is_possible(self, found: FeatureStatistics) -> bool:
        """Whether the own samples may be among those of the report, or beside them. A column that does not vary in them
        tells nothing.
        """
        own = self._own
        is_telling = own.variance > np.square(ROUNDING * own.mean)
        spread = own.variance + np.square(own.mean - found.mean)
        is_small = found.variance <= POSSIBLE_RATIO * spread
        is_large = own.variance <= POSSIBLE_RATIO * found.variance
        return bool((is_small & is_large)[is_telling].all())


def _are_same(one: FeatureStatistics, other: FeatureStatistics) -> bool:
    distance = SAME * np.sqrt(np.maximum(one.variance, other.variance)) + _rounding(one, other)
    return (
        one.labels == other.labels
        and _is_near(one.mean - other.mean, distance)
        and _is_near(np.sqrt(one.variance) - np.sqrt(other.variance), distance)
    )


def _is_likely(report: FeatureStatistics, known: FeatureStatistics) -> bool:
    """Whether a result may be that of more samples than have been averaged here so far."""
    deviation, rounding = np.sqrt(np.maximum(report.variance, known.variance)), _rounding(report, known)
    least = np.square(rounding)
    return (
        {*known.labels} <= {*report.labels}
        and _is_near(report.mean - known.mean, LIKELY_MEANS * deviation + rounding)
        and bool((report.variance <= LIKELY_RATIO * known.variance + least).all())
        and bool((known.variance <= LIKELY_RATIO * report.variance + least).all())
    )


def _rounding(one: FeatureStatistics, other: FeatureStatistics) -> Array:
    return np.asarray(ROUNDING * np.maximum(np.abs(one.mean), np.abs(other.mean)))


def _is_near(difference: Array, distance: Array) -> bool:
    return bool((np.abs(difference) <= distance).all())
