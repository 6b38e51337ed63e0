"""Rounding of vectors to few bits, and the bytes that the rounded vectors take.

A vector is cut into blocks of 256 numbers. Each number of a block becomes a whole multiple of the block's step Δ, a
power of two near a fraction ρ of the block's root mean square:

    [x] = Δ · round(x / Δ),    Δ = 2^⌊log₂(ρ √2 RMS)⌋,    ρ / √2 < Δ / RMS ≤ ρ √2

so the error is at most Δ / 2, and about Δ / √12 ≈ 0.3 ρ of the RMS: the larger the vector, the larger the error, at the
same number of bits, log₂(√(2πe) / ρ) for normally distributed numbers (Gish and Pierce 1968). Since Δ is a power of
two, a multiple of it is exact, and every reader gets the same numbers to the last bit. Numbers so far above their
block's RMS that the multiple would not fit 15 bits make the step larger; a step is never smaller than the smallest
positive float.

Exponents of steps, each as the difference from the last, and multiples are small whole numbers, 0, −1, 1, −2, … as 0,
1, 2, 3, … They travel in Rice's code (Rice and Plaunt 1971): of a number u the quotient u >> k, as so many zeros and a
one, and the last k bits as they are. With k where the mean is between 2^k and 2^(k+1), quotients take 2 bits each on
average, which for numbers of one size is within 0.1 bits of the best code there is; and it needs no table as Huffman's
does, which may be longer than all that agents of a small model have to say.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Array

BLOCK = 256
"""Numbers that share a step."""

LARGEST_BITS = 14
"""A multiple is below 2^14 in size, and fits 16 bits as a zigzag number."""

CHUNK = 2**16
"""Numbers that share a k, and are packed or unpacked at once."""

ZIGZAG_BITS = 16

MOST_QUOTIENT_BITS = 3
"""The most that quotients take on average: where the mean is below 2^(k+1), that of quotients is below two."""

LEAST_EXPONENT, LARGEST_EXPONENT = -1074, 1023
"""Of the powers of two among the positive floats."""

NOT_FINITE = 2**15 - 1
"""Stands for the exponent of a block with a number that is not finite: no receiver reads such a block."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Rounded:
    """A vector of n numbers as whole multiples of steps."""

    multiples: NDArray[np.int16]
    """(n,)"""
    exponents: NDArray[np.int16]
    """(number of blocks,): log₂ of each block's step"""

    def values(self) -> Array:
        """[x], (n,); 0 in blocks that are not finite."""
        is_finite = self.exponents <= LARGEST_EXPONENT
        steps = np.ldexp(is_finite.astype(np.float64), np.where(is_finite, self.exponents, 0))
        values: Array = self.multiples * np.repeat(steps, BLOCK)[: len(self.multiples)]
        return values


