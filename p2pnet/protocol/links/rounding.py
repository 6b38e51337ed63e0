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
one, and the last k bits as they are, with the k that takes the fewest bits. For numbers of one size that is within 0.1
bits of the best code there is; and it needs no table as Huffman's does, which may be longer than all that agents of a
small model have to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def rounded(vector: Array, fineness: float) -> Rounded:
    """The vector rounded with steps near `fineness` = ρ of each block's root mean square."""
    n = len(vector)
    n_blocks = -(-n // BLOCK)
    rows = np.zeros((n_blocks, BLOCK))
    rows.reshape(-1)[:n] = vector
    largest = np.abs(rows).max(axis=1, initial=0.0)
    is_finite = np.isfinite(largest)
    if not is_finite.all():
        rows[~is_finite] = largest[~is_finite] = 0.0
    top = np.frexp(largest)[1]
    # Relative to a power of two near the largest, squares neither overflow nor vanish.
    near = np.clip(top, -1000, 1000)
    relative = rows * np.ldexp(1.0, -near)[:, np.newaxis]
    lengths = np.full(n_blocks, float(BLOCK))
    lengths[n_blocks - 1 :] -= n_blocks * BLOCK - n
    mean_squares = np.einsum("ij,ij->i", relative, relative) / lengths
    # frexp gives ⌊log₂⌋ + 1; half of that of 2 ρ² RMS² is what is to be rounded down.
    exponents = near + (np.frexp(2 * fineness**2 * mean_squares)[1] - 1) // 2
    exponents = np.maximum(np.maximum(exponents, top - LARGEST_BITS), LEAST_EXPONENT)
    exponents = np.minimum(exponents, LARGEST_EXPONENT)
    rows /= np.ldexp(1.0, exponents)[:, np.newaxis]
    np.rint(rows, out=rows)
    # 2^1024 is no float: multiples next to it are rounded down.
    bounds = np.ldexp(1.0, np.minimum(top, 1024) - exponents) - (top == 1024)
    np.clip(rows, -bounds[:, np.newaxis], bounds[:, np.newaxis], out=rows)
    exponents[largest == 0.0] = LEAST_EXPONENT
    exponents[~is_finite] = NOT_FINITE
    return Rounded(rows.reshape(-1)[:n].astype(np.int16), exponents.astype(np.int16))


def pack(vectors: Sequence[Rounded]) -> bytes:
    """The bytes of rounded vectors, one after the other."""
    numbers = [part for vector in vectors for part in (np.diff(vector.exponents, prepend=0), vector.multiples)]
    return b"".join(_packed(chunk) for part in numbers for chunk in _chunks(part.astype(np.int16)))


def _chunks(numbers: NDArray[np.int16]) -> Iterator[NDArray[np.uint16]]:
    """The numbers as 0, 1, 2, … in place of 0, −1, 1, …, a chunk at a time."""
    zigzag = ((numbers << 1) ^ (numbers >> 15)).view(np.uint16)
    return (zigzag[start : start + CHUNK] for start in range(0, len(zigzag), CHUNK))


def _packed(chunk: NDArray[np.uint16]) -> bytes:
    """The byte k, then the bits of all quotients, then those of all rests."""

    def n_bits(k: int) -> int:
        return len(chunk) * (1 + k) + int((chunk >> k).sum())

    k = next(k for k in range(ZIGZAG_BITS + 1) if k == ZIGZAG_BITS or n_bits(k) <= n_bits(k + 1))
    ends = np.cumsum((chunk.astype(np.int64) >> k) + 1) - 1
    quotients = np.zeros(ends[-1] + 1, dtype=np.uint8)
    quotients[ends] = 1
    bits = np.unpackbits(chunk.astype(">u2").view(np.uint8)).reshape(-1, ZIGZAG_BITS)
    return bytes([k]) + np.packbits(np.concatenate([quotients, bits[:, ZIGZAG_BITS - k :].reshape(-1)])).tobytes()


def unpack(packed: bytes, sizes: Sequence[int]) -> list[Rounded]:
    """Read rounded vectors of these sizes; ProtocolError where the bytes are not exactly those. No more memory is taken
    than for so many numbers, whatever the bytes say.
    """
    reader = _BitReader(np.frombuffer(packed, dtype=np.uint8))
    vectors = []
    for n in sizes:
        differences, multiples = reader.numbers(-(-n // BLOCK)), reader.numbers(n)
        exponents = np.cumsum(differences, dtype=np.int16)
        if ((exponents < LEAST_EXPONENT) | (exponents > LARGEST_EXPONENT)).any():
            raise ProtocolError("holds a number that is not finite")
        vectors.append(Rounded(multiples, exponents))
    if reader.n_left:
        raise ProtocolError(f"{reader.n_left} bytes too many; the sender trains a model of another size")
    return vectors


@final
class _BitReader:
    """Reads packed numbers from the first byte to the last."""

    def __init__(self, packed: NDArray[np.uint8]) -> None:
        self._left = packed

    @property
    def n_left(self) -> int:
        return len(self._left)

    def numbers(self, n: int) -> NDArray[np.int16]:
        zigzag = np.empty(n, dtype=np.uint16)
        for start in range(0, n, CHUNK):
            chunk = zigzag[start : start + CHUNK]
            chunk[:] = self._chunk(len(chunk))
        numbers: NDArray[np.int16] = (zigzag >> 1).view(np.int16) ^ -(zigzag & 1).view(np.int16)
        return numbers

    def _chunk(self, n: int) -> NDArray[np.uint16]:
        k = int(self._left[0]) if self.n_left else 0
        # With k = 16 a number takes 17 bits, so with the best k all of them take no more.
        bits = np.unpackbits(self._left[1 : 2 + n * (ZIGZAG_BITS + 1) // 8 + 1])
        ends = np.flatnonzero(bits)[:n]
        if k > ZIGZAG_BITS or len(ends) < n or len(bits) < ends[-1] + 1 + n * k:
            raise ProtocolError(f"not the code of {n} numbers; the sender trains a model of another size")
        first = int(ends[-1]) + 1
        rests = np.zeros((n, ZIGZAG_BITS), dtype=np.uint8)
        rests[:, ZIGZAG_BITS - k :] = bits[first : first + n * k].reshape(n, k)
        found = ((np.diff(ends, prepend=-1) - 1) << k) + np.packbits(rests).view(">u2")
        if found.max() >= 2**ZIGZAG_BITS:
            raise ProtocolError("holds a number that is too large")
        self._left = self._left[1 + (first + n * k + 7) // 8 :]
        chunk: NDArray[np.uint16] = found.astype(np.uint16)
        return chunk
