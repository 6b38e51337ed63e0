"""The server of the control socket: JSON lines, one request and one answer each, for this machine's user alone.

A thread accepts, and one for each client reads its lines, so that a slow client holds up nothing. What is asked is put
into a queue, and answered by the daemon's own loop.

    → {"command": "status"}
    ← {"ok": {"agent": "agent-1", …}}
    → {"command": "dance"}
    ← {"error": "no such command: dance; there are away, checkpoint, leave, …"}
    → {"command": "events", "after": 17}
    ← {"ok": {"events": [{"number": 18, …}, …]}}
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import BoundedSemaphore, Event, Thread
from typing import Any, Final, final

from p2pnet.agent.private_files import make_private_directory
from p2pnet.errors import ControlError

MAX_LINE_BYTES: Final = 65_536
MAX_CLIENTS: Final = 8
IDLE_TIMEOUT_S: Final = 60.0
ANSWER_TIMEOUT_S: Final = 10.0
"""How long a request waits for the daemon's loop."""
_POLL_S: Final = 1.0


@final
@dataclass(frozen=True, slots=True)
class Request:
    """A command that waits for its answer."""

    command: str
    after: int = 0
    """of what grows, only what is behind this number is asked for"""
    _answers: list[Mapping[str, Any]] = field(default_factory=list)
    _is_answered: Event = field(default_factory=Event)

    def answer(self, values: Mapping[str, Any]) -> None:
        """Answer with values that JSON can hold."""
        self._settle({"ok": dict(values)})

    def refuse(self, reason: str) -> None:
        """Answer with an error, in one line."""
        self._settle({"error": reason})

    def wait(self, timeout_s: float) -> Mapping[str, Any]:
        """The answer; an error where none comes in time."""
        if not self._is_answered.wait(timeout_s):
            return {"error": f"the agent has not answered in {timeout_s:g} s: it is computing, or suspended"}
        return self._answers[0]

    def _settle(self, answer: Mapping[str, Any]) -> None:
        self._answers.append(answer)
        self._is_answered.set()


@final
class ControlServer:
    """Listens at the control socket; the daemon's loop takes requests, and answers them."""

    def __init__(self, path: Path, wake: Callable[[], None]) -> None:
        """Listen at `path`, whose directory is made; `wake` has the loop look for requests, and is called from threads.

        ControlError where the socket cannot be made.
        """
        self.path = path
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._wake = wake
        _prepare_directory(path.parent)
        try:
            with suppress(FileNotFoundError):
                path.unlink()  # of an earlier process: the state directory is locked, so there is no other
            self._server = _Server(str(path), self._ask)
        except OSError as error:
            raise ControlError(f"{path}: no control socket can be made: {error.strerror}") from error
        self._thread = Thread(target=self._server.serve_forever, args=(_POLL_S,), name="control", daemon=True)
        self._thread.start()

    def take(self) -> Sequence[Request]:
        """Remove and return the requests that wait."""
        requests: list[Request] = []
        while not self._requests.empty():  # nobody else takes any
            requests.append(self._requests.get_nowait())
        return requests

    def close(self) -> None:
        """Stop listening, and remove the socket; requests that wait are refused."""
        with suppress(OSError):  # wakes the thread, which would look only once in a while whether it is to end
            self._server.socket.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._server.server_close()
        for request in self.take():
            request.refuse("the agent has ended")
        with suppress(OSError):
            self.path.unlink()

    def _ask(self, command: str, after: int) -> Mapping[str, Any]:
        request = Request(command, after)
        self._requests.put(request)
        self._wake()
        return request.wait(ANSWER_TIMEOUT_S)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, ask: Callable[[str, int], Mapping[str, Any]]) -> None:
        self.ask = ask
        self.places = BoundedSemaphore(MAX_CLIENTS)
        super().__init__(path, _Client)

    def server_bind(self) -> None:
        super().server_bind()
        Path(str(self.server_address)).chmod(0o600)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self.places.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle of an answer is no concern of the agent."""


class _Client(socketserver.StreamRequestHandler):
    server: _Server
    timeout = IDLE_TIMEOUT_S

    def handle(self) -> None:
        while line := self.rfile.readline(MAX_LINE_BYTES):
            self.wfile.write(json.dumps(self._answer(line)).encode() + b"\n")

    def _answer(self, line: bytes) -> Mapping[str, Any]:
        try:
            asked = json.loads(line)
        except (ValueError, RecursionError):
            return {"error": "not a line of JSON"}
        command = asked.get("command") if isinstance(asked, dict) else None
        after = asked.get("after", 0) if isinstance(asked, dict) else None
        if not isinstance(command, str) or not isinstance(after, int):
            return {"error": 'not of the form {"command": "status"}'}
        return self.server.ask(command, after)


def _prepare_directory(directory: Path) -> None:
    """Make the directory, and refuse one that other users may write to, who could put a socket of theirs there."""
    try:
        make_private_directory(directory)
        status = directory.stat()
    except OSError as error:
        raise ControlError(f"{directory}: cannot be made: {error.strerror}; set RUNTIME_DIRECTORY") from error
    is_of_another = status.st_uid not in {0, os.geteuid()}
    if is_of_another or stat.S_IMODE(status.st_mode) & 0o022:
        raise ControlError(f"{directory}: others may write there; remove it, or set RUNTIME_DIRECTORY")
