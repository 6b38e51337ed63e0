"""The statistics stage: what all agents must know of all samples before they can train, though no sample is sent.

Mean and variance of every column are tracked over conserving links, by the same rounds that later train (`machine.py`),
with nothing to be minimised. All agents average their sums about one reference (u, v) (`moments.py`), which costs no
digits where it is near mean and variance. So there are two steps: about the reference zero, until a near one is known
roughly; then about that one, in an account that begins at zero, to 1e-12 of the deviation.

The labels are a set that every agent adds to and passes on with its shares until its neighbors have said the same
(LabelSet). No agent is stationary before that, so the rounds cannot end with a label on its way.

So does the name of the statistics, which says whose samples are counted: parts of a network that lose each other must
not find different numbers under one name. Therefore an agent that closes a link gives the statistics a new name, of a
later epoch, and the name of the latest epoch, the least of that, spreads as far as links are open. A name crosses open
links only; where one of them closes, its receiver is among those who rename, so no name is settled in two parts that
are apart.

And so does the reference. The agent whose name the statistics have replaces it, with a revision one later, once its own
estimate has stayed roughly the same for a while and shows the present one to be far off. The ledgers of all
links belong to one (epoch, revision, name), their account: with a new one they begin at zero, free of the rounding of
larger numbers before.

Links are masked where both ends can (`links/masks.py`, `masking.py`). Then there is no reference at first, and what is
averaged is how large everything is, so that the first one says how large masks must be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import final

import numpy as np

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.counts import bounded
from p2pnet.protocol.core.effects import Close, Evaluate, Finish, Notify, RunLocalStep, Send
from p2pnet.protocol.core.events import Evaluated, LeaveRequested, LocalStepDone, MessageReceived, PeerConnected
from p2pnet.protocol.core.machine import Machine
from p2pnet.protocol.core.notices import CloseReason, InMeasurement, InStatistics, MessageDropped, StatisticsUnsettled
from p2pnet.protocol.core.timers import earliest
from p2pnet.protocol.core.types import FeatureStatistics, LinkId, PeerId
from p2pnet.protocol.links.conservation import AgentLedger
from p2pnet.protocol.links.masks import LinkSecrets, Masks
from p2pnet.protocol.messages.training import (
    MASKS,
    MAX_BYTES_OF_LABELS,
    MAX_LABELS,
    TOO_MANY,
    Hello,
    LabelSet,
    Share,
    united,
)
from p2pnet.protocol.rounds.accounts import Account, MomentsAccount, SizesAccount, account_name
from p2pnet.protocol.rounds.averaging import without_local_steps
from p2pnet.protocol.rounds.happenings import RoundEffect, RoundEvent
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.protocol.rounds.masking import OwnSizes, revision_after, samples_of
from p2pnet.protocol.rounds.moments import TOLERANCE, LocalStatistics, Reference
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.renaming import Renaming
from p2pnet.protocol.rounds.reported import ReportedStatistics

MAX_ROUNDS = 10_000_000
"""Eleven hours; what waits for agents that come one by one may take long."""

LINKED_PART = 1 / 3
"""Of the time in which agents find each other: for so long no link must have opened before masked rounds begin."""

MAX_UNSETTLED_ROUNDS = 20_000
"""The number of rounds, without a link opened or closed, in which an estimate may change before the agent gives up."""

FAR_ROUNDS = 50
"""If a reference that was found to be far off stays for so many rounds, and for as long again as it took to find that
out, any agent replaces it: the one whose name the statistics have does not.
"""

MAX_AHEAD = 1_000_000
"""By so much a neighbor's epoch and revision may be ahead: no network has closed as many links."""


