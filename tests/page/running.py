"""A demo's agents that run for good, for the page to look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from p2pnet.experiments.demo.fleet import write_fleet
from p2pnet.experiments.demo.options import DemoOptions
from p2pnet.experiments.workload import Workload, make_workload
from p2pnet.testing import Fleet, LocalAgent

FLAGS: Final = (
    "service.keep_running=true",
    "service.watch_interval_s=0.5",
    "privacy.share_metrics=true",
    "page.predict=true",
    "log.level=info",
)


@contextmanager
def running_demo(
    directory: Path, n_agents: int, data: str, *, topology: str = "ring", pace_s: float = 0.1, rounds: int = 1000
) -> Iterator[tuple[Fleet, Workload]]:
    """Agents that train, and stay; their samples may be replaced, and they train on."""
    options = DemoOptions(
        agents=n_agents, data=data, topology=topology, hidden=(12,), pace_s=pace_s, rounds=rounds, flags=FLAGS
    )
    workload = make_workload(
        n_agents=n_agents,
        topology=topology,
        data=data,
        target=None,
        roles=options.roles,
        task=options.task,
        partition=options.partition,
        hidden=options.hidden,
        penalty=options.penalty,
        seed=options.seed,
        problem=options.problem(),
    )
    directory.mkdir(parents=True, exist_ok=True)
    with Fleet([LocalAgent(files) for files in write_fleet(options, workload, directory)]) as fleet:
        fleet.start()
        fleet.until_round(3)
        yield fleet, workload
