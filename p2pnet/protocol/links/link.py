"""Conserving links: mass moves between two agents, and none of it is ever lost.

Each end of a link keeps the total it `sent` to the other and the total it `received` from it. A share carries the
running total, never a difference, so that a lost one is made good by the next, and a repeated or late one changes
nothing. Closing a link at both ends makes it as if it had never been.

Though nothing is lost with it, a share that the next one has overtaken is worth waiting for: rounds mixed of their own
shares are those of NEXT. It is *missing* until it comes, or its round is mixed without it.

Both ends may begin their books anew, in a new *account*: then totals are zero, and what is sent in other accounts is no
mass of theirs. The receiver need not be told before: the total of the last share counts once it begins that account.

Where shares are rounded on the wire, the books are kept on what the other end will read: what is rounded away stays
with the sender. Since totals grow and rounding with them, a rounded share carries its total relative to that of a
share which the receiver has acknowledged, the *base*.
"""

from __future__ import annotations

import math
from typing import final

import numpy as np

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import Array, LinkId, WireArray
from p2pnet.protocol.messages.training import Share

MAX_IN_FLIGHT = 2
"""Shares of a link that may be under way, neither confirmed nor given up for lost: a slow peer never makes a queue of
stale models."""

MAX_UNACKNOWLEDGED = 6
"""Shares that may be unconfirmed at all, the lost ones with them; then the last ones are repeated."""

ACKNOWLEDGEMENT_DELAY_S = 0.05
"""How long an acknowledgement waits for a share that takes it along: shorter than anybody waits to send again."""

MAX_UNRETURNED = 3
"""Shares with mass that a neighbor is given in a row before one of its own comes."""

MAX_WAITING = 4
"""Shares of a link kept for later rounds; an honest neighbor can be no further ahead than its window."""

MAX_BASES = 8
"""Totals of received shares kept as possible bases; an honest neighbor needs no more than its window and one."""


