"""Free ports of the loopback interface."""

from __future__ import annotations

import contextlib
import secrets
import socket

from p2pnet.errors import TransportError

# Below the range that systems take the ports of outgoing connections from: no dialing agent can get hold of a port
# that another one is about to listen on.
LOWEST_PORT, HIGHEST_PORT = 15_000, 30_000


def free_ports(n_ports: int) -> list[int]:
    """Different ports of 127.0.0.1 on which no socket listens now, drawn at random; TransportError if there are none.

    Ports are drawn, not counted up, so that launchers that run at once seldom meet.
    """
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        for _ in range(100 * n_ports):
            port = LOWEST_PORT + secrets.randbelow(HIGHEST_PORT - LOWEST_PORT)
            listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            with contextlib.suppress(OSError):
                listener.bind(("127.0.0.1", port))
                ports.append(port)
            if len(ports) == n_ports:
                return ports
    raise TransportError(f"no {n_ports} free ports on 127.0.0.1 from {LOWEST_PORT} to {HIGHEST_PORT}; stop something")
