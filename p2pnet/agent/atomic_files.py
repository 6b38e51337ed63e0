"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from p2pnet.agent.private_files import PRIVATE_MODE, create_anew, make_private_directory
from p2pnet.errors import TrainingError


def write_atomically(path: Path, content: bytes, mode: int = PRIVATE_MODE) -> None:
    """The file is either as it was or whole and on disk, whenever power fails; TrainingError where it cannot be.

    Its directory is made again where it was removed: what has been trained is worth more than knowing why. The draft
    beside it is a new file, whatever stood there before.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        make_private_directory(path.parent)
        with os.fdopen(create_anew(draft, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()  # it takes up room
        raise not_written(path, error) from error


def not_written(path: Path, error: OSError) -> TrainingError:
    return TrainingError(f"{path}: cannot be written: {error.strerror}; make room, or choose another directory")
