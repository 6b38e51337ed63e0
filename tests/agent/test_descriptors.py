"""Descriptors in reserve: what must not fail has some left."""

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pnet.agent.descriptors import N_IN_RESERVE, DescriptorReserve
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.errors import TrainingError
from p2pnet.training.records import Result

RESULT = Result("agent-1", "key", 3, "converged", 10, 10, 50.0, 0, {})


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """As in a flood of connections, for this process."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, limits[1]))
    taken = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_result_is_saved_though_no_descriptor_is_left(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    state.acquire()
    with no_descriptor_left():
        with pytest.raises(OSError, match="Too many open files"):
            os.open(os.devnull, os.O_RDONLY)
        state.save_result(RESULT)
        state.save_result(RESULT)  # the reserve is there again
    assert state.load_result() == RESULT
    state.release()


def test_without_a_reserve_it_could_not_be(tmp_path: Path) -> None:
    with no_descriptor_left(), pytest.raises(TrainingError, match="Too many open files"):
        StateDirectory(tmp_path).save_result(RESULT)


def test_what_is_lent_is_taken_back_and_all_is_given_up_in_the_end() -> None:
    n_before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    reserve = DescriptorReserve()
    assert len(os.listdir("/proc/self/fd")) == n_before + N_IN_RESERVE  # noqa: PTH208
    with reserve.lent():
        assert len(os.listdir("/proc/self/fd")) == n_before  # noqa: PTH208
    assert len(os.listdir("/proc/self/fd")) == n_before + N_IN_RESERVE  # noqa: PTH208
    reserve.close()
    assert len(os.listdir("/proc/self/fd")) == n_before  # noqa: PTH208


def test_the_limit_is_raised_as_far_as_it_may_be() -> None:
    program = (
        "import resource; from p2pnet.agent.descriptors import raise_descriptor_limit as r; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512)); r(); print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "(512, 512)"
