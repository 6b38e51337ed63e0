"""history.csv of a state directory: a row for each round, read while it is being written."""

from __future__ import annotations

import contextlib
import csv
import errno
import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, final

from p2pnet.agent.atomic_files import not_written
from p2pnet.agent.private_files import create_anew, make_private_directory, open_private
from p2pnet.training.records import RoundRecord


def _csv_line(values: Sequence[Any]) -> bytes:
    """Numbers need no quotes."""
    return (",".join(map(str, values)) + "\r\n").encode()


_COLUMNS = [field.name for field in fields(RoundRecord)]
_HEADER = _csv_line(_COLUMNS)
_INTEGERS = {"round", "bytes_sent"}
_NO_HISTORY = {errno.ENOENT, errno.ELOOP, errno.EINVAL}
"""Nothing stands there, or a link, or no regular file."""

MAX_HISTORY_BYTES: Final = 100_000_000


@final
class History:
    """history.csv, a row at a time; each row is on its way to disk as soon as it is written.

    The file is opened anew for each row, so that one that was renamed or removed meanwhile, with its directory or
    without, is there again. One that has grown too large loses every second row.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_HISTORY_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes

    def begin(self) -> None:
        """Begin the file, unless there are rows to go on from; TrainingError where it cannot be written."""
        try:
            if not has_rows(self._path):
                with os.fdopen(create_anew(self._path), "wb") as file:
                    file.write(_HEADER)
        except OSError as error:
            raise not_written(self._path, error) from error

    def append(self, record: RoundRecord) -> None:
        """TrainingError where the row cannot be written; then no part of it is."""
        row = _csv_line([getattr(record, name) for name in _COLUMNS])
        try:
            # Once a round: descriptors take a tenth of the time of a file object.
            descriptor = self._open()
            try:
                size_bytes = os.fstat(descriptor).st_size
                try:
                    _write_all(descriptor, row if size_bytes else _HEADER + row)
                except OSError:
                    os.ftruncate(descriptor, size_bytes)
                    raise
            finally:
                os.close(descriptor)
            if size_bytes > self._max_bytes:
                _rewrite(self._path, lambda number, _: number % 2 == 1)
        except OSError as error:
            raise not_written(self._path, error) from error

    def forget_from(self, round_: int) -> None:
        """Drop the rows of this round and of later ones, which are gone through again; TrainingError where the file
        cannot be written.
        """
        try:
            if has_rows(self._path):
                _rewrite(self._path, lambda _, row: int(row.partition(b",")[0]) < round_)
        except (OSError, ValueError) as error:
            damage = error if isinstance(error, OSError) else OSError(errno.EINVAL, "a row of it is damaged")
            raise not_written(self._path, damage) from error

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        try:
            return open_private(self._path, flags)
        except FileNotFoundError:
            make_private_directory(self._path.parent)
            return open_private(self._path, flags)


def parse_history_row(row: list[str]) -> RoundRecord:
    """The record in a row of history.csv; ValueError for a row that is not (yet) whole."""
    values = dict(zip(_COLUMNS, row, strict=True))
    numbers: dict[str, Any] = {name: int(v) if name in _INTEGERS else float(v) for name, v in values.items()}
    return RoundRecord(**numbers)


def read_history(path: Path) -> list[RoundRecord]:
    """All whole rows of a history.csv, that of a running agent as well; none where there is no file yet."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    whole_lines = text[: text.rfind("\n") + 1].splitlines()
    return [parse_history_row(row) for row in csv.reader(whole_lines[1:])]


def has_rows(history: Path) -> bool:
    """Whether there is more in the file than the line with the names of the columns; what is no file has none."""
    try:
        with os.fdopen(open_private(history, os.O_RDONLY), "rb") as file:
            return len(list(itertools.islice(file, 2))) == 2
    except OSError as error:
        if error.errno not in _NO_HISTORY:
            raise
        return False


def _rewrite(path: Path, is_kept: Callable[[int, bytes], bool]) -> None:
    """Keep the header, and of the rows, which are numbered from 1, those that are to be kept. OSError where there is no
    room; the file is then as before.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        rows = os.fdopen(open_private(path, os.O_RDONLY), "rb")
        with rows, os.fdopen(create_anew(draft), "wb") as kept:
            kept.writelines(row for number, row in enumerate(rows) if number == 0 or is_kept(number, row))
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()  # it takes up room
        raise


def _write_all(descriptor: int, content: bytes) -> None:
    """A disk that is nearly full takes a part; only the next write says why."""
    while content:
        content = content[os.write(descriptor, content) :]
