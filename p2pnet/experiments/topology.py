"""Graphs of N agents: who is whose neighbor, for good or from round to round."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from p2pnet.errors import ConfigError

Edge = tuple[int, int]

FIXED = ("ring", "path", "star", "grid", "torus", "full", "exponential", "random", "random:P", "regular:D")
CHANGING = ("one-peer-exponential", "matching")

MAX_DRAWS = 1000
SWITCHES_PER_EDGE = 10
"""So many random switches for each edge leave nothing of the graph they began with."""


def make_topology(name: str, n_agents: int, rng: np.random.Generator) -> list[Edge]:
    """The edges (j, k), j < k, of a connected graph, one of `FIXED`.

    grid        rows and columns as equal as can be, the last row not always full
    torus       the same with both ends joined; all rows full, so a prime number of agents makes a ring
    exponential k with k ± 1, 2, 4, 8, … round the circle
    random:P    joins each pair with probability P, drawn again until the graph is connected (Erdős–Rényi); `random`
                takes P = 2 ln N / N, twice the threshold of connectedness
    regular:D   random, with D neighbors for each agent
    """
    kind, _, parameter = name.partition(":")
    if n_agents == 1:
        return []
    match kind:
        case "ring":
            return _circulant(n_agents, [1])
        case "path":
            return [(k, k + 1) for k in range(n_agents - 1)]
        case "star":
            return [(0, k) for k in range(1, n_agents)]
        case "full":
            return list(itertools.combinations(range(n_agents), 2))
        case "grid":
            return _grid(n_agents)
        case "torus":
            return _torus(n_agents)
        case "exponential":
            return _circulant(n_agents, [2**power for power in range((n_agents - 1).bit_length())])
        case "random":
            probability = float(parameter) if parameter else min(1.0, 2 * math.log(n_agents) / n_agents)
            return _random(n_agents, probability, rng)
        case "regular" if parameter.isdigit():
            return _regular(n_agents, int(parameter), rng)
        case _:
            raise ConfigError(f"topology {name!r}: not one of {', '.join(FIXED)}")


def make_graphs(name: str, n_agents: int, rng: np.random.Generator) -> list[list[Edge]]:
    """The graphs that the rounds take in turn: one where the neighbors stay the same, for a name in `FIXED` or a FILE.

    one-peer-exponential  round t joins k with k + 2^t and k − 2^t round the circle, t modulo ⌈log₂ N⌉
    matching              every agent is joined with one other (but one where N is odd), anew in 2 ⌈log₂ N⌉ rounds
    FILE                  the graphs that `read_graphs` finds in it
    """
    if name == "one-peer-exponential":
        return [_circulant(n_agents, [2**power]) for power in range(max((n_agents - 1).bit_length(), 1))]
    if name == "matching":
        return _matchings(n_agents, max(2 * (n_agents - 1).bit_length(), 1), rng)
    if not is_fixed(name):
        return read_graphs(Path(name), n_agents)
    return [make_topology(name, n_agents, rng)]


def is_fixed(name: str) -> bool:
    """Whether a graph stays the same in all rounds; those of a file may change."""
    return name.partition(":")[0] in {fixed.partition(":")[0] for fixed in FIXED}


def union(graphs: Iterable[Iterable[Edge]]) -> list[Edge]:
    """All edges that occur in one of the graphs."""
    return sorted(set(itertools.chain.from_iterable(graphs)))


def read_graphs(path: Path, n_agents: int) -> list[list[Edge]]:
    """The graphs in a text file: an edge a line, as the numbers of two agents counted from 1, a blank line between
    graphs; what follows a # is for people.

    ConfigError names the line that is wrong, or says that the graphs taken together are not connected.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        names = ", ".join((*FIXED, *CHANGING))
        raise ConfigError(f"topology {path}: not one of {names}, nor a file that can be read: {reason}") from error
    graphs: list[set[Edge]] = [set()]
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if words:
            graphs[-1].add(_read_edge(words, f"{path}, line {number}", n_agents))
        elif "#" not in line and graphs[-1]:
            graphs.append(set())
    kept = [sorted(graph) for graph in graphs if graph]
    if eccentricity(union(kept), n_agents) is None:
        raise ConfigError(f"topology {path}: its edges do not connect all {n_agents} agents")
    return kept


def neighbors_of(edges: Iterable[Edge], n_agents: int) -> list[list[int]]:
    """For each agent its neighbors, in ascending order."""
    neighbors: list[list[int]] = [[] for _ in range(n_agents)]
    for j, k in edges:
        neighbors[j].append(k)
        neighbors[k].append(j)
    return [sorted(row) for row in neighbors]


def eccentricity(edges: Iterable[Edge], n_agents: int, agent: int = 0) -> int | None:
    """The longest of the shortest paths from one agent; None where there is an agent without a path to it."""
    neighbors = neighbors_of(edges, n_agents)
    reached, frontier, distance = {agent}, [agent], 0
    while True:
        frontier = [k for k in {k for j in frontier for k in neighbors[j]} if k not in reached]
        if not frontier:
            return distance if len(reached) == n_agents else None
        reached.update(frontier)
        distance += 1


