"""Run a module as a process that gets a signal when the process that started it is gone, however that ended.

    python -P p2pnet/testing/tether.py SIGTERM p2pnet run agent.toml

The tether belongs to the thread that started the process: that thread must live as long as the process is to. Where
the system has no such tether (it is Linux's), the module runs without one.
"""

import ctypes
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15


def tie_to_parent(number: signal.Signals) -> None:
    """Request this signal for when the parent is gone; no effect where the system does not support it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def name_process(name: str) -> None:
    """Give this process a name for `ps` and `pkill`, of which 15 bytes are kept; no effect where there are none."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode())


if __name__ == "__main__":
    tie_to_parent(signal.Signals[sys.argv[1]])
    del sys.argv[:2]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
