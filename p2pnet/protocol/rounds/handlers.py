"""The handlers of received training messages: replies, and resending until a message is answered.

The handlers only record what a message says (shares in the queues of their links, last rounds, requested parameters);
the round machine then checks whether its phase can end.
"""

from __future__ import annotations

import math
from typing import TypeAlias, assert_never, final

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.effects import Dismiss, Notify, PutOff, Send
from p2pnet.protocol.core.events import Audited
from p2pnet.protocol.core.notices import CloseReason, LinkOpened, NeighborLate
from p2pnet.protocol.core.timers import earliest
from p2pnet.protocol.core.types import FeatureStatistics, PeerId
from p2pnet.protocol.links.coding import OtherBaseError
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import (
    Ack,
    Away,
    Epoch,
    Finished,
    Hello,
    LabelSet,
    Left,
    Ready,
    Refuse,
    Reset,
    Share,
    StateReply,
    StateRequest,
    TrainingMessage,
    Witness,
)
from p2pnet.protocol.rounds.bootstrap import Bootstrap
from p2pnet.protocol.rounds.convictions import Convictions
from p2pnet.protocol.rounds.epochs import Epochs
from p2pnet.protocol.rounds.exchange import Exchange, Mixture
from p2pnet.protocol.rounds.handshake import Handshake
from p2pnet.protocol.rounds.last_round import LastRound
from p2pnet.protocol.rounds.liveness import acknowledgement
from p2pnet.protocol.rounds.neighbor import Neighbor
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.state import Phase, RoundState
from p2pnet.protocol.rounds.termination import Stationarity, TerminationDetector
from p2pnet.protocol.rounds.timing import BYTES_OF_A_NUMBER, Timing

HandlerEffect: TypeAlias = Send | Dismiss | PutOff | Notify


