"""Failure detection of neighbors by ping and indirect probe.

Only neighbors are pinged, over their open connections: an agent that only dials out could not receive pings of other
agents. A neighbor whose connection closes and whose port then refuses is dead at once. Silence, and a closed connection
that merely does not come back, are only grounds for suspicion, and only after long: where packets are lost, good
connections stall for seconds. Before that, other neighbors are asked for indirect probes.
"""

from __future__ import annotations

from typing import final

from p2pnet.protocol.core.effects import Send
from p2pnet.protocol.core.types import PeerId, Randomness
from p2pnet.protocol.membership.local_health import LocalHealthMultiplier
from p2pnet.protocol.membership.members import Members
from p2pnet.protocol.membership.overlay import Overlay, OverlayEffect
from p2pnet.protocol.membership.timing import MembershipTiming
from p2pnet.protocol.membership.views import ActiveView, OverlayNeighbor
from p2pnet.protocol.messages.membership import MemberState, Ping, ProbeRequest, Record

N_HELPERS = 3
REFUTATION_GRACE_S = 3.0
"""How long a connected neighbor that others hold dead has to refute."""


@final
class Probing:
    """Detects silent and unreachable neighbors of the active view; the results are records for gossip."""

    def __init__(self, members: Members, view: ActiveView, overlay: Overlay, timing: MembershipTiming) -> None:
        self._members = members
        self._view = view
        self._overlay = overlay
        self._timing = timing
        self._sequence = 0

    def heard(self, peer: PeerId, now: float) -> None:
        """Record that a message of the peer has come."""
        neighbor = self._view.find(peer)
        if neighbor is not None:
            neighbor.heard_at = now

    def vouched(self, peer: PeerId, now: float) -> None:
        """Record that another agent has heard from the peer."""
        neighbor = self._view.find(peer)
        if neighbor is not None:
            neighbor.vouched_at = now

    def grant(self, slept_s: float) -> None:
        """Do not count the time for which this agent was suspended as silence of the neighbors."""
        for neighbor in self._view:
            neighbor.heard_at += slept_s
            if neighbor.disconnected_at is not None:
                neighbor.disconnected_at += slept_s

    def ping_the_silent(self, health: LocalHealthMultiplier, rng: Randomness, now: float) -> list[Send]:
        """Ping each silent neighbor; before suspecting it, ask other neighbors for indirect probes."""
        effects: list[Send] = []
        for neighbor in self._view:
            silence_s = now - neighbor.heard_at
            is_due = min(silence_s, now - neighbor.pinged_at) >= self._timing.probe_interval_s
            if neighbor.disconnected_at is not None or not is_due:
                continue
            neighbor.pinged_at = now
            effects.append(self._ping(neighbor.peer))
            if silence_s >= self._timing.silence_s * health.factor / 2:
                helpers = [peer for peer in self._view.connected if peer != neighbor.peer]
                chosen = rng.sample(helpers, min(N_HELPERS, len(helpers)))
                effects += [Send(helper, ProbeRequest(neighbor.peer)) for helper in chosen]
        return effects

    def accusations(self, health: LocalHealthMultiplier, now: float) -> list[Record]:
        """The records that hold neighbors suspect or dead."""
        records = [self._accusation(neighbor, health, now) for neighbor in self._view]
        return [record for record in records if record is not None]

    def let_go(self, health: LocalHealthMultiplier, now: float) -> list[OverlayEffect]:
        """Remove neighbors that are dead or have left, and living neighbors that are unreachable from here."""
        effects: list[OverlayEffect] = []
        for neighbor in self._view:
            member = self._members.find(neighbor.peer)
            if member is None or member.is_living:
                neighbor.gone_at = None
                if self._is_out_of_reach(neighbor, health, now):
                    effects += self._overlay.dismiss(neighbor.peer, now, is_told=True)
                continue
            neighbor.gone_at = now if neighbor.gone_at is None else neighbor.gone_at
            is_contested = member.state is MemberState.DEAD and neighbor.disconnected_at is None
            if not is_contested or now >= neighbor.gone_at + REFUTATION_GRACE_S:
                effects += self._overlay.dismiss(neighbor.peer, now, is_told=is_contested, is_gone=True)
        return effects

    def _ping(self, peer: PeerId) -> Send:
        self._sequence += 1
        return Send(
            peer,
            Ping(self._sequence, True),
        )

    def _accusation(self, neighbor: OverlayNeighbor, health: LocalHealthMultiplier, now: float) -> Record | None:
        is_suspect = self._is_missing(neighbor, health, now) and not self._is_vouched(neighbor, health, now)
        if not (neighbor.is_refused or is_suspect):
            return None
        record = self._members.accuse(neighbor.peer)
        if record is None or not neighbor.is_refused:
            return record
        return Record(record.peer, MemberState.DEAD, record.incarnation)

    def _is_out_of_reach(self, neighbor: OverlayNeighbor, health: LocalHealthMultiplier, now: float) -> bool:
        return self._is_missing(neighbor, health, now) and self._is_vouched(neighbor, health, now)

    def _is_missing(self, neighbor: OverlayNeighbor, health: LocalHealthMultiplier, now: float) -> bool:
        if neighbor.disconnected_at is not None:
            return now - neighbor.disconnected_at >= self._timing.redial_grace_s * health.factor
        return now - neighbor.heard_at >= self._timing.silence_s * health.factor

    def _is_vouched(self, neighbor: OverlayNeighbor, health: LocalHealthMultiplier, now: float) -> bool:
        return now - neighbor.vouched_at < self._timing.silence_s * health.factor
