"""What systemd, or another service manager, is told: that the agent is up, that it lives, and what it does.

The protocol is that of sd_notify(3): datagrams of `KEY=value` lines to the socket that the environment names.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import final

_KEEP_ALIVES = 3
"""In the time after which the service manager takes a silent agent for hung."""


@final
class ServiceManager:
    """The service manager that started this process; without one nothing is told to anybody."""

    def __init__(self, address: str | None, watchdog_s: float | None, clock: Callable[[], float]) -> None:
        """`watchdog_s`: the silence after which the manager ends the process; None: it does not watch."""
        self._address = None if address is None else address.replace("@", "\0", 1)
        self._pause_s = math.inf if address is None or watchdog_s is None else watchdog_s / _KEEP_ALIVES
        self._clock = clock
        self.next_keep_alive: float = math.inf
        """When the manager must hear of the agent again, by the clock."""

    @classmethod
    def of(cls, environment: Mapping[str, str], pid: int, clock: Callable[[], float]) -> ServiceManager:
        """The manager that the environment of the process with this id names."""
        address = environment.get("NOTIFY_SOCKET") or None
        watchdog_us = environment.get("WATCHDOG_USEC", "")
        is_watched = watchdog_us.isdecimal() and environment.get("WATCHDOG_PID", str(pid)) == str(pid)
        return cls(address, int(watchdog_us) / 1e6 if is_watched else None, clock)

    def tell_ready(self) -> None:
        """Tell that the agent is up; from now on it is watched."""
        self._tell("READY=1")
        self.next_keep_alive = self._clock() + self._pause_s

    def tell_stopping(self) -> None:
        self._tell("STOPPING=1")

    def tell_status(self, text: str) -> None:
        """Tell in one line what the agent does; `systemctl status` shows it."""
        self._tell(f"STATUS={' '.join(text.split())}")

    def keep_alive(self) -> None:
        """Tell that the agent lives, where it is time to."""
        if self._clock() >= self.next_keep_alive:
            self._tell("WATCHDOG=1")
            self.next_keep_alive = self._clock() + self._pause_s

    def _tell(self, line: str) -> None:
        if self._address is None:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(1.0)
            manager.sendto(line.encode(), self._address)
