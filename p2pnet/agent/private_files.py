"""Files for this agent's eyes alone: mode 0600, opened without following links, and judged by what has been opened."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

PRIVATE_MODE = 0o600
PRIVATE_DIRECTORY_MODE = 0o700

_ALWAYS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Without O_NONBLOCK, opening a FIFO waits for its other end."""


def make_private_directory(path: Path) -> None:
    """Create the directory, mode 0700, and those above it; one that is there is left as it is."""
    path.mkdir(mode=PRIVATE_DIRECTORY_MODE, parents=True, exist_ok=True)


def create_anew(path: Path, mode: int = PRIVATE_MODE) -> int:
    """Create an empty file in place of what stands there, and return its descriptor; a link is not followed."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _ALWAYS, mode)


def open_private(path: Path, flags: int) -> int:
    """Open a file, created with mode 0600 if `flags` say so; OSError where a link stands there, or no regular file."""
    try:
        descriptor = os.open(path, flags | _ALWAYS, PRIVATE_MODE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, f"{path.name} is a symbolic link; remove it", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{path.name} is no regular file; remove it", str(path))
    return descriptor


def read_private(path: Path, max_bytes: int) -> bytes:
    """The content of a small file; OSError where it cannot be opened (`open_private`), or holds more."""
    with open(open_private(path, os.O_RDONLY), "rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"{path.name} holds more than {max_bytes} bytes", str(path))
    return content
