"""The audit: what a neighbor's parameters are worth on the agent's own samples, and when they are worth too little.

With F the mean loss of some own samples, z the agent's proposal and z_j those of its neighbors, a neighbor's loss is
F(z_j), and where it is far off max (F(z_j), F((z + z_j)/2)): the way to it counts too, since mixing goes that way. (A
hidden layer of odd activation with all signs turned computes the same, and so does one whose units are permuted; a
mean with either computes nothing.)
With F* the best of F(z) and of other neighbors' losses, the excess e_j = loss_j − F*, F_0 the loss before training, and
u the usual excess, which is learned in the first 12 audits and fades,

    q_j = e_j / (|F*| + 0.02 F_0 + 0.7 u + 2 m)

m being the lower middle neighbor's excess at present.

Samples are alike where they are as far as the agent can tell (`usual.py`), but not for 100 rounds after one agent had
four times as many samples, or as few, as agents have in the mean, or as a link has moved. A neighbor is convicted

- of a jump: farther off than half the size of the own parameters, and than 12 times (5, where samples are alike) as far
  as neighbors were of late, with parameters of no use, e_j > max ((F_0 − F*)/2, 2 |F*|, 2 m), or q_j > 2 where samples
  are alike; where they are not, twice in a row, or at once from 28 times on (16, where it is about as far as the own
  size). From 20 times the own size on with any parameters (those that are scaled up may fit own samples), and from the
  first round on with those of no use; where samples are alike four times in a row with any parameters;
- of seven rounds, nearly in a row, that far off and of no use, or of any use where samples are alike;
- of a moving mean of min (q_j, 1) above 0.95 while it is that far off, which takes 29 bad audits, or above 0.5 where
  samples are alike and it is not near;
- of having led the agent astray (`astray.py`), from the first audit on.

Whoever is far off is audited before it is mixed; of the others one in every second round, in turn, after
mixing; all of them at first, and one that is suspicious in each round.
An agent whose parameters come from elsewhere, after it was away or cut off, may be far off for 24 rounds, unless it was
convicted before. Until links and weight were steady for 12 rounds it takes two jumps in a row where samples are alike,
and no jump counts where they are not; nor are they steady in a round in which the mass that comes has another weight,
or other samples: an agent that loses a neighbor jumps at once, and so do those that mix with it, before others know.
Where samples have changed, with an epoch or by an excuse (`excuses.py`), what is usual is learned anew for 36 rounds,
in which nobody is convicted that is within 10⁶ sizes.
With a single neighbor there is nobody to compare it with.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence, Set
from typing import Final, final

from p2pnet.protocol.core.effects import Audit
from p2pnet.protocol.core.events import Audited
from p2pnet.protocol.core.types import Array, PeerId
from p2pnet.protocol.links.ledger import norm
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.links.tracker import Tracker
from p2pnet.protocol.rounds.astray import Astray
from p2pnet.protocol.rounds.charges import NEAR, Charges, Circumstances, Worth
from p2pnet.protocol.rounds.movement import Movement
from p2pnet.protocol.rounds.steadiness import RESTLESS_ROUNDS
from p2pnet.protocol.rounds.usual import Usual

FIRST_AUDITS: Final = 12
"""Of all neighbors, in which the agent learns what is usual."""
PART_OF_FIRST: Final = 0.02
PART_OF_USUAL: Final = 0.7
TIMES_THE_MIDDLE: Final = 2.0
"""An agent to which all others are of no use is the one that is unlike."""
USELESS: Final = 0.5
USELESS_TIMES: Final = 2.0
STEADY_ROUNDS: Final = 12
"""Without a change of links or weight: where others come and go, honest agents of other samples may go far."""
FADING: Final = 0.993
"""Of the own size, from round to round."""
REACH_FADING: Final = 0.9
RECENT_ROUNDS: Final = 3
"""For which losses are compared with the agent's own."""
SUSPICIOUS: Final = 0.05
"""The mean from which a neighbor is audited in each round."""
REMEMBERED: Final = 24
"""Rounds for which the loss of a neighbor counts."""
ABSENT: Final = 3
"""Rounds without a neighbor's parameters after which these may come from elsewhere."""
WELCOME_ROUNDS: Final = 24


