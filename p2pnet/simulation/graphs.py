"""Graphs of N agents as lists of edges: neighbors, distances, connectedness."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

Edge = tuple[int, int]
"""(j, k) with j < k"""

Name = TypeVar("Name")

MAX_AGENTS_FOR_DIAMETER = 512


def edge(j: int, k: int) -> Edge:
    """The edge between j and k."""
    return (j, k) if j < k else (k, j)


def union(graphs: Iterable[Iterable[Edge]]) -> list[Edge]:
    """All edges that occur in one of the graphs."""
    return sorted(set(itertools.chain.from_iterable(graphs)))


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
    everyone = (1 << n_agents) - 1
    reached = [1 << k for k in range(n_agents)]
    distance = 0
    while any(around != everyone for around in reached):
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


def diameter_bound(edges: Sequence[Edge], n_agents: int) -> int:
    """The diameter of a connected graph, or, of a large one, twice one agent's eccentricity, which is no less."""
    if n_agents <= MAX_AGENTS_FOR_DIAMETER:
        return diameter(edges, n_agents) or 1
    return 2 * (eccentricity(edges, n_agents) or 1)


def components(views: Mapping[Name, Collection[Name]]) -> list[set[Name]]:
    """The connected components of the graph that joins two agents where each is in the other's view."""
    unseen = dict.fromkeys(views)
    found = []
    while unseen:
        first, _ = unseen.popitem()
        component, frontier = {first}, [first]
        while frontier:
            agent = frontier.pop()
            reached = [other for other in views[agent] if other in unseen and agent in views[other]]
            for other in reached:
                del unseen[other]
            component.update(reached)
            frontier += reached
        found.append(component)
    return found
