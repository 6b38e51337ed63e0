"""Processes of the harness: how they are started, and that all of them end."""

import os
import signal
import sys
from pathlib import Path

import pytest

from p2pnet.testing import wait_until
from p2pnet.testing.processes import Process, child_environment, reap, spawn, tethered_command

UNTIL_TOLD = "import pathlib, signal; {}; pathlib.Path('{}').touch(); signal.pause()"
IGNORE_SIGTERM = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def ready(tmp_path: Path, name: str, code: str) -> Process:
    """A process that has done `code` and waits for signals."""
    process = spawn(python(UNTIL_TOLD.format(code, tmp_path / name)), tmp_path / "log")
    wait_until((tmp_path / name).exists, lambda: f"{name} is ready")
    return process


@pytest.mark.parametrize(
    ("grace_s", "codes"), [(2.0, [-signal.SIGTERM, -signal.SIGKILL]), (0.0, [-signal.SIGKILL, -signal.SIGKILL])]
)
def test_those_that_listen_are_told_and_those_that_do_not_are_killed(
    tmp_path: Path, grace_s: float, codes: list[int]
) -> None:
    processes = [ready(tmp_path, "listens", "pass"), ready(tmp_path, "does not", IGNORE_SIGTERM)]
    reap(processes, grace_s)
    assert [process.poll() for process in processes] == codes
    reap(processes, grace_s)  # nothing happens to those that have ended


def test_what_a_process_says_is_appended_to_its_log_in_whose_directory_it_runs(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    code = "import os, sys; print('error', file=sys.stderr); print(os.getcwd(), os.environ['MINE'], os.getpgid(0))"
    process = spawn(python(code), log, {"MINE": "mine"})
    assert process.wait() == 0
    assert sorted(log.read_text().splitlines()) == sorted(["before", "error", f"{tmp_path} mine {process.pid}"])
    assert process.pid != os.getpgid(0), "else Ctrl-C on the terminal would reach the agents before the launcher"


def test_children_have_no_settings_of_others_and_one_blas_thread() -> None:
    environment = child_environment({"PATH": "/bin", "P2PNET_ALGORITHM__ROUNDS": "3", "OMP_NUM_THREADS": "8"})

    assert environment["PATH"] == "/bin"
    assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "1"
    assert not any(name.startswith("P2PNET_") for name in environment)


def test_a_tether_runs_the_module_as_if_it_had_been_called_itself(tmp_path: Path) -> None:
    process = spawn(tethered_command(signal.SIGTERM, "p2pnet", "--version"), tmp_path / "log")
    assert process.wait() == 0
    assert (tmp_path / "log").read_text().startswith("p2pnet")
