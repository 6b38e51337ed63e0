"""The state directory of an agent and its files:

- `lock`: held while the agent runs, so that no two agents share a directory;
- `incarnation`: a number that grows with every start;
- `members`: where other members were last, seeds of the next start (`known_members.py`);
- `history.csv`: one row for each round, also of the runs that this one goes on from;
- `history.previous.csv`: that of the last training before in which there were rounds;
- `checkpoint`, `checkpoint.previous`: what a later run goes on from (`checkpoint_files.py`);
- `model.npz`: the parameters, and what is needed to use them; untouched by a run without rounds;
- `result.json`: how the run ended;
- `control`: where the control socket is of the agent that runs here, or ran last;
- `books.npz`: the ledger of each link, for auditing conservation over the network.

The directory is made with mode 0700, its files with 0600, and no link in it is followed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from p2pnet.agent.atomic_files import Content, not_written, write_atomically
from p2pnet.agent.control.endpoint import POINTER
from p2pnet.agent.descriptors import DescriptorReserve
from p2pnet.agent.history import History, has_rows
from p2pnet.agent.private_files import make_private_directory, open_private, read_private
from p2pnet.data.npz_archive import write_archive
from p2pnet.errors import ConfigError, TrainingError
from p2pnet.protocol.core.counts import latest_incarnation
from p2pnet.protocol.core.types import Array, LinkId, Nonce
from p2pnet.protocol.links.conservation import AgentLedger, LinkLedger
from p2pnet.training.model_file import ModelFile
from p2pnet.training.records import Result

_MAX_INCARNATION_BYTES = 64
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
"""Of a disk that takes nothing, though there may be files on it."""


class StateDirectory:
    """The files of one agent; held by one process at a time.

    The process that holds it keeps descriptors in reserve: its result is saved though there may be none left.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        self._reserve: DescriptorReserve | None = None

    def acquire(self) -> None:
        """Create and lock the directory; ConfigError if another agent holds it."""
        try:
            make_private_directory(self.path)
            self._lock = self._open_lock()
        except OSError as error:
            raise ConfigError(f"agent.state_dir {self.path}: cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.release()
            raise ConfigError(
                f"agent.state_dir {self.path}: another agent is running there; stop it, or choose another directory"
            ) from None
        self._reserve = DescriptorReserve()

    def _open_lock(self) -> int:
        lock = self.path / "lock"
        try:
            return open_private(lock, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            if error.errno not in _READ_ONLY or not lock.exists():
                raise
            return open_private(lock, os.O_RDONLY)

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
            os.close(self._lock)
            self._lock = None
        if self._reserve is not None:
            self._reserve.close()
            self._reserve = None

    @property
    def is_held(self) -> bool:
        """Whether an agent holds the directory."""
        try:
            lock = open_private(self.path / "lock", os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(lock)
        return False

    @property
    def incarnation(self) -> int:
        """The incarnation of the last or present run, as it stands in its file; 0 where none can be read."""
        try:
            return int(read_private(self.path / "incarnation", _MAX_INCARNATION_BYTES))
        except (OSError, ValueError):
            return 0

    def damage(self, clock_s: float) -> str | None:
        """What is wrong with the incarnation file, in one line; None where it is missing, or fits the clock, which
        shows `clock_s` seconds since the epoch.
        """
        last = self.incarnation
        if 0 <= last <= latest_incarnation(clock_s):
            return None
        return (
            f"{self.path / 'incarnation'}: {last} cannot be an incarnation, which is the second of a start, and grows "
            "with each; it is made anew by the clock"
        )

    def next_incarnation(self, clock_s: float) -> int:
        """Advance the incarnation above all earlier incarnations; the number before it is for the statistics
        stage, the two after it for what follows on training.

        It is on disk before it is returned; the clock makes up for a file that is lost or damaged, or that a disk does
        not take.
        """
        last = self.incarnation if self.damage(clock_s) is None else 0
        incarnation = max(last + 4, int(clock_s))
        with contextlib.suppress(TrainingError):
            self._write("incarnation", f"{incarnation}\n".encode())
        return incarnation

    @property
    def history(self) -> History:
        return History(self.path / "history.csv")

    def begin_history(self, *, is_resumed: bool = False) -> None:
        """Begin the history of this run, keep that of the previous run beside it, and remove the previous result.

        The history of a run that is resumed goes on. TrainingError where the directory cannot be written to.
        """
        history = self.path / "history.csv"
        try:
            (self.path / "result.json").unlink(missing_ok=True)
            if not is_resumed and has_rows(history):
                history.replace(self.path / "history.previous.csv")
        except OSError as error:
            raise not_written(self.path, error) from error
        self.history.begin()

    def save_model(self, model: ModelFile) -> None:
        """Write model.npz: the parameters, and everything that a prediction needs."""
        self._write("model.npz", model.write)

    def save_result(self, result: Result) -> None:
        self._write("result.json", json.dumps(asdict(result), indent=2).encode() + b"\n")

    def save_control(self, socket: Path) -> None:
        """Write where the control socket of the agent is that holds this directory."""
        self._write(POINTER, bytes(socket) + b"\n")

    def lent_descriptors(self) -> AbstractContextManager[None]:
        """Free the descriptors in reserve meanwhile."""
        return nullcontext() if self._reserve is None else self._reserve.lent()

    def _write(self, name: str, content: Content) -> None:
        with self.lent_descriptors():
            write_atomically(self.path / name, content)

    def save_ledger(self, ledger: AgentLedger) -> None:
        arrays: dict[str, Any] = {"agent": ledger.agent, "own": ledger.own, "mass": ledger.mass}
        arrays["peers"] = np.array([link.peer for link in ledger.links], dtype=str)
        arrays["link_ids"] = np.array([link.link_id for link in ledger.links], dtype=np.int64).reshape(-1, 2, 2)
        for index, link in enumerate(ledger.links):
            if not link.is_net:
                arrays[f"sent_{index}"] = link.sent
            arrays[f"received_{index}"] = link.received
        self._write("books.npz", lambda file: write_archive(file, arrays))

    def load_params(self) -> Array:
        with np.load(self.path / "model.npz", allow_pickle=False) as file:
            params: Array = file["params"]
            return params

    def load_result(self) -> Result:
        return Result(**json.loads((self.path / "result.json").read_text()))

    def load_ledger(self) -> AgentLedger:
        with np.load(self.path / "books.npz", allow_pickle=False) as file:
            links = []
            for index, (peer, link_id) in enumerate(zip(file["peers"], file["link_ids"], strict=True)):
                received = file[f"received_{index}"]
                is_net = f"sent_{index}" not in file
                sent = np.zeros_like(received) if is_net else file[f"sent_{index}"]
                links.append(LinkLedger(str(peer), _link_id(link_id), sent, received, is_net=is_net))
            return AgentLedger(str(file["agent"]), file["own"], file["mass"], tuple(links))


def _link_id(numbers: Any) -> LinkId:
    (mine, theirs) = ([int(number) for number in half] for half in numbers)
    return LinkId(Nonce(*mine), Nonce(*theirs))
