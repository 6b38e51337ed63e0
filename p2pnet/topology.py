"""Graphs of N agents: who is whose neighbor."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np

from p2pnet.errors import ConfigError

Edge = tuple[int, int]

MAX_DRAWS = 1000


def make_topology(name: str, n_agents: int, rng: np.random.Generator) -> list[Edge]:
    """The edges (j, k), j < k, of a connected graph: ring, path, star, grid, full, random or random:P.

    `random:P` joins each pair with probability P, drawn again until the graph is connected (Erdős–Rényi); `random`
    takes P = 2 ln N / N, twice the threshold of connectedness.
    """
    kind, _, parameter = name.partition(":")
    if n_agents == 1:
        return []
    match kind:
        case "ring":
            return sorted({_edge(k, (k + 1) % n_agents) for k in range(n_agents)})
        case "path":
            return [(k, k + 1) for k in range(n_agents - 1)]
        case "star":
            return [(0, k) for k in range(1, n_agents)]
        case "full":
            return list(itertools.combinations(range(n_agents), 2))
        case "grid":
            return _grid(n_agents)
        case "random":
            probability = float(parameter) if parameter else min(1.0, 2 * math.log(n_agents) / n_agents)
            return _random(n_agents, probability, rng)
        case _:
            raise ConfigError(f"topology {name!r}: not one of ring, path, star, grid, full, random, random:P")


def neighbors_of(edges: Iterable[Edge], n_agents: int) -> list[list[int]]:
    """For each agent its neighbors, in ascending order."""
    neighbors: list[list[int]] = [[] for _ in range(n_agents)]
    for j, k in edges:
        neighbors[j].append(k)
        neighbors[k].append(j)
    return [sorted(row) for row in neighbors]


def diameter(edges: Iterable[Edge], n_agents: int) -> int | None:
    """The longest of all shortest paths between two agents; None where there is no path."""
    neighbors = neighbors_of(edges, n_agents)
    longest = 0
    for start in range(n_agents):
        reached, frontier, distance = {start}, {start}, 0
        while frontier := {k for j in frontier for k in neighbors[j]} - reached:
            reached |= frontier
            distance += 1
        if len(reached) < n_agents:
            return None
        longest = max(longest, distance)
    return longest


def _edge(j: int, k: int) -> Edge:
    return (j, k) if j < k else (k, j)


def _grid(n_agents: int) -> list[Edge]:
    n_columns = math.isqrt(n_agents - 1) + 1
    right = [(k, k + 1) for k in range(n_agents - 1) if (k + 1) % n_columns]
    down = [(k, k + n_columns) for k in range(n_agents - n_columns)]
    return sorted(right + down)


def _random(n_agents: int, probability: float, rng: np.random.Generator) -> list[Edge]:
    pairs = list(itertools.combinations(range(n_agents), 2))
    for _ in range(MAX_DRAWS):
        is_drawn = rng.random(len(pairs)) < probability
        edges = [pair for pair, drawn in zip(pairs, is_drawn, strict=True) if drawn]
        if diameter(edges, n_agents) is not None:
            return edges
    raise ConfigError(
        f"topology random:{probability:g}: {n_agents} agents were not connected in {MAX_DRAWS} draws; "
        f"take a probability above {math.log(n_agents) / n_agents:.2g}"
    )
