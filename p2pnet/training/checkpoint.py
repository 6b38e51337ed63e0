"""A checkpoint: all that an agent's training goes on from after a restart, and its bytes.

    8 bytes   "p2pnetCP"
    4 bytes   version of the format, little-endian like all numbers here
    32 bytes  SHA-256 of everything after it
    4 bytes   length of the header
    header    msgpack: a map of numbers and texts, and the lengths of the arrays
    arrays    float64: parameters, mean and variance of the feature statistics, candidates of early stopping

A checkpoint without candidates is of format 1, which older releases read; one with them of format 2.
Links and trackers are not in it: mass in flight belongs to one life of a link, and the gradient is computed anew.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import msgpack
import numpy as np
from numpy.typing import NDArray

from p2pnet.errors import CheckpointError
from p2pnet.protocol.core.types import Array, FeatureStatistics
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.training.records import LearnerState

VERSION: Final = 2
VERSION_WITHOUT_CANDIDATES: Final = 1
MAX_HEADER_BYTES: Final = 1 << 20
_MAGIC: Final = b"p2pnetCP"
_PREFIX: Final = struct.Struct("<8sI32s")
_LENGTH: Final = struct.Struct("<I")
_CHUNK: Final = 2**16
"""Numbers that are written at once."""


@final
@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One agent's training at the beginning of a round."""

    rounds: RoundSnapshot
    learner: LearnerState
    fingerprint: Mapping[str, str]
    """what is the same at all agents of the network"""
    tolerance: float
    """the tolerance of the stopping criterion"""
    samples: str = ""
    """the digest of the samples that the parameters are of; empty where they are not of all that there were"""

    def check(self, fingerprint: Mapping[str, str]) -> None:
        """CheckpointError, with the first field that differs, where another training than this has left it."""
        for name, ours in sorted(fingerprint.items()):
            if (theirs := self.fingerprint.get(name, "none")) != ours:
                raise CheckpointError(f"is of another training: its {name} is {theirs}, that of the settings {ours}")


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The bytes of the file."""
    return b"".join(pieces_of(checkpoint))


def pieces_of(checkpoint: Checkpoint) -> Iterator[bytes]:
    """The same bit by bit, so that no copy of the parameters is made."""
    rounds, statistics = checkpoint.rounds, checkpoint.rounds.statistics
    candidates = checkpoint.learner.candidates
    moments = [] if statistics is None else [statistics.mean, statistics.variance]
    arrays = [rounds.params, *moments, *candidates.values()]
    header = {
        "round": rounds.round,
        "first_residual": rounds.first_residual,
        "is_converged": rounds.is_converged,
        "is_concluded": rounds.is_concluded,
        "tolerance": checkpoint.tolerance,
        "learner": {name: float(number) for name, number in checkpoint.learner.numbers.items()},
        "fingerprint": dict(checkpoint.fingerprint),
        "epoch": rounds.epoch,
        "first_round": rounds.first_round,
        "samples": checkpoint.samples,
        "survey": None if statistics is None else statistics.survey,
        "labels": [] if statistics is None else list(statistics.labels),
        "sizes": [array.size for array in arrays],
        "candidates": list(candidates),
    }
    packed = msgpack.packb(header)
    digest = hashlib.sha256()
    for piece in _body(packed, arrays):
        digest.update(piece)
    yield _PREFIX.pack(_MAGIC, VERSION if candidates else VERSION_WITHOUT_CANDIDATES, digest.digest())
    yield from _body(packed, arrays)


def _body(header: bytes, arrays: Sequence[NDArray[np.floating[Any]]]) -> Iterator[bytes]:
    yield _LENGTH.pack(len(header)) + header
    for array in arrays:
        for start in range(0, array.size, _CHUNK):
            yield array[start : start + _CHUNK].astype("<f8").tobytes()


def sealed(body: bytes, version: int = VERSION) -> bytes:
    """The content of a checkpoint's file: what it is, its version and the SHA-256 of the body stand before the body."""
    return _PREFIX.pack(_MAGIC, version, hashlib.sha256(body).digest()) + body


def decode_checkpoint(content: bytes) -> Checkpoint:
    """The checkpoint in the bytes of a file; CheckpointError where they are not whole, or of a newer version."""
    if len(content) < _PREFIX.size + _LENGTH.size:
        raise CheckpointError(f"is damaged: it ends after {len(content)} bytes")
    magic, version, digest = _PREFIX.unpack_from(content)
    if magic != _MAGIC:
        raise CheckpointError("is damaged: it does not begin as a checkpoint does")
    if version > VERSION:
        raise CheckpointError(f"has format {version}, and this p2pnet reads up to {VERSION}")
    body = memoryview(content)[_PREFIX.size :]
    if hashlib.sha256(body).digest() != digest:
        raise CheckpointError("is damaged: its checksum does not fit its content")
    try:
        return _decode_body(body)
    except (ValueError, TypeError, KeyError, OverflowError, msgpack.UnpackException) as error:
        raise CheckpointError(f"is damaged: its content cannot be read ({error})") from error


def _decode_body(body: memoryview) -> Checkpoint:
    (length,) = _LENGTH.unpack_from(body)
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"a header of {length} bytes")
    header: Any = msgpack.unpackb(body[_LENGTH.size : _LENGTH.size + length])
    numbers = np.frombuffer(bytes(body[_LENGTH.size + length :]), dtype="<f8").astype(np.float64)
    sizes = [int(size) for size in header["sizes"]]
    has_statistics = header["survey"] is not None
    n_moments = 2 if has_statistics else 0
    candidates = [int(number) for number in header.get("candidates", [])]
    if len(sizes) != 1 + n_moments + len(candidates) or min(sizes) < 0 or sum(sizes) != numbers.size:
        raise ValueError(f"arrays of {sizes} in {numbers.size} numbers")
    if not np.all(np.isfinite(numbers)):
        raise ValueError("a number is not finite")
    if any(size != sizes[0] for size in sizes[1 + n_moments :]):
        raise ValueError("a candidate is of another size than the parameters")
    params, *others = np.split(numbers, np.cumsum(sizes)[:-1])
    return Checkpoint(
        rounds=RoundSnapshot(
            round=int(header["round"]),
            params=params,
            first_residual=float(header["first_residual"]),
            is_converged=bool(header["is_converged"]),
            statistics=_statistics(header, *others[:n_moments]) if has_statistics else None,
            is_concluded=bool(header["is_concluded"]),
            epoch=int(header["epoch"]),
            first_round=int(header.get("first_round", 0)),
        ),
        learner=LearnerState(
            {str(name): float(number) for name, number in header["learner"].items()},
            dict(zip(candidates, others[n_moments:], strict=True)),
        ),
        fingerprint={str(name): str(text) for name, text in header["fingerprint"].items()},
        tolerance=float(header["tolerance"]),
        samples=str(header.get("samples", "")),
    )


def _statistics(header: Mapping[str, Any], mean: Array, variance: Array) -> FeatureStatistics:
    return FeatureStatistics(str(header["survey"]), tuple(str(label) for label in header["labels"]), mean, variance)
