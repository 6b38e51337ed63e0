"""What a harmed network is held against, on the same data: one that is left in peace, and one central model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from p2pnet.data.samples import Samples
from p2pnet.experiments.report.baselines import train_centrally
from p2pnet.experiments.workload import Workload
from p2pnet.optim.arrays import Array
from tests.chaos.fleet import make_fleet
from tests.chaos.wiring import Loopback

PATIENCE_S = 300.0


class References:
    """Objectives over the samples of some of a workload's agents; each is computed once."""

    def __init__(self, workload: Workload, sections: Mapping[str, Mapping[str, Any]], directory: Path) -> None:
        self.workload = workload
        self._sections = sections
        self._directory = directory
        self._undisturbed: dict[frozenset[int], float] = {}
        self._central: dict[frozenset[int], float] = {}

    def objective(self, params: Array, data_of: Collection[int]) -> float:
        """That of a model over the samples of these agents."""
        problem = self.workload.problem
        return problem.objective(params, problem.local_objective(self._samples(data_of)))

    def undisturbed(self, data_of: Collection[int]) -> float:
        """Of the worst model of daemons with this data only, joined as they are in the workload and left in peace."""
        agents = frozenset(data_of)
        if agents not in self._undisturbed:
            name = "undisturbed-" + "-".join(str(k) for k in sorted(agents))
            part = part_of(self.workload, agents)
            with (
                Loopback(part.n_agents) as wiring,
                make_fleet(self._directory / name, part, wiring, self._sections) as fleet,
            ):
                fleet.start()
                fleet.until_all_end(PATIENCE_S)
                self._undisturbed[agents] = max(self.objective(agent.files.params(), agents) for agent in fleet.agents)
        return self._undisturbed[agents]

    def central(self, data_of: Collection[int]) -> float:
        """Of one model trained on these samples in one place."""
        agents = frozenset(data_of)
        if agents not in self._central:
            trained = train_centrally(self.workload.problem, self._samples(agents))
            self._central[agents] = trained.objective
        return self._central[agents]

    def _samples(self, agents: Collection[int]) -> Samples:
        return join([self.workload.shards[k] for k in sorted(agents)])


def join(parts: list[Samples]) -> Samples:
    """The samples of all parts, in their order."""
    X, Y = (np.concatenate(arrays) for arrays in zip(*((part.X, part.Y) for part in parts), strict=True))
    return replace(parts[0], X=X, Y=Y)


def part_of(workload: Workload, agents: Collection[int]) -> Workload:
    """The workload of some of its agents, with the edges between them."""
    place = {k: index for index, k in enumerate(sorted(agents))}
    edges = tuple((place[j], place[k]) for j, k in workload.edges if j in place and k in place)
    shards = tuple(workload.shards[k] for k in place)
    return replace(workload, shards=shards, edges=edges, train=join(list(shards)))
