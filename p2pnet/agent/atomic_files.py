"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from p2pnet.errors import TrainingError


def write_atomically(path: Path, content: bytes) -> None:
    """The file is either as it was or whole and on disk, whenever power fails; TrainingError where it cannot be.

    Its directory is made again where it was removed: what has been trained is worth more than knowing why.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        write_durably(draft, content)
        draft.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()  # it takes up room
        raise not_written(path, error) from error


def write_durably(path: Path, content: bytes) -> None:
    """A new file with this content, on disk, in place of one that may be there; no symbolic link is followed.

    OSError where it cannot be written; then no part of it is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    try:
        with open(path, "xb", opener=_open_exclusively) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()  # it takes up room
        raise


def sync_directory(path: Path) -> None:
    """All renames in the directory so far are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_exclusively(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def not_written(path: Path, error: OSError) -> TrainingError:
    return TrainingError(f"{path}: cannot be written: {error.strerror}; make room, or choose another directory")
