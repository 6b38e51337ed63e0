"""What an agent keeps in its state directory.

lock           held while the agent runs, so that no two agents share a directory
incarnation    a number that grows with every start
history.csv    one row for each round: what a person wants to follow
history.previous.csv    that of the last run before in which there were rounds
model.npz      the parameters, and what is needed to use them; untouched by a run without rounds
result.json    how the run ended
books.npz      what was moved over each link, for auditing the network as a whole
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import itertools
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from p2pnet.data.npz_archive import archive_bytes
from p2pnet.errors import ConfigError, TrainingError
from p2pnet.protocol.core.types import Array, LinkId, Nonce
from p2pnet.protocol.links.conservation import AgentLedger, LinkLedger
from p2pnet.training.model_file import ModelFile

_MAX_INCARNATION = 2**62


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """What an agent saw at the beginning of a round; the last row is the end of training."""

    round: int
    time_s: float
    """seconds since the epoch"""
    objective_local: float
    test_metric: float
    disagreement: float
    proximal_weight: float
    bytes_sent: int


@dataclass(frozen=True, slots=True)
class Result:
    """How an agent's run ended."""

    agent: str
    public_key: str
    rounds: int
    stopped_because: str
    bytes_sent: int
    bytes_received: int
    peak_rss_mb: float
    n_messages_dropped: int
    """messages of verified peers that broke the protocol"""
    n_rejected: dict[str, int]
    """what the transport refused, by reason"""
    n_messages_refused: int = 0
    """well-formed messages that were answered with a refusal: of another model, or over an unknown link"""


class StateDirectory:
    """The files of one agent; held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: TextIO | None = None

    def acquire(self) -> None:
        """Make the directory and lock it; ConfigError if another agent has it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / "lock").open("w")
        except OSError as error:
            raise ConfigError(f"agent.state_dir {self.path}: cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.release()
            raise ConfigError(
                f"agent.state_dir {self.path}: another agent is running there; stop it, or choose another directory"
            ) from None

    def check(self) -> None:
        """ConfigError where `acquire` would raise it; nothing is made."""
        if (self.path / "lock").exists():
            probe = StateDirectory(self.path)
            probe.acquire()
            probe.release()
            return
        existing = next(place for place in (self.path, *self.path.absolute().parents) if place.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK):
            raise ConfigError(f"agent.state_dir {self.path}: cannot be used: {existing} is no directory to write to")

    def release(self) -> None:
        """Let go of the directory."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def is_held(self) -> bool:
        """Whether an agent is running there."""
        try:
            with (self.path / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    @property
    def incarnation(self) -> int:
        """That of the last agent that ran there, or runs there; 0 where there is none that can be read."""
        try:
            last = int((self.path / "incarnation").read_text())
        except (OSError, ValueError):
            return 0
        return last if 0 <= last < _MAX_INCARNATION else 0

    def next_incarnation(self) -> int:
        """A number above all earlier ones, and above that before it, which is for the survey.

        It is on disk before it is returned; the clock makes up for a lost file.
        """
        incarnation = max(self.incarnation + 2, int(time.time()))
        write_atomically(self.path / "incarnation", f"{incarnation}\n".encode())
        return incarnation

    def open_history(self) -> History:
        """Begin the history of this run beside that of the one before, and forget how that ended."""
        history = self.path / "history.csv"
        try:
            (self.path / "result.json").unlink(missing_ok=True)
            if _has_rows(history):
                history.replace(self.path / "history.previous.csv")
        except OSError as error:
            raise _not_written(self.path, error) from error
        return History(history)

    def save_model(self, model: ModelFile) -> None:
        """model.npz: the parameters, and everything that a prediction needs."""
        write_atomically(self.path / "model.npz", model.to_bytes())

    def save_result(self, result: Result) -> None:
        write_atomically(self.path / "result.json", json.dumps(asdict(result), indent=2).encode() + b"\n")

    def save_books(self, books: AgentLedger) -> None:
        arrays: dict[str, Any] = {"agent": books.agent, "own": books.own, "mass": books.mass}
        arrays["peers"] = np.array([link.peer for link in books.links], dtype=str)
        arrays["link_ids"] = np.array([link.link_id for link in books.links], dtype=np.int64).reshape(-1, 2, 2)
        for index, link in enumerate(books.links):
            arrays[f"sent_{index}"], arrays[f"received_{index}"] = link.sent, link.received
        write_atomically(self.path / "books.npz", archive_bytes(arrays))

    def load_params(self) -> Array:
        with np.load(self.path / "model.npz", allow_pickle=False) as file:
            params: Array = file["params"]
            return params

    def load_result(self) -> Result:
        return Result(**json.loads((self.path / "result.json").read_text()))

    def load_books(self) -> AgentLedger:
        with np.load(self.path / "books.npz", allow_pickle=False) as file:
            links = tuple(
                LinkLedger(str(peer), _link_id(link_id), file[f"sent_{index}"], file[f"received_{index}"])
                for index, (peer, link_id) in enumerate(zip(file["peers"], file["link_ids"], strict=True))
            )
            return AgentLedger(str(file["agent"]), file["own"], file["mass"], links)


class History:
    """history.csv of this run, a row at a time; each row is on its way to disk as soon as it is written.

    The file is opened anew for each row, so that one that was removed meanwhile, with its directory or without, is
    there again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.write_bytes(_HEADER)
        except OSError as error:
            raise _not_written(path, error) from error

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
        except OSError as error:
            raise _not_written(self._path, error) from error

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        try:
            return os.open(self._path, flags, 0o666)
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._path, flags, 0o666)


def _csv_line(values: Sequence[Any]) -> bytes:
    """PeerNames and numbers need no quotes."""
    return (",".join(map(str, values)) + "\r\n").encode()


def _write_all(descriptor: int, content: bytes) -> None:
    """A disk that is nearly full takes a part; only the next write says why."""
    while content:
        content = content[os.write(descriptor, content) :]


_COLUMNS = [field.name for field in fields(RoundRecord)]
_HEADER = _csv_line(_COLUMNS)
_INTEGERS = {"round", "bytes_sent"}


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


def _has_rows(history: Path) -> bool:
    """Whether there is more in the file than the line with the names of the columns."""
    try:
        with history.open("rb") as file:
            return len(list(itertools.islice(file, 2))) == 2
    except FileNotFoundError:
        return False


def write_atomically(path: Path, content: bytes) -> None:
    """The file is either as it was or whole and on disk, whenever power fails; TrainingError where it cannot be.

    Its directory is made again where it was removed: what has been trained is worth more than knowing why.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()  # it takes up room
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> TrainingError:
    return TrainingError(f"{path}: cannot be written: {error.strerror}; make room, or choose another directory")


def _link_id(numbers: Any) -> LinkId:
    (mine, theirs) = ([int(number) for number in half] for half in numbers)
    return LinkId(Nonce(*mine), Nonce(*theirs))
