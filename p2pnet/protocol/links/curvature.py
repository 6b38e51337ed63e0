"""Curvature on a conserving link: the sums of affine models of gradients, rounded.

What agents track of curvature are sums of c_k = n_k H_k w_k and of the upper triangles of n_k H_k
(`docs/algorithm.md`): n + n (n + 1)/2 numbers for n parameters, and nothing at all, an empty vector, as long as no
agent has measured any. Both ends of a link keep totals (c, H) of what one has told the other, as for gradients, and the
ledger holds them as the other end reads them. A share tells what base b and prediction leave of H, rounded by blocks,
and of c what makes the model's value at the parameters z of that very share right:

    H_s = H_b + Ĥ + [H − H_b − Ĥ]          Ĥ in the span of  H_b − H_b′, H_b′ − H_b″, H_q − H_q′  (`coding.py`)
    c_s = c_b + (H_s − H_b) z − [v],        v = (H − H_b) z − (c − c_b)

So where H is wrong by δ, the gradient H w − c is wrong by δ (w − z) only, which vanishes as training converges. That is
why H may be rounded coarsely, to a part of what is tracked however small the change: once H is mixed nothing is left to
be said of it, and blocks of zeros are left out. v vanishes where agents agree, and is rounded to a part of itself.

Where totals are not rounded, the vector is sent as it is.
"""

import struct
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Array, WireArray
from p2pnet.protocol.links.coding import (
    MEMORY,
    Code,
    CodeReader,
    CurvatureTold,
    Replica,
    changes,
    predicted_by,
    read,
)
from p2pnet.protocol.links.rounding import (
    BLOCK,
    LARGEST_EXPONENT,
    LEAST_EXPONENT,
    Rounded,
    exponents_of,
    pack_lists,
    rounded,
    with_zeros,
    zeros_left_out,
)
from p2pnet.protocol.messages.training import Share

FINENESS = 2**-2.5
"""ρ of H, where much is left to be said."""
PART = 2**-7
"""The least step of H, relative to the root mean square of the block of what the sender has of it."""
SMOOTHING = 0.1
"""The weight of the last change in the slow mean of changes, which has less of what was rounded than any one."""
SPARSE = 0.5
"""Where fewer of the multiples than that are not zero, zeros are left out."""
DENSE = 2**32 - 1
"""Stands for the number of multiples that are not zero where all are told."""
_N_KEPT = struct.Struct("<I")
FINENESS_OF_VALUES = 2**-7
"""ρ of v."""


def n_curvature(n_params: int) -> int:
    """How many numbers are tracked of curvature."""
    return n_params + n_params * (n_params + 1) // 2


def plus(one: Array, other: Array) -> Array:
    """The sum of two vectors, either of which may be nothing."""
    if not one.size:
        return other
    return one + other if other.size else one


def curvature_told(
    total: Array, params: Array, mass: Array, base: Replica, other: Replica | None
) -> tuple[Code, CurvatureTold]:
    """The code of a total for a share with these parameters, as they are read, and what its reader makes of it. `mass`
    is what the sender has.
    """
    n, size = len(params), total.size
    if not size:
        return np.zeros(0, dtype=np.uint8), base.curvature
    with np.errstate(over="ignore", invalid="ignore"):
        start = _whole(base.curvature.total, size)
        change = total - start
        predicted, coefficients = predicted_by(start[n:], _predictors(base, other, size, n), total[n:])
        (values,) = rounded([_product(change[n:], params) - change[:n]], [FINENESS_OF_VALUES])
        (rest,) = rounded([total[n:] - predicted], [FINENESS], exponents_of(mass[n:], PART))
        is_told = _is_told(rest)
        multiples = rest.multiples[_by_number(is_told, size - n)]
        zeros, kept = zeros_left_out(multiples)
        is_sparse = len(kept) < SPARSE * len(multiples)
        exponents = np.concatenate([values.exponents, rest.exponents[is_told]])
        lists = [exponents, values.multiples, *((zeros, kept) if is_sparse else (multiples,))]
        head = [np.packbits(is_told).tobytes(), bytes([coefficients.itemsize]), coefficients.tobytes()]
        head += [_N_KEPT.pack(len(kept) if is_sparse else DENSE), pack_lists(lists)]
        code = np.frombuffer(b"".join(head), dtype=np.uint8)
        return code, _followed(base, start, predicted, values, rest, params)


def read_share(share: Share, base: Replica, other: Replica | None) -> Replica:
    """What a share tells, with its curvature; ProtocolError where it is not what a share of this size can be."""
    replica = read(share, base, other)
    if not share.curvature.size:
        is_unchanged = share.precision == 64 or not base.curvature.total.size
        return replica if is_unchanged else replace(replica, curvature=base.curvature)
    n = len(base.params)
    size = n_curvature(n)
    if share.precision == 64:
        if share.curvature.size != 8 * size:
            raise ProtocolError(f"Share.curvature: {share.curvature.size} bytes instead of {8 * size}")
        curvature = CurvatureTold(np.frombuffer(share.curvature.tobytes(), dtype="<f8"))
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            curvature = _read(share, base, other, replica.params.astype(np.float64), size)
    if not np.isfinite(curvature.total).all():
        raise ProtocolError("Share.curvature: holds a number that is not finite")
    return replace(replica, curvature=curvature)


