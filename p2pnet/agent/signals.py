"""What signals tell an agent to do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import final

from p2pnet.protocol.core.events import AwayRequested, LeaveRequested

_ENDS = (signal.SIGTERM, signal.SIGINT)


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal, or had one that has closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


@final
class Signals:
    """SIGTERM and SIGINT request a leave, and the second of them ends the process at once. Of an agent that keeps
    running they request a temporary leave: a reboot takes no samples out of the network.

    SIGHUP of a terminal that closes requests a temporary leave. Without a terminal, as a service has none, it asks for
    the settings to be read anew, as services do. Where nohup has it ignored, it stays ignored.
    """

    def __init__(
        self,
        wake: Callable[[], None],
        save: Callable[[], None],
        has_terminal: Callable[[], bool] = _has_terminal,
        *,
        is_service: bool = False,
    ) -> None:
        """`wake` makes the daemon's loop look here; `save` is called before a second signal ends the process."""
        self._wake = wake
        self._save = save
        self._has_terminal = has_terminal
        self._end = AwayRequested() if is_service else LeaveRequested()
        self._is_reload_asked = False
        self.farewell: LeaveRequested | AwayRequested | None = None
        """The leave that was requested, by a signal or otherwise."""

    def take_reload(self) -> bool:
        """Whether the settings are to be read anew; true once for each request."""
        is_asked, self._is_reload_asked = self._is_reload_asked, False
        return is_asked

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals meanwhile, in the main thread."""
        handlers: dict[int, Callable[[int, FrameType | None], None]] = dict.fromkeys(_ENDS, self._on_farewell)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            handlers[signal.SIGHUP] = self._on_hangup
        previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _on_farewell(self, number: int, frame: FrameType | None) -> None:
        if self.farewell is not None:
            self._save()
            os._exit(128 + number)
        self.farewell = self._end
        self._wake()

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        if not self._has_terminal():
            self._is_reload_asked = True
        elif self.farewell is None:
            self.farewell = AwayRequested()
        self._wake()
