"""Whether the files that an agent's samples are in have changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias, final

Look: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Name, number, size and time of change of each file."""


@final
class SampleWatch:
    """Looks at files, and at all files of directories, from time to time.

    A change is told once all has looked the same twice, so that a file that is being written is not read.
    """

    def __init__(self, paths: Iterable[Path], interval_s: float, clock: Callable[[], float]) -> None:
        """`clock` shows seconds that never go back. What is there now has been read."""
        self._paths = tuple(paths)
        self._interval_s = interval_s
        self._clock = clock
        self._read = self._seen = self._look()
        self.next_look_at = clock() + interval_s
        self._is_asked = False

    def ask(self) -> None:
        """Have what is there now read at once, whether it looks changed or not."""
        self._is_asked, self.next_look_at = True, self._clock()

    def has_changed(self) -> bool:
        """Look if it is time to; whether there is something new to read, which is told once."""
        now = self._clock()
        if now < self.next_look_at:
            return False
        self.next_look_at = now + self._interval_s
        before, self._seen = self._seen, self._look()
        if self._is_asked:
            self._is_asked, self._read = False, self._seen
            return True
        if self._seen == self._read or self._seen != before:
            return False
        self._read = self._seen
        return True

    def _look(self) -> Look:
        return tuple(entry for path in self._paths for entry in _entries(path))


def _entries(path: Path) -> Look:
    """What is seen of a file, or of the files of a directory; nothing of what cannot be seen."""
    try:
        names = sorted(path.iterdir()) if path.is_dir() else [path]
        return tuple((str(name), *_of(name)) for name in names)
    except OSError:
        return ()


def _of(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
