"""What a service manager hears from an agent."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pnet.agent.service_manager import ServiceManager
from p2pnet.testing import LINEAR_REGRESSION, LocalAgent, linear_shard
from p2pnet.testing.waiting import wait_until


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        yield manager


def heard(inbox: socket.socket) -> list[str]:
    lines = []
    while True:
        try:
            lines.append(inbox.recv(4096).decode())
        except BlockingIOError:
            return lines


def test_the_manager_hears_of_beginning_status_and_end(inbox: socket.socket) -> None:
    manager = ServiceManager.of({"NOTIFY_SOCKET": inbox.getsockname()}, os.getpid(), Clock())
    manager.tell_ready()
    manager.tell_status("round 3:\n objective 0.2")
    manager.keep_alive()
    manager.tell_stopping()

    assert heard(inbox) == ["READY=1", "STATUS=round 3: objective 0.2", "STOPPING=1"]


def test_an_agent_that_is_watched_is_heard_of_three_times_in_the_time_it_has(inbox: socket.socket) -> None:
    clock = Clock()
    environment = {"NOTIFY_SOCKET": inbox.getsockname(), "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "17"}
    manager = ServiceManager.of(environment, 17, clock)
    manager.tell_ready()
    for _ in range(60):
        manager.keep_alive()
        clock.now += 1.0

    assert heard(inbox) == ["READY=1", *["WATCHDOG=1"] * 5]
    assert manager.next_keep_alive == 160.0


@pytest.mark.parametrize("watched", [{}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "3000", "WATCHDOG_PID": "18"}])
def test_an_agent_that_is_not_watched_need_not_be_heard_of(inbox: socket.socket, watched: dict[str, str]) -> None:
    manager = ServiceManager.of({"NOTIFY_SOCKET": inbox.getsockname(), **watched}, 17, Clock())
    manager.tell_ready()
    manager.keep_alive()
    assert manager.next_keep_alive == float("inf")
    assert heard(inbox) == ["READY=1"]


def test_names_without_a_file_are_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(f"\0p2pnet-test-{os.getpid()}")
        inbox.setblocking(False)
        ServiceManager.of({"NOTIFY_SOCKET": f"@p2pnet-test-{os.getpid()}"}, 17, Clock()).tell_ready()
        assert heard(inbox) == ["READY=1"]


def test_without_a_manager_or_with_one_that_has_gone_nothing_happens(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}):
        manager = ServiceManager.of(environment, 17, Clock())
        manager.tell_ready()
        manager.tell_stopping()


def test_a_running_agent_is_ready_alive_and_stopping(tmp_path: Path, inbox: socket.socket) -> None:
    lines: list[str] = []

    def is_watched() -> bool:
        lines.extend(heard(inbox))
        return lines.count("WATCHDOG=1") >= 5

    with LocalAgent.create(tmp_path / "a") as agent, LocalAgent.create(tmp_path / "b") as other:
        agent.files.write_samples(linear_shard(seed=3))
        agent.configure({**LINEAR_REGRESSION, "network.neighbors": [other.as_neighbor()]})
        agent.start(environment={"NOTIFY_SOCKET": inbox.getsockname(), "WATCHDOG_USEC": "300000"})
        wait_until(is_watched, lambda: f"that the manager hears of the agent; it heard {lines}")
        agent.stop()
        assert agent.exit_code() == 0
        lines += heard(inbox)
    assert lines[0] == "READY=1"
    assert lines[-1] == "STOPPING=1"
