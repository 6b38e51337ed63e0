"""The session machine: the statistics stage where it is needed, then training, then its measurement where rows are held
out.

    averaging    the feature statistics are averaged (`statistics.py`)
    preparing    the shell builds the training problem, scaled by the statistics found
    training     the training rounds run, or are over (`machine.py`)
    concluding   the best parameters are chosen, and measured (`conclusion.py`), while neighbors may still be served

All stages use the same connections, each with links of its own: the links of the statistics stage belong to the
incarnation before that of the training, those of the conclusion to the two after it, so that no message of one stage
can be taken for a message of another. A field of the fingerprint says
which stage a Hello is from. An agent past the statistics stage answers the Hello of an agent in that stage with the
statistics found; an agent in the stage says Hello to a neighbor past it, to be sent the statistics. So it is enough
that one agent knows that the averaging has converged: an agent that joins late or was restarted gets the result from
any neighbor.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import TypeAlias, final

import numpy as np

from p2pnet.protocol.core.codec import LOWEST_VERSION
from p2pnet.protocol.core.effects import (
    Choose,
    Close,
    Conclude,
    Evaluate,
    Finish,
    Measure,
    Notify,
    Prepare,
    Rescale,
    RunLocalStep,
    Send,
)
from p2pnet.protocol.core.events import (
    Audited,
    AwayRequested,
    Chosen,
    Evaluated,
    LeaveRequested,
    LocalStepDone,
    Measured,
    MembersCounted,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    PeerParted,
    Prepared,
    SamplesChanged,
)
from p2pnet.protocol.core.machine import Machine
from p2pnet.protocol.core.notices import EpochBegun, Rescaled, StatisticsFound
from p2pnet.protocol.core.timers import earliest
from p2pnet.protocol.core.types import FeatureStatistics, PeerId
from p2pnet.protocol.links.masks import LinkSecrets
from p2pnet.protocol.messages.training import CODED_SHARES, CURVATURE, LEVEL_MARK, Ack, Hello, LabelSet, Share
from p2pnet.protocol.rounds.conclusion import Conclusion
from p2pnet.protocol.rounds.fingerprints import STAGE_FIELD, SURVEY_FIELD, refusal
from p2pnet.protocol.rounds.happenings import RoundEffect, RoundEvent
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.rescaling import Rescaling, is_later
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.protocol.rounds.state import Phase
from p2pnet.protocol.rounds.statistics import StatisticsMachine

SessionEvent: TypeAlias = RoundEvent | Prepared | Measured | Chosen | MembersCounted
SessionEffect: TypeAlias = RoundEffect | Prepare | Rescale | Measure | Choose | Conclude

STATISTICS, TRAINING = "survey", "training"


class SessionMachine(Machine[SessionEvent, SessionEffect]):
    """The interface of the machine that trains, as the node uses it."""

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """The identity that the agent announces before training."""

    @property
    @abstractmethod
    def rounds(self) -> RoundMachine | None:
        """The round machine of the training; None until training is prepared."""

    @property
    def neighborhood(self) -> Neighborhood | None:
        """The table of neighbors of the present stage; None between two stages."""
        return None if self.rounds is None else self.rounds.neighborhood

    def snapshot(self) -> RoundSnapshot | None:
        """Where training stands, for a later process to go on from; None while no round has begun."""
        return None

    @abstractmethod
    def version_with(self, peer: PeerId) -> int:
        """The protocol version agreed with the peer; the lowest until the peer's Hello has come."""


