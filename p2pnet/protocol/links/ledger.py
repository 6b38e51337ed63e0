"""The ledger of one end of a link: what it has sent to the other, and received from it.

Shares are known by their sequence numbers: 0 is the state before the first one, in which nothing has moved. A share is
*read* when it comes and *entered* when its round is mixed; until later ones no longer refer to it, it may be a *base*.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Array, WireArray
from p2pnet.protocol.links.coding import MEMORY, Code, OtherBaseError, Replica, coded
from p2pnet.protocol.links.curvature import curvature_told, plus, read_share
from p2pnet.protocol.messages.training import CODED, Share

WHOLE = slice(None)
"""The part that is all of a vector."""

CHUNK = 2**16
"""Numbers that are computed with at once where one more array would count."""

MAX_BASES = 8
"""The most totals kept as possible bases; an honest neighbor needs no more than its window and one."""


@final
@dataclass(frozen=True, slots=True)
class ShareNumbers:
    """Which share is made or read: the numbers of this end's last one, of the last of these that was acknowledged, and
    of the newest that has come.
    """

    sequence: int
    acknowledged: int
    newest_received: int


@final
@dataclass(frozen=True, slots=True)
class Given:
    """What a share carries: the number of its base, total and parameters, and the latter as the other end reads
    them.
    """

    base: int
    total: WireArray = field(repr=False)
    params: WireArray = field(repr=False)
    proposal: WireArray = field(repr=False)


class Ledger(ABC):
    """What one end of a link has sent and received."""

    account: int
    sent: Array
    """The total sent."""
    received: Array
    """The total of the share entered last; less the total sent where that is given as nothing (`balance_ledger.py`)."""
    curvature_sent: Array
    """The totals of curvature (`curvature.py`); empty where there are none."""
    curvature_received: Array

    @abstractmethod
    def give(self, numbers: ShareNumbers, mass: Array, params: Array, round_: int) -> Given:
        """Add `mass` to the total sent, with the share of that number."""

    @abstractmethod
    def give_curvature(self, numbers: ShareNumbers, given: Array, mass: Array) -> Code:
        """The same of curvature, of the mass of it that is present; what the share carries of it."""

    @abstractmethod
    def acknowledge(self, sequence: int) -> None:
        """Keep of what was sent only what later shares may be made from, once this one is acknowledged."""

    @abstractmethod
    def read(self, share: Share, numbers: ShareNumbers) -> Share | None:
        """Take note of what a share tells, and return it with whole parameters; None where it was made from a share of
        ours that is no longer kept. ProtocolError where its base is not, or where it is of another size.
        """

    @abstractmethod
    def settle(self, oldest_base: int | None, waiting: Collection[int]) -> None:
        """Forget what is neither waiting to be entered nor a base of later shares; no bases where these are None."""

    @abstractmethod
    def enter(self, share: Share) -> None:
        """Have received what the share tells."""

    # What the link has moved with the newest share, if one waits to be entered: received − sent.

    @abstractmethod
    def moved(self, newest: Share | None) -> Array:
        """That itself, in double precision."""

    @abstractmethod
    def size_moved(self, newest: Share | None) -> float:
        """‖received − sent‖, in the account of that share."""

    @abstractmethod
    def n_received(self, newest: Share | None) -> float:
        """The samples received in all."""

    @abstractmethod
    def gradient_received(self, newest: Share | None, n_params: int) -> float:
        """The norm of the first numbers of what was received, as long as one of the first shares is the newest."""

    def curvature_moved(self, newest: Share | None) -> Array:
        """What has been moved of curvature; empty where that is nothing."""
        return plus(self.curvature_received, -self.curvature_sent)


@final
class TotalsLedger(Ledger):
    """Totals in double precision, from the beginning of the link or of its account."""

    def __init__(self, size: int, n_params: int, precision: int, account: int, *, has_curvature: bool) -> None:
        self._precision = precision
        self._has_curvature = has_curvature
        self.account = account
        # A broadcast zero takes no memory: these arrays are replaced, never written into.
        self.sent = self.received = np.broadcast_to(np.zeros(1), size)
        self.curvature_sent = self.curvature_received = np.zeros(0)
        nothing = Replica(self.sent, np.broadcast_to(np.zeros(1), n_params))
        self._latest, self._latest_account = nothing, -1
        """What the share entered last has told, of whatever account."""
        self._sent_by: dict[int, Replica] = {0: nothing}
        self._received_by: dict[int, Replica] = {0: nothing}
        self._read_by: dict[int, Replica] = {}
        """Of shares that wait to be entered."""
        self._has_read_code = False
        """Whether a coded share has come over the link: only then can its two ends have parted."""

    def begin_account(self, account: int) -> None:
        self.account = account
        self.sent = self._sent_by[0].total
        is_begun = self._latest_account == account
        self.received = self._latest.total if is_begun else self._received_by[0].total

    def give(self, numbers: ShareNumbers, mass: Array, params: Array, round_: int) -> Given:
        if self._precision == 64:
            self.sent = self.sent + mass
            return Given(0, self.sent, params, params)
        base = self._sent_by[numbers.acknowledged]
        if self._precision == CODED:
            other = _told_with(self._received_by, numbers.newest_received)
            total, replica = coded(base, other, self.sent + mass, params, round_)
            of_params = np.empty(0, dtype=np.uint8)
        else:
            total = (mass if base.total is self.sent else mass + (self.sent - base.total)).astype(np.float32)
            of_params = params.astype(np.float32, copy=False)
            replica = Replica(base.total + total, of_params)
        self._sent_by[numbers.sequence] = replica
        self.sent = replica.total
        return Given(numbers.acknowledged, total, of_params, replica.params)

    def give_curvature(self, numbers: ShareNumbers, given: Array, mass: Array) -> Code:
        total = plus(self.curvature_sent, given)
        if not total.size:
            return np.zeros(0, dtype=np.uint8)
        if self._precision == 64:
            self.curvature_sent = total
            return np.frombuffer(total.tobytes(), dtype=np.uint8)
        base, newest = self._sent_by[numbers.acknowledged], self._sent_by[numbers.sequence]
        other = _told_with(self._received_by, numbers.newest_received)
        code, curvature = curvature_told(total, newest.params.astype(np.float64), mass, base, other)
        self._sent_by[numbers.sequence] = replace(newest, curvature=curvature)
        self.curvature_sent = curvature.total
        return code

    def acknowledge(self, sequence: int) -> None:
        if self._precision < 64:
            # Those before are named by no share that is still to come, but for one that the others have overtaken.
            self._sent_by = {later: told for later, told in self._sent_by.items() if later >= sequence - MEMORY}

    def read(self, share: Share, numbers: ShareNumbers) -> Share | None:
        try:
            replica = self._replica(share)
        except OtherBaseError as error:
            if self._has_read_code:
                raise
            raise ProtocolError(f"{error}, of a link that had none that was coded") from None
        if replica is None:
            return None
        if share.precision == CODED:
            self._has_read_code = True
            share = replace(share, params=replica.params)
        self._read_by[share.sequence] = replica
        if share.precision < 64:
            self._received_by[share.sequence] = replica
        return share

    def _replica(self, share: Share) -> Replica | None:
        if share.curvature.size and not self._has_curvature:
            raise ProtocolError("Share.curvature: is tracked here by no agent")
        base = self._received_by.get(share.base)
        if base is None or len(self._received_by) > MAX_BASES:
            raise base_is_missing(share)
        if share.precision != CODED:
            check_sizes(share, base.total.size, base.params.size)
        elif self._precision < 64 and share.acknowledged not in self._sent_by:
            return None
        return read_share(share, base, _told_with(self._sent_by, share.acknowledged))

    def settle(self, oldest_base: int | None, waiting: Collection[int]) -> None:
        self._read_by = {later: told for later, told in self._read_by.items() if later in waiting}
        if oldest_base is not None:
            self._received_by = {later: kept for later, kept in self._received_by.items() if later >= oldest_base}

    def enter(self, share: Share) -> None:
        self._latest, self._latest_account = self._read_by.pop(share.sequence), share.account
        if share.account == self.account:
            self.received, self.curvature_received = self._latest.total, self._latest.curvature.total

    def moved(self, newest: Share | None) -> Array:
        received, sent = self._newest(newest)
        return received - sent

    def size_moved(self, newest: Share | None) -> float:
        return norm(self.moved(newest))

    def n_received(self, newest: Share | None) -> float:
        return float(self._newest(newest)[0][-2])

    def gradient_received(self, newest: Share | None, n_params: int) -> float:
        return norm(self._newest(newest)[0][:n_params])

    def curvature_moved(self, newest: Share | None) -> Array:
        received = self.curvature_received if newest is None else self._read_by[newest.sequence].curvature.total
        return plus(received, -self.curvature_sent)

    def _newest(self, newest: Share | None) -> tuple[Array, Array]:
        """What was received with the newest share, and sent, in the account of that share."""
        if newest is None:
            return self.received, self.sent
        total = self._read_by[newest.sequence].total
        return total, self.sent if newest.account == self.account else np.zeros_like(total)


def base_is_missing(share: Share) -> ProtocolError:
    return ProtocolError(f"Share.base: share {share.base} was never acknowledged, or too long ago")


def check_sizes(share: Share, size: int, n_params: int) -> None:
    """ProtocolError where a share that is not coded is of another size."""
    for name, array, expected in (("total", share.total, size), ("params", share.params, n_params)):
        if array.shape != (expected,):
            raise ProtocolError(
                f"Share.{name}: {array.size} numbers instead of {expected}; the sender trains a model of another size"
            )


def _told_with(replicas: dict[int, Replica], sequence: int) -> Replica | None:
    return replicas.get(sequence) if sequence > 0 else None


def norm(vector: WireArray) -> float:
    """The Euclidean norm ‖v‖; infinite where its square overflows in double precision."""
    # Unlike the other products, vdot overflows without a warning.
    if vector.dtype == np.float64:
        return math.sqrt(np.vdot(vector, vector))
    chunks = (vector[start : start + CHUNK].astype(np.float64) for start in range(0, len(vector), CHUNK))
    return math.sqrt(sum(float(np.vdot(chunk, chunk)) for chunk in chunks))
