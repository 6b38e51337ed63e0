"""The test harness: agents as processes on this machine, Byzantine (lying) members, toy problems.

    from pathlib import Path
    from p2pnet.testing import Fleet, by_graph

    settings = {"algorithm.rounds": 300, "algorithm.tolerance": 0.0, "network.round_pace_s": 0.02}
    with Fleet.create(directory, 3, by_graph([(0, 1), (1, 2)]), settings) as fleet:
        fleet.start()
        fleet[0].until(lambda agent: agent.round > 5)
        fleet.stop([2])
        fleet[2].finish()
        fleet.until_all_end()
        assert fleet.conservation_error([0, 1]) < 1e-9

`LocalAgent` is one agent: its directory and its process, which ends with the process that started it. `Fleet` is
several, which an introduction (`by_graph`, `by_seeds`, `by_mdns`) lets know each other. With `lies`, an agent is a
member that changes its own messages on their way out, as `p2pnet.testing.lies` names it.

`VirtualFleet` has the same agents in virtual time, in one process: whole nodes that dial, gossip, agree on feature
statistics and train over a `VirtualNetwork`. The seed decides everything.

    from p2pnet.testing import VirtualFleet, linear_shards

    fleet = VirtualFleet(linear_shards(4), lies={"agent-3": ["params-constant:1"]}, seed=7)
    fleet.start()
    assert fleet.run_until(fleet.is_training)
    fleet.nodes.crash(["agent-2"])
    fleet.run(20.0)
    fleet.nodes.restart("agent-2", is_state_lost=True)
    assert fleet.nodes.conservation_error() < 1e-10

lies, problems and introductions do no input or output.
"""

from p2pnet.simulation.virtual_network import Conditions, VirtualNetwork
from p2pnet.simulation.whole_nodes import WholeAgent, WholeNodes
from p2pnet.testing.files import AgentFiles, Failure, LogEntry
from p2pnet.testing.fleet import End, Fleet, Routes
from p2pnet.testing.introductions import AgentContact, Introduction, by_full_graph, by_graph, by_mdns, by_seeds
from p2pnet.testing.lies import LIES, AnyMessage, Liar, Lie, parse_lie, tell
from p2pnet.testing.local_agent import LocalAgent
from p2pnet.testing.ports import free_ports
from p2pnet.testing.problems import (
    LINEAR_REGRESSION,
    TRUE_WEIGHTS,
    Shard,
    disagreement,
    least_squares,
    linear_shard,
    linear_shards,
    relative_errors,
)
from p2pnet.testing.virtual_fleet import VirtualFleet
from p2pnet.testing.waiting import HarnessError, wait_until

__all__ = [
    "LIES",
    "LINEAR_REGRESSION",
    "TRUE_WEIGHTS",
    "AgentContact",
    "AgentFiles",
    "AnyMessage",
    "Conditions",
    "End",
    "Failure",
    "Fleet",
    "HarnessError",
    "Introduction",
    "Liar",
    "Lie",
    "LocalAgent",
    "LogEntry",
    "Routes",
    "Shard",
    "VirtualFleet",
    "VirtualNetwork",
    "WholeAgent",
    "WholeNodes",
    "by_full_graph",
    "by_graph",
    "by_mdns",
    "by_seeds",
    "disagreement",
    "free_ports",
    "least_squares",
    "linear_shard",
    "linear_shards",
    "parse_lie",
    "relative_errors",
    "tell",
    "wait_until",
]
