"""What follows on the last round of training, where rows are held out: the choice of the best parameters of late, if
training stops early, and the measurement of those that are kept.

Both are averages over links of their own (`measurement.py`), whose incarnations come after that of the training; it
goes on serving neighbors meanwhile.

Where agents keep running, each epoch ends with a measurement, which the next one cuts short. Its Hellos name the round
that the epoch has ended with, and the scales; those of others are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, TypeAlias, final

import numpy as np

from p2pnet.protocol.core.effects import Choose, Close, Conclude, Finish, Notify
from p2pnet.protocol.core.events import (
    AwayRequested,
    Chosen,
    LeaveRequested,
    Measured,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    PeerParted,
)
from p2pnet.protocol.core.notices import MetricsUnsettled, ParametersChosen
from p2pnet.protocol.core.timers import earliest
from p2pnet.protocol.core.types import CHOICE, MEASUREMENT, Array, FeatureStatistics, PeerId
from p2pnet.protocol.messages.training import Hello, LabelSet, Refuse, TrainingMessage
from p2pnet.protocol.rounds.fingerprints import STAGE_FIELD, SURVEY_FIELD
from p2pnet.protocol.rounds.happenings import RoundEvent
from p2pnet.protocol.rounds.measurement import MeasurementEffect, MeasurementMachine
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions

STAGES = (CHOICE, MEASUREMENT)

FINISHED_FIELD: Final = "finished"
"""The field for the round that the epoch has ended with, and the scales, where agents keep running."""

START_TIMEOUT_S = 10.0
"""How long a stage waits for links with all neighbors: these end their training at the same time, or have died."""

LISTENING: Final = 2
"""How many times as long an agent waits for others to begin that has not the parameters chosen."""

ConclusionEvent: TypeAlias = RoundEvent | Measured | Chosen
ConclusionEffect: TypeAlias = MeasurementEffect | Choose


@final
class Conclusion:
    """The stages after training: none, the measurement, or first the choice and then the measurement.

    An agent that has gone through a stage goes on serving it while it is in the next one. One that was not there in the
    round whose parameters are chosen has nothing to give to their average: it begins no measurement itself, and takes
    over the parameters of those that have.
    """

    def __init__(
        self,
        identity: Identity,
        options: RoundOptions,
        n_candidates: int,
        n_metric_sums: int,
        concluded_round: int | None = None,
        n_nonces: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """`identity` is that of the training; no candidates leave nothing to choose, no sums nothing to measure. What
        follows on training up to `concluded_round` has been done by an earlier process. `n_nonces` are those that the
        links of each stage have had before.
        """
        self._identity = identity
        self._options = options
        self._n_candidates = n_candidates
        self._n_metric_sums = n_metric_sums
        self._concluded_round = concluded_round
        self.is_concluded = False
        """Whether the metrics are known, here or to an earlier process."""
        self._machines: dict[str, MeasurementMachine] = {}
        self._n_nonces = dict(n_nonces)
        self._finished_round = -1
        self._last_params: Array = np.zeros(0)
        self._connected: set[PeerId] = set()
        self._is_left = False

    @property
    def has_begun(self) -> bool:
        """Whether any stage has begun here."""
        return bool(self._machines)

    @property
    def is_closed(self) -> bool:
        """Whether nothing is left to be done."""
        is_begun = MEASUREMENT in self._machines or self.is_concluded
        is_complete = not self._n_metric_sums or is_begun or self._is_left
        return is_complete and all(machine.is_closed for machine in self._machines.values())

    @property
    def n_nonces(self) -> Mapping[str, int]:
        """The nonces of the links of each stage so far."""
        return self._n_nonces | {stage: machine.neighborhood.n_nonces for stage, machine in self._machines.items()}

    def abandon(self) -> None:
        """Forget what follows on an epoch, since another one begins."""
        self._n_nonces = dict(self.n_nonces)
        self._machines = {}
        self.is_concluded = False

    def next_deadline(self) -> float | None:
        """The time at which `DeadlineReached` is due if no event comes before; None for never."""
        times = [machine.next_deadline() for machine in self._machines.values()]
        return earliest(times)

    def owns(self, event: ConclusionEvent) -> bool:
        """Whether an event is none of the training's: also a Hello of a stage that has not begun here."""
        if isinstance(event, Measured | Chosen):
            return True
        return isinstance(event, MessageReceived) and self._stage_of(event.message) is not None

    def begin(self, finished: Finish, now: float) -> list[ConclusionEffect]:
        """Begin with the first stage, if there is any, after the last round of training."""
        if self._options.keeps_running:
            self.abandon()
        self._last_params, self._finished_round = finished.params, finished.round
        if finished.round == self._concluded_round:
            self.is_concluded = True
            return []
        if self._n_candidates:
            return self._begin(CHOICE, np.zeros(0), self._n_candidates, now)
        return self._measure(finished.params, now) if self._n_metric_sums else []

    def handle(self, event: ConclusionEvent, now: float) -> list[ConclusionEffect]:
        """Handle an event that is its own, or not of the training alone."""
        match event:
            case Chosen(round_, params, is_kept):
                return [Notify(ParametersChosen(round_)), *self._measure(params, now, is_listening=not is_kept)]
            case Measured(stage):
                return self._to([stage], event, now)
            case MessageReceived(_, Hello() as hello) if hello.fingerprint.get(FINISHED_FIELD) != self._finished_text:
                return []
            case MessageReceived(_, message):
                owner = self._stage_of(message)
                return [] if owner is None else self._to([owner], event, now)
            case PeerConnected(peer):
                self._connected.add(peer)
            case PeerDisconnected(peer) | PeerParted(peer):
                self._connected.discard(peer)
            case LeaveRequested() | AwayRequested():
                self._is_left = True
            case _:
                pass
        return self._to(STAGES, event, now)

    def _to(self, stages: Iterable[str], event: RoundEvent | Measured, now: float) -> list[ConclusionEffect]:
        effects: list[ConclusionEffect] = []
        for stage in stages:
            if stage in self._machines:
                effects += self._of(stage, self._machines[stage].handle(event, now), now)
        return effects

    def _of(self, stage: str, effects: list[MeasurementEffect], now: float) -> list[ConclusionEffect]:
        """Take the result of the choice to the shell, and go on where there is none."""
        outward: list[ConclusionEffect] = []
        for effect in effects:
            match effect:
                case Conclude(_, _, sums) if stage == CHOICE:
                    outward.append(Choose(sums))
                case Conclude():
                    self.is_concluded = True
                    outward.append(effect)
                case Notify(MetricsUnsettled()) if stage == CHOICE:
                    outward += [effect, *self._measure(self._last_params, now)]
                case Close():
                    pass  # the session closes when all its stages have
                case _:
                    outward.append(effect)
        return outward

    def _measure(self, params: Array, now: float, *, is_listening: bool = False) -> list[ConclusionEffect]:
        if MEASUREMENT in self._machines or self._is_left:
            return []
        return self._begin(MEASUREMENT, params, self._n_metric_sums, now, is_listening=is_listening)

    def _begin(
        self, stage: str, params: Array, n_sums: int, now: float, *, is_listening: bool = False
    ) -> list[ConclusionEffect]:
        told = {} if self._finished_text is None else {FINISHED_FIELD: self._finished_text}
        identity = replace(
            self._identity,
            incarnation=self._incarnation(stage),
            fingerprint={**self._identity.fingerprint, STAGE_FIELD: stage, **told},
            n_nonces=self._n_nonces.get(stage, 0),
        )
        n_expected = min(self._options.expected_neighbors, max(len(self._connected), 1))
        timing = self._options.timing
        patience = replace(timing, start_timeout_s=min(timing.start_timeout_s, START_TIMEOUT_S))
        if is_listening:
            n_expected = len(self._connected) + 1
            patience = replace(patience, start_timeout_s=LISTENING * patience.start_timeout_s)
        options = replace(self._options, expected_neighbors=n_expected, timing=patience, keeps_running=False)
        self._machines[stage] = machine = MeasurementMachine(stage, identity, options, params, n_sums)
        effects = self._of(stage, machine.start(now), now)
        for peer in sorted(self._connected):
            effects += self._of(stage, machine.handle(PeerConnected(peer), now), now)
        return effects

    @property
    def _finished_text(self) -> str | None:
        scales = self._identity.fingerprint.get(SURVEY_FIELD, "")
        return f"{self._finished_round} {scales}".strip() if self._options.keeps_running else None

    def _stage_of(self, message: TrainingMessage) -> str | None:
        """The stage that a message is of; None for one of the training."""
        if isinstance(message, Hello):
            stage = message.fingerprint.get(STAGE_FIELD)
            return stage if stage in STAGES else None
        if isinstance(message, LabelSet | FeatureStatistics | Refuse):
            return None
        incarnation = message.link_id.theirs.incarnation
        return next((stage for stage in self._machines if self._incarnation(stage) == incarnation), None)

    def _incarnation(self, stage: str) -> int:
        return self._identity.incarnation + 1 + STAGES.index(stage)
