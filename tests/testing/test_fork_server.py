import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pnet.testing import HarnessError, wait_until
from p2pnet.testing.fork_server import ForkServer


@pytest.fixture
def server() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


def test_a_command_writes_to_its_log_and_ends_with_its_exit_code(server: ForkServer, log: Path) -> None:
    assert server.run(["--version"], log, "first", signal.SIGTERM).wait() == 0
    assert log.read_text().startswith("p2pnet, version ")
    assert server.run(["no-such-command"], log, "second", signal.SIGTERM).wait() == 2
    assert "No such command 'no-such-command'" in log.read_text()


def test_a_process_is_told_from_the_server_by_its_number_group_directory_and_name(
    server: ForkServer, log: Path
) -> None:
    os.mkfifo(log.parent / "agent.toml")  # read for ever: nobody writes to it
    process = server.run(["run", "agent.toml"], log, "agent-7", signal.SIGTERM)
    assert process.poll() is None
    assert process.pid != os.getpid()
    its = Path("/proc") / str(process.pid)
    wait_until(lambda: (its / "cwd").readlink() == log.parent, lambda: "it runs where its log is")
    assert os.getpgid(process.pid) == process.pid
    assert (its / "comm").read_text().strip() == "agent-7"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.terminate()  # no effect on a process that has ended
    assert process.poll() == -signal.SIGKILL


def test_when_the_server_is_gone_its_processes_get_the_signal_of_their_tether(log: Path) -> None:
    os.mkfifo(log.parent / "agent.toml")
    with ForkServer() as server:
        process = server.run(["run", "agent.toml"], log, "agent-1", signal.SIGKILL)
        os.kill(server.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        with pytest.raises(HarnessError, match="agent-2 cannot be started: the process that starts agents has ended"):
            server.run(["--version"], log, "agent-2", signal.SIGTERM)


def test_many_processes_end_in_any_order(server: ForkServer, log: Path) -> None:
    processes = [server.run(["--version"], log, f"agent-{k}", signal.SIGTERM) for k in range(6)]
    assert [process.wait() for process in reversed(processes)] == [0] * 6
    assert log.read_text().count("p2pnet, version") == 6