@final
class StatisticsMachine(Machine[RoundEvent, RoundEffect]):
    """Averages the feature statistics over the network; `found` is the result, with which the agent trains at once.

    Agents still in this stage soon hear a neighbor that trains, and request the result from it, as late agents do.
    """

    def __init__(
        self,
        identity: Identity,
        options: RoundOptions,
        own: LocalStatistics,
        settling_s: float,
        secrets: LinkSecrets | None = None,
    ) -> None:
        """`settling_s` is how long no link must have opened before the agent counts as stationary; `secrets` are what
        links are masked by.
        """
        self._own = own
        self._settling_s = settling_s
        self._opened_at = -np.inf
        """When a link was opened last."""
        n_columns = len(own.mean)
        options = without_local_steps(options, MAX_ROUNDS, TOLERANCE)
        masks = None if secrets is None else Masks(identity.peer, secrets)
        if masks is not None:
            identity = replace(identity, capabilities=(*identity.capabilities, MASKS))
            # A link whose mask is the only one hides nothing from its other end.
            options = replace(options, settling_s=LINKED_PART * settling_s)
        self._sizes = None if masks is None else OwnSizes(own, masks)
        """What this agent knows of masks; None where links are not masked."""
        self._rounds = RoundMachine(identity, options, np.zeros(0), own.n_sums, masks=masks)
        self._me = f"{identity.peer} {identity.incarnation}"
        self._epoch = 0
        """The number of links closed one after another."""
        self._run = self._new_run()
        self._open_links: frozenset[LinkId] = frozenset()
        self._labels = united(own.labels)
        self._heard: dict[PeerId, LabelSet] = {}
        """What each neighbor said last."""
        self._revision = 0
        """How often the reference has been replaced."""
        self._reference = Reference.zero(n_columns)
        """The reference in force, about which the sums are taken from the next evaluation on."""
        self._account = self._begin_account(0)
        self._changed_at = 0
        """The round in which the estimate was exact, or a link opened or closed, last."""
        self._converged: FeatureStatistics | None = None
        """The estimate of the last converged round: the others rely on it when they end the stage, even if links change
        before their last round is known here.
        """
        self._present: FeatureStatistics | None = None
        """The estimate of this round, exact or not."""
        self._reported = ReportedStatistics(own)
        self._renaming = Renaming()
        self._is_paired = settling_s == 0.0 and options.expected_neighbors <= 1
        """Whether there is no second neighbor to wait for."""
        self._asked: set[PeerId] = set()
        """Peers past this stage that were asked for the statistics."""
        self._barred: set[PeerId] = set()
        """Peers whose labels do not fit: nothing of them counts in this stage."""
        self.found: FeatureStatistics | None = None

    @property
    def round(self) -> int:
        return self._rounds.round

    @property
    def neighborhood(self) -> Neighborhood:
        return self._rounds.neighborhood

    @property
    def name(self) -> str:
        """The name of the statistics, as far as known here: of the agent that names references."""
        return self._run

    @property
    def reference(self) -> Reference:
        """The reference in force."""
        return self._reference

    def ledger(self) -> AgentLedger:
        """The agent's ledger of the present account."""
        return self._rounds.ledger()

    def start(self, now: float) -> list[RoundEffect]:
        return self._carry_out(self._rounds.start(now), now)

    def handle(self, event: RoundEvent, now: float) -> list[RoundEffect]:
        """Handle one event, and return its effects; ProtocolError as for rounds."""
        effects = self._handled(event, now)
        if self.found is None:
            self.found = self._believed_report(now)
        return effects

    def _handled(self, event: RoundEvent, now: float) -> list[RoundEffect]:
        match event:
            case MessageReceived(peer) if peer in self._barred:
                return []
            case MessageReceived(peer, LabelSet() as label_set):
                neighbor = self._rounds.neighborhood.find(peer)
                # Resent until it is answered, since the peer may not know yet that its link is open.
                is_open = neighbor is not None and neighbor.is_open
                return self._label_set_received(peer, label_set, now) if is_open else []
            case MessageReceived(peer, FeatureStatistics() as found):
                self._reported.check(found)
                neighbor = self._rounds.neighborhood.find(peer)
                if peer in self._asked or neighbor is None or not neighbor.is_open:
                    self._reported.hear(peer, found, now)
                return []
            case MessageReceived(peer, Hello()):
                self._heard.pop(peer, None)  # the peer may have been restarted, and have a smaller set than before
        return self._carry_out(self._rounds.handle(event, now), now)

    def next_deadline(self) -> float | None:
        deadlines = (self._rounds.next_deadline(), self._reported.next_deadline())
        return earliest(deadlines)

    def ask(self, peer: PeerId, now: float) -> list[RoundEffect]:
        """Say Hello to a peer past this stage, which answers with the statistics found."""
        self._asked.add(peer)
        return self.handle(PeerConnected(peer), now)

    def _believed_report(self, now: float) -> FeatureStatistics | None:
        averaging = {neighbor.peer for neighbor, _ in self._rounds.neighborhood.open()}
        known = [statistics for statistics in (self._converged, self._present) if statistics is not None]
        is_only_one = self._is_paired and sum(n.is_connected for n in self._rounds.neighborhood) <= 1
        return self._reported.believed(known, averaging, now, is_only_one=is_only_one)

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
                    effects += self._rounds.handle(self._sums(effect.round), now)
                case RunLocalStep():
                    effects += self._rounds.handle(self._estimated(effect, now), now)
                    if self.found is None and effect.round - self._changed_at > MAX_UNSETTLED_ROUNDS:
                        return [*outward, *self._give_up(now)]
                case Send(peer, Share()):
                    outward += [*self._tell(peer), effect]
                case Finish() if self.found is None:
                    return [*outward, *self._give_up(now)]
                case Notify(notice) if not isinstance(notice, InStatistics | InMeasurement):
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
            self._rename()
        if before != self._open_links:
            self._changed_at = self.round

    def _give_up(self, now: float) -> list[RoundEffect]:
        """Leave without training: parameters for samples in arbitrary units would be worse than none."""
        column, change = self._account.worst
        leave = [effect for effect in self._rounds.handle(LeaveRequested(), now) if isinstance(effect, Send)]
        return [*leave, Notify(StatisticsUnsettled(self.round, column, change * TOLERANCE)), Close()]

    def _sums(self, round_: int) -> Evaluated:
        """The agent's own sums about the reference; in a new account where it is another than in the round before."""
        if self._account.name != self._account_name():
            self._raise_masks()
            self._account = self._begin_account(round_)
        return Evaluated(round_, *self._account.own(self._own))

    def _account_name(self) -> int:
        return account_name(self._epoch, self._revision, self._run, is_of_sizes=self._sizes is not None)

    def _begin_account(self, round_: int) -> Account:
        name, n_columns = self._account_name(), len(self._own.mean)
        account: Account
        if self._sizes is not None and not self._revision:
            account = SizesAccount(name, round_, self._sizes, n_columns)
        else:
            is_masking = self._sizes is not None
            account = MomentsAccount(name, round_, self._reference, self._own.n_sums, is_masking=is_masking)
        self._rounds.begin_account(name, account.masking)
        return account

    def _name_reference(self, reference: Reference) -> None:
        """Replace the reference; the others will hear of it."""
        self._reference, n_samples = reference, reference.n_samples
        self._revision = revision_after(self._revision, n_samples) if n_samples else bounded(self._revision + 1)

    def _raise_masks(self) -> None:
        """Name the reference anew where this agent's sums would stick out of its masks."""
        raised = None if self._sizes is None else self._sizes.raised(self._reference)
        if raised is not None:
            self._rename()
            self._name_reference(raised)

    def _estimated(self, effect: RunLocalStep, now: float) -> LocalStepDone:
        """Judge the round's estimate: is it stationary, or is a nearer reference needed? No parameters are stepped."""
        account, age = self._account, effect.round - self._account.begun_at
        account.observe(effect, age)
        estimate = account.estimate
        self._present = None
        if estimate is not None:
            self._present = FeatureStatistics(self._run, self._labels, estimate.mean, estimate.variance)
        is_exact = account.is_exact(age)
        if is_exact:
            self._changed_at = effect.round
        is_in_force = account.name == self._account_name() and self._is_agreed(now)
        is_settled = now - self._opened_at >= self._settling_s and not self._reported.is_waiting
        is_stationary = is_exact and is_in_force and is_settled
        if is_stationary:
            self._converged = self._present
        elif is_in_force and account.is_used_up(age):
            account.far_at = age if account.far_at is None else account.far_at
            if self._run != self._new_run() and age > 2 * account.far_at + FAR_ROUNDS:
                self._rename()
            if self._run == self._new_run():
                self._name_reference(account.next_reference())
        # The first residual, 1, is the scale of all later ones at every agent.
        residual = 0.0 if is_stationary and effect.round > 0 else 1.0
        return LocalStepDone(effect.round, effect.params, residual, proximal_weight=0.0)

    # Labels and the id of the averaging run.

    def _rename(self) -> None:
        """Give the statistics a new name, of this agent."""
        self._epoch = bounded(self._epoch + 1)
        self._run = self._new_run()

    def _new_run(self) -> str:
        return f"{self._me}.{self._epoch}"

    def _is_agreed(self, now: float) -> bool:
        peers = [neighbor.peer for neighbor, _ in self._rounds.neighborhood.open()]
        return all(self._is_same(self._heard.get(peer)) or self._renaming.is_restless(peer, now) for peer in peers)

    def _is_same(self, label_set: LabelSet | None) -> bool:
        said = None if label_set is None else (label_set.epoch, label_set.revision, label_set.survey, label_set.labels)
        return said == (self._epoch, self._revision, self._run, self._labels)

    def _tell(self, peer: PeerId) -> Iterable[Send]:
        return [] if self._is_same(self._heard.get(peer)) else [self._label_set(peer)]

    def _label_set(self, peer: PeerId) -> Send:
        is_confirmed = self._is_same(self._heard.get(peer))
        said = (self._epoch, self._run, self._labels, is_confirmed)
        if not self._revision:
            return Send(peer, LabelSet(*said))
        return Send(peer, LabelSet(*said, self._revision, self._reference.mean, self._reference.variance))

    def _label_set_received(self, peer: PeerId, label_set: LabelSet, now: float) -> list[RoundEffect]:
        try:
            labels, reference = self._read(peer, label_set)
        except ProtocolError as error:
            # Without what it says there is no end, and with it no truth: the stage goes on without the peer.
            self._barred.add(peer)
            excluded = self._rounds.neighborhood.part(peer, CloseReason.OUT_OF_RANGE, now)
            return self._carry_out([Notify(MessageDropped(peer, str(error))), *excluded], now)
        self._labels = labels
        if self._sizes is not None and label_set.revision:
            self._sizes.hear(reference)
        is_later = (-label_set.epoch, -label_set.revision, label_set.survey) < (
            -self._epoch,
            -self._revision,
            self._run,
        )
        if is_later and self._renaming.is_allowed(peer, now):
            self._epoch, self._revision, self._run = label_set.epoch, label_set.revision, label_set.survey
            self._reference = reference
        self._heard[peer] = label_set
        return [] if label_set.is_confirmed else [self._label_set(peer)]

    def _read(self, peer: PeerId, label_set: LabelSet) -> tuple[tuple[str, ...], Reference]:
        """All labels, and the reference of the set; ProtocolError where they cannot be."""
        if label_set.epoch > self._epoch + MAX_AHEAD or label_set.revision > self._revision + MAX_AHEAD:
            raise ProtocolError("LabelSet.epoch: far ahead of any in this network")
        if label_set.labels and not self._own.has_labels:
            raise ProtocolError("LabelSet.labels: there are none in this network")
        labels = united(self._labels, label_set.labels)
        if labels == TOO_MANY and not self._is_excess_likely(peer):
            raise ProtocolError(
                f"LabelSet.labels: with those of this neighbor there are more than {MAX_LABELS} labels and levels, or "
                f"{MAX_BYTES_OF_LABELS} bytes of them; name them in data.classes; training goes on without it"
            )
        n_columns = len(self._own.mean)
        reference = Reference.zero(n_columns)
        if label_set.revision:
            n_samples = 0.0 if self._sizes is None else samples_of(label_set.revision)
            reference = Reference(label_set.mean, label_set.variance, n_samples)
        reference.check(n_columns)
        return labels, reference

    def _is_excess_likely(self, peer: PeerId) -> bool:
        """Whether too many labels are believed of one neighbor: where there is no other, or many are known already."""
        is_only_one = all(neighbor.peer == peer for neighbor, _ in self._rounds.neighborhood.open())
        return is_only_one or self._labels == TOO_MANY or len(self._labels) > MAX_LABELS // 2
