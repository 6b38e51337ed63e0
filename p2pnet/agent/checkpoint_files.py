"""Checkpoints on disk: written whole or not at all, the last two kept.

    checkpoint            the latest
    checkpoint.previous   the one before
    checkpoint.refused    one that could not be gone on from: damaged, of another training, or of a newer version

A save has a draft on disk before the draft takes the place of the latest. Wherever a save is cut off, by a signal or by
power, a whole checkpoint is left.
"""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final, final

from p2pnet.agent.atomic_files import sync_directory, write_durably
from p2pnet.agent.private_files import open_private
from p2pnet.errors import CheckpointError
from p2pnet.protocol.core.types import Buffer
from p2pnet.training.checkpoint import Checkpoint, decode_checkpoint, pieces_of

LATEST: Final = "checkpoint"
PREVIOUS: Final = "checkpoint.previous"
REFUSED: Final = "checkpoint.refused"
DRAFT: Final = ".checkpoint.draft"


class FileLayer(ABC):
    """What checkpoints need of a directory; each method raises OSError where the file system does."""

    @abstractmethod
    def write_durably(self, name: str, pieces: Iterable[Buffer]) -> None:
        """A new file with these pieces of content, on disk."""

    @abstractmethod
    def rename(self, name: str, new_name: str) -> None: ...

    @abstractmethod
    def sync_directory(self) -> None:
        """All renames so far are on disk."""

    @abstractmethod
    def read(self, name: str, max_bytes: int) -> bytes:
        """The content, cut off after `max_bytes`; FileNotFoundError where there is no file."""


@final
class DirectoryFiles(FileLayer):
    """The files of one directory; no symbolic link is followed."""

    def __init__(self, path: Path, lent: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        """`lent` lends descriptors where there are none left."""
        self._path = path
        self._lent = lent

    def write_durably(self, name: str, pieces: Iterable[Buffer]) -> None:
        with self._lent():
            write_durably(self._path / name, lambda file: file.writelines(pieces))

    def rename(self, name: str, new_name: str) -> None:
        (self._path / name).rename(self._path / new_name)

    def sync_directory(self) -> None:
        with self._lent():
            sync_directory(self._path)

    def read(self, name: str, max_bytes: int) -> bytes:
        with os.fdopen(open_private(self._path / name, os.O_RDONLY), "rb") as file:
            return file.read(max_bytes)


@final
class CheckpointFiles:
    """The last two checkpoints of one agent."""

    def __init__(self, files: FileLayer, max_bytes: int) -> None:
        """No more than `max_bytes` of a file are ever read."""
        self._files = files
        self._max_bytes = max_bytes

    def save(self, checkpoint: Checkpoint) -> None:
        """OSError where it cannot be written; then the last two are as they were, or this is the latest already."""
        self._files.write_durably(DRAFT, pieces_of(checkpoint))
        with contextlib.suppress(FileNotFoundError):
            self._files.rename(LATEST, PREVIOUS)
        self._files.rename(DRAFT, LATEST)
        self._files.sync_directory()

    def load(self, check: Callable[[Checkpoint], None] = lambda _: None) -> tuple[Checkpoint | None, list[str]]:
        """The latest checkpoint that is whole and that `check` does not refuse by CheckpointError, and a line for each
        that is refused; None where there is none.
        """
        problems: list[str] = []
        for name in (LATEST, PREVIOUS):
            try:
                checkpoint = decode_checkpoint(self._files.read(name, self._max_bytes))
                check(checkpoint)
            except FileNotFoundError:
                continue
            except (CheckpointError, OSError) as error:
                reason = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
                problems.append(f"{name} {reason}")
                if name == LATEST:
                    # Else the next save would put it in the place of the one before, which may be good.
                    with contextlib.suppress(OSError):
                        self._files.rename(LATEST, REFUSED)
            else:
                return checkpoint, problems
        return None, problems
