"""Feature statistics: mean and variance of each column over all agents' samples, and all labels, by averaging.

Mean and variance of every column are tracked over conserving links, by the same rounds that later train (`machine.py`),
without a local objective; no agent sees another's samples. Agent k has n_k samples with mean m_k and variance V_k. The
rounds mix a center u_k, first m_k, until it is the same everywhere. Each agent tracks its own sums about its own
center,

    x_k = n_k (m_k − u_k,  V_k + (m_k − u_k)²),  n_k      whose network averages, divided, are  δ, q,

and thereby mean u_k + δ and variance q − δ². The center lies among the agents' means, so no digits are lost to columns
far from zero: δ² is at most N times the variance, for N agents with as many samples each.

The labels are a set that all agents add to and send along with their shares until the neighbors have sent the same set
(LabelSet). No agent counts as stationary before that, so the rounds cannot end with a label in flight.

The id of the averaging run spreads in the same way. It tells whose samples are counted: separated parts of a network
must not find different numbers under one id. Therefore an agent that closes a link starts a run with a new id, of a
later epoch, and the least id of the latest epoch spreads as far as links are open. An id crosses open links only; where
such a link closes, its receiver is among the agents that rename, so no run converges in two separated parts.
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
"""The largest change of mean and standard deviation in a round, relative to the deviation, that counts as converged."""

MOMENTUM = 0.5
"""The momentum of flows, larger than in training, where local steps limit it; tuned on a ring of 13 agents."""

NOISE = 8 * float(np.finfo(np.float64).eps)
"""The relative rounding error of a column's mean, below which no agreement is demanded."""

ROUND_TIMEOUT_S = 10.0
"""The round timeout where training is asynchronous: averaging converges in synchronous rounds only."""

ROUND_PACE_S = 0.004
"""The shortest time between rounds, so that averaging while waiting for more agents leaves the processors idle."""

ABSENCE_LIMIT_S = 5.0
"""How long averaging waits for an absent agent; an agent that returns later takes the result from the others."""


@dataclass(frozen=True, slots=True)
class LocalStatistics:
    """One agent's contribution: number, mean and variance of its samples by column, and its labels."""

    n_samples: float
    """the sum of the weights, where samples have weights"""
    mean: Array = field(repr=False)
    variance: Array = field(repr=False)
    labels: tuple[str, ...] = ()


