"""Liveness: keep-alives to the neighbors, and the closing of links with neighbors that are gone."""

from __future__ import annotations

from typing import final

from p2pnet.protocol.core.effects import Notify, Send
from p2pnet.protocol.core.notices import CloseReason
from p2pnet.protocol.core.timers import earliest
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import Ack
from p2pnet.protocol.rounds.neighbor import Neighbor
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.timing import Timing

SIGNS_PER_SILENCE = 3
"""Keep-alives sent within the time after which a silent neighbor counts as gone: one or two may be lost."""


@final
class Liveness:
    """Detects neighbors that are disconnected or silent for too long, and sends keep-alives.

    A closed connection is given the time of a redial. Silence over an open one costs its neighbors their patience at
    once (they stop waiting for it) but its link only after long: packet loss makes good connections stall for seconds.
    A neighbor that computes for longer than that says so by an Ack now and then.
    """

    def __init__(self, neighborhood: Neighborhood, timing: Timing) -> None:
        self._neighborhood = neighborhood
        self._timing = timing
        self._awake_at: float | None = None

    def stay_awake(self, now: float) -> None:
        """Record that this agent runs; called at every event. After a long gap this agent itself was suspended or
        starved of its processor, so all neighbors count as heard now.
        """
        if self._awake_at is not None and now - self._awake_at > self._timing.silence_s / 2:
            for neighbor in self._neighborhood:
                neighbor.last_heard_at = now
                if neighbor.disconnected_at is not None:
                    neighbor.disconnected_at = now
        self._awake_at = now

    def next_deadline(self) -> float | None:
        times: list[float | None] = []
        for neighbor in self._neighborhood:
            times += [self._death(neighbor), self._sign_due(neighbor), neighbor.absent_until]
        return earliest(times)

    def tell_alive(self, stop_round: int, now: float) -> list[Send]:
        """Send a keep-alive, an Ack, to each neighbor that was sent nothing for long."""
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
        """The time at which the link with a neighbor is to be closed if nothing is heard of it; None without a link."""
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
    """The Ack for a link: the newest share received, the missing share, and the last round if known."""
    return Ack(link.link_id, link.tell_received(), stop_round, link.missing)
