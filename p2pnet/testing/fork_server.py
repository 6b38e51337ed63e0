"""Agents forked from one process that has imported p2pnet: many start in the time and the memory of one.

    python -P p2pnet/testing/fork_server.py DESCRIPTOR

The server has no threads, and ends when the process that started it is gone; what it has forked then gets the signal of
its tether.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn, Self, final

from p2pnet.testing.processes import child_environment
from p2pnet.testing.tether import name_process, tie_to_parent
from p2pnet.testing.waiting import HarnessError

PRELOADED: Final = ("p2pnet.cli.run", "p2pnet.agent.run")
"""Imported by name, once: what the command `p2pnet run` imports."""

_CODE: Final = struct.Struct("i")
_MAX_REQUEST_BYTES: Final = 2**20


@final
class ForkServer:
    """A process that runs `p2pnet` commands in forks of itself; leaving the context ends it."""

    def __init__(self, modules_in: Path | None = None) -> None:
        """`modules_in`: a directory in which the processes find modules of one's own."""
        environment = child_environment(os.environ)
        if modules_in is not None:
            paths = [str(modules_in), *filter(None, [environment.get("PYTHONPATH")])]
            environment["PYTHONPATH"] = os.pathsep.join(paths)
        self._requests, theirs = socket.socketpair()
        with theirs:
            self._server = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                env=environment,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._requests.close()
        self._server.wait()

    @property
    def pid(self) -> int:
        return self._server.pid

    def run(self, arguments: Sequence[str], log: Path, name: str, tether: signal.Signals) -> ForkedProcess:
        """Run `p2pnet ARGUMENTS` as a process in the directory of `log`, to which all that it writes is appended.

        It has a process group of its own, is called `name` where the system has names for processes, and gets the
        signal `tether` when the server is gone. HarnessError if the server has ended.
        """
        request = json.dumps(
            {"arguments": list(arguments), "log": str(log.absolute()), "name": name, "tether": int(tether)}
        )
        status, theirs = os.pipe()
        try:
            socket.send_fds(self._requests, [request.encode() + b"\n"], [theirs])
        except OSError as error:
            os.close(status)
            raise HarnessError(f"{name} cannot be started: the process that starts agents has ended") from error
        finally:
            os.close(theirs)
        return ForkedProcess(status)


@final
class ForkedProcess:
    """A process that the server has forked: a `Process`."""

    def __init__(self, status: int) -> None:
        """`status` is a pipe in which the process's number comes at its start, and its exit code at its end."""
        self._status = status
        self._code: int | None = None
        number = self._read()
        if number is None:
            os.close(status)
            raise HarnessError("the process that starts agents has ended before it started one")
        self.pid = number

    def poll(self) -> int | None:
        """The exit code (−n: ended by signal n), None while the process runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code; subprocess.TimeoutExpired after so many seconds."""
        if self._code is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("p2pnet", timeout or 0.0)
            code = self._read()
            self._code = -signal.SIGKILL if code is None else code  # None: the server was killed
            os.close(self._status)
        return self._code

    def send_signal(self, sig: int) -> None:
        """Send the signal, unless the process has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _read(self) -> int | None:
        content = os.read(self._status, _CODE.size)
        return int(_CODE.unpack(content)[0]) if content else None


# In the server.


def serve(requests: socket.socket) -> None:
    """Fork processes as they are asked for, and report their ends, until the other side of the socket is closed."""
    for name in PRELOADED:
        importlib.import_module(name)
    wake, waker = os.pipe()
    for descriptor in (wake, waker):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    statuses: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([requests.fileno(), wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            _report_ends(statuses)
        if requests.fileno() in ready:
            request, descriptors, _, _ = socket.recv_fds(requests, _MAX_REQUEST_BYTES, 1)
            if not request:
                return
            (status,) = descriptors
            # The asking side waits for the answer: there is one request at a time.
            number = os.fork()
            if number == 0:
                signal.set_wakeup_fd(-1)
                for descriptor in (wake, waker, requests.detach(), status, *statuses.values()):
                    os.close(descriptor)
                _become(**json.loads(request))
            os.write(status, _CODE.pack(number))
            statuses[number] = status


def _report_ends(statuses: dict[int, int]) -> None:
    """Write the exit codes of the processes that have ended to their pipes."""
    while statuses:
        number, status = os.waitpid(-1, os.WNOHANG)
        if number == 0:
            return
        pipe = statuses.pop(number)
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe, _CODE.pack(os.waitstatus_to_exitcode(status)))
        os.close(pipe)


def _become(arguments: Sequence[str], log: str, name: str, tether: int) -> NoReturn:
    """Run the command in this process, whose end is the interpreter's."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setpgid(0, 0)
    tie_to_parent(signal.Signals(tether))
    name_process(name)
    os.chdir(Path(log).parent)
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(sink)
    sys.argv = ["p2pnet", *arguments]
    runpy.run_module("p2pnet", run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