def rounded(
    vectors: Sequence[Array], finenesses: Sequence[float], least_exponents: NDArray[np.int16] | None = None
) -> list[Rounded]:
    """The vectors rounded, each with steps near its fineness ρ of each block's root mean square, and no smaller than
    those of the least exponents, of all blocks of all vectors.
    """
    sizes = [len(vector) for vector in vectors]
    n_blocks = [-(-n // BLOCK) for n in sizes]
    ends = list(itertools.accumulate(n_blocks))
    rows, lengths = np.zeros((ends[-1], BLOCK)), np.full(ends[-1], float(BLOCK))
    parts = [rows[end - n : end].reshape(-1)[:size] for size, n, end in zip(sizes, n_blocks, ends, strict=True)]
    for part, vector, n, end in zip(parts, vectors, n_blocks, ends, strict=True):
        part[:] = vector
        if n:
            lengths[end - 1] = len(vector) - (n - 1) * BLOCK
    exponents = _rounded_rows(rows, lengths, np.repeat(np.square(finenesses), n_blocks), least_exponents)
    of_each = zip(parts, n_blocks, ends, strict=True)
    return [Rounded(part.astype(np.int16), exponents[end - n : end]) for part, n, end in of_each]


def exponents_of(vector: Array, fineness: float) -> NDArray[np.int16]:
    """log₂ of a step of about this part of the root mean square of each block; the least there is for zeros."""
    rows = np.zeros((-(-len(vector) // BLOCK), BLOCK))
    rows.reshape(-1)[: len(vector)] = vector
    with np.errstate(over="ignore", invalid="ignore"):
        sizes = fineness * np.sqrt(np.einsum("ij,ij->i", rows, rows) / BLOCK)
    is_usual = np.isfinite(sizes) & (sizes > 0.0)
    exponents: NDArray[np.int16] = np.where(is_usual, np.frexp(sizes)[1] - 1, LEAST_EXPONENT).astype(np.int16)
    return exponents


def _rounded_rows(
    rows: Array, lengths: Array, squared_finenesses: Array, least_exponents: NDArray[np.int16] | None
) -> NDArray[np.int16]:
    """Turn blocks, a row each, into multiples of their steps in place, and return the exponents of the steps."""
    largest = np.maximum(rows.max(axis=1), -rows.min(axis=1))
    is_finite = np.isfinite(largest)
    if not is_finite.all():
        rows[~is_finite] = largest[~is_finite] = 0.0
    top = np.frexp(largest)[1]
    # Relative to a power of two near the largest, squares neither overflow nor vanish.
    near = np.clip(top, -1000, 1000)
    rows *= np.ldexp(1.0, -near)[:, np.newaxis]
    mean_squares = np.einsum("ij,ij->i", rows, rows) / lengths
    # frexp gives ⌊log₂⌋ + 1; half of that of 2 ρ² RMS² is what is to be rounded down.
    exponents = near + (np.frexp(2 * squared_finenesses * mean_squares)[1] - 1) // 2
    if least_exponents is not None:
        exponents = np.maximum(exponents, least_exponents)
    exponents = np.clip(np.maximum(exponents, top - LARGEST_BITS), LEAST_EXPONENT, LARGEST_EXPONENT)
    rows *= np.ldexp(1.0, near - exponents)[:, np.newaxis]
    np.rint(rows, out=rows)
    if (top >= LARGEST_EXPONENT).any():
        # 2^1024 is no float: multiples next to it are rounded down.
        bounds = np.ldexp(1.0, np.minimum(top, LARGEST_EXPONENT + 1) - exponents) - (top == LARGEST_EXPONENT + 1)
        np.clip(rows, -bounds[:, np.newaxis], bounds[:, np.newaxis], out=rows)
    exponents[largest == 0.0] = 0
    exponents[~is_finite] = NOT_FINITE
    narrow: NDArray[np.int16] = exponents.astype(np.int16)
    return narrow


def pack(vectors: Sequence[Rounded]) -> bytes:
    """The bytes of rounded vectors: the exponents of all, then the multiples of all."""
    numbers = np.concatenate([_differences(vector.exponents) for vector in vectors] + [v.multiples for v in vectors])
    return b"".join(_packed(numbers[start : start + CHUNK]) for start in range(0, len(numbers), CHUNK))


def _differences(numbers: NDArray[np.int16]) -> NDArray[np.int16]:
    """Each number less the one before it, the first as it is."""
    differences = numbers.copy()
    differences[1:] -= numbers[:-1]
    return differences


def _packed(numbers: NDArray[np.int16]) -> bytes:
    """The byte k, the last k bits of all numbers, the lowest bits of all first, and the quotients."""
    chunk = ((numbers << 1) ^ (numbers >> 15)).view(np.uint16)
    # Of k and k + 1 the shorter code is that of k where the mean is below 2^(k+1), for numbers that are spread evenly.
    k = max((int(chunk.sum(dtype=np.int64)) // len(chunk)).bit_length() - 1, 0)
    ends = np.cumsum(np.add(chunk >> k, 1, dtype=np.int64))
    quotients = np.zeros(ends[-1] + 1, dtype=np.bool_)
    quotients[ends] = True
    octets = [chunk.astype(np.uint8), (chunk >> 8).astype(np.uint8)] if k > 8 else [chunk.astype(np.uint8)]
    parts = [np.packbits(octets[bit // 8] & (1 << bit % 8)) for bit in range(k)] + [np.packbits(quotients[1:])]
    return b"".join([bytes([k]), *(part.tobytes() for part in parts)])


def unpack(packed: bytes, sizes: Sequence[int]) -> list[Rounded]:
    """Read rounded vectors of these sizes; ProtocolError where the bytes are not exactly those. No more memory is taken
    than for so many numbers, whatever the bytes say.
    """
    lengths = [-(-n // BLOCK) for n in sizes] + list(sizes)
    ends = list(itertools.accumulate(lengths))
    reader = _BitReader(packed)
    numbers = reader.numbers(ends[-1])
    if reader.n_left:
        raise ProtocolError(f"{reader.n_left} bytes too many; the sender trains a model of another size")
    parts = [numbers[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    exponents = [np.cumsum(differences, dtype=np.int16) for differences in parts[: len(sizes)]]
    if any(((each < LEAST_EXPONENT) | (each > LARGEST_EXPONENT)).any() for each in exponents):
        raise ProtocolError("holds a number that is not finite")
    return [Rounded(*each) for each in zip(parts[len(sizes) :], exponents, strict=True)]


def pack_lists(lists: Sequence[NDArray[np.int16]]) -> bytes:
    """The bytes of lists of small whole numbers, which need not be of one size."""
    return b"".join(_packed(each[start : start + CHUNK]) for each in lists for start in range(0, len(each), CHUNK))


def unpack_lists(packed: bytes, lengths: Sequence[int]) -> list[NDArray[np.int16]]:
    """Read lists of these lengths; ProtocolError where the bytes are not exactly those."""
    reader = _BitReader(packed)
    lists = [reader.numbers(length) for length in lengths]
    if reader.n_left:
        raise ProtocolError(f"{reader.n_left} bytes too many; the sender trains a model of another size")
    return lists


def zeros_left_out(numbers: NDArray[np.int16]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Numbers that mostly are zero as two lists: of zeros before each of the others, and of these, nearer to zero by
    one where they are positive. No more than 2^15 zeros are in a row.
    """
    places = np.flatnonzero(numbers)
    kept = numbers[places]
    zeros = np.diff(places, prepend=-1) - 1
    # Even numbers as those from zero on, odd ones as those below: the other way round than in the code.
    return ((zeros >> 1) ^ -(zeros & 1)).astype(np.int16), np.where(kept > 0, kept - 1, kept).astype(np.int16)


def with_zeros(zeros: NDArray[np.int16], kept: NDArray[np.int16], n: int) -> NDArray[np.int16]:
    """Put n numbers together again; ProtocolError where there is no place for them."""
    numbers = np.zeros(n, dtype=np.int16)
    wide = zeros.astype(np.int64)
    places = np.cumsum(((wide << 1) ^ (wide >> 63)) + 1) - 1
    if len(places) and places[-1] >= n:
        raise ProtocolError("holds a number behind the last")
    numbers[places] = np.where(kept >= 0, kept + 1, kept)
    return numbers


@final
class _BitReader:
    """Reads packed numbers from the first byte to the last."""

    def __init__(self, packed: bytes) -> None:
        self._left = np.frombuffer(packed, dtype=np.uint8)

    @property
    def n_left(self) -> int:
        return len(self._left)

    def numbers(self, n: int) -> NDArray[np.int16]:
        numbers = np.empty(n, dtype=np.int16)
        for start in range(0, n, CHUNK):
            chunk = numbers[start : start + CHUNK]
            zigzag = self._chunk(len(chunk))
            chunk[:] = (zigzag >> 1).view(np.int16) ^ -(zigzag & 1).view(np.int16)
        return numbers

    def _chunk(self, n: int) -> NDArray[np.uint16]:
        k, n_bytes = int(self._left[0]) if self.n_left else 0, -(-n // 8)
        # With the k that is chosen by the mean, quotients take three bits a number at most.
        bits = np.unpackbits(self._left[1 + k * n_bytes :][: -(-n * MOST_QUOTIENT_BITS // 8)])
        ends = np.flatnonzero(bits.view(np.bool_))[:n]
        if k >= ZIGZAG_BITS or len(ends) < n:
            raise ProtocolError(f"not the code of {n} numbers; the sender trains a model of another size")
        quotients = ends.copy()
        quotients[1:] -= ends[:-1] + 1
        if int(quotients.max()) >> (ZIGZAG_BITS - k):
            raise ProtocolError("holds a number that is too large")
        numbers = quotients.astype(np.uint16) << np.uint16(k)
        for first in range(0, k, 8):
            octet = np.zeros(n, dtype=np.uint8)
            for bit in range(first, min(first + 8, k)):
                octet |= np.unpackbits(self._left[1 + bit * n_bytes :][:n_bytes], count=n) << (bit - first)
            numbers |= octet.astype(np.uint16) << np.uint16(first)
        self._left = self._left[1 + k * n_bytes + (int(ends[-1]) + 8) // 8 :]
        return numbers