@final
class StatisticsMachine(Machine[RoundEvent, RoundEffect]):
    """Averages the feature statistics over the network; `found` is the result, with which the agent trains at once.

    Agents still in this stage soon hear a neighbor that trains, and request the result from it, as late agents do.
    """

    def __init__(self, identity: Identity, options: RoundOptions, own: LocalStatistics, settling_s: float) -> None:
        """`settling_s` is how long no link must have opened before the agent counts as stationary."""
        self._own = own
        self._settling_s = settling_s
        self._opened_at = -np.inf
        """The time at which a link was last opened."""
        self._rounds = RoundMachine(identity, _round_options(options), _as_params(own.mean))
        self._me = f"{identity.peer} {identity.incarnation}"
        self._epoch = 0
        """The number of links closed one after another."""
        self._run = self._new_run()
        self._open_links: frozenset[LinkId] = frozenset()
        self._labels = check_labels(tuple(sorted(own.labels)))
        self._heard: dict[PeerId, LabelSet] = {}
        """The label set and run that each neighbor sent last."""
        self._estimate: FeatureStatistics | None = None
        """The estimate of the last round."""
        self._converged: FeatureStatistics | None = None
        """The estimate of the last converged round: the others rely on it when they end the stage, even if links change
        before their last round is known here.
        """
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
        """Handle one event, and return its effects; ProtocolError as for rounds."""
        match event:
            case MessageReceived(peer, LabelSet() as label_set):
                neighbor = self._rounds.neighborhood.find(peer)
                # Resent until it is answered, since the peer may not know yet that its link is open.
                return self._label_set_received(peer, label_set) if neighbor is not None and neighbor.is_open else []
            case MessageReceived(_, FeatureStatistics() as found):
                self._adopt(found)
                return []
            case MessageReceived(peer, Hello()):
                self._heard.pop(peer, None)  # the peer may have been restarted, and have a smaller set than before
        return self._carry_out(self._rounds.handle(event, now), now)

    def next_deadline(self) -> float | None:
        return self._rounds.next_deadline()

    def ask(self, peer: PeerId, now: float) -> list[RoundEffect]:
        """Say Hello to a peer past this stage, which answers with the statistics found."""
        return self.handle(PeerConnected(peer), now)

    # Computations of the rounds.

    def _carry_out(self, effects: list[RoundEffect], now: float) -> list[RoundEffect]:
        """Perform the rounds' computations here, and pass on all other effects."""
        outward: list[RoundEffect] = []
        self._compare_links(now)
        while effects:
            if self.found is None and self._rounds.last_round < MAX_ROUNDS:  # an agent knows that all have converged
                self.found = self._converged
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
        """Record opened links, and start a new averaging run where a link has closed."""
        before = self._open_links
        self._open_links = frozenset(link.link_id for _, link in self._rounds.neighborhood.open())
        if self._open_links - before:
            self._opened_at = now
        if before - self._open_links:
            self._epoch += 1
            self._run = self._new_run()

    def _sums_about_center(self, effect: Evaluate) -> Evaluated:
        own = self._own
        offset = own.mean - _center(effect.params)
        sums = own.n_samples * np.concatenate([offset, own.variance + offset * offset])
        return Evaluated(effect.round, sums, own.n_samples)

    def _estimated(self, effect: RunLocalStep, now: float) -> LocalStepDone:
        """Update the estimate (mean u + δ, variance q − δ²), and propose the center u unchanged; the residual is the
        estimate's change.
        """
        center = _center(effect.params)
        n_columns = len(center)
        offset, moment = effect.direction[:n_columns], effect.direction[n_columns:]
        mean, variance = center + offset, np.maximum(moment - offset * offset, 0.0)
        before, self._estimate = self._estimate, FeatureStatistics(self._run, self._labels, mean, variance)
        # The first residual, 1, is the scale of all later ones at every agent.
        is_judged = effect.round > 0 and self._is_agreed and now - self._opened_at >= self._settling_s
        residual = _largest_change(before, self._estimate) if is_judged and before is not None else 1.0
        if residual <= TOLERANCE:
            self._converged = self._estimate
        return LocalStepDone(effect.round, effect.params, residual, proximal_weight=0.0)

    def _adopt(self, found: FeatureStatistics) -> None:
        if found.mean.shape != self._own.mean.shape or found.variance.shape != self._own.mean.shape:
            raise ProtocolError(f"FeatureStatistics.mean: {found.mean.size} columns instead of {self._own.mean.size}")
        if (found.variance < 0).any():
            raise ProtocolError("FeatureStatistics.variance: a variance is negative")
        self.found = found

    # Labels and the id of the averaging run.

    def _new_run(self) -> str:
        return f"{self._me}.{self._epoch}"

    @property
    def _is_agreed(self) -> bool:
        neighbors = self._rounds.neighborhood.open()
        return all(self._is_same(self._heard.get(neighbor.peer)) for neighbor, _ in neighbors)

    def _is_same(self, label_set: LabelSet | None) -> bool:
        said = None if label_set is None else (label_set.epoch, label_set.survey, label_set.labels)
        return said == (self._epoch, self._run, self._labels)

    def _tell(self, peer: PeerId) -> Iterable[Send]:
        return [] if self._is_same(self._heard.get(peer)) else [self._label_set(peer)]

    def _label_set(self, peer: PeerId) -> Send:
        return Send(peer, LabelSet(self._epoch, self._run, self._labels, self._is_same(self._heard.get(peer))))

    def _label_set_received(self, peer: PeerId, label_set: LabelSet) -> list[RoundEffect]:
        self._labels = check_labels(tuple(sorted({*self._labels, *label_set.labels})))
        if (-label_set.epoch, label_set.survey) < (-self._epoch, self._run):
            self._epoch, self._run = label_set.epoch, label_set.survey
        self._heard[peer] = label_set
        return [] if label_set.is_confirmed else [self._label_set(peer)]


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
    """The center padded with zeros, since rounds exchange as many parameters as sums."""
    return np.concatenate([center, np.zeros_like(center)])


def _center(params: Array) -> Array:
    return params[: len(params) // 2]


def _largest_change(before: FeatureStatistics, after: FeatureStatistics) -> float:
    """The largest change of any column's mean or standard deviation, in units of that deviation."""
    deviation = np.sqrt(after.variance)
    unit = np.maximum(deviation, NOISE / TOLERANCE * np.abs(after.mean))
    unit = np.where(unit > 0, unit, 1.0)
    changes = np.maximum(np.abs(after.mean - before.mean), np.abs(deviation - np.sqrt(before.variance)))
    return float(np.max(changes / unit))
