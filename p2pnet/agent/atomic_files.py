"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeAlias

from p2pnet.agent.private_files import PRIVATE_MODE, create_anew, make_private_directory
from p2pnet.errors import TrainingError

Content: TypeAlias = bytes | Callable[[IO[bytes]], object]
"""The bytes of a file, or what writes them bit by bit, where they would take much memory."""


def write_atomically(path: Path, content: Content, mode: int = PRIVATE_MODE) -> None:
    """The file is either as it was or whole and on disk, whenever power fails; TrainingError where it cannot be.

    Its directory is made again where it was removed: what has been trained is worth more than knowing why. The draft
    beside it is a new file, whatever stood there before.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        write_durably(draft, content, mode)
        draft.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()  # it takes up room
        raise not_written(path, error) from error


def write_durably(path: Path, content: Content, mode: int = PRIVATE_MODE) -> None:
    """A new file with this content, on disk, in place of what stood there; its directory is made where it is missing.

    OSError where it cannot be written; then no part of it is left.
    """
    make_private_directory(path.parent)
    try:
        with os.fdopen(create_anew(path, mode), "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                content(file)
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


def not_written(path: Path, error: OSError) -> TrainingError:
    return TrainingError(f"{path}: cannot be written: {error.strerror}; make room, or choose another directory")