@final
class Auditing:
    """Asks what neighbors' parameters are worth, and judges by the answers."""

    def __init__(self) -> None:
        self._records: dict[PeerId, Charges] = {}
        self._convicted: set[PeerId] = set()
        self.is_typical = False
        """Whether the agent's own targets look like the network's."""
        self._begin()

    def begin_anew(self) -> None:
        """Forget what was usual, and what is held against whom, and be restless: what is minimised has changed."""
        self._begin()
        self._n_restless = RESTLESS_ROUNDS

    def _begin(self) -> None:
        self._records.clear()
        self._n_restless = 0
        self._asked: Audit | None = None
        self._n_audits = 0
        self._size = 0.0
        """of the own parameters, the largest of late"""
        self._reach = 0.0
        """the distance of neighbors, the largest of late, but for those that have jumped"""
        self._usual = Usual()
        self._astray = Astray()
        self._has_convicted = False
        self._movement = Movement()

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is still to come."""
        return self._asked is not None

    @property
    def may_have_changed(self) -> bool:
        """Whether what is tracked of samples or gradients has changed all at once of late: where an honest agent jumps
        that lost none, its samples have changed, or those of others whose mass it passes on.
        """
        return self._movement.is_sudden

    @property
    def is_alike(self) -> bool:
        """Whether the samples of the agents around are known to be alike."""
        return self.is_typical and self._usual.is_alike and not self._is_learning and self._movement.is_equal

    @property
    def _is_learning(self) -> bool:
        """Whether what is usual is still being learned."""
        return self._n_audits < FIRST_AUDITS or self._n_restless > 0

    @property
    def _is_at_first(self) -> bool:
        """Whether the audit that is judged is one of those."""
        return self._n_audits <= FIRST_AUDITS or self._n_restless > 0

    # Asking.

    def see_network(self, tracker: Tracker, links: Sequence[Link]) -> None:
        """Take in what is tracked in a round, of samples and weight, and the agent's links."""
        self._n_restless = max(0, self._n_restless - 1)
        self._movement.see(tracker, links, is_first=self._n_audits < FIRST_AUDITS)

    def before_mixing(self, round_: int, own: Array, coming: Mapping[PeerId, Array]) -> Audit | None:
        """What is to be known before parameters that come for a round are mixed with the agent's own: the losses of
        those that are far off.
        """
        self._size = max(FADING * self._size, norm(own))
        around = self._circumstances()
        self._reach *= REACH_FADING
        for peer, params in coming.items():
            distance, charges = norm(params - own), self._seen(peer, round_)
            charges.see(distance, around)
            if not charges.has_jumped:
                self._reach = max(self._reach, distance)
        held = {peer: self._records[peer] for peer in coming}
        is_learning = self._is_learning
        far = [peer for peer, each in held.items() if (each.is_out_of_reach if is_learning else each.is_far)]
        return self._ask(round_, own, coming, far, is_way_too=True)

    def after_mixing(self, round_: int, own: Array, mixed: Mapping[PeerId, Array]) -> Audit | None:
        """What else is to be known of the parameters of a round."""
        records = {peer: self._seen(peer, round_) for peer in mixed}
        if self._n_audits < FIRST_AUDITS:
            return self._ask(round_, own, mixed, mixed)
        others = [peer for peer, record in records.items() if record.audited < round_]
        turn = None if round_ % 2 else min(others, key=lambda peer: records[peer].audited, default=None)
        return self._ask(
            round_, own, mixed, [peer for peer in others if peer == turn or records[peer].mean > SUSPICIOUS]
        )

    def _circumstances(self) -> Circumstances:
        return Circumstances(self._size, self._reach, is_alike=self.is_alike, is_restless=self._n_restless > 0)

    def _seen(self, peer: PeerId, round_: int) -> Charges:
        """What is held against a neighbor whose parameters are there; welcome where it has come, or has come back."""
        record = self._records.get(peer)
        if record is None:
            is_known = self._is_learning or peer in self._convicted
            welcome_until = -1 if is_known else round_ + WELCOME_ROUNDS
            record = self._records[peer] = Charges(welcome_until, round_)
        elif round_ > record.seen + ABSENT and peer not in self._convicted:
            record.welcome_until = round_ + WELCOME_ROUNDS
        record.seen = round_
        return record

    def _ask(
        self,
        round_: int,
        own: Array,
        params: Mapping[PeerId, Array],
        peers: Collection[PeerId],
        *,
        is_way_too: bool = False,
    ) -> Audit | None:
        n_known = sum(record.seen > round_ - REMEMBERED for record in self._records.values())
        if n_known < 2 or not peers:
            return None
        self._asked = Audit(round_, own, {peer: params[peer] for peer in peers}, is_way_too)
        return self._asked

    # Judging.

    def judge(self, audited: Audited) -> set[PeerId]:
        """Those that are convicted by an answer to what was asked last."""
        asked, self._asked = self._asked, None
        if asked is None or audited.round != asked.round or not math.isfinite(audited.own) or not audited.others:
            return set()
        for peer, loss in audited.others.items():
            record = self._seen(peer, audited.round)
            record.loss, record.audited = loss if math.isfinite(loss) else math.inf, audited.round
        recent = audited.round - REMEMBERED
        if self._n_audits + 1 == FIRST_AUDITS or self._n_restless:
            for record in self._records.values():
                record.mean = 0.0
        losses = {peer: record.loss for peer, record in self._records.items() if record.audited > recent}
        self._n_audits += 1
        self._astray.see_own(audited, asked.own)
        self._usual.learn(audited, self._astray.rise, losses, is_first=self._is_at_first)
        return {peer for peer in audited.others if self._is_convicted(peer, audited, losses)}

    def leave_out(self, peers: Set[PeerId]) -> None:
        """Learn nothing of what is usual from neighbors that were beyond reach."""
        self._usual.leave_out(peers)

    def convict(self, peer: PeerId) -> None:
        """Know that the peer has been convicted, of whatever."""
        self._records.pop(peer, None)
        self._usual.forget(peer)
        self._astray.forget(peer)
        self._convicted.add(peer)
        self._has_convicted = True

    def knows_as_liar(self, peer: PeerId) -> bool:
        """Whether the peer has been convicted."""
        return peer in self._convicted

    def restored(self, params: Array) -> Array:
        """The parameters to go on from: better ones where one that was convicted just now had led the agent astray."""
        has_convicted, self._has_convicted = self._has_convicted, False
        return self._astray.restored(params) if has_convicted else params

    def _is_convicted(self, peer: PeerId, audited: Audited, losses: Mapping[PeerId, float]) -> bool:
        charges, around, is_known = self._records[peer], self._circumstances(), self.knows_as_liar(peer)
        is_steady = self._movement.has_been_steady(STEADY_ROUNDS) or is_known
        is_welcome = self._is_at_first or audited.round <= charges.welcome_until
        worth, is_worse = self._worth(peer, audited, losses)
        is_apart = self.is_typical and is_worse and charges.distance > NEAR * around.size
        is_led = self._astray.is_led_by(
            peer, charges.loss, self._recent(peer, audited.round), audited, is_apart=is_apart, is_known=is_known
        )
        charges.take_in(worth, around, is_steady=is_steady, is_welcome=is_welcome)
        return is_led or charges.are_enough(worth, around, is_steady=is_steady)

    def _worth(self, peer: PeerId, audited: Audited, losses: Mapping[PeerId, float]) -> tuple[Worth, bool]:
        """(what the neighbor's parameters are worth, whether they are worse than twice those of the middle one)."""
        loss, middle = self._records[peer].loss, TIMES_THE_MIDDLE * self._usual.middle
        best = min([audited.own, *(others for other, others in losses.items() if other != peer)])
        excess = loss - best
        scale = abs(best) + PART_OF_FIRST * abs(audited.first) + PART_OF_USUAL * self._usual.excess + middle
        # One whose own parameters are worse still is the one that is far off.
        least = max(USELESS * (audited.first - best), USELESS_TIMES * abs(best), middle)
        is_useless = loss > audited.own and excess > least
        return Worth(excess / scale if scale else 0.0, is_useless), excess > middle

    def _recent(self, peer: PeerId, round_: int) -> list[float]:
        """The losses of the other neighbors that were audited of late."""
        others = (charges for name, charges in self._records.items() if name != peer)
        return [charges.loss for charges in others if charges.audited > round_ - RECENT_ROUNDS]
