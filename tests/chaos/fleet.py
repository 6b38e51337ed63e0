"""The agents of a demo as a fleet whose network can be cut and made to lose."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from p2pnet.config import read_settings, write_config
from p2pnet.experiments.demo.fleet import write_fleet
from p2pnet.experiments.demo.options import DemoOptions
from p2pnet.experiments.workload import Workload
from p2pnet.testing.files import AgentFiles
from p2pnet.testing.fleet import Fleet
from p2pnet.testing.local_agent import LocalAgent
from tests.chaos.wiring import Wiring


def make_fleet(directory: Path, workload: Workload, wiring: Wiring, sections: Mapping[str, Mapping[str, Any]]) -> Fleet:
    """Agents of one workload, with their files in `directory`, joined by the wiring.

    `sections` has what differs from a demo's settings: {"network": {"round_pace_s": 0.1}, …}.
    """
    directory.mkdir(parents=True, exist_ok=True)
    of_agents = write_fleet(DemoOptions(agents=workload.n_agents), workload, directory)
    for k in range(workload.n_agents):
        _rewire(k, of_agents, wiring, sections)
    return Fleet(
        LocalAgent(files, wiring.address(k), wrap=partial(wiring.command, k)) for k, files in enumerate(of_agents)
    )


def _rewire(k: int, of_agents: list[AgentFiles], wiring: Wiring, sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Write into agent k's settings where the wiring has it and its neighbors, and what the sections have."""
    number = {files.name: j for j, files in enumerate(of_agents)}
    settings = read_settings(of_agents[k].config)
    neighbors = tuple(
        neighbor.model_copy(update={"address": wiring.way(k, number[str(neighbor.name)])})
        for neighbor in settings.network.neighbors
    )
    network = {"bind": wiring.address(k), "neighbors": neighbors, **sections.get("network", {})}
    changed = {"log": {"format": "json"}, **sections, "network": network}
    copies = {name: getattr(settings, name).model_copy(update=dict(values)) for name, values in changed.items()}
    write_config(settings.model_copy(update=copies), of_agents[k].config)
