"""The statistics stage: what all agents must know of all samples before they can train, though no sample is sent.

Mean and variance of every column are tracked over conserving links, by the same rounds that later train (`machine.py`),
with nothing to be minimised. All agents average their sums about one reference (u, v) (`moments.py`), which costs no
digits where it is near mean and variance. So there are two steps: about the reference zero, until a near one is known
roughly; then about that one, in books that begin anew, to 1e-12 of the deviation.

The labels are a set that every agent adds to and passes on with its shares until its neighbors have said the same
(LabelSet). No agent is stationary before that, so the rounds cannot end with a label on its way.

So does the name of the statistics, which says whose samples are counted: parts of a network that lose each other must
not find different numbers under one name. Therefore an agent that closes a link gives the statistics a new name, of a
later epoch, and the name of the latest epoch, the least of that, spreads as far as links are open. A name crosses open
links only; where one of them closes, its receiver is among those who rename, so no name is at rest in two parts that
are apart.

And so does the reference. The agent whose name the statistics have replaces it, with a revision one later, once its own
estimate has stayed roughly the same for a while and shows the present one to be far off. The books of all links belong
to one (epoch, revision, name): with each of them they begin anew, and hold no rounding of larger numbers before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.effects import Close, Evaluate, Finish, Notify, RunLocalStep, Send
from p2pnet.protocol.core.events import Evaluated, LeaveRequested, LocalStepDone, MessageReceived, PeerConnected
from p2pnet.protocol.core.machine import Machine
from p2pnet.protocol.core.notices import InStatistics, StatisticsUnsettled
from p2pnet.protocol.core.types import FeatureStatistics, LinkId, PeerId
from p2pnet.protocol.messages.training import Hello, LabelSet, Share, check_labels
from p2pnet.protocol.rounds.machine import RoundEffect, RoundEvent, RoundMachine
from p2pnet.protocol.rounds.moments import (
    TOLERANCE,
    Estimate,
    LocalStatistics,
    Plateau,
    Reference,
    exact_change,
    rough_change,
)
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.options import RoundOptions

MAX_ROUNDS = 10_000_000
"""Eleven hours; what waits for agents that come one by one may take long."""

MAX_UNSETTLED_ROUNDS = 20_000
"""So long an estimate may go on changing, while no link opens or closes, before the agent gives up."""

MOMENTUM = 0.5
"""More than in training, where it must agree with the local steps: a ring of 13 agents gets the most out of this."""

MAX_RATIO = 1e31
"""Of the sums of two agents: squares of values that differ by 1e12, of 1e7 samples."""

ROUGHLY = 1 / 4
EXACTLY = 1 / 8
"""For this part of all rounds about a reference an estimate must have stayed the same, to replace the reference and to
end."""

ROUND_TIMEOUT_S = 10.0
"""Where training waits for nobody; a survey must, or nobody would ever be at rest."""

ROUND_PACE_S = 0.004
"""No faster, lest those who wait for others keep their processors busy with it."""

ABSENCE_LIMIT_S = 5.0
"""So long the return of one that has vanished is waited for; later it takes the result from the others."""


@final
class StatisticsMachine(Machine[RoundEvent, RoundEffect]):
    """One agent's side of the survey; `found` is its result, and whoever has it goes on to train at once.

    That leaves neighbors behind, who soon meet one that trains and ask it for the result: so do those who come late.
    """

    def __init__(self, identity: Identity, options: RoundOptions, own: LocalStatistics, settling_s: float) -> None:
        """`settling_s` is how long nobody new must have come before the agent is at rest."""
        self._own = own
        self._settling_s = settling_s
        self._opened_at = -np.inf
        """When a link was opened last."""
        n_columns = len(own.mean)
        self._rounds = RoundMachine(identity, _round_options(options), np.zeros(0), n_sums=2 * n_columns)
        self._me = f"{identity.peer} {identity.incarnation}"
        self._epoch = 0
        """How often, one after the other, a link was closed."""
        self._survey = self._new_name()
        self._open_links: frozenset[LinkId] = frozenset()
        self._labels = check_labels(tuple(sorted(own.labels)))
        self._heard: dict[PeerId, LabelSet] = {}
        """What each neighbor said last."""
        self._revision = 0
        """How often the reference has been replaced."""
        self._reference = Reference.zero(n_columns)
        """The one that has been heard of; from the next evaluation on, the one about which the sums are."""
        self._books = _Books(_account(0, 0, self._survey), self._reference, 0)
        self._rounds.begin_account(self._books.account)
        self._changed_at = 0
        """The round in which the estimate was exact, or a link opened or closed, last."""
        self._at_rest: FeatureStatistics | None = None
        """As of the last round that changed nothing any more: what others count upon when they end the survey, whoever
        comes or goes before word of that has arrived."""
        self.found: FeatureStatistics | None = None

    @property
    def round(self) -> int:
        return self._rounds.round

    @property
    def neighborhood(self) -> Neighborhood:
        return self._rounds.neighborhood

    def start(self, now: float) -> list[RoundEffect]:
        return self._carry_out(self._rounds.start(now), now)

    def handle(self, event: RoundEvent, now: float) -> list[RoundEffect]:
        """What is to be done about the event; ProtocolError as for rounds."""
        match event:
            case MessageReceived(peer, LabelSet() as census):
                neighbor = self._rounds.neighborhood.find(peer)
                # Said again until it is answered, for one that does not know yet that its link is open.
                return self._census_received(peer, census) if neighbor is not None and neighbor.is_open else []
            case MessageReceived(_, FeatureStatistics() as survey):
                self._adopt(survey)
                return []
            case MessageReceived(peer, Hello()):
                self._heard.pop(peer, None)  # it may have begun anew, and know less than it did
        return self._carry_out(self._rounds.handle(event, now), now)

    def next_deadline(self) -> float | None:
        return self._rounds.next_deadline()

    def ask(self, peer: PeerId, now: float) -> list[RoundEffect]:
        """Say Hello to one that is past its survey, who will answer with what was found."""
        return self.handle(PeerConnected(peer), now)

    # The rounds, and what they want computed.

    def _carry_out(self, effects: list[RoundEffect], now: float) -> list[RoundEffect]:
        """Compute what the rounds want computed, and pass on the rest."""
        outward: list[RoundEffect] = []
        self._compare_links(now)
        while effects:
            if self.found is None and self._rounds.last_round < MAX_ROUNDS:  # somebody knows that everybody is at rest
                self.found = self._at_rest
            effect, *effects = effects
            match effect:
                case Evaluate():
                    effects += self._rounds.handle(self._sums(effect.round), now)
                case RunLocalStep():
                    effects += self._rounds.handle(self._estimated(effect, now), now)
                    if self.found is None and effect.round - self._changed_at > MAX_UNSETTLED_ROUNDS:
                        return [*outward, *self._give_up(now)]
                case Send(peer, Share()):
                    outward += [*self._tell(peer), effect]
                case Finish() if self.found is None:
                    return [*outward, *self._give_up(now)]
                case Notify(notice) if not isinstance(notice, InStatistics):
                    outward.append(Notify(InStatistics(notice)))
                case _:
                    outward.append(effect)
        return outward

    def _compare_links(self, now: float) -> None:
        """Take note of links that have opened, and count those out that have closed."""
        before = self._open_links
        self._open_links = frozenset(link.link_id for _, link in self._rounds.neighborhood.open())
        if self._open_links - before:
            self._opened_at = now
        if before - self._open_links:
            self._epoch += 1
            self._survey = self._new_name()
        if before != self._open_links:
            self._changed_at = self.round

    def _give_up(self, now: float) -> list[RoundEffect]:
        """Leave: parameters for samples that are scaled by anything would be worse than none."""
        column, change = self._books.exact.worst
        leave = [effect for effect in self._rounds.handle(LeaveRequested(), now) if isinstance(effect, Send)]
        return [*leave, Notify(StatisticsUnsettled(self.round, column, change * TOLERANCE)), Close()]

    def _sums(self, round_: int) -> Evaluated:
        """The agent's own sums about the reference; in new books where it is another than in the round before."""
        account = _account(self._epoch, self._revision, self._survey)
        if account != self._books.account:
            self._books = _Books(account, self._reference, round_)
            self._rounds.begin_account(account)
        return Evaluated(round_, self._books.reference.sums(self._own), self._own.n_samples)

    def _estimated(self, effect: RunLocalStep, now: float) -> LocalStepDone:
        """Judge what the round has found; there is nothing to be stepped."""
        books, age = self._books, effect.round - self._books.begun_at
        estimate = Estimate.about(books.reference, effect.direction, age)
        books.rough.observe(estimate, age)
        books.exact.observe(estimate, age)
        is_near = not estimate.is_far().any()
        is_exact = is_near and books.exact.has_lasted(age)
        if is_exact:
            self._changed_at = effect.round
        is_in_force = books.account == _account(self._epoch, self._revision, self._survey) and self._is_agreed
        is_stationary = is_exact and is_in_force and now - self._opened_at >= self._settling_s
        if is_stationary:
            self._at_rest = FeatureStatistics(self._survey, self._labels, estimate.mean, estimate.variance)
        elif is_in_force and not is_near and books.rough.has_lasted(age) and self._survey == self._new_name():
            self._reference, self._revision = estimate.as_reference(), self._revision + 1
        # The first residual, 1, is the scale of all later ones at every agent.
        residual = 0.0 if is_stationary and effect.round > 0 else 1.0
        return LocalStepDone(effect.round, effect.params, residual, proximal_weight=0.0)

    def _adopt(self, survey: FeatureStatistics) -> None:
        if survey.mean.shape != self._own.mean.shape or survey.variance.shape != self._own.mean.shape:
            raise ProtocolError(f"FeatureStatistics.mean: {survey.mean.size} columns instead of {self._own.mean.size}")
        if (survey.variance < 0).any():
            raise ProtocolError("FeatureStatistics.variance: a variance is negative")
        self.found = survey

    # The census.

    def _new_name(self) -> str:
        return f"{self._me}.{self._epoch}"

    @property
    def _is_agreed(self) -> bool:
        neighbors = self._rounds.neighborhood.open()
        return all(self._is_same(self._heard.get(neighbor.peer)) for neighbor, _ in neighbors)

    def _is_same(self, census: LabelSet | None) -> bool:
        said = None if census is None else (census.epoch, census.revision, census.survey, census.labels)
        return said == (self._epoch, self._revision, self._survey, self._labels)

    def _tell(self, peer: PeerId) -> Iterable[Send]:
        return [] if self._is_same(self._heard.get(peer)) else [self._census(peer)]

    def _census(self, peer: PeerId) -> Send:
        is_confirmed = self._is_same(self._heard.get(peer))
        told = LabelSet(self._epoch, self._survey, self._labels, is_confirmed)
        if self._revision:
            mean, variance = self._reference.mean, self._reference.variance
            told = replace(told, revision=self._revision, mean=mean, variance=variance)
        return Send(peer, told)

    def _census_received(self, peer: PeerId, census: LabelSet) -> list[RoundEffect]:
        n_columns = len(self._own.mean)
        reference = Reference(census.mean, census.variance) if census.revision else Reference.zero(n_columns)
        reference.check(n_columns)
        self._labels = check_labels(tuple(sorted({*self._labels, *census.labels})))
        if (-census.epoch, -census.revision, census.survey) < (-self._epoch, -self._revision, self._survey):
            self._epoch, self._revision, self._survey = census.epoch, census.revision, census.survey
            self._reference = reference
        self._heard[peer] = census
        return [] if census.is_confirmed else [self._census(peer)]


