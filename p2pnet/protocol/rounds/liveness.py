"""Who is still there: signs of life to the neighbors, and the links with those that have gone."""

from __future__ import annotations

from typing import final

from p2pnet.protocol.core.effects import Notify, Send
from p2pnet.protocol.core.notices import CloseReason
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import Ack
from p2pnet.protocol.rounds.neighbor import Neighbor
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.timing import Timing

SIGNS_PER_SILENCE = 3
"""Signs of life in the time after which silence is taken for death: one or two may be lost."""


@final
class Liveness:
    """Watches over the neighbors of one agent.

    A closed connection is given the time of a redial. Silence over an open one costs its neighbors their patience at
    once (they stop waiting for it) but its link only after long: packet loss makes good connections stall for seconds.
    A neighbor that computes for longer than that says so by an Ack now and then.
    """

    def __init__(self, neighborhood: Neighborhood, timing: Timing) -> None:
        self._neighborhood = neighborhood
        self._timing = timing
        self._awake_at: float | None = None

    def stay_awake(self, now: float) -> None:
        """To be told of every event. When none has come for long it was this agent that slept, stopped or starved of
        its processor: then it knows nothing of the others' silence, and begins to listen anew.
        """
        if self._awake_at is not None and now - self._awake_at > self._timing.silence_s / 2:
            for neighbor in self._neighborhood:
                neighbor.last_heard_at = now
                if neighbor.disconnected_at is not None:
                    neighbor.disconnected_at = now
        self._awake_at = now

    def next_deadline(self) -> float | None:
        times = []
        for neighbor in self._neighborhood:
            times += [self._death(neighbor), self._sign_due(neighbor), neighbor.absent_until]
        return min((time for time in times if time is not None), default=None)

    def tell_alive(self, stop_round: int, now: float) -> list[Send]:
        """An Ack to each neighbor that has heard nothing for long."""
        return [
            Send(neighbor.peer, acknowledgement(link, stop_round))
            for neighbor, link in self._neighborhood.open()
            if (due := self._sign_due(neighbor)) is not None and now >= due
        ]

    def close_the_dead(self, now: float) -> list[Notify]:
        effects: list[Notify] = []
        for neighbor in self._neighborhood:
            death = self._death(neighbor)
            if death is not None and now >= death:
                reason = CloseReason.SILENT if neighbor.is_connected else CloseReason.DISCONNECTED
                until = now + self._timing.suspect_limit_s
                effects.append(self._neighborhood.miss(neighbor.peer, until, reason, now))
        self._neighborhood.forget(now)
        return effects

    def _death(self, neighbor: Neighbor) -> float | None:
        """When the link with a neighbor that has vanished is to be closed; None without a link."""
        if neighbor.link is None:
            return None
        if neighbor.disconnected_at is not None:
            return neighbor.disconnected_at + self._timing.redial_grace_s
        if not neighbor.is_confirmed:
            return None
        return neighbor.last_heard_at + self._timing.silence_s

    def _sign_due(self, neighbor: Neighbor) -> float | None:
        if not neighbor.is_open or not neighbor.is_connected:
            return None
        return neighbor.last_told_at + self._timing.silence_s / SIGNS_PER_SILENCE


def acknowledgement(link: Link, stop_round: int) -> Ack:
    """Everything that has come over the link, what is missing, and that this end is alive."""
    return Ack(link.link_id, link.tell_received(), stop_round, link.missing)
