"""Deterministic topologies that are fixed over the rounds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np

from p2pnet.simulation.graphs import Edge, edge


def ring(n_agents: int, rng: np.random.Generator) -> list[Edge]:  # noqa: ARG001
    """K with k ± 1 round the circle."""
    return circulant(n_agents, [1])


def path(n_agents: int, rng: np.random.Generator) -> list[Edge]:  # noqa: ARG001
    """K with k + 1."""
    return [(k, k + 1) for k in range(n_agents - 1)]


def star(n_agents: int, rng: np.random.Generator) -> list[Edge]:  # noqa: ARG001
    """0 with all others."""
    return [(0, k) for k in range(1, n_agents)]


def full(n_agents: int, rng: np.random.Generator) -> list[Edge]:  # noqa: ARG001
    """All pairs."""
    return list(itertools.combinations(range(n_agents), 2))


def exponential(n_agents: int, rng: np.random.Generator) -> list[Edge]:  # noqa: ARG001
    """K with k ± 1, 2, 4, 8, … round the circle."""
    return circulant(n_agents, [2**power for power in range((n_agents - 1).bit_length())])


def grid(n_agents: int, rng: np.random.Generator) -> list[Edge]:  # noqa: ARG001
    """Rows and columns as equal as can be, the last row not always full."""
    n_columns = math.isqrt(n_agents - 1) + 1
    right = [(k, k + 1) for k in range(n_agents - 1) if (k + 1) % n_columns]
    down = [(k, k + n_columns) for k in range(n_agents - n_columns)]
    return sorted(right + down)


def torus(n_agents: int, rng: np.random.Generator) -> list[Edge]:  # noqa: ARG001
    """A grid with both ends joined; all rows full, so a prime number of agents makes a ring."""
    n_rows = next(rows for rows in range(math.isqrt(n_agents), 0, -1) if n_agents % rows == 0)
    n_columns = n_agents // n_rows
    places = list(itertools.product(range(n_rows), range(n_columns)))
    right = {edge(r * n_columns + c, r * n_columns + (c + 1) % n_columns) for r, c in places}
    down = {edge(r * n_columns + c, (r + 1) % n_rows * n_columns + c) for r, c in places}
    return sorted((j, k) for j, k in right | down if j != k)


def circulant(n_agents: int, hops: Iterable[int]) -> list[Edge]:
    """K with k + hop round the circle, for each hop."""
    edges = {edge(k, (k + hop) % n_agents) for hop in hops for k in range(n_agents)}
    return sorted((j, k) for j, k in edges if j != k)