@final
class Session(SessionMachine):
    """Runs the statistics stage where it is needed, prepares, then trains; maps events to effects.

    The identity's fingerprint has the fields known before the statistics stage; the fingerprint of `Prepared` is
    compared before training. Its incarnation is that of the training; neither the one before it nor the two after it
    may have been used.
    """

    def __init__(
        self,
        identity: Identity,
        options: RoundOptions,
        own: LocalStatistics | None,
        settling_s: float = 0.0,
        resumed: RoundSnapshot | None = None,
        secrets: LinkSecrets | None = None,
    ) -> None:
        """`resumed` is where an earlier process stood; with its statistics there is no statistics stage. `secrets` are
        what the links of that stage are masked by; None for no masks.
        """
        self._identity = identity
        self._options = options
        self._resumed = resumed
        self._settling_s = settling_s
        self._statistics: StatisticsMachine | None = None
        if own is not None and resumed is None:
            averaging = replace(
                identity, incarnation=identity.incarnation - 1, fingerprint=self._fingerprint(STATISTICS)
            )
            self._statistics = StatisticsMachine(averaging, options, own, settling_s, secrets)
        self.found: FeatureStatistics | None = None if resumed is None else resumed.statistics
        """The feature statistics found; None before, and where none are needed."""
        self._rounds: RoundMachine | None = None
        self._rescaling: Rescaling | None = None
        self._replaced: RoundMachine | None = None
        """The rounds before, while the training is built anew by other scales."""
        self._conclusion = Conclusion(identity, options, 0, 0)
        self._is_closed = False
        self._connected: set[PeerId] = set()

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def rounds(self) -> RoundMachine | None:
        return self._rounds

    def snapshot(self) -> RoundSnapshot | None:
        snapshot = None if self._rounds is None else self._rounds.snapshot()
        if snapshot is None:
            return None
        return replace(snapshot, statistics=self.found, is_concluded=self._conclusion.is_concluded)

    @property
    def neighborhood(self) -> Neighborhood | None:
        machine = self._rounds or self._statistics
        return None if machine is None else machine.neighborhood

    def version_with(self, peer: PeerId) -> int:
        table = self.neighborhood
        neighbor = None if table is None else table.find(peer)
        return LOWEST_VERSION if neighbor is None else neighbor.version

    def start(self, now: float) -> list[SessionEffect]:
        return [Prepare(self.found)] if self._statistics is None else [*self._statistics.start(now)]

    def handle(self, event: SessionEvent, now: float) -> list[SessionEffect]:
        """Handle one event, and return its effects.

        Raises ProtocolError for a received message that cannot be meant for this agent; its state is then as before.
        """
        match event:
            case MessageReceived(_, Share() | Ack()) if self._rounds is not None and not self._conclusion.has_begun:
                return self._of_rounds(self._rounds, event, now)  # nearly all messages
            case Prepared():
                return self._begin_training(event, now)
            case PeerConnected(peer):
                self._connected.add(peer)
            case PeerDisconnected(peer) | PeerParted(peer):
                self._connected.discard(peer)
        if isinstance(event, MembersCounted):
            return []
        if isinstance(event, Measured | Chosen):
            return [] if self._rounds is None else self._train(self._rounds, event, now)
        if self._statistics is not None:
            return self._average(self._statistics, event, now)
        match event:
            case MessageReceived(peer, Hello() as hello) if hello.fingerprint.get(STAGE_FIELD) == STATISTICS:
                return self._tell(peer, hello)
            case MessageReceived(peer, FeatureStatistics() as scales) if self._rescaling is not None:
                self._rescaling.hear(peer, scales, now)
                return self._rescale_if_due(now)
            case MessageReceived(_, LabelSet() | FeatureStatistics()):
                return []  # late messages of the statistics stage
            case MessageReceived(peer, Hello() as hello) if self._is_scaled_otherwise(hello):
                return self._tell_scales(peer, hello)
            case LeaveRequested() | AwayRequested() if self._rounds is None:
                return [Close()]
        effects = [] if self._rounds is None else self._train(self._rounds, event, now)
        return effects + self._rescale_if_due(now)

    def next_deadline(self) -> float | None:
        """The time at which `DeadlineReached` is due if no event comes before; None for never."""
        machines = [self._statistics] if self._statistics is not None else [self._rounds, self._conclusion]
        times = [machine.next_deadline() for machine in machines if machine is not None]
        if self._rescaling is not None and self._rounds is not None:
            times.append(self._rescaling.next_deadline(is_idle=self._rounds.phase is Phase.FINISHED))
        return earliest(times)

    def _average(self, machine: StatisticsMachine, event: RoundEvent, now: float) -> list[SessionEffect]:
        effects: list[SessionEffect]
        match event:
            case MessageReceived(peer, Hello() as hello) if hello.fingerprint.get(STAGE_FIELD) != STATISTICS:
                effects = [*machine.ask(peer, now)]
            case _:
                effects = [*machine.handle(event, now)]
        if machine.found is None:
            return effects
        self.found, self._statistics = machine.found, None
        labels = tuple(label for label in self.found.labels if not label.startswith(LEVEL_MARK))
        n_levels = len(self.found.labels) - len(labels)
        found = StatisticsFound(len(self.found.mean), labels, n_levels, machine.round)
        return [*effects, Notify(found), Prepare(self.found)]

    def _tell(self, peer: PeerId, hello: Hello) -> list[SessionEffect]:
        refused: list[SessionEffect] = [*refusal(peer, self._fingerprint(STATISTICS), hello)]
        if refused and self._rounds is not None:
            self._rounds.neighborhood.n_refusals += 1
        if refused or self.found is None:
            return refused
        return [Send(peer, self.found)]

    def _begin_training(self, prepared: Prepared, now: float) -> list[SessionEffect]:
        before, self._replaced = self._replaced, None
        identity = replace(self._identity, fingerprint={**prepared.fingerprint, STAGE_FIELD: TRAINING})
        if prepared.has_curvature:
            identity = replace(identity, capabilities=(*identity.capabilities, CURVATURE))
        elif prepared.params.dtype == np.float32 and not self._options.is_coded:
            # What coded shares are made from is not kept where parameters are many (`links/balance_ledger.py`).
            capabilities = tuple(name for name in identity.capabilities if name != CODED_SHARES)
            identity = replace(identity, capabilities=capabilities)
        if before is not None:
            # What is said over the links of before is not to be taken for a word over those to come.
            identity = replace(identity, n_nonces=before.neighborhood.n_nonces)
            self._resumed = None if self._resumed is None else replace(self._resumed, params=prepared.params)
        options = replace(self._options, settling_s=self._settling_s)
        if self.found is not None and (self._resumed is None or before is not None):
            # Absent neighbors were awaited in the statistics stage already, and links have settled there.
            n_expected = min(options.expected_neighbors, max(len(self._connected), 1))
            options = replace(options, expected_neighbors=n_expected, settling_s=0.0)
        n_sums = prepared.params.size + prepared.n_tracked
        self._rounds = RoundMachine(identity, options, prepared.params, n_sums, self._resumed)
        concluded_round = self._resumed.round if self._resumed is not None and self._resumed.is_concluded else None
        self._conclusion = Conclusion(
            replace(identity, n_nonces=0),
            options,
            prepared.n_candidates,
            prepared.n_metric_sums,
            concluded_round,
            self._conclusion.n_nonces,
        )
        if self._options.keeps_running and prepared.n_tracked and self.found is not None and self._rescaling is None:
            timing, me = options.timing, f"{identity.peer} {identity.incarnation}"
            self._rescaling = Rescaling(me, self.found, options.rescale_at, timing.idle_s)
        effects: list[SessionEffect] = [*self._rounds.start(now)]
        for peer in sorted(self._connected):
            effects += self._train(self._rounds, PeerConnected(peer), now)
        if before is not None:
            self._rounds.neighborhood.absences |= before.neighborhood.absences
            effects += self._train(self._rounds, SamplesChanged("its samples are scaled anew"), now)
        return effects

    # Other scales.

    def _is_scaled_otherwise(self, hello: Hello) -> bool:
        """Whether a Hello is of an agent that has heard of later scales than this one, or of earlier ones."""
        theirs = hello.fingerprint.get(SURVEY_FIELD)
        if self._rescaling is None or theirs is None or hello.fingerprint.get(STAGE_FIELD) != TRAINING:
            return False
        ours = self._rescaling.in_force.survey
        return is_later(ours, theirs) or is_later(theirs, ours)

    def _tell_scales(self, peer: PeerId, hello: Hello) -> list[SessionEffect]:
        """Tell an agent of later scales than it has; one that has later ones tells them when it is greeted."""
        if self._rescaling is None or is_later(hello.fingerprint[SURVEY_FIELD], self._rescaling.in_force.survey):
            return []
        return [Send(peer, self._rescaling.in_force)]

    def _rescale_if_due(self, now: float) -> list[SessionEffect]:
        """Have later scales in force, if there are some that are believed, or the time has come to propose some."""
        rescaling, rounds = self._rescaling, self._rounds
        if rescaling is None or rounds is None:
            return []
        scales = rescaling.believed(now, len(self._connected))
        if scales is None and rounds.phase is Phase.FINISHED:
            scales = rescaling.proposal(now)
        if scales is None:
            return []
        effects: list[SessionEffect] = [Notify(Rescaled(rescaling.largest_drift))]
        rescaling.adopt(scales)
        self.found, self._resumed = scales, self.snapshot()
        self._rounds, self._replaced = None, rounds
        effects += [Send(peer, scales) for peer in sorted(self._connected)]
        is_begun = self._resumed is not None
        return [*effects, Rescale(scales, rounds.params) if is_begun else Prepare(scales)]

    def _train(self, rounds: RoundMachine, event: RoundEvent | Measured | Chosen, now: float) -> list[SessionEffect]:
        """Hand an event to the rounds of training, to what follows on them, or to both."""
        if isinstance(event, Measured | Chosen) or self._conclusion.owns(event):
            return self._until_closed([*self._conclusion.handle(event, now)], rounds)
        is_of_one = isinstance(event, MessageReceived | Evaluated | LocalStepDone | Audited)
        effects: list[SessionEffect] = [] if is_of_one else [*self._conclusion.handle(event, now)]
        return effects + self._of_rounds(rounds, event, now)

    def _of_rounds(self, rounds: RoundMachine, event: RoundEvent, now: float) -> list[SessionEffect]:
        """Hand an event to the rounds of training; after the last one, begin what follows."""
        effects: list[SessionEffect] = []
        for effect in rounds.handle(event, now):
            match effect:
                case Send() | Evaluate():
                    effects.append(effect)
                case RunLocalStep(direction=direction):
                    effects.append(effect)
                    if self._rescaling is not None:
                        self._rescaling.observe(direction[rounds.params.size :])
                case Notify(notice):
                    effects.append(effect)
                    if isinstance(notice, EpochBegun):
                        self._conclusion.abandon()
                case Finish():
                    effects += [effect, *self._conclusion.begin(effect, now)]
                    if self._rescaling is not None:
                        self._rescaling.become_idle(now)
                case Close():
                    pass  # what follows may not be closed yet
                case _:
                    effects.append(effect)
        return self._until_closed(effects, rounds)

    def _until_closed(self, effects: list[SessionEffect], rounds: RoundMachine) -> list[SessionEffect]:
        """The effects, and Close once the rounds and what follows on them have come to their ends."""
        if rounds.phase is Phase.CLOSED and self._conclusion.is_closed and not self._is_closed:
            self._is_closed = True
            effects.append(Close())
        return effects

    def _fingerprint(self, stage: str) -> dict[str, str]:
        return {**self._identity.fingerprint, STAGE_FIELD: stage}