@final
class Link:
    """One end's books of one link."""

    def __init__(self, link_id: LinkId, size: int, precision: int, timer: ResendTimer, account: int = 0) -> None:
        self.link_id = link_id
        self.precision = precision
        self.timer = timer
        # Nothing yet, which takes no memory: books are replaced, never written into.
        self.sent: Array = np.broadcast_to(np.zeros(1), size)
        self.received: Array = self.sent
        self.account = account
        """Names the books; totals of other accounts than this are not entered."""
        self.sequence = 0
        self.acknowledged = 0
        self.newest_received = 0
        self.missing: int | None = None
        """The sequence number before the newest received, where that share has not come and is still of use."""
        self.n_unreturned = 0
        """Shares given since the last that came."""
        self.newest_round = -1
        """The latest round that a share has come from."""
        self._unconfirmed: list[Share] = []
        """Of the last two shares sent those not confirmed, for sending again byte for byte."""
        self.latest: Share | None = None
        """The last share applied."""
        self._latest_total: Array = self.received
        """Its total, of whatever account."""
        self.mass_flow: Array | None = None
        """The mass given in the last round, None where it was not a whole one."""
        self.params_flow: Array | None = None
        """What the neighbor's parameters moved ours by in the last round, likewise."""
        self._told = 0
        """The last sequence number acknowledged to the other end."""
        self.acknowledgement_due_at: float | None = None
        """When an Ack is to be sent, unless a share takes the acknowledgement along before."""
        self._waiting: list[tuple[Share, Array]] = []
        """Shares that came and are not yet applied, oldest first, each with its whole total."""
        self._sent_by: dict[int, Array] = {0: self.sent}
        self._received_by: dict[int, Array] = {0: self.received}

    def begin_account(self, account: int) -> None:
        """Begin the books anew: nothing sent, and nothing received but what the last share says of that account.

        For totals that are not rounded on the wire, which are relative to no earlier share.
        """
        if self.precision < 64:
            raise ValueError("books of rounded totals cannot be begun anew: later shares are relative to earlier ones")
        self.account = account
        self.sent = self._sent_by[0]
        is_begun = self.latest is not None and self.latest.account == account
        self.received = self._latest_total if is_begun else self._received_by[0]
        self.mass_flow = None

    # Sending.

    def is_window_open(self, now: float) -> bool:
        n_unacknowledged = self.sequence - self.acknowledged
        return n_unacknowledged < MAX_UNACKNOWLEDGED and self.timer.n_in_flight(now) < MAX_IN_FLIGHT

    @property
    def is_settled(self) -> bool:
        """Whether the other end has confirmed everything sent."""
        return self.acknowledged == self.sequence

    def give(self, mass: Array) -> tuple[int, WireArray]:
        """Enter `mass` as sent under the next sequence number; the base and the total to be put in the share."""
        self.sequence += 1
        self.n_unreturned += 1
        if self.precision == 64:
            self.sent = self.sent + mass
            return 0, self.sent
        base = self._sent_by[self.acknowledged]
        relative = (mass if base is self.sent else mass + (self.sent - base)).astype(np.float32)
        self.sent = base + relative
        self._sent_by[self.sequence] = self.sent
        return self.acknowledged, relative

    def keep(self, share: Share, now: float) -> None:
        """Note that this share goes out now, and keep it until it is confirmed."""
        self._unconfirmed = [*self._unconfirmed[-1:], share]
        self.timer.sent(share.sequence, now)

    def acknowledge(self, sequence: int, missing: int | None, now: float) -> list[Share]:
        """Take the shares up to `sequence` for confirmed, but for a missing one, which is returned where that is news:
        it is to be sent again at once.
        """
        if not self.acknowledged <= sequence <= self.sequence:
            return []
        is_news = sequence > self.acknowledged
        self.acknowledged = sequence
        self._unconfirmed = [s for s in self._unconfirmed if s.sequence > sequence or s.sequence == missing]
        self.timer.acknowledged(sequence, not self._unconfirmed, now)
        if self.precision < 64:
            self._sent_by = {later: total for later, total in self._sent_by.items() if later >= sequence}
        return [share for share in self._unconfirmed if is_news and share.sequence == missing]

    def resend(self, now: float) -> list[Share]:
        """The unconfirmed shares, if it is time to send them again."""
        if not self._unconfirmed or self.timer.due_at is None or now < self.timer.due_at:
            return []
        self.timer.sent(self._unconfirmed[-1].sequence, now)
        return self._unconfirmed

    # Receiving.

    def accept(self, share: Share, round_: float, now: float) -> bool:
        """Keep a share until its round is mixed; False for one that came before, or too late. `round_` is the round to
        be mixed next: of earlier ones nothing is missing any more.
        """
        is_overtaken = share.sequence == self.missing
        if share.sequence <= self.newest_received and not is_overtaken:
            return False
        if (share.round > self.newest_round) if is_overtaken else (share.round < self.newest_round):
            place = "before" if is_overtaken else "after"
            raise ProtocolError(f"Share.round: {share.round} {place} a share of round {self.newest_round}")
        total = self._whole_total(share)
        if is_overtaken:
            self.missing = None
            self._waiting.insert(-1, (share, total))
        else:
            is_gap = share.sequence > self.newest_received + 1 and share.round > round_
            self.missing = share.sequence - 1 if is_gap else None
            self.newest_received = share.sequence
            self.newest_round = share.round
            self._waiting = [*self._waiting, (share, total)][-MAX_WAITING:]
        if share.precision < 64:
            self._keep_as_base(share.sequence, total)
        if self.acknowledgement_due_at is None:
            self.acknowledgement_due_at = now + ACKNOWLEDGEMENT_DELAY_S
        self.n_unreturned = 0
        return True

    def _whole_total(self, share: Share) -> Array:
        """The share's total, with that of its base; ProtocolError where it has none or is of another size."""
        if share.total.shape != self.received.shape:
            raise ProtocolError(
                f"Share.total: {share.total.size} numbers instead of {self.received.size}; "
                "the sender trains a model of another size"
            )
        base = self._received_by.get(share.base)
        if base is None or len(self._received_by) > MAX_BASES:
            raise ProtocolError(f"Share.base: share {share.base} was never acknowledged, or too long ago")
        is_whole = share.precision == 64 and share.base == 0
        total: Array = share.total.astype(np.float64, copy=False) if is_whole else base + share.total
        return total

    def _keep_as_base(self, sequence: int, total: Array) -> None:
        """Keep a total that later shares may be relative to; those before the newest share's base are done with, but
        not while a share is missing whose base may be older.
        """
        self._received_by[sequence] = total
        if self.missing is None:
            oldest = self._waiting[-1][0].base
            self._received_by = {later: kept for later, kept in self._received_by.items() if later >= oldest}

    def has_come(self, round_: int) -> bool:
        """Whether the share of a round is here; or a later one and nothing is missing before it."""
        if self.newest_round < round_:
            return False
        if self.missing is None or (self.latest is not None and self.latest.round >= round_):
            return True
        return any(share.round == round_ for share, _ in self._waiting)

    @property
    def has_news(self) -> bool:
        """Whether a share has come that is not yet applied."""
        return bool(self._waiting)

    def has_all(self, sequence: int) -> bool:
        """Whether all shares up to this one have come that are still of use."""
        return self.newest_received >= sequence and self.missing is None

    def imbalance(self) -> float:
        """‖received − sent‖ with the newest share that has come: the mass that the link has moved in all."""
        is_newer = self._waiting and self._waiting[-1][0].account == self.account
        received = self._waiting[-1][1] if is_newer else self.received
        return norm(received - self.sent)

    @property
    def owes_acknowledgement(self) -> bool:
        return self._told < self.newest_received

    def tell_received(self) -> int:
        """The sequence number to acknowledge, in a message that goes out now."""
        self._told = self.newest_received
        self.acknowledgement_due_at = None
        return self._told

    def apply(self, round_: int) -> bool:
        """Enter the shares of rounds up to `round_` as received; whether there were any.

        If none of them is of that very round, the later ones stand in for it: the round's own share is lost or late.
        """
        due = [(share, total) for share, total in self._waiting if share.round <= round_]
        if not due or due[-1][0].round < round_:
            due = self._waiting
        if not due:
            return False
        self._waiting = self._waiting[len(due) :]
        if not self._waiting:
            self.missing = None
        self.latest, self._latest_total = due[-1]
        if self.latest.account == self.account:
            self.received = self._latest_total
        return True


def norm(vector: WireArray) -> float:
    """‖v‖, infinite where its square is too large to be told."""
    # Unlike the other products, vdot overflows without a warning.
    return math.sqrt(np.vdot(vector, vector))
