"""One agent's whole protocol: a survey where there is something to be found out, and then the training.

    surveying    the survey is under way (`survey.py`)
    preparing    what is to be trained is being made elsewhere, by what the survey has found
    training     the rounds are under way, or over (`rounds.py`)

Both stages speak over the same connections, each over links of its own: the survey's belong to an earlier incarnation,
so that no message of one can be taken for one of the other. A fingerprint says which stage a Hello is from. An agent
past its survey answers the Hello of one that is in it with what was found; one that is in it greets back whoever is
past it, in order to be told. So it is enough that one agent knows that all have come to rest, and whoever joins late
or has been restarted learns the result from any neighbor.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import TypeAlias, final

from p2pnet.protocol.core.codec import LOWEST_VERSION
from p2pnet.protocol.core.effects import Close, Notify, Prepare, Send
from p2pnet.protocol.core.events import (
    AwayRequested,
    LeaveRequested,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    PeerParted,
    Prepared,
)
from p2pnet.protocol.core.machine import Machine
from p2pnet.protocol.core.notices import StatisticsFound
from p2pnet.protocol.core.types import FeatureStatistics, PeerId
from p2pnet.protocol.messages.training import Hello, LabelSet
from p2pnet.protocol.rounds.fingerprints import STAGE_FIELD, refusal
from p2pnet.protocol.rounds.machine import RoundEffect, RoundEvent, RoundMachine
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.statistics import StatisticsMachine

SessionEvent: TypeAlias = RoundEvent | Prepared
SessionEffect: TypeAlias = RoundEffect | Prepare

SURVEY, TRAINING = "survey", "training"


class SessionMachine(Machine[SessionEvent, SessionEffect]):
    """What a node asks of the machine that trains."""

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """What is told every peer about the agent before training."""

    @property
    @abstractmethod
    def rounds(self) -> RoundMachine | None:
        """The training; None until it is prepared."""

    @abstractmethod
    def version_with(self, peer: PeerId) -> int:
        """The version of the protocol that is spoken with the peer; the lowest until the peer has said Hello."""


@final
class Session(SessionMachine):
    """One agent's side of it all. Feed it events with the time; perform the effects it returns, in order.

    The identity's fingerprint says what is known before the survey; that of `Prepared` is compared before training.
    Its incarnation is that of the training; the one before it must not have been used either.
    """

    def __init__(
        self, identity: Identity, options: RoundOptions, own: LocalStatistics | None, settling_s: float = 0.0
    ) -> None:
        self._identity = identity
        self._options = options
        self._survey: StatisticsMachine | None = None
        if own is not None:
            surveyor = replace(identity, incarnation=identity.incarnation - 1, fingerprint=self._fingerprint(SURVEY))
            self._survey = StatisticsMachine(surveyor, options, own, settling_s)
        self.found: FeatureStatistics | None = None
        """What the survey has found; None before, and where there is none."""
        self._rounds: RoundMachine | None = None
        self._connected: set[PeerId] = set()

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def rounds(self) -> RoundMachine | None:
        return self._rounds

    def version_with(self, peer: PeerId) -> int:
        machine = self._rounds or self._survey
        neighbor = None if machine is None else machine.neighborhood.find(peer)
        return LOWEST_VERSION if neighbor is None else neighbor.version

    def start(self, now: float) -> list[SessionEffect]:
        return [Prepare(None)] if self._survey is None else [*self._survey.start(now)]

    def handle(self, event: SessionEvent, now: float) -> list[SessionEffect]:
        """What is to be done about the event.

        Raises ProtocolError for a received message that cannot be meant for this agent; its state is then as before.
        """
        match event:
            case Prepared():
                return self._begin_training(event, now)
            case PeerConnected(peer):
                self._connected.add(peer)
            case PeerDisconnected(peer) | PeerParted(peer):
                self._connected.discard(peer)
        if self._survey is not None:
            return self._go_on_surveying(self._survey, event, now)
        match event:
            case MessageReceived(peer, Hello() as hello) if hello.fingerprint.get(STAGE_FIELD) == SURVEY:
                return self._tell(peer, hello)
            case MessageReceived(_, LabelSet() | FeatureStatistics()):
                return []  # late words of a survey that is over
            case LeaveRequested() | AwayRequested() if self._rounds is None:
                return [Close()]
        return [] if self._rounds is None else [*self._rounds.handle(event, now)]

    def next_deadline(self) -> float | None:
        """When `DeadlineReached` is to be handed in, if nothing happens before."""
        machine = self._survey or self._rounds
        return None if machine is None else machine.next_deadline()

    def _go_on_surveying(self, survey: StatisticsMachine, event: RoundEvent, now: float) -> list[SessionEffect]:
        effects: list[SessionEffect]
        match event:
            case MessageReceived(peer, Hello() as hello) if hello.fingerprint.get(STAGE_FIELD) != SURVEY:
                effects = [*survey.ask(peer, now)]
            case _:
                effects = [*survey.handle(event, now)]
        if survey.found is None:
            return effects
        self.found, self._survey = survey.found, None
        found = StatisticsFound(len(self.found.mean), len(self.found.labels), survey.round)
        return [*effects, Notify(found), Prepare(self.found)]

    def _tell(self, peer: PeerId, hello: Hello) -> list[SessionEffect]:
        refused: list[SessionEffect] = [*refusal(peer, self._fingerprint(SURVEY), hello)]
        if refused and self._rounds is not None:
            self._rounds.neighborhood.n_refusals += 1
        if refused or self.found is None:
            return refused
        return [Send(peer, self.found)]

    def _begin_training(self, prepared: Prepared, now: float) -> list[SessionEffect]:
        identity = replace(self._identity, fingerprint={**prepared.fingerprint, STAGE_FIELD: TRAINING})
        options = self._options
        if self.found is not None:
            # Whoever is missing has been waited for once.
            n_expected = min(options.expected_neighbors, max(len(self._connected), 1))
            options = replace(options, expected_neighbors=n_expected)
        self._rounds = RoundMachine(identity, options, prepared.params)
        effects: list[SessionEffect] = [*self._rounds.start(now)]
        for peer in sorted(self._connected):
            effects += self._rounds.handle(PeerConnected(peer), now)
        return effects

    def _fingerprint(self, stage: str) -> dict[str, str]:
        return {**self._identity.fingerprint, STAGE_FIELD: stage}
