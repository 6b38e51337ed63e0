"""The files of a network on one machine:

- `records`: what the network begins with, then every signed record that this machine has heard of;
- `invitations`: those that were made here, without their secrets;
- `root.key`: the key that grants and revokes above all others, on the machine where the network began.

All are lines that are appended and put on disk before anything follows from them. Several processes may append. A last
line that power has cut off was not on disk, and is dropped; any other damage is an error, and never passed over: an
agent that lost what it knows of revocations would let in those that were revoked.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, final

from p2pnet.agent.atomic_files import not_written, sync_directory
from p2pnet.agent.private_files import make_private_directory, open_private, read_private
from p2pnet.agent.trust.invitation import IssuedInvitation
from p2pnet.agent.trust.lines import from_line, to_line
from p2pnet.agent.trust.signing import Signer, verify
from p2pnet.errors import ProtocolError, SecurityError
from p2pnet.protocol.trust.records import Genesis, SignedRecord
from p2pnet.protocol.trust.roster import Roster

_RECORD, _INVITATION, _ROOT = "r", "i", "root"
_MAX_BYTES: Final = 256 * 2**20


@final
class NetworkFiles:
    """The directory of one network."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records = _Lines(path / "records", _RECORD)
        self._invitations = _Lines(path / "invitations", _INVITATION)
        self._on_disk: set[bytes] = set()

    @property
    def exists(self) -> bool:
        return (self.path / "records").exists()

    def create(self, genesis: Genesis, records: Iterable[SignedRecord]) -> None:
        """Write what this machine knows at first; SecurityError where a network is there already."""
        if self.exists:
            raise SecurityError(f"{self.path}: a network is there already; choose another directory")
        self._records.append([genesis.data])
        self.append(record.data for record in records)

    def roster(self) -> Roster:
        """All records; SecurityError where the files are missing, damaged or forged."""
        lines = self._records.read()
        if not lines:
            raise SecurityError(
                f"{self.path}: there are no records of a network; restore the directory from a backup, or join the "
                "network by another invitation"
            )
        try:
            roster = Roster(Genesis.read(lines[0]), verify, [SignedRecord.read(line) for line in lines[1:]])
        except ProtocolError as error:
            raise SecurityError(f"{self.path / 'records'}: {error}; restore the file from a backup") from error
        self._on_disk = set(lines)
        return roster

    def new_records(self) -> Sequence[bytes]:
        """The records that another process has appended."""
        new = [line for line in self._records.read()[1:] if line not in self._on_disk]
        self._on_disk |= set(new)
        return new

    def append(self, records: Iterable[bytes]) -> None:
        """Put records on disk that are not there; TrainingError where the disk takes nothing."""
        new = [record for record in dict.fromkeys(records) if record not in self._on_disk]
        self._records.append(new)
        self._on_disk |= set(new)

    @property
    def invitations_size(self) -> int:
        """The bytes of the file of invitations, which grows with each."""
        return self._invitations.size

    def invitations(self) -> list[IssuedInvitation]:
        """Those made here; SecurityError where the file is damaged."""
        return [IssuedInvitation.read(line) for line in self._invitations.read()]

    def invite(self, invitation: IssuedInvitation) -> None:
        self._invitations.append([invitation.data])

    def save_root(self, root: Signer) -> None:
        """Keep the network's signing key here; SecurityError where one is there."""
        if (self.path / "root.key").exists():
            raise SecurityError(f"{self.path / 'root.key'}: a signing key is there already")
        _Lines(self.path / "root.key", _ROOT).append([root.seed])

    def root(self, path: Path | None = None) -> Signer | None:
        """The network's signing key, of this path or where it was made; None where it is not there."""
        place = self.path / "root.key" if path is None else path
        if not place.exists():
            return None
        seeds = _Lines(place, _ROOT).read()
        if len(seeds) != 1 or len(seeds[0]) != 32:
            raise SecurityError(f"{place}: not one signing key; restore it by the recovery line: p2pnet init --recover")
        return Signer(seeds[0])


@final
class _Lines:
    """A file of lines that only grows."""

    def __init__(self, path: Path, word: str) -> None:
        self._path = path
        self._word = word

    @property
    def size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def read(self) -> list[bytes]:
        try:
            content = read_private(self._path, _MAX_BYTES)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SecurityError(f"{self._path}: cannot be read: {error.strerror}") from error
        lines = content.split(b"\n")[:-1]  # what follows the last line break was cut off
        found = []
        for number, line in enumerate(lines, start=1):
            try:
                found.append(from_line(self._word, line.decode("ascii")))
            except (SecurityError, UnicodeDecodeError):
                raise SecurityError(
                    f"{self._path}: line {number} is damaged; restore the file from a backup, or join the network anew"
                ) from None
        return found

    def append(self, items: Sequence[bytes]) -> None:
        """TrainingError where the disk takes nothing; then nothing is added."""
        if not items:
            return
        text = "".join(f"{to_line(self._word, item)}\n" for item in items).encode("ascii")
        try:
            is_new = not self._path.exists()
            make_private_directory(self._path.parent)
            descriptor = open_private(self._path, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                end = _end_of_lines(descriptor)
                os.ftruncate(descriptor, end)
                try:
                    os.pwrite(descriptor, text, end)
                    os.fsync(descriptor)
                except OSError:
                    os.ftruncate(descriptor, end)
                    raise
            finally:
                os.close(descriptor)
            if is_new:
                sync_directory(self._path.parent)
        except OSError as error:
            raise not_written(self._path, error) from error


def _end_of_lines(descriptor: int) -> int:
    """Where the last whole line ends: power may have cut off one that was being written."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - 2**16)
    last = os.pread(descriptor, size - start, start)
    return start + last.rfind(b"\n") + 1
