import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pnet.experiments.demo.processes import Exit, ProcessGroup, child_environment

TIMEOUT_S = 20.0
UNTIL_TOLD = "import pathlib, signal; {}; pathlib.Path('{}').touch(); signal.pause()"
IGNORE_SIGTERM = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.fixture
def processes() -> Iterator[ProcessGroup]:
    with ProcessGroup() as group:
        yield group


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def wait_for_exits(processes: ProcessGroup, n_exits: int) -> list[Exit]:
    exits: list[Exit] = []
    deadline = time.monotonic() + TIMEOUT_S
    while len(exits) < n_exits:
        assert time.monotonic() < deadline
        exits += processes.take_exits()
        time.sleep(0.01)
    return exits


def wait_for_file(path: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_each_end_is_told_once_with_its_exit_code(processes: ProcessGroup, tmp_path: Path) -> None:
    codes = {"well": "pass", "badly": "raise SystemExit(3)", "killed": "import os; os.kill(os.getpid(), 9)"}
    for name, code in codes.items():
        processes.start(name, python(code), tmp_path / name)
    assert processes.n_running == 3

    exits = wait_for_exits(processes, 3)
    assert sorted(exits, key=lambda ended: ended.code) == [Exit("killed", -9), Exit("well", 0), Exit("badly", 3)]
    assert processes.n_running == 0
    assert processes.take_exits() == []


def test_what_a_process_says_is_appended_to_its_log(processes: ProcessGroup, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    processes.start("one", python("import sys; print('error', file=sys.stderr); print('output')"), log)
    wait_for_exits(processes, 1)

    assert sorted(log.read_text().splitlines()) == ["before", "error", "output"]


def test_leaving_stops_those_that_listen_and_kills_those_that_do_not(tmp_path: Path) -> None:
    with ProcessGroup(stop_timeout_s=2.0) as processes:
        for name, code in (("listens", "pass"), ("does not", IGNORE_SIGTERM)):
            processes.start(name, python(UNTIL_TOLD.format(code, tmp_path / name)), tmp_path / "log")
        for name in ("listens", "does not"):
            wait_for_file(tmp_path / name)

    exits = {ended.name: ended.code for ended in processes.take_exits()}
    assert exits == {"listens": -15, "does not": -9}


def test_children_have_no_settings_of_others_and_one_blas_thread() -> None:
    environment = child_environment({"PATH": "/bin", "P2PNET_ALGORITHM__ROUNDS": "3", "OMP_NUM_THREADS": "8"})

    assert environment["PATH"] == "/bin"
    assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "1"
    assert not any(name.startswith("P2PNET_") for name in environment)


def test_a_process_is_no_member_of_the_launchers_process_group(processes: ProcessGroup, tmp_path: Path) -> None:
    """Else Ctrl-C on the terminal would reach the agents before the launcher can tell them to leave."""
    log = tmp_path / "log"
    processes.start("one", python("import os; print(os.getpgid(0))"), log)
    wait_for_exits(processes, 1)

    assert int(log.read_text()) != os.getpgid(0)
