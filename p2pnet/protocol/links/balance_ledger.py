"""Ledger of what a link has moved on balance, for models of single precision.

Shares of single precision carry totals relative to a base, so that neither end needs to know a total from the
beginning of the link. An end keeps

    received − sent       in double precision, of the share entered last and of the last one sent
    T_s − T_o             in each direction, of the shares s that may be bases, or wait to be entered, or were entered
                          last, from the oldest of these, o

and the latter are sums and differences of what the shares themselves carry. Where each share is made from the one
before, and none is in flight, that is a single vector: what the newest share received has carried, since the next one
may have the same base again.

What the link has moved is a sum of numbers of single precision, which one of these would round each time, at both ends
differently: in double precision conservation is exact to 1e-16 of what was moved, and does not wear off with the age of
the link, as totals that grow from round to round would let it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Array, WireArray
from p2pnet.protocol.links.coding import Code
from p2pnet.protocol.links.ledger import (
    CHUNK,
    MAX_BASES,
    Given,
    Ledger,
    ShareNumbers,
    base_is_missing,
    check_sizes,
    norm,
)
from p2pnet.protocol.messages.training import CODED, Share

Terms: TypeAlias = tuple[tuple[int, WireArray], ...]
"""A sum of vectors, each with its sign."""

MOST_TERMS = 2
"""As many take as much memory as their sum in double precision."""


@final
class Course:
    """Totals in one direction, each relative to the oldest that is kept."""

    def __init__(self) -> None:
        self._beyond: dict[int, Terms] = {0: ()}

    def go_on(self, sequence: int, base: int, total: WireArray) -> None:
        """Have a share with this total relative to its base."""
        self._beyond[sequence] = (*self._beyond[base], (1, total))

    def change(self, sequence: int, earlier: int) -> Terms:
        """T_sequence − T_earlier."""
        return _difference(self._beyond[sequence], self._beyond[earlier])

    def keep(self, sequences: Collection[int]) -> None:
        """Forget all but these."""
        oldest = self._beyond[min(sequences)]
        kept = {sequence: self._beyond[sequence] for sequence in sorted(sequences)}
        self._beyond = {sequence: _short(_difference(terms, oldest)) for sequence, terms in kept.items()}


def _difference(one: Terms, other: Terms) -> Terms:
    terms = list(one)
    for sign, vector in other:
        same = next((k for k, (s, kept) in enumerate(terms) if kept is vector and s == sign), None)
        if same is None:
            terms.append((-sign, vector))
        else:
            del terms[same]
    return tuple(terms)


def _short(terms: Terms) -> Terms:
    if len(terms) <= MOST_TERMS:
        return terms
    total = terms[0][1].astype(np.float64)
    total *= terms[0][0]
    add(terms[1:], total)
    return ((1, total),)


def add(terms: Terms, vector: Array, sign: int = 1) -> None:
    """Add the sum, or take it away, in place."""
    for each, term in terms:
        (np.add if each == sign else np.subtract)(vector, term, out=vector)


@final
class BalanceLedger(Ledger):
    """What was received less what was sent, of shares of single precision."""

    def __init__(self, size: int, n_params: int, account: int) -> None:
        self.account = account
        self.curvature_sent = self.curvature_received = np.zeros(0)
        self._n_params = n_params
        self.sent = np.broadcast_to(np.zeros(1), size)
        self.received = np.zeros(size)
        """Received less sent; written into."""
        self._sent = Course()
        self._received = Course()
        self._to_be_named = [0]
        """The shares sent that may be bases: the last one acknowledged and those after it."""
        self._bases = {0}
        self._entered = self._newest = 0
        self._n_received = 0.0
        """Samples, with the newest share."""
        self._first_gradient = 0.0
        """Of the first share: the norm."""

    def give(self, numbers: ShareNumbers, mass: Array, params: Array, round_: int) -> Given:
        base, before = numbers.acknowledged, self._to_be_named[-1]
        total = _sum(mass, self._sent.change(before, base))
        self._sent.go_on(numbers.sequence, base, total)
        add(self._sent.change(numbers.sequence, before), self.received, -1)
        self._to_be_named.append(numbers.sequence)
        of_params = params.astype(np.float32, copy=False)
        return Given(base, total, of_params, of_params)

    def give_curvature(self, numbers: ShareNumbers, given: Array, mass: Array) -> Code:
        return np.zeros(0, dtype=np.uint8)

    def acknowledge(self, sequence: int) -> None:
        self._to_be_named = [named for named in self._to_be_named if named >= sequence]
        self._sent.keep(self._to_be_named)

    def read(self, share: Share, numbers: ShareNumbers) -> Share | None:
        if share.precision == CODED:
            raise ProtocolError("Share.precision: this agent has not said that it reads coded shares")
        if share.account != self.account:
            raise ProtocolError(f"Share.account: {share.account} instead of {self.account}")
        if share.curvature.size:
            raise ProtocolError("Share.curvature: is tracked here by no agent")
        if share.base not in self._bases or len(self._bases) > MAX_BASES:
            raise base_is_missing(share)
        check_sizes(share, self.received.size, self._n_params)
        if not self._newest:
            self._first_gradient = norm(share.total[: self._n_params])
        self._received.go_on(share.sequence, share.base, share.total)
        if share.sequence > self._newest:
            self._n_received += _last(self._received.change(share.sequence, self._newest))[0]
            self._newest = share.sequence
        if share.precision < 64:
            self._bases.add(share.sequence)
        return share

    def settle(self, oldest_base: int | None, waiting: Collection[int]) -> None:
        if oldest_base is not None:
            self._bases = {base for base in self._bases if base >= oldest_base}
        self._received.keep({*self._bases, *waiting, self._entered, self._newest})

    def enter(self, share: Share) -> None:
        add(self._received.change(share.sequence, self._entered), self.received)
        self._entered = share.sequence

    def moved(self, newest: Share | None) -> Array:
        moved = self.received.copy()
        add(self._received.change(self._newest, self._entered), moved)
        return moved

    def size_moved(self, newest: Share | None) -> float:
        terms = self._received.change(self._newest, self._entered)
        with np.errstate(over="ignore"):
            return math.sqrt(sum(float(np.vdot(part, part)) for part in _chunks(self.received, terms)))

    def n_received(self, newest: Share | None) -> float:
        return self._n_received

    def gradient_received(self, newest: Share | None, n_params: int) -> float:
        return self._first_gradient


def _last(terms: Terms) -> tuple[float, float]:
    """The last two numbers of the sum."""
    return sum(sign * float(term[-2]) for sign, term in terms), sum(sign * float(term[-1]) for sign, term in terms)


def _chunks(vector: Array, terms: Terms) -> Iterator[Array]:
    """The vector with the sum added, in parts of double precision."""
    for start in range(0, len(vector), CHUNK):
        part = vector[start : start + CHUNK].astype(np.float64)
        add(tuple((sign, term[start : start + len(part)]) for sign, term in terms), part)
        yield part


def _sum(vector: Array, terms: Terms) -> NDArray[np.float32]:
    """The same in single precision; the vector itself where there is nothing to be added."""
    if not terms:
        return vector.astype(np.float32, copy=False)
    total = np.empty(vector.size, dtype=np.float32)
    for start, part in zip(range(0, vector.size, CHUNK), _chunks(vector, terms), strict=True):
        total[start : start + len(part)] = part
    return total
