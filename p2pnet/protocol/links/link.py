"""Conserving links: transfer of mass between two agents as running totals, so that none is lost or counted twice.

Each end of a link keeps the total it `sent` to the other and the total it `received` from it. A share carries the
running total, never a difference, so that the next share makes a lost share good, and a repeated or late share changes
nothing. Closing a link at both ends undoes all its transfers.

Though nothing is lost with it, a share that the next one has overtaken is worth waiting for: rounds mixed of their own
shares are those of NEXT. It is *missing* until it comes, or its round is mixed without it.

Both ends may begin their ledgers anew, in a new *account*: then totals are zero, and what is sent in other accounts is
no mass of theirs. The receiver need not be told before: the total of the last share counts once it begins that account.

Where shares are rounded on the wire, the ledger is kept on what the other end will read: what is rounded away stays
with the sender. Since totals grow and rounding with them, a rounded share carries its total relative to that of a
share which the receiver has acknowledged, the *base*; so does a coded share with its parameters (`coding.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import final

import numpy as np

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import Array, LinkId, WireArray
from p2pnet.protocol.links.balance_ledger import BalanceLedger
from p2pnet.protocol.links.coding import Code
from p2pnet.protocol.links.ledger import WHOLE, Ledger, ShareNumbers, TotalsLedger
from p2pnet.protocol.messages.training import Share

MAX_IN_FLIGHT = 2
"""The most shares of a link in flight, neither acknowledged nor given up for lost, so that no queue of stale models
forms.
"""

MAX_UNACKNOWLEDGED = 6
"""The most unacknowledged shares of a link, lost ones included; beyond it the last two are resent."""

ACKNOWLEDGEMENT_DELAY_S = 0.05
"""How long an acknowledgement waits to be carried by a share: less than the shortest resend timeout."""

LARGE_BYTES = 2**20
"""A share of so many bytes is acknowledged at once: that costs next to nothing beside it, and its sender need not keep
what it was made from, nor make the next one from the same.
"""

MAX_UNRETURNED = 3
"""The most shares with mass sent to a neighbor in a row before a share of the neighbor comes."""

_NOTHING = np.zeros(0)

MAX_WAITING = 4
"""The most received shares kept for later rounds; an honest neighbor is no further ahead than its window."""


@final
class Link:
    """One end of a conserving link: its ledger, its send window, and its received shares."""

    def __init__(
        self,
        link_id: LinkId,
        size: int,
        n_params: int,
        precision: int,
        timer: ResendTimer,
        account: int = 0,
        *,
        has_curvature: bool = False,
        is_single: bool = False,
    ) -> None:
        """`size` is that of the mass, `precision` that of the shares sent; shares of any precision are received, but
        where both ends are `is_single`: of models of single precision, that exchange shares which are not coded.
        """
        self.link_id = link_id
        self.precision = precision
        self.timer = timer
        is_net = is_single and precision == 32 and not has_curvature
        self.ledger: Ledger = (
            BalanceLedger(size, n_params, account)
            if is_net
            else TotalsLedger(size, n_params, precision, account, has_curvature=has_curvature)
        )
        self.has_curvature = has_curvature
        """Whether both ends track curvature."""
        self.is_shared = True
        """Whether the other end takes part in that account: else nothing is given."""
        self._mask: Array | None = None
        self._is_confirmed = False
        self.sequence = 0
        self.acknowledged = 0
        self.newest_received = 0
        self.missing: int | None = None
        """The sequence number before the newest received, where that share has not come and is still of use."""
        self.n_unreturned = 0
        """Shares sent since a share last came."""
        self.newest_round = -1
        """The latest round of a received share."""
        self._unconfirmed: list[Share] = []
        """The unacknowledged among the last two shares sent, to be resent byte for byte."""
        self.latest: Share | None = None
        """The last share applied."""
        self.mass_flow: Array | None = None
        """The mass flow of the last round, s⁻; None where the link was not complete in that round."""
        self.curvature_flow: Array = self.ledger.curvature_sent
        """The flow of curvature of the last round, which counts where there is a mass flow."""
        self.params_flow: Array | None = None
        """The parameter flow of the last round, d⁻; None likewise."""
        self._told = 0
        """The last sequence number that was acknowledged to the other end."""
        self.acknowledgement_due_at: float | None = None
        """When an Ack is to be sent, unless a share takes the acknowledgement along before."""
        self._waiting: list[Share] = []
        """Received shares that are not yet entered in the ledger, oldest first."""
        self.proposal: WireArray | None = None
        """The parameters of the last share sent, as the other end reads them."""

    @property
    def is_net(self) -> bool:
        """Whether only the balance of what was received and sent is known."""
        return isinstance(self.ledger, BalanceLedger)

    @property
    def account(self) -> int:
        """The account of the ledger; totals of other accounts are not entered."""
        return self.ledger.account

    @property
    def sent(self) -> Array:
        """The total sent; nothing where only the balance is known."""
        return self.ledger.sent

    @property
    def received(self) -> Array:
        """The total received, less that sent where only the balance is known; then it is written into."""
        return self.ledger.received

    @property
    def curvature_sent(self) -> Array:
        """The totals of curvature (`curvature.py`); empty where there are none."""
        return self.ledger.curvature_sent

    @property
    def curvature_received(self) -> Array:
        return self.ledger.curvature_received

    @property
    def mask(self) -> Array | None:
        """What counts as received from the beginning of the account, and at the other end as sent (`masks.py`); None
        for nothing, as long as the other end may not have opened the link.
        """
        return self._mask if self._is_confirmed else None

    def mask_with(self, mask: Array) -> None:
        """Have this mask in the present account."""
        self._mask = mask

    def confirm(self) -> None:
        """Know that the other end has opened the link, too."""
        self._is_confirmed = True

    def begin_account(self, account: int) -> None:
        """Begin the ledger anew: nothing sent, and nothing received but what the last share says of that account.

        For totals that are not rounded on the wire, which are relative to no earlier share.
        """
        if self.precision < 64 or not isinstance(self.ledger, TotalsLedger):
            raise ValueError("a ledger of rounded totals cannot be begun anew: later shares refer to earlier ones")
        self.ledger.begin_account(account)
        self.mass_flow = self._mask = None

    def add_to(self, mass: Array, part: slice = WHOLE) -> None:
        """Add to this part of the mass what the link has moved, received − sent and its mask, in place."""
        mass += self.ledger.received[part]
        if not self.is_net:
            mass -= self.ledger.sent[part]
        if self.mask is not None:
            mass += self.mask[part]

    def weight_added_to(self, weight: float) -> float:
        """The same of the weight alone."""
        return float(weight + self.ledger.received[-1] - self.ledger.sent[-1])  # it has no mask

    # Sending.

    def is_window_open(self, now: float) -> bool:
        n_unacknowledged = self.sequence - self.acknowledged
        return n_unacknowledged < MAX_UNACKNOWLEDGED and self.timer.n_in_flight(now) < MAX_IN_FLIGHT

    @property
    def is_settled(self) -> bool:
        """Whether the other end has acknowledged all shares."""
        return self.acknowledged == self.sequence

    def give(self, mass: Array, params: Array, round_: int = 0) -> tuple[int, WireArray, WireArray]:
        """Add `mass` to the total sent, and return base, total and parameters of the next share, that of the round."""
        self.sequence += 1
        self.n_unreturned += 1
        given = self.ledger.give(self._numbers(), mass, params, round_)
        self.proposal = given.proposal
        return given.base, given.total, given.params

    def give_curvature(self, given: Array, mass: Array) -> Code:
        """Add what is given of curvature, of the mass of it that is present, to the total sent; return it for the share
        that has just been given.
        """
        return self.ledger.give_curvature(self._numbers(), given, mass)

    def _numbers(self) -> ShareNumbers:
        return ShareNumbers(self.sequence, self.acknowledged, self.newest_received)

    def keep(self, share: Share, now: float) -> None:
        """Record that the share is sent now, and keep it for resending until it is acknowledged."""
        self._unconfirmed = [*self._unconfirmed[-1:], share]
        self.timer.sent(share.sequence, now)

    def acknowledge(self, sequence: int, missing: int | None, now: float) -> list[Share]:
        """Record the acknowledgement of all shares up to `sequence` except `missing`; return the missing share if it is
        to be resent at once.
        """
        if not self.acknowledged <= sequence <= self.sequence:
            return []
        is_news = sequence > self.acknowledged
        self.acknowledged = sequence
        self._unconfirmed = [s for s in self._unconfirmed if s.sequence > sequence or s.sequence == missing]
        self.timer.acknowledged(sequence, not self._unconfirmed, now)
        self.ledger.acknowledge(sequence)
        return [share for share in self._unconfirmed if is_news and share.sequence == missing]

    def resend(self, now: float) -> list[Share]:
        """The unacknowledged shares if their resend timer has run out, else none."""
        if not self._unconfirmed or self.timer.due_at is None or now < self.timer.due_at:
            return []
        self.timer.sent(self._unconfirmed[-1].sequence, now)
        return self._unconfirmed

    # Receiving.

    def accept(self, share: Share, round_: float, now: float) -> Share | None:
        """Queue a received share until its round is mixed, and return it with whole parameters; None for a repeated
        share, or one that comes too late. `round_` is the round to be mixed next: shares of earlier rounds no longer
        count as missing.
        """
        is_overtaken = share.sequence == self.missing
        if share.sequence <= self.newest_received and not is_overtaken:
            return None
        if (share.round > self.newest_round) if is_overtaken else (share.round < self.newest_round):
            place = "before" if is_overtaken else "after"
            raise ProtocolError(f"Share.round: {share.round} {place} a share of round {self.newest_round}")
        whole = self.ledger.read(share, self._numbers())
        if whole is None:
            return None
        if is_overtaken:
            self.missing = None
            self._waiting.insert(-1, whole)
        else:
            is_gap = share.sequence > self.newest_received + 1 and share.round > round_
            self.missing = share.sequence - 1 if is_gap else None
            self.newest_received = share.sequence
            self.newest_round = share.round
            self._waiting = [*self._waiting, whole][-MAX_WAITING:]
        # Those before the newest share's base are done with, but not while one is missing whose base may be older.
        is_settled = share.precision < 64 and self.missing is None
        oldest_base = self._waiting[-1].base if is_settled else None
        self.ledger.settle(oldest_base, {waiting.sequence for waiting in self._waiting})
        if self.acknowledgement_due_at is None:
            is_large = share.total.nbytes + share.params.nbytes >= LARGE_BYTES
            self.acknowledgement_due_at = now + (0.0 if is_large else ACKNOWLEDGEMENT_DELAY_S)
        self.n_unreturned = 0
        if self.latest is not None:
            # The share that has come will stand in its place whatever happens.
            self.latest = replace(self.latest, total=_NOTHING, params=_NOTHING)
        return whole

    def has_come(self, round_: int) -> bool:
        """Whether the share of a round has come, or a later share with no share missing before it."""
        if self.newest_round < round_:
            return False
        if self.missing is None or (self.latest is not None and self.latest.round >= round_):
            return True
        return any(share.round == round_ for share in self._waiting)

    @property
    def has_news(self) -> bool:
        """Whether a received share is not yet applied."""
        return bool(self._waiting)

    def has_all(self, sequence: int) -> bool:
        """Whether no share up to this sequence number is missing."""
        return self.newest_received >= sequence and self.missing is None

    def imbalance(self) -> float:
        """‖received − sent‖ with the newest received share: the net mass that the link has moved, or is about to move
        where that share is of an account in which nothing was sent yet.
        """
        return self.ledger.size_moved(self._newest)

    def moved(self) -> Array:
        """The same itself, in double precision."""
        return self.ledger.moved(self._newest)

    def curvature_moved(self) -> Array:
        """The same of curvature; empty where that is nothing."""
        return self.ledger.curvature_moved(self._newest)

    def n_received(self) -> float:
        """The samples received with the newest share."""
        return self.ledger.n_received(self._newest)

    def gradient_received(self, n_params: int) -> float:
        """The norm of the gradient received; asked for with the first shares of the link."""
        return self.ledger.gradient_received(self._newest, n_params)

    @property
    def _newest(self) -> Share | None:
        """The newest share, as long as it waits."""
        return self._waiting[-1] if self._waiting else None

    def is_acknowledgement_due(self, now: float) -> bool:
        """Whether an acknowledgement is to be sent that no share has taken along."""
        return self.acknowledgement_due_at is not None and now >= self.acknowledgement_due_at

    @property
    def owes_acknowledgement(self) -> bool:
        return self._told < self.newest_received

    def tell_received(self) -> int:
        """The sequence number to acknowledge in a message sent now; clears the acknowledgement owed."""
        self._told = self.newest_received
        self.acknowledgement_due_at = None
        return self._told

    def apply(self, round_: int) -> bool:
        """Add the queued shares of rounds up to `round_` to the total received; return whether there were any.

        Where no share is of `round_` itself, later shares stand in for the lost or late share.
        """
        due = self._due(round_)
        if not due:
            return False
        self._waiting = self._waiting[len(due) :]
        if not self._waiting:
            self.missing = None
        self.latest = due[-1]
        self.ledger.enter(self.latest)
        return True

    def coming(self, round_: int) -> Share | None:
        """The share that `apply` will have applied last; None where there is none to be applied."""
        due = self._due(round_)
        return due[-1] if due else None

    def _due(self, round_: int) -> list[Share]:
        due = [share for share in self._waiting if share.round <= round_]
        return self._waiting if not due or due[-1].round < round_ else due
