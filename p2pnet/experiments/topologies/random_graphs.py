"""Random topologies that are fixed over the rounds."""

from __future__ import annotations

import math

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.experiments.topologies.fixed import circulant
from p2pnet.simulation.graphs import Edge, eccentricity, edge

MAX_DRAWS = 1000
SWITCHES_PER_EDGE = 10
"""Random edge switches per edge that make the graph independent of the initial lattice."""


def erdos_renyi(n_agents: int, rng: np.random.Generator, probability: float | None = None) -> list[Edge]:
    """An Erdős–Rényi graph: each pair is an edge with a given probability (default 2 ln N / N, twice the threshold of
    connectedness), redrawn until connected.
    """
    if probability is None:
        probability = min(1.0, 2 * math.log(n_agents) / n_agents)
    for _ in range(MAX_DRAWS):
        edges = [
            (j, j + 1 + int(later))
            for j in range(n_agents - 1)
            for later in np.flatnonzero(rng.random(n_agents - 1 - j) < probability)
        ]
        if eccentricity(edges, n_agents) is not None:
            return edges
    raise ConfigError(
        f"topology random:{probability:g}: {n_agents} agents were not connected in {MAX_DRAWS} draws; "
        f"take a probability above {math.log(n_agents) / n_agents:.2g}"
    )


def regular(n_agents: int, rng: np.random.Generator, degree: int) -> list[Edge]:
    """A random regular graph of the given degree: a ring lattice after random switches of edge ends, which preserve
    degrees.
    """
    if not 2 <= degree < n_agents or n_agents * degree % 2:
        raise ConfigError(
            f"topology regular:{degree}: {n_agents} agents can have from 2 to {n_agents - 1} neighbors each, "
            "and the number of agents times that of neighbors must be even"
        )
    hops = [*range(1, degree // 2 + 1), *([n_agents // 2] if degree % 2 else [])]
    edges = circulant(n_agents, hops)
    present = set(edges)
    for _ in range(MAX_DRAWS):
        for first, second in rng.integers(len(edges), size=(SWITCHES_PER_EDGE * len(edges), 2)).tolist():
            (a, b), (c, d) = edges[first], edges[second]
            one, other = edge(a, d), edge(c, b)
            if a == d or b == c or one in present or other in present:
                continue
            present -= {edges[first], edges[second]}
            present |= {one, other}
            edges[first], edges[second] = one, other
        if eccentricity(edges, n_agents) is not None:
            return sorted(edges)
    raise ConfigError(f"topology regular:{degree}: {n_agents} agents were not connected in {MAX_DRAWS} draws")
