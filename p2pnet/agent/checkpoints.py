"""When an agent saves its checkpoints: from time to time while something changes, and on every way out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from threading import Thread
from typing import Final, final

import numpy as np

from p2pnet.agent.checkpoint_files import CheckpointFiles
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.training.checkpoint import Checkpoint
from p2pnet.training.records import LearnerState

LEAST_PAUSE: Final = 100.0
"""The least time from one save to the next, as a multiple of what the last save took."""
END_PATIENCE_S: Final = 10.0
"""How long the end waits for a save that is under way."""


@final
class Checkpoints:
    """Saves checkpoints as training goes on; a disk that takes none costs one warning, and never the training.

    While training goes on each is written on a thread of its own, one at a time, so that a slow disk holds up nothing.
    """

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
        self.samples = ""
        """The digest of the samples in use, where they may change."""
        self._files = files
        self._interval_s = interval_s
        self._tolerance = tolerance
        self._log = log
        self._clock = clock
        self._due_at = clock() + interval_s
        self._saved: tuple[object, ...] | None = None if resumed is None else _mark(resumed.rounds)
        self._is_told = False
        self._thread: Thread | None = None

    @property
    def is_saving(self) -> bool:
        """Whether a save is under way."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_due(self) -> bool:
        """Whether the pause since the last save is over."""
        return not self.is_saving and self._clock() >= self._due_at

    def save_aside(self, snapshot: RoundSnapshot | None, learner: LearnerState, fingerprint: Mapping[str, str]) -> None:
        """Begin to save the snapshot, unless it is saved already or a save is under way."""
        if self.is_saving or snapshot is None or not self._is_new(snapshot):
            return
        checkpoint = self._checkpoint(snapshot, learner, fingerprint)
        # What is not finished when the process ends need not be: the one before is whole.
        self._thread = Thread(target=self._write, args=(checkpoint,), name="checkpoint", daemon=True)
        self._thread.start()

    def save(self, snapshot: RoundSnapshot | None, learner: LearnerState, fingerprint: Mapping[str, str]) -> None:
        """Save the snapshot now, unless it is saved already, or the disk has not taken the last one in 10 s."""
        if self._thread is not None:
            self._thread.join(END_PATIENCE_S)
        if self.is_saving:
            self._log.warning("the disk has not taken the last checkpoint in %g s; no other is saved", END_PATIENCE_S)
        elif snapshot is not None and self._is_new(snapshot):
            self._write(self._checkpoint(snapshot, learner, fingerprint))

    def _checkpoint(self, snapshot: RoundSnapshot, learner: LearnerState, fingerprint: Mapping[str, str]) -> Checkpoint:
        return Checkpoint(snapshot, learner, fingerprint, self._tolerance, self.samples if snapshot.is_current else "")

    def _is_new(self, snapshot: RoundSnapshot) -> bool:
        """Whether the snapshot is not saved yet, and would not spoil a later run by parameters that are not finite."""
        return _mark(snapshot) != self._saved and bool(np.all(np.isfinite(snapshot.params)))

    def _write(self, checkpoint: Checkpoint) -> None:
        begun_at = self._clock()
        try:
            self._files.save(checkpoint)
        except OSError as error:
            if not self._is_told:
                self._log.warning(
                    "no checkpoint can be saved: %s; make room, or make the state directory writable; training goes on",
                    error.strerror,
                )
            self._is_told = True
        else:
            self._saved, self._is_told = _mark(checkpoint.rounds), False
        now = self._clock()
        self._due_at = now + max(self._interval_s, LEAST_PAUSE * (now - begun_at))


def _mark(snapshot: RoundSnapshot) -> tuple[object, ...]:
    """What differs between any two snapshots of one training."""
    scales = None if snapshot.statistics is None else snapshot.statistics.survey
    flags = (snapshot.is_converged, snapshot.is_concluded, snapshot.is_current)
    return snapshot.round, snapshot.epoch, scales, *flags
