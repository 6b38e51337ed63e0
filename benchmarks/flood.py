"""A flood of connections of strangers, as a process of its own: python -m benchmarks.flood KIND PORT SECONDS."""

import contextlib
import os
import resource
import select
import socket
import sys
import time

N_CONNECTIONS = 5_000
MOST_OF_A_TURN = 200
SIGNATURE = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f"
"""With which ZMTP begins."""

KINDS = ("idle", "half-open", "slow", "noise")


def flood(kind: str, port: int, seconds: float) -> int:
    """Keep up to 5,000 connections open, each replaced when the other end closes it; how many were opened in all."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = min(N_CONNECTIONS, hard - 100)
    poller, open_ = select.poll(), dict[int, socket.socket]()
    n_opened, ends_at, next_byte_at = 0, time.monotonic() + seconds, 0.0
    while time.monotonic() < ends_at:
        for _ in range(min(MOST_OF_A_TURN, most - len(open_))):
            connection = socket.socket()
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                connection.connect(("127.0.0.1", port))
            open_[connection.fileno()] = connection
            poller.register(connection, select.POLLIN | (0 if kind == "idle" else select.POLLOUT))
            n_opened += 1
        is_byte_due = kind == "slow" and time.monotonic() >= next_byte_at
        next_byte_at = time.monotonic() + 1.0 if is_byte_due else next_byte_at
        for descriptor, events in poller.poll(10):
            connection = open_[descriptor]
            is_over = bool(events & (select.POLLERR | select.POLLHUP))
            try:
                if events & select.POLLIN and not connection.recv(4096):
                    is_over = True
                if events & select.POLLOUT:
                    is_over |= write(connection, kind)
                    poller.modify(connection, select.POLLIN)
            except OSError:
                is_over = True
            if is_over:
                poller.unregister(connection)
                open_.pop(descriptor).close()
        if is_byte_due:
            for connection in open_.values():
                with contextlib.suppress(OSError):
                    connection.send(b"\x00")
    return n_opened


def write(connection: socket.socket, kind: str) -> bool:
    """What a new connection says; whether it is closed at once."""
    if kind == "noise":
        connection.send(os.urandom(256))
        return True
    connection.send(SIGNATURE if kind == "half-open" else SIGNATURE[:1])
    return False


if __name__ == "__main__":
    print(flood(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
