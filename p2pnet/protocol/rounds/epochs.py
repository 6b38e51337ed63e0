"""Epochs: when agents that have finished train on.

Where agents keep running, the last round of training is the end of an *epoch* only. The next epoch begins with the
round in which they are idle, at the parameters that they have: rounds never go back, and of all last rounds that are
named those of the present epoch are later than its first round. Nothing else tells epochs apart, so two agents that
begin one at the same time, each by itself, have begun the same. Agents that were idle in different rounds begin in the
latest of them: or they would not take their steps in the same rounds, nor end with one.

An agent begins an epoch once it has been idle for a while and knows of a change: of its own samples, of a neighbor
that has left for good, or of one that has trained apart. All others follow a neighbor's word (`Epoch`), as often as
the budget of that neighbor allows. Absence changes nothing: samples of a machine that is restarted are not removed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from p2pnet.protocol.core.effects import Send
from p2pnet.protocol.core.types import LinkId, PeerId
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import Epoch
from p2pnet.protocol.rounds.corroboration import reached_by_two
from p2pnet.protocol.rounds.neighbor import Neighbor
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.state import Phase, RoundState
from p2pnet.protocol.rounds.termination import SLACK_ROUNDS, TerminationDetector
from p2pnet.protocol.rounds.timing import Timing

WAKES_AT_ONCE, WAKE_S = 10, 5.0
"""So many epochs of a neighbor are followed at once, and one more every five seconds. Honest agents are idle for longer
before they begin one."""


@dataclass(slots=True)
class _WakeBudget:
    """What is left of the epochs of one neighbor that are followed."""

    left: float
    counted_at: float

    def admits(self, now: float) -> bool:
        self.left = min(self.left + (now - self.counted_at) / WAKE_S, WAKES_AT_ONCE)
        self.counted_at = now
        return self.left >= 1.0


@final
class Epochs:
    """Knows the epochs of one agent and its neighbors, and decides when the next one begins."""

    def __init__(
        self,
        state: RoundState,
        neighborhood: Neighborhood,
        termination: TerminationDetector,
        timing: Timing,
        max_rounds: int,
    ) -> None:
        self._at = state
        self._neighborhood = neighborhood
        self._termination = termination
        self._timing = timing
        self._max_rounds = max_rounds
        self._change = ""
        """What has changed since the samples that the present epoch has begun with."""
        self._changed_in = 0
        self._idle_since = 0.0
        self._ended_without: frozenset[PeerId] = frozenset()
        """The neighbors that were absent when this agent finished, and had not finished before: the round in which they
        have does not tell that they have trained with it, since the parts of a network that was cut count their rounds
        alike."""
        self._told: dict[LinkId, float] = {}
        """When the other ends of links were last told of this agent's epoch."""
        self._budgets: dict[PeerId, _WakeBudget] = {}

    @property
    def _is_idle(self) -> bool:
        return self._at.phase is Phase.FINISHED

    @property
    def is_current(self) -> bool:
        """Whether no change is known that the present epoch is not of."""
        return not self._change

    def learn_of_change(self, what: str) -> None:
        """Know that the network's samples have changed in this round: what it finishes with may not be of them."""
        self._change, self._changed_in = what, self._at.round

    def become_idle(self, now: float) -> None:
        """Finish, and be idle. A change so long ago that all agents were stationary after it is done with."""
        self._idle_since = now
        absences = self._neighborhood.absences.items()
        self._ended_without = frozenset(peer for peer, absence in absences if not absence.has_finished)
        named_in = self._at.round - self._termination.max_diameter - SLACK_ROUNDS
        if self._at.is_converged and self._changed_in < named_in - self._termination.max_diameter:
            self._change = ""

    # When an epoch begins.

    def reason(self, now: float) -> str:
        """Why an idle agent is to begin an epoch now; empty where it is not."""
        for neighbor in self._ahead():
            if self._budget(neighbor, now).admits(now):
                return f"{neighbor.name} has begun it"
        if now < self._own_due_at():
            return ""
        days = self._timing.forget_s / 86_400.0
        return self._own_reason() or f"{self._names(self._forgotten(now))} has been away for {days:g} days"

    def _ahead(self) -> list[Neighbor]:
        """The neighbors that are in the rounds of a later epoch: also one of the same number, begun in the round in
        which this agent is idle, by a neighbor that had not heard of this agent's epoch.
        """
        idle_in = (self._at.epoch, self._at.round - 1)
        return [n for n, _ in self._neighborhood.open() if (n.epoch, n.first_round) > idle_in and not n.is_idle]

    def _own_reason(self) -> str:
        for neighbor, _ in self._neighborhood.open():
            is_apart = neighbor.round != self._at.round or neighbor.peer in self._ended_without
            if neighbor.finished_sequence is not None and is_apart:
                return self._change or f"{neighbor.name} has trained apart"
        return self._change

    def _own_due_at(self) -> float:
        """When this agent begins an epoch without being told; infinite where nothing has changed."""
        earliest = self._idle_since + self._timing.idle_s
        if self._own_reason():
            return earliest
        absent_since = min((absence.since for absence in self._neighborhood.absences.values()), default=math.inf)
        return max(earliest, absent_since + self._timing.forget_s)

    def _forgotten(self, now: float) -> list[PeerId]:
        absences = self._neighborhood.absences
        return [peer for peer, absence in absences.items() if now >= absence.since + self._timing.forget_s]

    def _names(self, peers: list[PeerId]) -> str:
        return ", ".join(self._neighborhood.absences[peer].name for peer in peers)

    def begin(self, now: float) -> None:
        """Begin an epoch in the round in which agents are idle: that of a neighbor, or one of this agent's own."""
        ahead = self._ahead()
        for neighbor in ahead:
            self._budget(neighbor, now).left -= 1.0
        for peer in self._forgotten(now):
            del self._neighborhood.absences[peer]
        latest = max([self._at.epoch, *(neighbor.epoch for neighbor, _ in self._neighborhood.open())])
        idle = [n.round for n, _ in self._neighborhood.open() if n.finished_sequence is not None]
        self._go_on_to([*(neighbor.first_round for neighbor in ahead), *idle])
        self._enter(max(latest, self._at.epoch + 1) if ahead else latest + 1, self._at.round)
        self._change = ""

    def follow(self, now: float) -> bool:
        """Enter an epoch that a neighbor has begun while this agent was in its rounds and has not heard of its end; and
        the round in which a neighbor that was idle later has begun the present one. Whether another epoch was entered,
        as often as the budget of that neighbor allows.
        """
        before = self._at.epoch
        latest = self._follow(now)
        if latest is None or self._at.epoch == before or not (budget := self._budget(latest, now)).admits(now):
            return False
        budget.left -= 1.0
        return True

    def _follow(self, now: float) -> Neighbor | None:
        """Follow the neighbor in the latest epoch, if any."""
        neighbors = [neighbor for neighbor, _ in self._neighborhood.open()]
        if not (self._at.epoch or any(neighbor.epoch for neighbor in neighbors)):
            return None
        latest = max(neighbors, key=lambda n: (n.epoch, n.first_round), default=None)
        if latest is None:
            return None
        number, first_round, stop_round = latest.epoch, latest.first_round, self._termination.stop_round
        if number > self._at.epoch and first_round <= self._at.round and not 0 <= stop_round <= first_round:
            self._enter(number, first_round)
            self._termination.trust(stop_round)
        elif number == self._at.epoch > 0 and first_round > self._at.first_round:
            budget = self._budget(latest, now)
            if budget.admits(now):
                budget.left -= 1.0
                self._go_on_to([n.first_round for n in neighbors if n.epoch == number])
                self._at.first_round = self._termination.first_round = min(first_round, self._at.round)
        return latest

    def _go_on_to(self, rounds: list[int]) -> None:
        """Go on to the latest of these rounds of neighbors: to that which two have got to, and on the word of one only
        as far as an epoch is long.
        """
        on_one_word = min(max(rounds, default=0), self._at.round + self._max_rounds)
        self._at.round = max(self._at.round, reached_by_two(rounds) or 0, on_one_word)

    def _enter(self, number: int, first_round: int) -> None:
        # An epoch has a round at least, so no word of a neighbor makes the number grow without bound.
        self._at.epoch, self._at.first_round = min(number, max(first_round, self._at.epoch + 1)), first_round
        self._termination.begin_anew(first_round)

    def _budget(self, neighbor: Neighbor, now: float) -> _WakeBudget:
        return self._budgets.setdefault(neighbor.peer, _WakeBudget(WAKES_AT_ONCE, now))

    # What is said of epochs.

    def heard(self, neighbor: Neighbor, link: Link, epoch: Epoch, now: float) -> list[Send]:
        """Take in a neighbor's epoch; answer where it does not know this agent's."""
        is_repeated = epoch.number == neighbor.epoch
        neighbor.epoch, neighbor.first_round, neighbor.is_idle = epoch.number, epoch.first_round, epoch.is_over
        is_answered = epoch.number < self._at.epoch or (epoch.number == self._at.epoch and is_repeated)
        return [self._word(neighbor, link, now)] if is_answered else []

    def tell(self, now: float) -> list[Send]:
        """Tell neighbors that are not known to be in this agent's epoch."""
        if self._at.epoch == 0:
            return []
        untold = self._untold()
        self._told = {link.link_id: self._told[link.link_id] for _, link in untold if link.link_id in self._told}
        return [self._word(neighbor, link, now) for neighbor, link in untold if now >= self._due_at(link)]

    def next_deadline(self) -> float | None:
        """The time at which something is to be told, or an epoch may begin."""
        times = [self._due_at(link) for _, link in self._untold()]
        if self._is_idle and math.isfinite(due_at := self._own_due_at()):
            times.append(due_at)
        return min(times, default=None)

    def _untold(self) -> list[tuple[Neighbor, Link]]:
        if self._at.epoch == 0:
            return []
        return [(neighbor, link) for neighbor, link in self._neighborhood.open() if neighbor.epoch < self._at.epoch]

    def _due_at(self, link: Link) -> float:
        return self._told.get(link.link_id, -self._timing.resend_s) + self._timing.resend_s

    def _word(self, neighbor: Neighbor, link: Link, now: float) -> Send:
        self._told[link.link_id] = now
        return Send(neighbor.peer, Epoch(link.link_id, self._at.epoch, self._at.first_round, self._is_idle))