def diameter(edges: Iterable[Edge], n_agents: int) -> int | None:
    """The longest of all shortest paths between two agents; None where there is no path.

    One set of agents for each agent, a bit each, grows by the neighbors' sets: N² / 64 words in all.
    """
    neighbors = neighbors_of(edges, n_agents)
    everybody = (1 << n_agents) - 1
    reached = [1 << k for k in range(n_agents)]
    distance = 0
    while any(around != everybody for around in reached):
        grown = []
        for k, around in enumerate(reached):
            for j in neighbors[k]:
                around |= reached[j]
            grown.append(around)
        if grown == reached:
            return None
        reached = grown
        distance += 1
    return distance


MAX_AGENTS_FOR_DIAMETER = 512


def diameter_bound(edges: Sequence[Edge], n_agents: int) -> int:
    """The diameter of a connected graph, or, of a large one, twice one agent's eccentricity, which is no less."""
    if n_agents <= MAX_AGENTS_FOR_DIAMETER:
        return diameter(edges, n_agents) or 1
    return 2 * (eccentricity(edges, n_agents) or 1)


def _edge(j: int, k: int) -> Edge:
    return (j, k) if j < k else (k, j)


def _circulant(n_agents: int, hops: Iterable[int]) -> list[Edge]:
    edges = {_edge(k, (k + hop) % n_agents) for hop in hops for k in range(n_agents)}
    return sorted((j, k) for j, k in edges if j != k)


def _grid(n_agents: int) -> list[Edge]:
    n_columns = math.isqrt(n_agents - 1) + 1
    right = [(k, k + 1) for k in range(n_agents - 1) if (k + 1) % n_columns]
    down = [(k, k + n_columns) for k in range(n_agents - n_columns)]
    return sorted(right + down)


def _torus(n_agents: int) -> list[Edge]:
    n_rows = next(rows for rows in range(math.isqrt(n_agents), 0, -1) if n_agents % rows == 0)
    n_columns = n_agents // n_rows
    places = list(itertools.product(range(n_rows), range(n_columns)))
    right = {_edge(r * n_columns + c, r * n_columns + (c + 1) % n_columns) for r, c in places}
    down = {_edge(r * n_columns + c, (r + 1) % n_rows * n_columns + c) for r, c in places}
    return sorted((j, k) for j, k in right | down if j != k)


def _random(n_agents: int, probability: float, rng: np.random.Generator) -> list[Edge]:
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


def _regular(n_agents: int, degree: int, rng: np.random.Generator) -> list[Edge]:
    """A ring lattice in which the ends of random pairs of edges have been switched, which leaves all degrees alone."""
    if not 2 <= degree < n_agents or n_agents * degree % 2:
        raise ConfigError(
            f"topology regular:{degree}: {n_agents} agents can have from 2 to {n_agents - 1} neighbors each, "
            "and the number of agents times that of neighbors must be even"
        )
    hops = [*range(1, degree // 2 + 1), *([n_agents // 2] if degree % 2 else [])]
    edges = _circulant(n_agents, hops)
    present = set(edges)
    for _ in range(MAX_DRAWS):
        for first, second in rng.integers(len(edges), size=(SWITCHES_PER_EDGE * len(edges), 2)).tolist():
            (a, b), (c, d) = edges[first], edges[second]
            one, other = _edge(a, d), _edge(c, b)
            if a == d or b == c or one in present or other in present:
                continue
            present -= {edges[first], edges[second]}
            present |= {one, other}
            edges[first], edges[second] = one, other
        if eccentricity(edges, n_agents) is not None:
            return sorted(edges)
    raise ConfigError(f"topology regular:{degree}: {n_agents} agents were not connected in {MAX_DRAWS} draws")


def _matchings(n_agents: int, n_graphs: int, rng: np.random.Generator) -> list[list[Edge]]:
    for _ in range(MAX_DRAWS):
        orders = [rng.permutation(n_agents).tolist() for _ in range(n_graphs)]
        graphs = [sorted(_edge(*pair) for pair in zip(order[::2], order[1::2], strict=False)) for order in orders]
        if eccentricity(union(graphs), n_agents) is not None:
            return graphs
    raise ConfigError(f"topology matching: {n_agents} agents were not connected in {MAX_DRAWS} draws")


def _read_edge(words: list[str], place: str, n_agents: int) -> Edge:
    numbers = [int(word) for word in words if word.isdigit()]
    if len(numbers) != 2 or len(words) != 2 or numbers[0] == numbers[1]:
        raise ConfigError(f"{place}: {' '.join(words)!r} is no edge; write the numbers of two agents, as in 1 4")
    if not all(1 <= number <= n_agents for number in numbers):
        raise ConfigError(f"{place}: agents are numbered from 1 to {n_agents}")
    return _edge(numbers[0] - 1, numbers[1] - 1)