def _round_options(options: RoundOptions) -> RoundOptions:
    timing = options.timing
    return replace(
        options,
        max_rounds=MAX_ROUNDS,
        exchanges=1,
        is_gradient_first=False,
        n_signs=0,
        momentum=MOMENTUM,
        tolerance=TOLERANCE,
        precision=64,
        max_ratio=MAX_RATIO,
        timing=replace(
            timing,
            round_pace_s=ROUND_PACE_S,
            round_timeout_s=timing.round_timeout_s or ROUND_TIMEOUT_S,
            suspect_limit_s=min(timing.suspect_limit_s, ABSENCE_LIMIT_S),
            away_limit_s=min(timing.away_limit_s, ABSENCE_LIMIT_S),
        ),
    )


@dataclass(slots=True)
class _Books:
    """What is averaged in one account, and how it goes."""

    account: int
    reference: Reference
    begun_at: int
    """The round."""
    rough: Plateau = field(default_factory=lambda: Plateau(rough_change, ROUGHLY))
    exact: Plateau = field(default_factory=lambda: Plateau(exact_change, EXACTLY))


def _account(epoch: int, revision: int, survey: str) -> int:
    """Names the books; the first reference is the same under every name."""
    named = f"{epoch} {revision} {survey if revision else ''}"
    return int.from_bytes(hashlib.blake2b(named.encode(), digest_size=7).digest(), "big")
