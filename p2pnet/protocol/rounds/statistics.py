"""The survey: what all agents must know of all samples before they can train, found without anybody seeing them.

Mean and variance of every column are tracked over conserving links, by the same rounds that later train (`rounds.py`),
with nothing to be minimised. Agent k has n_k samples with mean m_k and variance V_k. The rounds mix a center u_k, first
m_k, until it is the same everywhere. What each tracks is its own sums about its own center,

    x_k = n_k (m_k − u_k,  V_k + (m_k − u_k)²),  n_k      whose network averages, divided, are  δ, q,

and thereby mean u_k + δ and variance q − δ². The center lies among the agents' means, so no digits are lost to columns
far from zero: δ² is at most N times the variance, for N agents with as many samples each.

The labels are a set that everybody adds to and passes on with its shares until its neighbors have said the same
(LabelSet). Nobody is at rest before that, so the rounds cannot end with a label on its way.

So does the survey's name, which says whose samples are counted: parts of a network that lose each other must not find
different numbers under one name. Therefore whoever closes a link gives the survey a new name, of a later epoch, and the
name of the latest epoch, the least of that, spreads as far as links are open. A name crosses open links only; where one
of them closes, its receiver is among those who rename, so no name is at rest in two parts that are apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.effects import Evaluate, Finish, Notify, RunLocalStep, Send
from p2pnet.protocol.core.events import Evaluated, LocalStepDone, MessageReceived, PeerConnected
from p2pnet.protocol.core.machine import Machine
from p2pnet.protocol.core.notices import InStatistics, StatisticsUnsettled
from p2pnet.protocol.core.types import Array, FeatureStatistics, LinkId, PeerId
from p2pnet.protocol.messages.training import Hello, LabelSet, Share, check_labels
from p2pnet.protocol.rounds.machine import RoundEffect, RoundEvent, RoundMachine
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.options import RoundOptions

MAX_ROUNDS = 20_000
TOLERANCE = 1e-12
"""At rest is whose mean and deviation change by less than this part of the deviation in a round."""

MOMENTUM = 0.5
"""More than in training, where it must agree with the local steps: a ring of 13 agents gets the most out of this."""

NOISE = 8 * float(np.finfo(np.float64).eps)
"""No finer agreement than this, relative to a column's mean, is asked of it."""

ROUND_TIMEOUT_S = 10.0
"""Where training waits for nobody; a survey must, or nobody would ever be at rest."""

ROUND_PACE_S = 0.004
"""No faster, lest those who wait for others keep their processors busy with it."""

ABSENCE_LIMIT_S = 5.0
"""So long the return of one that has vanished is waited for; later it takes the result from the others."""


@dataclass(frozen=True, slots=True)
class LocalStatistics:
    """What one agent contributes: its samples' mean and variance by column, and its labels."""

    n_samples: float
    """with weights, their sum"""
    mean: Array = field(repr=False)
    variance: Array = field(repr=False)
    labels: tuple[str, ...] = ()


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
        self._rounds = RoundMachine(identity, _round_options(options), _as_params(own.mean))
        self._me = f"{identity.peer} {identity.incarnation}"
        self._epoch = 0
        """How often, one after the other, a link was closed."""
        self._survey = self._new_name()
        self._open_links: frozenset[LinkId] = frozenset()
        self._labels = check_labels(tuple(sorted(own.labels)))
        self._heard: dict[PeerId, LabelSet] = {}
        """What each neighbor said last."""
        self._estimate: FeatureStatistics | None = None
        """As of the last round."""
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
                    effects += self._rounds.handle(self._sums_about_center(effect), now)
                case RunLocalStep():
                    effects += self._rounds.handle(self._estimated(effect, now), now)
                case Send(peer, Share()):
                    outward += [*self._tell(peer), effect]
                case Finish() if self.found is None:
                    outward.append(Notify(StatisticsUnsettled(self.round)))
                    self.found = self._estimate
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

    def _sums_about_center(self, effect: Evaluate) -> Evaluated:
        own = self._own
        offset = own.mean - _center(effect.params)
        sums = own.n_samples * np.concatenate([offset, own.variance + offset * offset])
        return Evaluated(effect.round, sums, own.n_samples)

    def _estimated(self, effect: RunLocalStep, now: float) -> LocalStepDone:
        """Propose the center as it is, for the rounds to mix; what is at rest or not is the estimate."""
        center = _center(effect.params)
        n_columns = len(center)
        offset, moment = effect.direction[:n_columns], effect.direction[n_columns:]
        mean, variance = center + offset, np.maximum(moment - offset * offset, 0.0)
        before, self._estimate = self._estimate, FeatureStatistics(self._survey, self._labels, mean, variance)
        # The first residual, 1, is the scale of all later ones at every agent.
        is_judged = effect.round > 0 and self._is_agreed and now - self._opened_at >= self._settling_s
        residual = _largest_change(before, self._estimate) if is_judged and before is not None else 1.0
        if residual <= TOLERANCE:
            self._at_rest = self._estimate
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
        said = None if census is None else (census.epoch, census.survey, census.labels)
        return said == (self._epoch, self._survey, self._labels)

    def _tell(self, peer: PeerId) -> Iterable[Send]:
        return [] if self._is_same(self._heard.get(peer)) else [self._census(peer)]

    def _census(self, peer: PeerId) -> Send:
        return Send(peer, LabelSet(self._epoch, self._survey, self._labels, self._is_same(self._heard.get(peer))))

    def _census_received(self, peer: PeerId, census: LabelSet) -> list[RoundEffect]:
        self._labels = check_labels(tuple(sorted({*self._labels, *census.labels})))
        if (-census.epoch, census.survey) < (-self._epoch, self._survey):
            self._epoch, self._survey = census.epoch, census.survey
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
        timing=replace(
            timing,
            round_pace_s=ROUND_PACE_S,
            round_timeout_s=timing.round_timeout_s or ROUND_TIMEOUT_S,
            suspect_limit_s=min(timing.suspect_limit_s, ABSENCE_LIMIT_S),
            away_limit_s=min(timing.away_limit_s, ABSENCE_LIMIT_S),
        ),
    )


def _as_params(center: Array) -> Array:
    """Filled up with zeros: rounds exchange as many parameters as sums."""
    return np.concatenate([center, np.zeros_like(center)])


def _center(params: Array) -> Array:
    return params[: len(params) // 2]


def _largest_change(before: FeatureStatistics, after: FeatureStatistics) -> float:
    """Of any column's mean and deviation, in units of its deviation."""
    deviation = np.sqrt(after.variance)
    unit = np.maximum(deviation, NOISE / TOLERANCE * np.abs(after.mean))
    unit = np.where(unit > 0, unit, 1.0)
    changes = np.maximum(np.abs(after.mean - before.mean), np.abs(deviation - np.sqrt(before.variance)))
    return float(np.max(changes / unit))