def _read(share: Share, base: Replica, other: Replica | None, params: Array, size: int) -> CurvatureTold:
    n = len(params)
    n_blocks = -(-(size - n) // BLOCK)
    reader = CodeReader(share.curvature.tobytes(), "Share.curvature")
    flags = np.frombuffer(reader.take(-(-n_blocks // 8)), dtype=np.uint8)
    is_told = np.unpackbits(flags, count=n_blocks).astype(np.bool_)
    start = _whole(base.curvature.total, size)
    predicted = reader.sum(start[n:], _predictors(base, other, size, n))
    by_number = _by_number(is_told, size - n)
    values, exponents, multiples = _numbers(reader, n, int(is_told.sum()), int(by_number.sum()))
    rest = Rounded(np.zeros(size - n, dtype=np.int16), np.zeros(n_blocks, dtype=np.int16))
    rest.multiples[by_number], rest.exponents[is_told] = multiples, exponents
    return _followed(base, start, predicted, values, rest, params)


def _numbers(
    reader: CodeReader, n_values: int, n_told: int, n_multiples: int
) -> tuple[Rounded, NDArray[np.int16], NDArray[np.int16]]:
    """What is left to read: v, and the exponents and multiples of the blocks that are told."""
    (n_kept,) = _N_KEPT.unpack(reader.take(_N_KEPT.size))
    if n_kept not in range(n_multiples + 1) and n_kept != DENSE:
        raise ProtocolError(f"Share.curvature: {n_kept} numbers of {n_multiples}")
    n_exponents = -(-n_values // BLOCK)
    lengths = [n_multiples] if n_kept == DENSE else [n_kept, n_kept]
    exponents, values, *lists = reader.lists([n_exponents + n_told, n_values, *lengths])
    if ((exponents < LEAST_EXPONENT) | (exponents > LARGEST_EXPONENT)).any():
        raise ProtocolError("Share.curvature: holds a number that is not finite")
    try:
        multiples = lists[0] if n_kept == DENSE else with_zeros(lists[0], lists[1], n_multiples)
    except ProtocolError as error:
        raise ProtocolError(f"Share.curvature: {error}") from error
    return Rounded(values, exponents[:n_exponents]), exponents[n_exponents:], multiples


def _followed(
    base: Replica, start: Array, predicted: Array, values: Rounded, rest: Rounded, params: Array
) -> CurvatureTold:
    n = len(params)
    upper = predicted + rest.values()
    linear = start[:n] + _product(upper - start[n:], params) - values.values()
    flow = upper - start[n:]
    if base.curvature.flow.size:
        flow = base.curvature.flow + SMOOTHING * (flow - base.curvature.flow)
    return CurvatureTold(np.concatenate([linear, upper]), (start, *base.curvature.before)[:MEMORY], flow)


def _is_told(rest: Rounded) -> NDArray[np.bool_]:
    """Which blocks are not zero."""
    n_blocks = len(rest.exponents)
    padded = np.zeros(n_blocks * BLOCK, dtype=np.int16)
    padded[: len(rest.multiples)] = rest.multiples
    flags: NDArray[np.bool_] = np.count_nonzero(padded.reshape(n_blocks, BLOCK), axis=1) > 0
    return flags


def _by_number(is_told: NDArray[np.bool_], n: int) -> NDArray[np.bool_]:
    return np.repeat(is_told, BLOCK)[:n]


def _whole(total: Array, size: int) -> Array:
    return total if total.size else np.zeros(size)


def _predictors(base: Replica, other: Replica | None, size: int, n: int) -> list[Array]:
    """The last changes of H: two of the sender's, and one of the reader's."""
    found = _changes_told(base.curvature, size, n)
    if base.curvature.flow.size:
        found.insert(0, base.curvature.flow)
    if other is not None and other.curvature.flow.size:
        found.append(other.curvature.flow)
    return found


def _changes_told(told_: CurvatureTold, size: int, n: int) -> list[Array]:
    if not told_.total.size:
        return []
    return changes([_whole(total, size)[n:] for total in (told_.total, *told_.before)])


@cache
def _upper(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(n)


def _product(upper: Array, params: WireArray) -> Array:
    """H v with H by its upper triangle, (n_params,): row by row, so that all machines round alike."""
    n = len(params)
    matrix, places = np.empty((n, n)), _upper(n)
    matrix[places] = matrix.T[places] = upper
    product: Array = np.add.reduce(matrix * params[:, np.newaxis], axis=0)
    return product
