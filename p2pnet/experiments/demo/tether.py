"""Run p2pnet as a process that is told to leave when the process that started it is gone, however that ended.

    python -m p2pnet.experiments.demo.tether p2pnet run agent.toml

Where the system has no such tether (it is Linux's), p2pnet runs without one.
"""

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    del sys.argv[0]
    from p2pnet.cli import main

    main()
