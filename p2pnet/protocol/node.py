"""The node: all decisions of one agent, in one sans-I/O machine.

    session      feature statistics, then training rounds       (rounds/session.py)
    peering      which peers are neighbors, and the connections  (peering/: static, or an overlay by membership/)
    board        what agents tell of themselves, for people      (reports/)
    spread       signed records of who belongs to the network    (trust/)

The node routes each message to its machine, reports neighbors from the peering to the session, and has the peering put
off a peer that the session refuses. All other effects go to the shell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias, assert_never, final

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.effects import (
    Audit,
    Choose,
    Close,
    Conclude,
    CutLocalStepShort,
    Describe,
    Dial,
    Dismiss,
    Effect,
    Evaluate,
    Finish,
    HangUp,
    KeepRecords,
    Measure,
    Notify,
    Prepare,
    PutOff,
    Rescale,
    RunLocalStep,
    Send,
)
from p2pnet.protocol.core.events import (
    Audited,
    AwayRequested,
    Chosen,
    ComputedEvent,
    DeadlineReached,
    Described,
    DialFailed,
    Evaluated,
    ForeignVersionReceived,
    LeaveRequested,
    LocalStepDone,
    Measured,
    MembersCounted,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    PeerFound,
    PeerParted,
    PeerPutOff,
    PeerRevoked,
    Prepared,
    RecordsSigned,
    SamplesChanged,
)
from p2pnet.protocol.core.machine import Machine
from p2pnet.protocol.core.notices import (
    ForeignVersion,
    LinkRefused,
    MemberChange,
    MemberChanged,
    MessageDropped,
    Notice,
    PeerDismissed,
    PeerUnreachable,
)
from p2pnet.protocol.core.reports import MAX_LINKS, AgentReport, Observed, mark_of
from p2pnet.protocol.core.timers import earliest
from p2pnet.protocol.core.types import LinkId, Message, PeerId, Randomness
from p2pnet.protocol.messages.reports import REPORTS, Reports
from p2pnet.protocol.messages.trust import TrustDigest, TrustRecords
from p2pnet.protocol.messages.wire import is_membership_message, is_training_message
from p2pnet.protocol.peering.backoff import Backoff
from p2pnet.protocol.peering.budgets import Budgets
from p2pnet.protocol.peering.peering import Peering, PeeringEffect, PeeringEvent
from p2pnet.protocol.peering.unreachable import UnreachablePeers
from p2pnet.protocol.reports.board import Board, Heard
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.session import SessionEffect, SessionEvent, SessionMachine
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.protocol.rounds.state import Phase
from p2pnet.protocol.trust.records import SignedRecord
from p2pnet.protocol.trust.spreading import RecordSpread, SpreadEffect

REVOKED = "its key is allowed no more"

NodeEvent: TypeAlias = (
    PeerConnected
    | PeerDisconnected
    | DialFailed
    | PeerFound
    | PeerRevoked
    | RecordsSigned
    | MessageReceived[Message]
    | ForeignVersionReceived
    | ComputedEvent
    | Described
    | DeadlineReached
    | LeaveRequested
    | AwayRequested
    | SamplesChanged
)
"""The events that a shell hands in."""


@final
class Node(Machine[NodeEvent, Effect]):
    """The state machine of one agent: `handle(event, now)` returns the effects to be performed, in order."""

    def __init__(
        self,
        session: SessionMachine,
        peering: Peering,
        rng: Randomness,
        *,
        is_reporting: bool = False,
        spread: RecordSpread | None = None,
    ) -> None:
        """`is_reporting`: whether agents describe themselves to each other, for people to see. `spread` is for networks
        of which signed records say who belongs to them.
        """
        self._session = session
        self.peering = peering
        self._backoff = Backoff(rng.uniform)
        self._unreachable = UnreachablePeers()
        self._budgets = Budgets()
        self._shut_out: dict[PeerId, float] = {}
        """Until when peers are hung up on as soon as they come back, since they have sent too much."""
        self._board = Board(session.identity.peer) if is_reporting else None
        self._spread = spread
        self._n_members = 1
        self._is_going_away = False

    # State that shells read.

    @property
    def identity(self) -> Identity:
        return self._session.identity

    @property
    def rounds(self) -> RoundMachine | None:
        """The round machine of the training; None until training is prepared."""
        return self._session.rounds

    @property
    def stage(self) -> str:
        """`waiting` before the first round, `training`, or `ended` while neighbors are still served."""
        if self.rounds is None or self.rounds.announced_round < 0:
            return "waiting"
        return "ended" if self.rounds.phase in (Phase.FINISHED, Phase.CLOSED) else "training"

    @property
    def epoch(self) -> int:
        """The number of the epoch; 0 before training."""
        return 0 if self.rounds is None else self.rounds.epoch

    @property
    def neighborhood(self) -> Neighborhood | None:
        """The table of neighbors of the present stage; None between two stages."""
        return self._session.neighborhood

    def snapshot(self) -> RoundSnapshot | None:
        """Where training stands, for a later process to go on from; None while no round has begun."""
        return self._session.snapshot()

    @property
    def absent_names(self) -> tuple[str, ...]:
        """The names of neighbors that were linked, have not left, and are absent."""
        absences = {} if self.rounds is None else self.rounds.neighborhood.absences
        return tuple(sorted(absence.name for absence in absences.values()))

    def version_with(self, peer: PeerId) -> int:
        """The protocol version in which messages for the peer are to be encoded."""
        return self._session.version_with(peer)

    def known_incarnation(self, peer: PeerId) -> int:
        """The latest known incarnation of the peer; -1 for none."""
        neighbor = None if self.rounds is None else self.rounds.neighborhood.find(peer)
        return -1 if neighbor is None or neighbor.theirs is None else neighbor.theirs.incarnation

    def reports(self, now: float) -> Sequence[Heard]:
        """What is known of all agents of the network: hearsay, for people to see."""
        return () if self._board is None else self._board.reports(now)

    # Events.

    def start(self, now: float) -> list[Effect]:
        return [*self._of_peering(self.peering.start(now), now), *self._of_session(self._session.start(now), now)]

    def handle(self, event: NodeEvent, now: float) -> list[Effect]:
        """Handle one event, and return its effects.

        A message that cannot be meant for this agent is dropped with a notice, and changes no state.
        """
        match event:
            case MessageReceived(peer, message):
                return self._received(peer, message, now)
            case Evaluated() | LocalStepDone() | Audited():
                return self._to_session(event, now)
            case PeerConnected(peer) if self._is_shut_out(peer, now):
                return [HangUp(peer)]
            case PeerConnected(peer):
                self._unreachable.reached(peer)
                compared = [] if self._spread is None else self._of_spread(self._spread.connected(peer, now), now)
                return compared + self._to_peering(event, now)
            case PeerDisconnected(peer):
                if self._spread is not None:
                    self._spread.disconnected(peer)
                if self.peering.is_neighbor(peer):  # else it was a word among members, which no refusal stands against
                    self._backoff.disconnected(peer, now)
                return self._to_peering(event, now)
            case DialFailed(peer, address, problem):
                is_news = self.peering.is_missed(peer) and self._unreachable.is_news(event, now)
                notice = Notify(PeerUnreachable(peer, address, problem, is_news))
                return [notice, *self._to_peering(event, now)]
            case PeerFound():
                return self._to_peering(event, now)
            case PeerRevoked(peer):
                effects = self._put_off(peer, math.inf, PeerDismissed(peer, REVOKED), now, is_distrusted=True)
                return effects + self._to_session(PeerParted(peer), now)
            case RecordsSigned(records):
                signed = [SignedRecord.read(record) for record in records]
                return [] if self._spread is None else self._of_spread(self._spread.add(signed, now), now)
            case ForeignVersionReceived(peer, version):
                until, is_news = self._backoff.refused(peer, f"version {version}", now)
                return self._put_off(peer, until, ForeignVersion(peer, version, is_news), now)
            case Described(observed):
                report = self._report(observed)
                return [] if self._board is None else [*self._board.describe(report, self._reported_to(), now)]
            case DeadlineReached():
                effects = self._to_peering(event, now) if _is_due(self.peering.next_deadline(), now) else []
                if self._spread is not None:
                    effects += self._of_spread(self._spread.advance(now), now)
                if self._board is not None and now >= self._board.due_at:
                    effects.append(Describe())
                return effects + (self._to_session(event, now) if _is_due(self._session.next_deadline(), now) else [])
            case Prepared() | Measured() | Chosen() | LeaveRequested() | SamplesChanged():
                return self._to_session(event, now)
            case AwayRequested():
                self._is_going_away = True
                return self._to_session(event, now)
            case _:
                assert_never(event)

    def next_deadline(self) -> float | None:
        due_at = None if self._board is None else self._board.due_at
        compare_at = None if self._spread is None else self._spread.next_deadline()
        return earliest((self._session.next_deadline(), self.peering.next_deadline(), due_at, compare_at))

    def _received(self, peer: PeerId, message: Message, now: float) -> list[Effect]:
        if self._is_shut_out(peer, now):
            return []
        if not self._budgets.admits(peer, message, now):
            return self._hang_up_on(peer, message, now) if self._budgets.is_exceeded(peer) else []
        effects: list[Effect] = []
        try:
            if is_training_message(message):
                if heard := self.peering.heard(peer, now):
                    effects = self._of_peering(heard, now)
                if self.peering.is_neighbor(peer):
                    effects += self._to_session(MessageReceived(peer, message), now)
            elif is_membership_message(message):
                return self._to_peering(MessageReceived(peer, message), now)
            elif isinstance(message, Reports):
                effects = self._of_peering(self.peering.heard(peer, now), now)
                if self._board is not None:
                    self._board.hear(peer, message.reports, now)
            elif isinstance(message, TrustDigest | TrustRecords) and self._spread is not None:
                return self._of_spread(self._spread.heard(peer, message, now), now)
        except ProtocolError as error:
            effects.append(Notify(MessageDropped(peer, str(error))))
        return effects

    def _report(self, observed: Observed) -> AgentReport:
        """What all others are told of this agent; the board sets the sequence number."""
        linked = [] if self.neighborhood is None else self.neighborhood.open()
        return AgentReport(
            peer=self.identity.peer,
            name=self.identity.name,
            software=observed.software,
            incarnation=self.identity.incarnation,
            sequence=0,
            stage=self.stage,
            round=-1 if self.rounds is None else self.rounds.announced_round,
            residual=observed.residual,
            disagreement=observed.disagreement,
            n_neighbors=len(linked),
            bytes_sent=observed.bytes_sent,
            objective=observed.objective,
            test_metric=observed.test_metric,
            links=tuple(mark_of(neighbor.peer) for neighbor, _ in linked[:MAX_LINKS]),
        )

    def _reported_to(self) -> dict[PeerId, LinkId]:
        """The neighbors that read reports, and the links with them."""
        linked = [] if self.neighborhood is None else self.neighborhood.open()
        return {neighbor.peer: link.link_id for neighbor, link in linked if REPORTS in neighbor.capabilities}

    def _hang_up_on(self, peer: PeerId, message: Message, now: float) -> list[Effect]:
        """Put off a peer that has sent far more than its budget allows."""
        self._budgets.forgive(peer)
        reason = f"it sends more than its budget: {type(message).__name__}"
        self._shut_out[peer], _ = self._backoff.refused(peer, reason, now)
        return self._put_off(peer, self._shut_out[peer], PeerDismissed(peer, reason), now)

    def _is_shut_out(self, peer: PeerId, now: float) -> bool:
        if self._spread is not None and peer in self._spread.roster.revoked:
            return True
        return bool(self._shut_out) and now < self._shut_out.get(peer, now)

    # Effects of the machines within.

    def _to_session(self, event: SessionEvent, now: float) -> list[Effect]:
        return self._of_session(self._session.handle(event, now), now)

    def _to_peering(self, event: PeeringEvent, now: float) -> list[Effect]:
        effects = self._of_peering(self.peering.handle(event, now), now)
        if (n_members := self.peering.n_members) is not None and n_members != self._n_members:
            self._n_members = n_members
            effects += self._to_session(MembersCounted(n_members), now)
        return effects

    def _of_session(self, effects: Iterable[SessionEffect], now: float) -> list[Effect]:
        outward: list[Effect] = []
        for effect in effects:
            match effect:
                case Send() | Evaluate() | RunLocalStep() | Audit() | Notify():
                    outward.append(effect)
                case Dismiss(peer, reason):
                    until, _ = self._backoff.refused(peer, reason, now)
                    outward += self._put_off(peer, until, PeerDismissed(peer, reason), now, is_distrusted=True)
                case PutOff(peer, name, reason, is_ours):
                    until, is_news = self._backoff.refused(peer, reason, now)
                    outward += self._put_off(peer, until, LinkRefused(peer, name, reason, is_ours, is_news), now)
                case Close():
                    # Members expect an agent back that has gone away, and so are not told.
                    if not self._is_going_away:
                        outward += self._to_peering(LeaveRequested(), now)
                    outward.append(effect)
                case Prepare() | CutLocalStepShort() | Finish() | Rescale() | Measure() | Choose() | Conclude():
                    outward.append(effect)
                case _:
                    assert_never(effect)
        return outward

    def _of_peering(self, effects: Iterable[PeeringEffect], now: float) -> list[Effect]:
        outward: list[Effect] = []
        for effect in effects:
            match effect:
                case PeerConnected() | PeerDisconnected() | PeerParted():
                    outward += self._to_session(effect, now)
                case Notify(MemberChanged(MemberChange.SUSPECTED | MemberChange.DIED) as notice):
                    outward += self._told_of(notice)
                case Send() | Dial() | HangUp() | Notify():
                    outward.append(effect)
                case _:
                    assert_never(effect)
        return outward

    def _told_of(self, notice: MemberChanged) -> list[Effect]:
        """What is told of a member that does not answer: of a neighbor that has said Away, that it is away."""
        absence = None if self.rounds is None else self.rounds.neighborhood.absences.get(notice.peer)
        if absence is None or not absence.is_announced:
            return [Notify(notice)]
        return [Notify(replace(notice, change=MemberChange.WENT))] if notice.change is MemberChange.DIED else []

    def _of_spread(self, effects: Iterable[SpreadEffect], now: float) -> list[Effect]:
        outward: list[Effect] = []
        for effect in effects:
            match effect:
                case PeerRevoked():
                    outward += self.handle(effect, now)
                case Send() | KeepRecords() | Notify():
                    outward.append(effect)
                case _:
                    assert_never(effect)
        return outward

    def _put_off(
        self, peer: PeerId, until: float, notice: Notice, now: float, *, is_distrusted: bool = False
    ) -> list[Effect]:
        return [Notify(notice), *self._to_peering(PeerPutOff(peer, until, is_distrusted), now)]


def _is_due(deadline: float | None, now: float) -> bool:
    return deadline is not None and now >= deadline
