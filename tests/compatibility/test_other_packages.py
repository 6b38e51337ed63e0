"""Agents with other releases of NumPy and of all else train with those that have the installed ones, coded shares too.

P2PNET_OTHER_PACKAGES names a directory with these releases, as `pip install --target` makes it;
`tools/supply_chain.py lowest` runs the test with the lowest ones.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from p2pnet.protocol.core.notices import CloseReason
from p2pnet.testing import Fleet, least_squares, linear_shards, relative_errors

ROOT = Path(__file__).parents[2]
OTHER_PACKAGES = os.environ.get("P2PNET_OTHER_PACKAGES")
N_ROUNDS = 60


@pytest.mark.skipif(OTHER_PACKAGES is None, reason="P2PNET_OTHER_PACKAGES names no directory")
def test_agents_with_two_releases_of_numpy_read_each_others_coded_shares_to_the_bit(tmp_path: Path) -> None:
    other = {"PYTHONPATH": f"{OTHER_PACKAGES}{os.pathsep}{ROOT}"}
    show = [sys.executable, "-c", "import numpy; print(numpy.__version__)"]
    found = subprocess.run(show, env={**os.environ, **other}, capture_output=True, text=True, check=True).stdout
    assert found.strip() != np.__version__
    shards = linear_shards(4)
    settings = {"algorithm.rounds": N_ROUNDS, "algorithm.tolerance": 0.0, "network.precision": "coded"}
    with Fleet.create(tmp_path, 4, settings=settings, shards=shards) as fleet:
        for k, agent in enumerate(fleet.agents):
            agent.start(environment=other if k % 2 else {"PYTHONPATH": str(ROOT)})
        for agent in fleet.agents:
            agent.finish()
        results = [agent.files.result() for agent in fleet.agents]
        assert [result.rounds for result in results] == [N_ROUNDS] * 4
        assert [result.n_messages_dropped for result in results] == [0] * 4
        # Ends whose replicas differ in a bit open their link anew.
        assert not any(CloseReason.OTHER_BASE in agent.log for agent in fleet.agents)
        solution = least_squares(shards)
        assert max(relative_errors([agent.files.params() for agent in fleet.agents], solution)) < 1e-3
        assert fleet.conservation_error() < 1e-12
