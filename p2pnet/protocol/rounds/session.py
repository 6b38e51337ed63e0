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

from dataclasses import replace
from typing import final

from p2pnet.protocol.messages.training import FeatureStatistics, Hello, LabelSet
from p2pnet.protocol.rounds.effects import (
    AwayRequested,
    Close,
    Effect,
    Event,
    LeaveRequested,
    Log,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    PeerId,
    PeerParted,
    Prepare,
    Prepared,
    Send,
)
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.protocol.rounds.neighborhood import Identity, refusal
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.statistics import LocalStatistics, StatisticsMachine

STAGE = "stage"
"""The field of the fingerprint that tells the stages apart."""

SURVEY, TRAINING = "survey", "training"


@final
class Session:
    """One agent's side of it all. Feed it events with the time; perform the effects it returns, in order.

    The identity's fingerprint says what is known before the survey; that of `Prepared` is compared before training.
    Its incarnation is that of the training; the one before it must not have been used either.
    """

    def __init__(
        self, identity: Identity, settings: RoundOptions, own: LocalStatistics | None, settling_s: float = 0.0
    ) -> None:
        self.identity = identity
        self._settings = settings
        self._survey: StatisticsMachine | None = None
        if own is not None:
            surveyor = replace(identity, incarnation=identity.incarnation - 1, fingerprint=self._fingerprint(SURVEY))
            self._survey = StatisticsMachine(surveyor, settings, own, settling_s)
        self.found: FeatureStatistics | None = None
        """What the survey has found; None before, and where there is none."""
        self.rounds: RoundMachine | None = None
        """The training; None until it is prepared."""
        self._connected: set[PeerId] = set()

    def start(self, now: float) -> list[Effect]:
        return [Prepare(None)] if self._survey is None else self._survey.start(now)

    def handle(self, event: Event | Prepared, now: float) -> list[Effect]:
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
            case MessageReceived(peer, Hello() as hello) if hello.fingerprint.get(STAGE) == SURVEY:
                return self._tell(peer, hello)
            case MessageReceived(_, LabelSet() | FeatureStatistics()):
                return []  # late words of a survey that is over
            case LeaveRequested() | AwayRequested() if self.rounds is None:
                return [Close()]
        return [] if self.rounds is None else self.rounds.handle(event, now)

    def next_deadline(self) -> float | None:
        """When `DeadlineReached` is to be handed in, if nothing happens before."""
        machine = self._survey or self.rounds
        return None if machine is None else machine.next_deadline()

    def _go_on_surveying(self, survey: StatisticsMachine, event: Event, now: float) -> list[Effect]:
        match event:
            case MessageReceived(peer, Hello() as hello) if hello.fingerprint.get(STAGE) != SURVEY:
                effects = survey.ask(peer, now)
            case _:
                effects = survey.handle(event, now)
        if survey.found is None:
            return effects
        self.found, self._survey = survey.found, None
        labels = f", {len(self.found.labels)} labels" if self.found.labels else ""
        text = f"surveyed {len(self.found.mean)} columns{labels} in {survey.round} rounds"
        return [*effects, Log(False, text), Prepare(self.found)]

    def _tell(self, peer: PeerId, hello: Hello) -> list[Effect]:
        refused = refusal(peer, self._fingerprint(SURVEY), hello)
        if refused and self.rounds is not None:
            self.rounds.neighborhood.n_refusals += 1
        if refused or self.found is None:
            return refused
        return [Send(peer, self.found)]

    def _begin_training(self, prepared: Prepared, now: float) -> list[Effect]:
        identity = replace(self.identity, fingerprint={**prepared.fingerprint, STAGE: TRAINING})
        settings = self._settings
        if self.found is not None:
            # Whoever is missing has been waited for once.
            n_expected = min(settings.expected_neighbors, max(len(self._connected), 1))
            settings = replace(settings, expected_neighbors=n_expected)
        self.rounds = RoundMachine(identity, settings, prepared.params)
        effects = self.rounds.start(now)
        for peer in sorted(self._connected):
            effects += self.rounds.handle(PeerConnected(peer), now)
        return effects

    def _fingerprint(self, stage: str) -> dict[str, str]:
        return {**self.identity.fingerprint, STAGE: stage}
