"""When an agent saves its checkpoints: from time to time while something changes, and on every way out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final, final

import numpy as np

from p2pnet.agent.checkpoint_files import CheckpointFiles
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.training.checkpoint import Checkpoint

LEAST_PAUSE: Final = 100.0
"""The least time from one save to the next, as a multiple of what the last save took."""


@final
class Checkpoints:
    """Saves checkpoints as training goes on; a disk that takes none costs one warning, and never the training."""

    def __init__(
        self,
        files: CheckpointFiles,
        interval_s: float,
        tolerance: float,
        log: logging.Logger,
        clock: Callable[[], float],
        resumed: Checkpoint | None = None,
    ) -> None:
        """`clock` shows seconds that never go back; `resumed` is what this run goes on from."""
        self.is_resumed = resumed is not None
        self._files = files
        self._interval_s = interval_s
        self._tolerance = tolerance
        self._log = log
        self._clock = clock
        self._due_at = clock() + interval_s
        self._saved = None if resumed is None else _mark(resumed.rounds)
        self._is_told = False

    @property
    def is_due(self) -> bool:
        """Whether the pause since the last save is over."""
        return self._clock() >= self._due_at

    def save(
        self, snapshot: RoundSnapshot | None, learner: Mapping[str, float], fingerprint: Mapping[str, str]
    ) -> None:
        """Save the snapshot unless it is saved already; parameters that are not finite would spoil a later run."""
        if snapshot is None or _mark(snapshot) == self._saved or not np.all(np.isfinite(snapshot.params)):
            return
        begun_at = self._clock()
        try:
            self._files.save(Checkpoint(snapshot, learner, fingerprint, self._tolerance))
        except OSError as error:
            if not self._is_told:
                self._log.warning(
                    "no checkpoint can be saved: %s; make room, or make the state directory writable; training goes on",
                    error.strerror,
                )
            self._is_told = True
        else:
            self._saved, self._is_told = _mark(snapshot), False
        now = self._clock()
        self._due_at = now + max(self._interval_s, LEAST_PAUSE * (now - begun_at))


def _mark(snapshot: RoundSnapshot) -> tuple[int, bool]:
    """What differs between any two snapshots of one training."""
    return snapshot.round, snapshot.is_converged
