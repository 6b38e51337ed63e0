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

import math
from dataclasses import replace
from typing import final

import numpy as np

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import Array, LinkId, WireArray
from p2pnet.protocol.links.coding import MEMORY, Code, OtherBaseError, Replica, coded
from p2pnet.protocol.links.curvature import curvature_told, plus, read_share
from p2pnet.protocol.messages.training import CODED, Share

MAX_IN_FLIGHT = 2
"""The most shares of a link in flight, neither acknowledged nor given up for lost, so that no queue of stale models
forms.
"""

MAX_UNACKNOWLEDGED = 6
"""The most unacknowledged shares of a link, lost ones included; beyond it the last two are resent."""

ACKNOWLEDGEMENT_DELAY_S = 0.05
"""How long an acknowledgement waits to be carried by a share: less than the shortest resend timeout."""

MAX_UNRETURNED = 3
"""The most shares with mass sent to a neighbor in a row before a share of the neighbor comes."""

MAX_WAITING = 4
"""The most received shares kept for later rounds; an honest neighbor is no further ahead than its window."""

MAX_BASES = 8
"""The most totals kept as possible bases; an honest neighbor needs no more than its window and one."""


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
    ) -> None:
        """`size` is that of the mass, `precision` that of the shares sent; shares of any precision are received."""
        self.link_id = link_id
        self.precision = precision
        self.timer = timer
        # A broadcast zero takes no memory: ledger arrays are replaced, never written into.
        self.sent: Array = np.broadcast_to(np.zeros(1), size)
        self.received: Array = self.sent
        self.has_curvature = has_curvature
        """Whether both ends track curvature."""
        self.curvature_sent: Array = np.zeros(0)
        """The totals of curvature (`curvature.py`); empty where there are none."""
        self.curvature_received: Array = self.curvature_sent
        self.account = account
        """The account of the ledger; totals of other accounts are not entered."""
        self.is_shared = True
        """Whether the other end takes part in that account: else nothing is given."""
        self._mask: Array | None = None
        self._is_confirmed = False
        self.sequence = 0
        self.acknowledged = 0
        self._has_read_code = False
        """Whether a coded share has come over the link: only then can its two ends have parted."""
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
        self._latest_total: Array = self.received
        """Its total, of whatever account."""
        self.mass_flow: Array | None = None
        """The mass flow of the last round, s⁻; None where the link was not complete in that round."""
        self.curvature_flow: Array = self.curvature_sent
        """The flow of curvature of the last round, which counts where there is a mass flow."""
        self.params_flow: Array | None = None
        """The parameter flow of the last round, d⁻; None likewise."""
        self._told = 0
        """The last sequence number that was acknowledged to the other end."""
        self.acknowledgement_due_at: float | None = None
        """When an Ack is to be sent, unless a share takes the acknowledgement along before."""
        self._waiting: list[tuple[Share, Array, Array]] = []
        """Received shares that are not yet applied, oldest first, each with its whole total, and that of curvature."""
        self.proposal: WireArray | None = None
        """The parameters of the last share sent, as the other end reads them."""
        nothing = Replica(self.sent, np.broadcast_to(np.zeros(1), n_params))
        self._sent_by: dict[int, Replica] = {0: nothing}
        self._received_by: dict[int, Replica] = {0: nothing}

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
        if self.precision < 64:
            raise ValueError("a ledger of rounded totals cannot be begun anew: later shares refer to earlier ones")
        self.account = account
        self.sent = self._sent_by[0].total
        is_begun = self.latest is not None and self.latest.account == account
        self.received = self._latest_total if is_begun else self._received_by[0].total
        self.mass_flow = self._mask = None

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
        if self.precision == 64:
            self.sent, self.proposal = self.sent + mass, params
            return 0, self.sent, params
        base = self._sent_by[self.acknowledged]
        if self.precision == CODED:
            other = _told_with(self._received_by, self.newest_received)
            total, replica = coded(base, other, self.sent + mass, params, round_)
            of_params = np.empty(0, dtype=np.uint8)
        else:
            total = (mass if base.total is self.sent else mass + (self.sent - base.total)).astype(np.float32)
            of_params = params.astype(np.float32, copy=False)
            replica = Replica(base.total + total, of_params)
        self._sent_by[self.sequence] = replica
        self.sent, self.proposal = replica.total, replica.params
        return self.acknowledged, total, of_params

    def give_curvature(self, given: Array, mass: Array) -> Code:
        """Add what is given of curvature, of the mass of it that is present, to the total sent; return it for the share
        that has just been given.
        """
        total = plus(self.curvature_sent, given)
        if not total.size:
            return np.zeros(0, dtype=np.uint8)
        if self.precision == 64:
            self.curvature_sent = total
            return np.frombuffer(total.tobytes(), dtype=np.uint8)
        base, newest = self._sent_by[self.acknowledged], self._sent_by[self.sequence]
        other = _told_with(self._received_by, self.newest_received)
        code, curvature = curvature_told(total, newest.params.astype(np.float64), mass, base, other)
        self._sent_by[self.sequence] = replace(newest, curvature=curvature)
        self.curvature_sent = curvature.total
        return code

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
        if self.precision < 64:
            # Those before are named by no share that is still to come, but for one that the others have overtaken.
            self._sent_by = {later: told for later, told in self._sent_by.items() if later >= sequence - MEMORY}
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
        try:
            replica = self._read(share)
        except OtherBaseError as error:
            if self._has_read_code:
                raise
            raise ProtocolError(f"{error}, of a link that had none that was coded") from None
        if replica is None:
            return None
        if share.precision == CODED:
            self._has_read_code = True
            share = replace(share, params=replica.params)
        told = (share, replica.total, replica.curvature.total)
        if is_overtaken:
            self.missing = None
            self._waiting.insert(-1, told)
        else:
            is_gap = share.sequence > self.newest_received + 1 and share.round > round_
            self.missing = share.sequence - 1 if is_gap else None
            self.newest_received = share.sequence
            self.newest_round = share.round
            self._waiting = [*self._waiting, told][-MAX_WAITING:]
        if share.precision < 64:
            self._keep_as_base(share.sequence, replica)
        if self.acknowledgement_due_at is None:
            self.acknowledgement_due_at = now + ACKNOWLEDGEMENT_DELAY_S
        self.n_unreturned = 0
        return share

    def _read(self, share: Share) -> Replica | None:
        """What the share tells; None where it was made from a share of ours that is no longer kept. ProtocolError where
        its base is not, or where it is of another size.
        """
        if share.curvature.size and not self.has_curvature:
            raise ProtocolError("Share.curvature: is tracked here by no agent")
        base = self._received_by.get(share.base)
        if base is None or len(self._received_by) > MAX_BASES:
            raise ProtocolError(f"Share.base: share {share.base} was never acknowledged, or too long ago")
        if share.precision != CODED:
            for name, array, expected in (("total", share.total, base.total), ("params", share.params, base.params)):
                if array.shape != expected.shape:
                    raise ProtocolError(
                        f"Share.{name}: {array.size} numbers instead of {expected.size}; "
                        "the sender trains a model of another size"
                    )
        elif self.precision < 64 and share.acknowledged not in self._sent_by:
            return None
        return read_share(share, base, _told_with(self._sent_by, share.acknowledged))

    def _keep_as_base(self, sequence: int, told: Replica) -> None:
        """Keep what a later share may be made from; those before the newest share's base are done with, but not while a
        share is missing whose base may be older.
        """
        self._received_by[sequence] = told
        if self.missing is None:
            oldest = self._waiting[-1][0].base
            self._received_by = {later: kept for later, kept in self._received_by.items() if later >= oldest}

    def has_come(self, round_: int) -> bool:
        """Whether the share of a round has come, or a later share with no share missing before it."""
        if self.newest_round < round_:
            return False
        if self.missing is None or (self.latest is not None and self.latest.round >= round_):
            return True
        return any(share.round == round_ for share, _, _ in self._waiting)

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
        received, sent = self.newest_totals()
        return norm(received - sent)

    def newest_totals(self) -> tuple[Array, Array]:
        """What the link has received with the newest share, and sent, in the account of that share."""
        if not self._waiting:
            return self.received, self.sent
        share, total, _ = self._waiting[-1]
        return total, self.sent if share.account == self.account else np.zeros_like(total)

    def newest_curvature(self) -> Array:
        """What the link has moved of curvature with the newest share; empty where that is nothing."""
        received = self._waiting[-1][2] if self._waiting else self.curvature_received
        return plus(received, -self.curvature_sent)

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
        self.latest, self._latest_total, curvature = due[-1]
        if self.latest.account == self.account:
            self.received, self.curvature_received = self._latest_total, curvature
        return True

    def coming(self, round_: int) -> Share | None:
        """The share that `apply` will have applied last; None where there is none to be applied."""
        due = self._due(round_)
        return due[-1][0] if due else None

    def _due(self, round_: int) -> list[tuple[Share, Array, Array]]:
        due = [each for each in self._waiting if each[0].round <= round_]
        return self._waiting if not due or due[-1][0].round < round_ else due


def _told_with(replicas: dict[int, Replica], sequence: int) -> Replica | None:
    return replicas.get(sequence) if sequence > 0 else None


def norm(vector: WireArray) -> float:
    """The Euclidean norm ‖v‖; infinite where its square overflows."""
    # Unlike the other products, vdot overflows without a warning.
    return math.sqrt(np.vdot(vector, vector))
