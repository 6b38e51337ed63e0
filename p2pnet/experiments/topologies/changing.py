"""Topologies that change from round to round."""

from __future__ import annotations

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.experiments.topologies.fixed import circulant
from p2pnet.experiments.topologies.random_graphs import MAX_DRAWS
from p2pnet.simulation.graphs import Edge, eccentricity, edge, union


def one_peer_exponential(n_agents: int, rng: np.random.Generator) -> list[list[Edge]]:  # noqa: ARG001
    """Graphs of round t modulo ⌈log₂ N⌉: edges of k with k ± 2^t on a ring."""
    return [circulant(n_agents, [2**power]) for power in range(max((n_agents - 1).bit_length(), 1))]


def overlay(n_agents: int, rng: np.random.Generator) -> list[list[Edge]]:  # noqa: ARG001
    """No edges: the agents find each other from a seed, and choose their neighbors by gossip."""
    return [[]]


def matchings(n_agents: int, rng: np.random.Generator) -> list[list[Edge]]:
    """Random perfect matchings for 2 ⌈log₂ N⌉ rounds in turn; one agent is left out where N is odd."""
    n_graphs = max(2 * (n_agents - 1).bit_length(), 1)
    for _ in range(MAX_DRAWS):
        orders = [rng.permutation(n_agents).tolist() for _ in range(n_graphs)]
        graphs = [sorted(edge(*pair) for pair in zip(order[::2], order[1::2], strict=False)) for order in orders]
        if eccentricity(union(graphs), n_agents) is not None:
            return graphs
    raise ConfigError(f"topology matching: {n_agents} agents were not connected in {MAX_DRAWS} draws")
