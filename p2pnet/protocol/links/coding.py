"""Coded shares: what a share says beyond what its reader could predict, rounded.

Both ends of a link keep a *replica* of what one has told the other with each of the last shares: total of mass T and
parameters z. A coded share is made from replica b, its *base*, which the reader has acknowledged, and from replica q of
the other direction, which the sender acknowledges with this very share; b′ and b″ are b's base and that one's, q′ that
of q. Of both vectors travels what a prediction from these leaves, rounded ([·], `rounding.py`):

    z_s = z_b + ẑ + [z − z_b − ẑ]    ẑ in the span of  z_b − z_b′, z_b′ − z_b″, z_q − z_b, z_q′ − z_b′
    T_s = T_b + T̂ + [T − T_b − T̂]    T̂ in the span of  T_b − T_b′, T_b′ − T_b″, T_q − T_q′

with the coefficients of least squares, which travel too. Samples and weight, at the end of T, are not rounded. So
replica s follows from those before and the share alone, whatever was lost, late or repeated: the coder is that of
differential pulse-code modulation (Jayant and Noll 1984), with a predictor that is fitted anew for each share. Its
error is a small part of what could not be predicted, so it vanishes as training converges, and chooses its own
precision. It is not carried on: what was rounded away of the mass stays in the sender's ledger, of the parameters it is
part of the next change.

Where nothing has come yet, b is replica 0, which is zero. A share carries a checksum of its base.
"""

from __future__ import annotations

import itertools
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Array, WireArray
from p2pnet.protocol.links.rounding import Rounded, pack, rounded, unpack, unpack_lists
from p2pnet.protocol.messages.training import CODED, Share

N_EXACT = 2
"""Numbers at the end of a total that are not rounded: samples and weight. What else a total has beside the gradient is
rounded to float32: it is of another size, and would set the steps of gradients.
"""

N_LARGE = 2**12
"""ρ is n/2^13 in a model of n parameters, and (n/2^12)² in the first rounds: where a share fits a packet, with its
headers and its acknowledgement, it costs little more where it says more.
"""

EARLY_ROUNDS, LEAST_EARLY_FINENESS, EARLY_FINENESS = 10, 2**-10, 0.3
"""The least and the most that ρ is in the first rounds: steps are longest then, and what they are off by leads to
another valley; in a large model these rounds are most of what is sent until it is of use.
"""

LEAST_FINENESS, FINENESS = 2**-4.25, 2**-2.5
"""The least and the most later."""

FIRST_BITS = 2
"""By so many bits is ρ finer where a link's first share tells of parameters, and in the first round of totals, and by
one bit less in the second. These totals are the first that agents learn of others' gradients, when steps are longest,
so their errors may lead to another valley.
"""

FINENESS_FROM_ZERO = 2**-11
"""ρ of what is told over a new link from nothing after the first rounds: neighbors that have long trained are near each
other.
"""

MEMORY = 2
"""The replicas before a base that predictions are made from."""

NEGLIGIBLE = 0.1
"""Of the rest: what shorter coefficients may add to it."""

RIDGE = 1e-10
"""Added to the squared norm, 1, of each scaled predictor, so that those that are alike do no harm."""

_CHECKSUM = struct.Struct("<I")
_EXACT, _SUMS = "<f8", "<f4"
_COEFFICIENTS = {2: "<f2", 4: "<f4", 8: "<f8"}
"""The types of coefficients by their bytes."""
Code: TypeAlias = NDArray[np.uint8]


