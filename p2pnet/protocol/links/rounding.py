"""Rounding of vectors to few bits, and the bytes that the rounded vectors take.

A vector is cut into blocks of 256 numbers. Each number of a block becomes a whole multiple of the block's step Δ, a
power of two near a fraction ρ of the block's root mean square:

    [x] = Δ · round(x / Δ),    Δ = 2^⌊log₂(ρ √2 RMS)⌋,    ρ / √2 < Δ / RMS ≤ ρ √2

so the error is at most Δ / 2, and about Δ / √12 ≈ 0.3 ρ of the RMS: the larger the vector, the larger the error, at the
same number of bits, log₂(√(2πe) / ρ) for normally distributed numbers (Gish and Pierce 1968). Since Δ is a power of
two, a multiple of it is exact, and every reader gets the same numbers to the last bit. Numbers so far above their
block's RMS that the multiple would not fit 15 bits make the step larger; a step is never smaller than the smallest
positive float.

Exponents of steps, each as the difference from the last, and multiples are small whole numbers. They travel in a
Huffman code (deflate, RFC 1951), 0, −1, 1, −2, … as 0, 1, 2, 3, …, all low bytes before all high ones.
"""

from __future__ import annotations

import zlib
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
    small = np.concatenate(numbers).astype(np.int16)
    planes = ((small << 1) ^ (small >> 15)).astype("<u2").view(np.uint8).reshape(-1, 2).T
    packer = zlib.compressobj(wbits=-15, memLevel=9, strategy=zlib.Z_RLE)
    return packer.compress(planes.tobytes()) + packer.flush()


def unpack(packed: bytes, sizes: Sequence[int]) -> list[Rounded]:
    """Read rounded vectors of these sizes; ProtocolError where the bytes are not exactly those. No more memory is taken
    than for so many numbers, whatever the bytes say.
    """
    lengths = [length for n in sizes for length in (-(-n // BLOCK), n)]
    n_bytes = 2 * sum(lengths)
    reader = zlib.decompressobj(wbits=-15)
    try:
        content = reader.decompress(packed, n_bytes + 1)
    except zlib.error:
        raise ProtocolError("not deflated") from None
    if len(content) != n_bytes or not reader.eof or reader.unused_data:
        raise ProtocolError(f"not {' and '.join(map(str, sizes))} numbers; the sender trains a model of another size")
    low, high = np.frombuffer(content, dtype=np.uint8).reshape(2, -1).astype(np.uint16)
    zigzag = low | (high << 8)
    small = (zigzag >> 1).astype(np.int16) ^ -(zigzag & 1).astype(np.int16)
    parts = np.split(small, np.cumsum(lengths)[:-1])
    vectors = [
        Rounded(multiples, np.cumsum(differences, dtype=np.int16))
        for differences, multiples in zip(parts[::2], parts[1::2], strict=True)
    ]
    exponents = np.concatenate([vector.exponents for vector in vectors])
    if ((exponents < LEAST_EXPONENT) | (exponents > LARGEST_EXPONENT)).any():
        raise ProtocolError("holds a number that is not finite")
    return vectors
