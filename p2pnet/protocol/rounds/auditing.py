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
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from p2pnet.protocol.core.effects import Audit
from p2pnet.protocol.core.events import Audited
from p2pnet.protocol.core.types import Array, PeerId
from p2pnet.protocol.links.ledger import norm
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.links.tracker import Tracker
from p2pnet.protocol.rounds.astray import Astray
from p2pnet.protocol.rounds.steadiness import RESTLESS_ROUNDS, Steadiness
from p2pnet.protocol.rounds.usual import Usual

FIRST_AUDITS: Final = 12
"""Of all neighbors, in which the agent learns what is usual."""
PART_OF_FIRST: Final = 0.02
PART_OF_USUAL: Final = 0.7
TIMES_THE_MIDDLE: Final = 2.0
"""An agent to which all others are of no use is the one that is unlike."""
UNEQUAL: Final = 4.0
"""As many samples, or as few, as others have: then they are no measure of what is usual."""
UNEQUAL_ROUNDS: Final = 100
STEADY_MASS: Final = 0.001
"""By how much weight, and by ten times what part samples, may change in a round where none has come, gone or lost a
neighbor, and no jump is passed on of one that has."""
SUDDEN: Final = 10.0
"""Times what gradients of late have changed by in a round."""
TURN_FADING: Final = 0.95
SUDDEN_ROUNDS: Final = 5
STEADY_ROUNDS: Final = 12
"""Without a change of links or weight: where others come and go, honest agents of other samples may go far."""
FADING: Final = 0.993
"""Of the own size, from round to round."""
FAR: Final = 0.5
"""Of the own parameters' size: honest neighbors are nearer after the first audits, but for a ring of 24 that see other
classes, where training is restless and 2 are reached."""
OUT_OF_REACH: Final = 20.0
"""Times the own size, which is too far in the first audits, too."""
OUT_OF_REACH_RESTLESS: Final = 1e6
"""The same where samples have changed of late; 10⁴ where three in four of an agent's rows are 100 deviations away."""
JUMP: Final = 12.0
"""Times the largest distance of late; 9 on that ring."""
JUMP_ALIKE: Final = 5.0
WHOLE: Final = 0.95
"""Of the own parameters' size; honest neighbors that jumped so far went 9 times as far as of late."""
LEAP_FAR: Final = 16.0
LEAP: Final = 28.0
"""19 where a neighbor meets others after the network was in parts; 34 and more with lies."""
JUMPS: Final = 2
"""One after the other, where agents see other classes: a neighbor that meets others after it was cut off jumps once."""
REACH_FADING: Final = 0.9
USELESS: Final = 0.5
USELESS_TIMES: Final = 2.0
GROSS: Final = 2.0
MAX_STRIKES: Final = 6.0
"""3 on that ring."""
FORGIVEN: Final = 0.5
MAX_BEYOND: Final = 4
"""Jumps one after the other, with parameters of any use, where samples are alike: as when they are twice as large."""
RECENT_ROUNDS: Final = 3
"""For which losses are compared with the agent's own."""
RATE: Final = 0.1
MAX_MEAN: Final = 0.95
MAX_MEAN_ALIKE: Final = 0.5
"""0.83 and 0.39 on that ring; 0.3 elsewhere."""
NEAR: Final = 0.15
"""Of the own size: honest neighbors that fit other samples are as near as 0.1, those that drift away are not."""
SUSPICIOUS: Final = 0.05
"""The mean from which a neighbor is audited in each round."""
REMEMBERED: Final = 24
"""Rounds for which the loss of a neighbor counts."""
ABSENT: Final = 3
"""Rounds without a neighbor's parameters after which these may come from elsewhere."""
WELCOME_ROUNDS: Final = 24


@dataclass(slots=True)
class _Held:
    """What is held against a neighbor."""

    welcome_until: int
    """The round up to which it may be far off."""
    seen: int
    """The round of which its parameters were last there."""
    audited: int = -1
    loss: float = math.inf
    mean: float = 0.0
    strikes: float = 0.0
    distance: float = 0.0
    """when it was last there"""
    is_far: bool = False
    has_jumped: bool = False
    has_leapt: bool = False
    n_jumps: int = 0
    n_beyond: int = 0
    is_out_of_reach: bool = False