class OtherBaseError(ProtocolError):
    """A share was made from another base than the one of its number that is here: the link's two ends have parted."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class CurvatureTold:
    """What one end of a link has told the other of curvature with one share (`curvature.py`)."""

    total: Array = field(default_factory=lambda: np.zeros(0), repr=False)
    """(n_params + n_params (n_params + 1) / 2,), or nothing for zero"""
    before: tuple[Array, ...] = field(default=(), repr=False)
    """The totals of its base and of the base of that."""
    flow: Array = field(default_factory=lambda: np.zeros(0), repr=False)
    """The change of H from a base to the next, averaged over the last ones."""


NO_CURVATURE = CurvatureTold()


@final
@dataclass(frozen=True, slots=True, eq=False)
class Replica:
    """What one end of a link has told the other with one share, as the other end reads it."""

    total: Array = field(repr=False)
    """(n_params + number of other sums + 2,)"""
    params: WireArray = field(repr=False)
    """(n_params,)"""
    before: tuple[Replica, ...] = field(default=(), repr=False)
    """Its base and the base of that, without their own; none where the share was not coded, or from zero."""
    curvature: CurvatureTold = field(default=NO_CURVATURE, repr=False)

    def checksum(self) -> int:
        """CRC-32 of total and parameters."""
        return zlib.crc32(np.ascontiguousarray(self.params).data, zlib.crc32(np.ascontiguousarray(self.total).data))


def coded(base: Replica, other: Replica | None, total: Array, params: Array, round_: int) -> tuple[Code, Replica]:
    """The code of a total and parameters, for the share of this round, and the replica that it leads to.

    `other` is what the receiver has told with the share that is acknowledged; None where it has told nothing.
    """
    n = len(params)
    with np.errstate(over="ignore", invalid="ignore"):
        of_total = predicted_by(base.total[:n], _total_predictors(base, other, n), total[:n])
        of_params = predicted_by(base.params, _params_predictors(base, other), params)
        predicted, coefficients = (of_total[0], of_params[0]), (of_total[1], of_params[1])
        residuals = rounded(
            [total[:n] - predicted[0], params - predicted[1]],
            [
                _fineness(base, round_, FIRST_BITS - round_),
                _fineness(base, round_, 0 if len(coefficients[1]) else FIRST_BITS),
            ],
        )
        change = total[n:] - base.total[n:]
        sums, exact = change[:-N_EXACT].astype(_SUMS), change[-N_EXACT:].astype(_EXACT)
        replica = _followed(base, predicted, residuals, sums, exact)
    head = [_CHECKSUM.pack(base.checksum()), exact.tobytes(), sums.tobytes()]
    head += [part for each in coefficients for part in (bytes([each.itemsize]), each.tobytes())]
    return np.frombuffer(b"".join([*head, pack(residuals)]), dtype=np.uint8), replica


def predicted_by(start: WireArray, predictors: list[Array], vector: Array) -> tuple[Array, NDArray[np.floating]]:
    """What is predicted of a vector, and the coefficients that its reader does not know."""
    coefficients = _coefficients(start, predictors, vector)
    return _sum(start, predictors, coefficients), coefficients


def _fineness(base: Replica, round_: int, n_more_bits: int) -> float:
    """ρ, finer by so many bits, if any."""
    is_early = round_ < EARLY_ROUNDS
    if not is_early and not base.before:
        return FINENESS_FROM_ZERO
    size = len(base.params) / N_LARGE
    if is_early:
        fineness = min(max(size * size, LEAST_EARLY_FINENESS), EARLY_FINENESS)
    else:
        fineness = min(max(size / 2, LEAST_FINENESS), FINENESS)
    return fineness * 2.0 ** -max(n_more_bits, 0)


def read(share: Share, base: Replica, other: Replica | None) -> Replica:
    """What a share tells, whatever its precision; ProtocolError where it is not what a share of this size can be, and
    OtherBaseError where it was made from another base.
    """
    if share.precision != CODED:
        is_whole = share.precision == 64 and share.base == 0
        total = share.total.astype(np.float64, copy=False) if is_whole else base.total + share.total
        return Replica(total, share.params)
    n = len(base.params)
    with np.errstate(over="ignore", invalid="ignore"):
        code = CodeReader(share.total.tobytes())
        if code.take(_CHECKSUM.size) != _CHECKSUM.pack(base.checksum()):
            raise OtherBaseError(f"Share.base: share {share.base} is another one here")
        exact = code.numbers(_EXACT, N_EXACT)
        sums = code.numbers(_SUMS, len(base.total) - n - N_EXACT)
        predicted = (
            code.sum(base.total[:n], _total_predictors(base, other, n)),
            code.sum(base.params, _params_predictors(base, other)),
        )
        replica = _followed(base, predicted, code.vectors((n, n)), sums, exact)
    if not (np.isfinite(replica.total).all() and np.isfinite(replica.params).all()):
        raise ProtocolError("Share.total: holds a number that is not finite")
    return replica


@final
class CodeReader:
    """Reads a code from its beginning to its end."""

    def __init__(self, code: bytes, name: str = "Share.total") -> None:
        """`name` is that of the field, for errors."""
        self._rest = code
        self._name = name

    def take(self, n_bytes: int) -> bytes:
        if len(self._rest) < n_bytes:
            raise ProtocolError(f"{self._name}: a code that is too short")
        taken, self._rest = self._rest[:n_bytes], self._rest[n_bytes:]
        return taken

    def numbers(self, wire_type: str, n: int) -> NDArray[np.floating]:
        return np.frombuffer(self.take(n * np.dtype(wire_type).itemsize), dtype=wire_type)

    def sum(self, start: WireArray, predictors: list[Array]) -> Array:
        """What these predictors make of the coefficients that come next."""
        n_bytes = self.take(1)[0]
        if n_bytes not in _COEFFICIENTS:
            raise ProtocolError(f"{self._name}: coefficients of {n_bytes} bytes")
        return _sum(start, predictors, self.numbers(_COEFFICIENTS[n_bytes], len(predictors)))

    def vectors(self, sizes: tuple[int, int]) -> list[Rounded]:
        try:
            return unpack(self._rest, sizes)
        except ProtocolError as error:
            raise ProtocolError(f"{self._name}: {error}") from error

    def lists(self, lengths: Sequence[int]) -> list[NDArray[np.int16]]:
        try:
            return unpack_lists(self._rest, lengths)
        except ProtocolError as error:
            raise ProtocolError(f"{self._name}: {error}") from error


def _followed(
    base: Replica,
    predicted: Sequence[Array],
    residuals: Sequence[Rounded],
    sums: NDArray[np.floating],
    exact: NDArray[np.floating],
) -> Replica:
    """The replica that follows: what was predicted, and its residuals."""
    total, params = (vector + residual.values() for vector, residual in zip(predicted, residuals, strict=True))
    before = (Replica(base.total, base.params), *base.before)[:MEMORY]
    others = base.total[len(total) :] + np.concatenate([sums, exact])
    return Replica(np.concatenate([total, others]), params, before)


def _total_predictors(base: Replica, other: Replica | None, n: int) -> list[Array]:
    predictors = changes([replica.total[:n] for replica in (base, *base.before)])
    if other is not None:
        predictors += changes([replica.total[:n] for replica in (other, *other.before)])[:1]
    return predictors


def _params_predictors(base: Replica, other: Replica | None) -> list[Array]:
    predictors = changes([replica.params for replica in (base, *base.before)])
    if other is not None:
        both = zip((other, *other.before), (base, *base.before), strict=False)
        predictors += [_minus(theirs.params, ours.params) for theirs, ours in both][:MEMORY]
    return predictors


def changes(vectors: Sequence[WireArray]) -> list[Array]:
    return [_minus(later, earlier) for later, earlier in itertools.pairwise(vectors)]


def _minus(one: WireArray, other: WireArray) -> Array:
    return np.subtract(one, other, dtype=np.float64)


def _coefficients(start: WireArray, predictors: list[Array], vector: Array) -> NDArray[np.floating]:
    """Those of least squares, in as few bytes as leave the rest of the vector what it is."""
    if not predictors:
        return np.zeros(0)
    found, sizes, rest = _least_squares(predictors, vector - start)
    for wire_type in _COEFFICIENTS.values():
        shortened = found.astype(wire_type)
        if np.abs(shortened - found) @ sizes <= NEGLIGIBLE * rest:
            return shortened
    return found


def _least_squares(predictors: list[Array], change: Array) -> tuple[Array, Array, float]:
    """The coefficients that bring the sum of the predictors nearest to the change, the norms of the predictors, and of
    what is left of the change; zeros where these are too large to be squared.
    """
    n = len(predictors)
    vectors = [*predictors, change]
    gram = np.empty((n + 1, n + 1))
    for row, column in itertools.combinations_with_replacement(range(n + 1), 2):
        gram[row, column] = gram[column, row] = vectors[row].dot(vectors[column])
    squares = gram.diagonal()[:n]
    if not np.isfinite(gram).all():
        return np.zeros(n), np.zeros(n), 0.0
    scales = np.sqrt(squares + (squares == 0.0))
    scaled = gram[:n] / scales[:, np.newaxis]
    normed = scaled[:, :n] / scales
    normed.reshape(-1)[:: n + 1] += RIDGE
    found = np.linalg.solve(normed, scaled[:, n]) / scales
    rest = gram[n, n] - found @ (2.0 * gram[:n, n] - gram[:n, :n] @ found)
    return found, np.sqrt(squares), math.sqrt(max(float(rest), 0.0))


def _sum(start: WireArray, predictors: list[Array], coefficients: NDArray[np.floating]) -> Array:
    total = start.astype(np.float64)
    for coefficient, predictor in zip(coefficients.tolist(), predictors, strict=True):
        total += coefficient * predictor
    return total
