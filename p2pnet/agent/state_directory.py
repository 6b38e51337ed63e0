"""The state directory of an agent and its files.

lock           held while the agent runs, so that no two agents share a directory incarnation    a number that grows
with every start history.csv    one row for each round: what a person wants to follow history.previous.csv    that of
the last run before in which there were rounds model.npz      the parameters, and what is needed to use them; untouched
by a run without rounds result.json    how the run ended books.npz      the ledger of each link, for auditing
conservation over the network
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import itertools
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from p2pnet.errors import ConfigError, TrainingError
from p2pnet.protocol.core.types import Array, LinkId, Nonce
from p2pnet.protocol.links.conservation import AgentLedger, LinkLedger

_MAX_INCARNATION = 2**62


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """The observation of one agent at the beginning of a round; the last row is the end of training."""

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
    """The result of an agent's run, result.json."""

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
    """connections and messages refused by the transport, by reason"""
    n_messages_refused: int = 0
    """well-formed messages answered with a refusal: of another model, or over an unknown link"""


class StateDirectory:
    """The files of one agent; held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: TextIO | None = None

    def acquire(self) -> None:
        """Create and lock the directory; ConfigError if another agent holds it."""
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
        """Check that the directory can be acquired; ConfigError where `acquire` would raise it. Creates nothing."""
        if (self.path / "lock").exists():
            probe = StateDirectory(self.path)
            probe.acquire()
            probe.release()
            return
        existing = next(place for place in (self.path, *self.path.absolute().parents) if place.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK):
            raise ConfigError(f"agent.state_dir {self.path}: cannot be used: {existing} is no directory to write to")

    def release(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def is_held(self) -> bool:
        """Whether an agent holds the directory."""
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
        """The incarnation of the last or present run; 0 where none can be read."""
        try:
            last = int((self.path / "incarnation").read_text())
        except (OSError, ValueError):
            return 0
        return last if 0 <= last < _MAX_INCARNATION else 0

    def next_incarnation(self) -> int:
        """Advance the incarnation above all earlier incarnations; the number before it is for the statistics stage.

        It is on disk before it is returned; the clock makes up for a lost file.
        """
        incarnation = max(self.incarnation + 2, int(time.time()))
        write_atomically(self.path / "incarnation", f"{incarnation}\n".encode())
        return incarnation

    def open_history(self) -> History:
        """Start the history of this run, keep that of the previous run beside it, and remove the previous result."""
        history = self.path / "history.csv"
        try:
            (self.path / "result.json").unlink(missing_ok=True)
            if _has_rows(history):
                history.replace(self.path / "history.previous.csv")
        except OSError as error:
            raise _not_written(self.path, error) from error
        return History(history)

    def save_model(self, params: Array, description: Mapping[str, Any]) -> None:
        """Write model.npz: params (n_params,), and each text, number or array of the description under its name."""
        write_atomically(self.path / "model.npz", _npz({"params": params, **description}))

    def save_result(self, result: Result) -> None:
        write_atomically(self.path / "result.json", json.dumps(asdict(result), indent=2).encode() + b"\n")

    def save_ledger(self, ledger: AgentLedger) -> None:
        arrays: dict[str, Any] = {"agent": ledger.agent, "own": ledger.own, "mass": ledger.mass}
        arrays["peers"] = np.array([link.peer for link in ledger.links], dtype=str)
        arrays["link_ids"] = np.array([link.link_id for link in ledger.links], dtype=np.int64).reshape(-1, 2, 2)
        for index, link in enumerate(ledger.links):
            arrays[f"sent_{index}"], arrays[f"received_{index}"] = link.sent, link.received
        write_atomically(self.path / "books.npz", _npz(arrays))

    def load_params(self) -> Array:
        with np.load(self.path / "model.npz", allow_pickle=False) as file:
            params: Array = file["params"]
            return params

    def load_result(self) -> Result:
        return Result(**json.loads((self.path / "result.json").read_text()))

    def load_ledger(self) -> AgentLedger:
        with np.load(self.path / "books.npz", allow_pickle=False) as file:
            links = tuple(
                LinkLedger(str(peer), _link_id(link_id), file[f"sent_{index}"], file[f"received_{index}"])
                for index, (peer, link_id) in enumerate(zip(file["peers"], file["link_ids"], strict=True))
            )
            return AgentLedger(str(file["agent"]), file["own"], file["mass"], links)


class History:
    """Appends rows to history.csv; each row is handed to the operating system at once.

    The file is opened anew for each row, so that a file that was removed meanwhile, with its directory or without, is
    there again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.write_bytes(_HEADER)
        except OSError as error:
            raise _not_written(path, error) from error

    def append(self, record: RoundRecord) -> None:
        """Append a row, whole or not at all; TrainingError where it cannot be written."""
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
    """Format a row of CSV; names and numbers need no quotes."""
    return (",".join(map(str, values)) + "\r\n").encode()


def _write_all(descriptor: int, content: bytes) -> None:
    """Write all bytes: a nearly full disk takes a part, and only the next write raises the reason."""
    while content:
        content = content[os.write(descriptor, content) :]


_COLUMNS = [field.name for field in fields(RoundRecord)]
_HEADER = _csv_line(_COLUMNS)
_INTEGERS = {"round", "bytes_sent"}


def parse_history_row(row: list[str]) -> RoundRecord:
    """Parse a row of history.csv; ValueError for a row that is not (yet) complete."""
    values = dict(zip(_COLUMNS, row, strict=True))
    numbers: dict[str, Any] = {name: int(v) if name in _INTEGERS else float(v) for name, v in values.items()}
    return RoundRecord(**numbers)


def read_history(path: Path) -> list[RoundRecord]:
    """Read all complete rows of a history.csv, also of a running agent; none without a file."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    whole_lines = text[: text.rfind("\n") + 1].splitlines()
    return [parse_history_row(row) for row in csv.reader(whole_lines[1:])]


def _has_rows(history: Path) -> bool:
    """Whether the file has rows below its header."""
    try:
        with history.open("rb") as file:
            return len(list(itertools.islice(file, 2))) == 2
    except FileNotFoundError:
        return False


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file atomically and durably: after a power failure it is either as before or complete. TrainingError
    where writing fails.

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


def _npz(arrays: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _link_id(numbers: Any) -> LinkId:
    (mine, theirs) = ([int(number) for number in half] for half in numbers)
    return LinkId(Nonce(*mine), Nonce(*theirs))