@final
class MessageHandlers:
    """Handles all received training messages, and sends all messages except the shares of a round."""

    def __init__(
        self,
        state: RoundState,
        neighborhood: Neighborhood,
        handshake: Handshake,
        convictions: Convictions,
        exchange: Exchange,
        bootstrap: Bootstrap,
        stationarity: Stationarity,
        termination: TerminationDetector,
        last_round: LastRound,
        epochs: Epochs,
        timing: Timing,
    ) -> None:
        self._at = state
        self._neighborhood = neighborhood
        self._handshake = handshake
        self._convictions = convictions
        self._exchange = exchange
        self._bootstrap = bootstrap
        self._stationarity = stationarity
        self._termination = termination
        self._last_round = last_round
        self._epochs = epochs
        self._timing = timing

    def next_deadline(self) -> float | None:
        """The time at which `repeat` is due; None for never."""
        times: list[float | None] = []
        for neighbor in self._neighborhood:
            if neighbor.is_connected and not neighbor.is_parted:
                times.append(neighbor.resend_at)
            if neighbor.is_connected and neighbor.is_open and neighbor.link is not None:
                times += [neighbor.link.timer.due_at, neighbor.link.acknowledgement_due_at]
        return earliest(times)

    # Receiving.

    def connected(self, peer: PeerId, now: float) -> list[HandlerEffect]:
        effects: list[HandlerEffect] = [*self._handshake.connected(peer, now)]
        neighbor = self._neighborhood.find(peer)
        if neighbor is not None and neighbor.link is not None:
            neighbor.link.timer.hurry(now)
        return effects

    def received(self, peer: PeerId, message: TrainingMessage, now: float) -> list[HandlerEffect]:
        """Handle a peer's message; ProtocolError, and no change, where the message cannot be meant for this agent."""
        if isinstance(message, Hello):
            return self._hello_received(peer, message, now)
        neighbor = self._neighborhood.find(peer)
        if neighbor is None:
            return []
        neighbor.last_heard_at = now
        match message:
            case Refuse(reason):
                return [*self._neighborhood.put_off(peer, reason, now)]
            case Reset():
                return [*self._handshake.reset_received(peer, message, now)]
            case LabelSet() | FeatureStatistics():
                return []  # for the stage before
            case _:
                link = self._neighborhood.find_link(peer, message.link_id)
                if link is None:
                    is_answered = isinstance(message, Share | Ready | Finished)
                    return [Send(peer, Reset(message.link_id.mirrored()))] if is_answered else []
                return self._link_message_received(neighbor, link, message, now)

    def _link_message_received(
        self,
        neighbor: Neighbor,
        link: Link,
        message: Ready | Share | Ack | Finished | Left | Away | StateRequest | StateReply | Witness | Epoch,
        now: float,
    ) -> list[HandlerEffect]:
        match message:
            case Ready(_, degree, round_):
                neighbor.is_ready = True
                neighbor.degree = degree
                # As with a share: a neighbor past its first round has begun without this agent, or before.
                neighbor.round = max(neighbor.round, round_ - 1)
                return []
            case Share():
                return self._share_received(neighbor, link, message, now)
            case Ack(_, sequence, stop_round, missing):
                self._last_round.named(neighbor.peer, stop_round, self._at.round)
                return [Send(neighbor.peer, share) for share in link.acknowledge(sequence, missing, now)]
            case Finished():
                return self._finished_received(neighbor, link, message, now)
            case Left():
                self._epochs.learn_of_change(f"{neighbor.name} has left")
                return [*self._neighborhood.part(neighbor.peer, CloseReason.LEFT, now)]
            case Away():
                until = now + self._timing.away_limit_s
                return [self._neighborhood.miss(neighbor.peer, until, CloseReason.AWAY, now)]
            case StateRequest():
                return self._state_requested(neighbor, link, now)
            case Witness():
                if self._at.phase is Phase.BOOTSTRAPPING:
                    self._bootstrap.witness_received(neighbor.peer, message)
                return []
            case Epoch():
                return [*self._epochs.heard(neighbor, link, message, now)]
            case StateReply():
                self._check_size("StateReply.params", message.params.size)
                if self._at.phase is Phase.BOOTSTRAPPING:
                    self._bootstrap.state_received(neighbor.peer, message)
                return []
            case _:
                assert_never(message)

    def _hello_received(self, peer: PeerId, hello: Hello, now: float) -> list[HandlerEffect]:
        neighbor = self._neighborhood.find(peer)
        link_before = neighbor.link if neighbor is not None and neighbor.is_open else None
        effects: list[HandlerEffect] = [*self._handshake.hello_received(peer, hello, now)]
        neighbor = self._neighborhood.find(peer)
        if neighbor is None:
            return effects
        if neighbor.past_since is None:
            neighbor.last_heard_at = now
        if neighbor.link is not None and neighbor.is_open and neighbor.link is not link_before:
            effects.append(Notify(LinkOpened(hello.name)))
            if self._at.phase is Phase.FINISHED:
                effects.append(self.finished(neighbor, neighbor.link, now))
            elif self._bootstrap.has_announced:
                effects.append(self._bootstrap.ready(neighbor, neighbor.link, now))
        return effects

    def _share_received(self, neighbor: Neighbor, link: Link, share: Share, now: float) -> list[HandlerEffect]:
        # In asynchronous mode no share counts as missing.
        try:
            accepted = link.accept(share, math.inf if self._timing.is_asynchronous else self._at.round, now)
        except OtherBaseError:
            closed = self._neighborhood.close(neighbor.peer, CloseReason.OTHER_BASE, now)
            return [closed, Send(neighbor.peer, Reset(share.link_id.mirrored()))]
        is_new = accepted is not None
        link.acknowledge(share.acknowledged, None, now)
        if accepted is not None:
            reason = self._exchange.objection(neighbor.peer, link, accepted, self._at.params)
            if reason is not None:
                return self._convict(neighbor.peer, reason, now)
        self._stationarity.hear(share.first_residual)
        self._last_round.named(neighbor.peer, share.stop_round, self._at.round)
        neighbor.is_ready = neighbor.has_begun = True
        # A neighbor that shares round n has begun without this agent.
        neighbor.round = max(neighbor.round, share.round - 1)
        is_finished = self._at.phase is Phase.FINISHED
        if is_new and not is_finished and link.missing is None and not link.is_acknowledgement_due(now):
            return []
        if is_finished:
            link.apply(share.round)
        return [Send(neighbor.peer, acknowledgement(link, self._termination.stop_round))]

    def mixed(self, mixture: Mixture, waited_s: float, now: float) -> list[HandlerEffect]:
        """What a round that was mixed says of neighbors: those that are late, and those that are far off."""
        late = () if self._timing.is_asynchronous else mixture.given_up
        effects: list[HandlerEffect] = [Notify(NeighborLate(neighbor.name, waited_s)) for neighbor in late]
        for neighbor in mixture.far_off:
            effects += self._convict(neighbor.peer, CloseReason.FAR_OFF, now)
        return effects

    def audited(self, audited: Audited, now: float) -> list[HandlerEffect]:
        """What losses of own samples say of neighbors."""
        effects: list[HandlerEffect] = []
        for peer in self._exchange.judge(audited):
            neighbor = self._neighborhood.find(peer)
            if neighbor is not None and neighbor.is_open:
                effects += self._convict(peer, CloseReason.OF_NO_USE, now)
        return effects

    def _convict(self, peer: PeerId, reason: CloseReason, now: float) -> list[HandlerEffect]:
        """Close the link, which takes back all that was ever given over it, and open none with the peer for a while."""
        self._convictions.convict(peer, self._at.round)
        return [Send(peer, Refuse(f"not trusted for now: {reason}")), *self._neighborhood.part(peer, reason, now)]

    def _finished_received(self, neighbor: Neighbor, link: Link, message: Finished, now: float) -> list[HandlerEffect]:
        if message.round <= self._termination.first_round:
            return []  # of the epoch before
        is_first = neighbor.finished_sequence is None
        neighbor.finished_sequence, neighbor.round = message.sequence, message.round
        link.acknowledge(message.acknowledged, None, now)
        self._last_round.named(neighbor.peer, message.round, self._at.round)
        is_answered = is_first and self._at.phase is Phase.FINISHED
        return [self.finished(neighbor, link, now)] if is_answered else []

    def _state_requested(self, neighbor: Neighbor, link: Link, now: float) -> list[HandlerEffect]:
        # An honest neighbor asks again only after the time it gives for an answer.
        floor_s = self._timing.shortest_resend_s(BYTES_OF_A_NUMBER * self._at.params.size)
        is_too_soon = now < neighbor.state_told_at + floor_s
        has_none = self._at.phase is Phase.BOOTSTRAPPING and not self._at.has_trained
        if has_none or is_too_soon:
            return []
        neighbor.state_told_at = now
        stop_round = self._termination.stop_round
        return [Send(neighbor.peer, StateReply(link.link_id, self._at.round, stop_round, self._at.params))]

    def _check_size(self, name: str, size: int) -> None:
        expected = self._at.params.size
        if size != expected:
            raise ProtocolError(
                f"{name}: {size} numbers instead of {expected}; the sender trains a model of another size"
            )

    # Sending.

    def repeat(self, now: float) -> list[HandlerEffect]:
        """Resend what is not answered: Hello until a link is open, Ready until the first share comes, the last shares,
        byte for byte, until they are acknowledged, and Finished until the end.
        """
        effects: list[HandlerEffect] = [*self._handshake.hellos_due(now)]
        for neighbor, link in self._neighborhood.open():
            if not neighbor.is_connected:
                continue
            effects += [Send(neighbor.peer, share) for share in link.resend(now)]
            if link.is_acknowledgement_due(now):
                effects.append(Send(neighbor.peer, acknowledgement(link, self._termination.stop_round)))
            if neighbor.resend_at is None or now < neighbor.resend_at:
                continue
            neighbor.resend_at = None
            if self._at.phase is Phase.FINISHED:
                effects.append(self.finished(neighbor, link, now))
            elif self._bootstrap.has_announced and link.newest_received == 0:
                effects.append(self._bootstrap.ready(neighbor, link, now))
        return effects

    def finish(self, now: float) -> list[Send]:
        """Take in all shares that have come, and tell all neighbors of the last round."""
        for _, link in self._neighborhood.open():
            link.apply(link.newest_round)
        return [self.finished(neighbor, link, now) for neighbor, link in self._neighborhood.open()]

    def finished(self, neighbor: Neighbor, link: Link, now: float) -> Send:
        """The Finished for a neighbor; it is resent until the neighbor has ended too, and then as a sign of life."""
        is_awaited = neighbor.finished_sequence is None
        neighbor.resend_at = now + (self._timing.resend_s if is_awaited else self._timing.sign_s)
        return Send(neighbor.peer, Finished(link.link_id, self._at.round, link.sequence, link.tell_received()))

    def take_leave(self, farewell: type[Left] | type[Away], now: float) -> list[HandlerEffect]:
        """Send Left or Away to all neighbors, and close all links."""
        effects: list[HandlerEffect] = []
        for neighbor, link in self._neighborhood.open():
            effects.append(Send(neighbor.peer, farewell(link.link_id)))
            effects.append(self._neighborhood.close(neighbor.peer, CloseReason.WE_GO, now))
        return effects
