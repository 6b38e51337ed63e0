"""What is fuzzed. Each target is given bytes, and answers any of them with a value or an error of p2pnet's own.

Whatever else is raised is a finding.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from p2pnet.agent.diagnostics.status import decode_status
from p2pnet.config import read_settings
from p2pnet.data.npz_archive import read_archive
from p2pnet.data.reading import read_samples
from p2pnet.errors import P2pnetError
from p2pnet.protocol.messages.wire import decode
from p2pnet.training.checkpoint import decode_checkpoint, sealed
from p2pnet.training.model_file import ModelFile

CORPUS: Final = Path(__file__).with_name("corpus")
MAX_FRAMES: Final = 16

Target = Callable[[bytes], None]


def frames_of(data: bytes) -> list[bytes]:
    """Frames of a message from bytes: each has its length before it in two bytes; the last has the rest."""
    frames: list[bytes] = []
    while len(data) >= 2 and len(frames) < MAX_FRAMES:
        length = int.from_bytes(data[:2], "big")
        frames.append(data[2 : 2 + length])
        data = data[2 + length :]
    return frames or [data]


def bytes_of(frames: list[bytes]) -> bytes:
    """The bytes of which `frames_of` makes these frames."""
    return b"".join(len(frame).to_bytes(2, "big") + frame for frame in frames)


def message(data: bytes) -> None:
    with suppress(P2pnetError):
        decode(frames_of(data))


def status(data: bytes) -> None:
    with suppress(P2pnetError):
        decode_status(frames_of(data))


def checkpoint(data: bytes) -> None:
    """The bytes as a file, and as what a checksum that fits vouches for."""
    for content in (data, sealed(data)):
        with suppress(P2pnetError):
            decode_checkpoint(content)


def archive(data: bytes) -> None:
    with suppress(P2pnetError):
        read_archive(data)


def model(data: bytes) -> None:
    _in_file(data, "model.npz", ModelFile.load)


def settings(data: bytes) -> None:
    _in_file(data, "agent.toml", lambda path: read_settings(path, environment={}))


def table(data: bytes) -> None:
    _in_file(data, "samples.csv", read_samples)


def _in_file(data: bytes, name: str, read: Callable[[Path], object]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_bytes(data)
        with suppress(P2pnetError):
            read(path)


TARGETS: Final[Mapping[str, Target]] = {
    "message": message,
    "status": status,
    "checkpoint": checkpoint,
    "archive": archive,
    "model": model,
    "settings": settings,
    "table": table,
}


def seeds(name: str) -> list[Path]:
    """The corpus of a target: what its search begins with, and what earlier ones have found."""
    return sorted((CORPUS / name).iterdir())
