"""Reading and writing whole files, with errors that say which."""

from __future__ import annotations

import contextlib
from pathlib import Path

from p2pnet.errors import DataError


def read_file(path: Path) -> bytes:
    """All bytes of a file; DataError names what cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def write_file(path: Path, content: bytes) -> None:
    """Write the file whole or not at all; DataError names what cannot be written."""
    draft = path.with_name(f"{path.name}.part")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