@final
class Auditing:
    """Asks what neighbors' parameters are worth, and judges by the answers."""

    def __init__(self) -> None:
        self._records: dict[PeerId, _Held] = {}
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
        self._n_since_unequal = UNEQUAL_ROUNDS + 1
        self._turn = 0.0
        """the largest change of what is tracked of gradients in a round, of late"""
        self._n_since_sudden = 0
        self._steadiness = Steadiness()

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is still to come."""
        return self._asked is not None

    @property
    def may_have_changed(self) -> bool:
        """Whether what is tracked of samples or gradients has changed all at once of late: where an honest agent jumps
        that lost none, its samples have changed, or those of others whose mass it passes on.
        """
        return self._n_since_sudden < SUDDEN_ROUNDS

    @property
    def is_alike(self) -> bool:
        """Whether the samples of the agents around are known to be alike."""
        return (
            self.is_typical
            and self._usual.is_alike
            and not self._is_learning
            and self._n_since_unequal > UNEQUAL_ROUNDS
        )

    @property
    def _is_learning(self) -> bool:
        """Whether what is usual is still being learned."""
        return self._n_audits < FIRST_AUDITS or self._n_restless > 0

    # Asking.

    def see_network(self, tracker: Tracker, links: Sequence[Link]) -> None:
        """Take in what is tracked in a round, of samples and weight, and the agent's links.

        One that has lost a neighbor jumps in the same round in which its share says so, by weight and samples.
        """
        self._steadiness.see(links, tracker.weight)
        self._n_restless = max(0, self._n_restless - 1)
        n_samples, mean = float(tracker.own[-2]), tracker.mean_samples
        mass, most = tracker.own.astype(np.float64), mean
        for link in links:
            moved = link.moved()
            mass += moved
            most = max(most, abs(float(moved[-2])))
        coming, weight = mass[-2:]
        is_sudden = abs(coming - weight * mean) > 10.0 * STEADY_MASS * mean
        turn = norm(mass[:-2] - tracker.estimate[:-1] * weight)
        is_sudden = is_sudden or not turn <= SUDDEN * self._turn
        self._turn = max(TURN_FADING * self._turn, turn)
        self._n_since_sudden = 0 if is_sudden else self._n_since_sudden + 1
        if abs(weight - tracker.weight) > STEADY_MASS or abs(coming - weight * mean) > 10.0 * STEADY_MASS * mean:
            self._steadiness.interrupt()
        is_equal = most <= UNEQUAL * n_samples and n_samples <= UNEQUAL * mean
        self._n_since_unequal = self._n_since_unequal + 1 if is_equal or self._n_audits < FIRST_AUDITS else 0

    def before_mixing(self, round_: int, own: Array, coming: Mapping[PeerId, Array]) -> Audit | None:
        """What is to be known before parameters that come for a round are mixed with the agent's own: the losses of
        those that are far off.
        """
        self._size = max(FADING * self._size, norm(own))
        reach = self._reach
        self._reach *= REACH_FADING
        for peer, params in coming.items():
            distance, record = norm(params - own), self._seen(peer, round_)
            record.distance = distance
            record.is_far = not distance <= FAR * self._size
            record.has_jumped = record.is_far and not distance <= (JUMP_ALIKE if self.is_alike else JUMP) * reach
            is_whole = not distance <= WHOLE * self._size
            record.has_leapt = record.has_jumped and not distance <= (LEAP_FAR if is_whole else LEAP) * reach
            reachable = OUT_OF_REACH if self._n_restless == 0 else OUT_OF_REACH_RESTLESS
            record.is_out_of_reach = not distance <= reachable * self._size
            if not record.has_jumped:
                self._reach = max(self._reach, distance)
        records = {peer: self._records[peer] for peer in coming}
        is_learning = self._is_learning
        far = [peer for peer, record in records.items() if (record.is_out_of_reach if is_learning else record.is_far)]
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

    def _seen(self, peer: PeerId, round_: int) -> _Held:
        """The record of a neighbor whose parameters are there; welcome where it has come, or has come back."""
        record = self._records.get(peer)
        if record is None:
            is_known = self._is_learning or peer in self._convicted
            welcome_until = -1 if is_known else round_ + WELCOME_ROUNDS
            record = self._records[peer] = _Held(welcome_until, round_)
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
        is_first = self._n_audits <= FIRST_AUDITS or self._n_restless > 0
        self._usual.learn(audited, self._astray.rise, losses, is_first=is_first)
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
        record = self._records[peer]
        best = min([audited.own, *(loss for other, loss in losses.items() if other != peer)])
        excess, middle = record.loss - best, TIMES_THE_MIDDLE * self._usual.middle
        scale = abs(best) + PART_OF_FIRST * abs(audited.first) + PART_OF_USUAL * self._usual.excess + middle
        quotient = excess / scale if scale else 0.0
        # One whose own parameters are worse still is the one that is far off.
        is_useless = record.loss > audited.own and excess > max(
            USELESS * (audited.first - best), USELESS_TIMES * abs(best), middle
        )
        is_known = self.knows_as_liar(peer)
        is_steady = self._steadiness.has_lasted(STEADY_ROUNDS) or is_known
        is_welcome = self._n_audits <= FIRST_AUDITS or self._n_restless > 0 or audited.round <= record.welcome_until
        is_held = not is_welcome and (is_steady or self.is_alike)
        is_steady_alike = is_steady and self.is_alike
        recent = [
            other.loss
            for name, other in self._records.items()
            if name != peer and other.audited > audited.round - RECENT_ROUNDS
        ]
        is_apart = self.is_typical and record.distance > NEAR * self._size and excess > middle
        is_led = self._astray.is_led_by(peer, record.loss, recent, audited, is_apart=is_apart, is_known=is_known)
        record.mean += RATE * (max(-1.0, min(quotient, 1.0)) - record.mean)
        is_bad = record.mean > (MAX_MEAN_ALIKE if self.is_alike else MAX_MEAN)
        is_bad = is_bad and record.distance > (NEAR if self.is_alike else FAR) * self._size
        if record.is_far and (is_useless or is_steady_alike) and is_held:
            record.strikes += 1.0
        else:
            record.strikes = max(0.0, record.strikes - FORGIVEN)
        is_gross = is_useless or record.is_out_of_reach or (self.is_alike and quotient > GROSS)
        record.n_jumps = record.n_jumps + 1 if record.has_jumped and is_gross and is_held else 0
        record.n_beyond = record.n_beyond + 1 if record.has_jumped and is_steady_alike and is_held else 0
        has_jumped = record.n_jumps >= (1 if is_steady_alike or (is_steady and record.has_leapt) else JUMPS)
        has_jumped = has_jumped or record.n_beyond >= MAX_BEYOND or (record.is_out_of_reach and is_useless)
        return has_jumped or record.strikes > MAX_STRIKES or is_bad or is_led
