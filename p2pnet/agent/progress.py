"""Lines of the log that say how training goes on: often at first, seldom in the long run."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Final, final

from p2pnet.training.records import RoundRecord

LEAST_PAUSE_S: Final = 5.0
MOST_PAUSE_S: Final = 300.0
PAUSE: Final = 0.1
"""The time from one line to the next, as a part of the time since training began."""


@final
class Progress:
    """Tells of a round now and then; a record says itself when it was made."""

    def __init__(self, log: logging.Logger, tell_status: Callable[[str], None]) -> None:
        """`tell_status` gets each line, too."""
        self._log = log
        self._tell_status = tell_status
        self._begun_at_s: float | None = None
        self._told: RoundRecord | None = None

    def tell(self, record: RoundRecord, metric_name: str) -> None:
        """Log the round if the last line is long enough ago; `metric_name` is that of the test metric."""
        if self._begun_at_s is None or self._told is None:
            self._begun_at_s, self._told = record.time_s, record
            return
        since_begin_s, since_told_s = record.time_s - self._begun_at_s, record.time_s - self._told.time_s
        if since_told_s < min(max(PAUSE * since_begin_s, LEAST_PAUSE_S), MOST_PAUSE_S):
            return
        per_s = (record.round - self._told.round) / since_told_s
        metric = f", {metric_name} {record.test_metric:.4f} on own test samples"
        metric = "" if math.isnan(record.test_metric) else metric
        line = (
            f"round {record.round}: objective {record.objective_local:.4g}{metric}, "
            f"disagreement {record.disagreement:.1g}; {per_s:.2g} rounds a second"
        )
        self._log.info("%s", line, extra={"is_progress": True})
        self._tell_status(line)
        self._told = record
