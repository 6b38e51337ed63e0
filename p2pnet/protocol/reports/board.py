"""The board: the latest report of each agent that this one has heard of.

Every two seconds an agent describes itself, and passes on to each neighbor what that does not know yet: a report floods
the graph, each link carrying it once. A report that has not changed but for its byte counts is not sent again before a
minute is over, so that a network idle is quiet, and no more than eight reports go to a neighbor at once: two
kilobytes. What is on the board is hearsay: a member may say anything of others. It is shown, and decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, final

from p2pnet.protocol.core.effects import Send
from p2pnet.protocol.core.reports import AgentReport
from p2pnet.protocol.core.types import LinkId, PeerId
from p2pnet.protocol.messages.reports import Reports

PERIOD_S: Final = 2.0
REFRESH_S: Final = 60.0
"""The longest time from one report of an agent to the next."""
FORGOTTEN_AFTER_S: Final = 5 * REFRESH_S
"""An agent of which nothing has been heard for so long is taken off."""
AT_ONCE: Final = 8
MAX_AGENTS: Final = 1024
_MAX_SEQUENCE: Final = 2**40
"""No honest agent gets so far; a member that claims more of another could never be set right by it."""


@final
@dataclass(frozen=True, slots=True)
class Heard:
    """A report, and when it came."""

    report: AgentReport
    at: float


@final
class Board:
    """The reports of one agent's network; `now` are seconds that never go back."""

    def __init__(self, me: PeerId) -> None:
        self._me = me
        self._heard: dict[PeerId, Heard] = {}
        self._told: dict[PeerId, dict[PeerId, tuple[int, int]]] = {}
        """Of each neighbor, the latest report of each agent that it is known to have, that known longest first."""
        self._links: Mapping[PeerId, LinkId] = {}
        """The links on which neighbors were told."""
        self._sequence = 0
        self.due_at = -math.inf
        """When this agent is to describe itself again."""

    def reports(self, now: float) -> Sequence[Heard]:
        """The latest report of each agent, this one included, ordered by name."""
        self._forget(now)
        return sorted(self._heard.values(), key=lambda heard: (heard.report.name, heard.report.peer))

    def describe(self, report: AgentReport, links: Mapping[PeerId, LinkId], now: float) -> list[Send]:
        """Put up this agent's own report, whose sequence number is set here, and tell the neighbors their news.

        `links` are those of the neighbors that read reports. Whoever has opened a new one may have restarted, and knows
        nothing.
        """
        self.due_at = now + PERIOD_S
        own = self._heard.get(self._me)
        if own is None or now >= own.at + REFRESH_S or _differ(own.report, report):
            self._sequence += 1
            self._heard[self._me] = Heard(replace(report, sequence=self._sequence), now)
        self._forget(now)
        for peer in list(self._told):
            if peer not in links or links[peer] != self._links.get(peer):
                del self._told[peer]
        self._links = links
        return [Send(peer, Reports(news)) for peer in links if (news := self._news_for(peer))]

    def hear(self, peer: PeerId, reports: Collection[AgentReport], now: float) -> None:
        """Take over what is news; of itself this agent knows best, and overtakes what others say of it."""
        told = self._told.setdefault(peer, {})
        for report in reports:
            if report.sequence > _MAX_SEQUENCE:
                continue
            if report.peer == self._me:
                own = self._heard.get(self._me)
                if own is not None and report.incarnation == own.report.incarnation:
                    self._sequence = max(self._sequence, min(report.sequence, _MAX_SEQUENCE - 1))
                continue
            known = self._heard.get(report.peer)
            if known is None and len(self._heard) >= MAX_AGENTS:
                continue
            told[report.peer] = max(told.pop(report.peer, (-1, -1)), report.precedence)
            if known is None or report.precedence > known.report.precedence:
                self._heard[report.peer] = Heard(report, now)

    def _news_for(self, peer: PeerId) -> tuple[AgentReport, ...]:
        """The reports that the neighbor does not have: this agent's own, then those of agents of which the neighbor was
        told nothing for longest. By age alone, reports that change in each period would keep others out for ever.
        """
        told = self._told.setdefault(peer, {})
        news = [
            heard
            for about, heard in self._heard.items()
            if about != peer and told.get(about, (-1, -1)) < heard.report.precedence
        ]
        if not news:
            return ()
        turn = {about: place for place, about in enumerate(told)} | {self._me: -2}
        news.sort(key=lambda heard: (turn.get(heard.report.peer, -1), heard.at))
        chosen = tuple(heard.report for heard in news[:AT_ONCE])
        for report in chosen:
            told.pop(report.peer, None)
            told[report.peer] = report.precedence
        return chosen

    def _forget(self, now: float) -> None:
        for peer, heard in list(self._heard.items()):
            if peer != self._me and now > heard.at + FORGOTTEN_AFTER_S:
                del self._heard[peer]
                for told in self._told.values():
                    told.pop(peer, None)


def _differ(one: AgentReport, other: AgentReport) -> bool:
    """Whether two reports of an agent differ by more than what grows by itself."""
    return replace(one, sequence=0, bytes_sent=0) != replace(other, sequence=0, bytes_sent=0)
