"""Topologies by their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from p2pnet.catalogue.registry import Term
from p2pnet.catalogue.topologies import TOPOLOGIES, topology_forms
from p2pnet.errors import ConfigError
from p2pnet.experiments.topologies.files import read_graphs
from p2pnet.simulation.graphs import Edge


def make_topology(name: str, n_agents: int, rng: np.random.Generator) -> list[Edge]:
    """Build the edges (j, k), j < k, of a connected graph that is fixed over the rounds."""
    if n_agents == 1:
        return []
    try:
        term = parse_fixed(name)
    except ValueError as error:
        raise ConfigError(f"topology {name!r}: {error}") from None
    edges: list[Edge] = TOPOLOGIES[term.name].load()(n_agents, rng, *term.numbers)
    return edges


def make_graphs(name: str, n_agents: int, rng: np.random.Generator) -> list[list[Edge]]:
    """Build the graphs that the rounds use in turn: one for a fixed topology, or those in the file `name`
    (`read_graphs`).
    """
    kind = name.partition(":")[0]
    if kind not in TOPOLOGIES:
        return read_graphs(Path(name), n_agents)
    if is_fixed(name):
        return [make_topology(name, n_agents, rng)]
    try:
        term = TOPOLOGIES.parse(name)
    except ValueError as error:
        raise ConfigError(f"topology {name!r}: {error}") from None
    graphs: list[list[Edge]] = TOPOLOGIES[term.name].load()(n_agents, rng, *term.numbers)
    return graphs


def is_fixed(name: str) -> bool:
    """Whether a topology is fixed over the rounds; that of a file may change."""
    kind = name.partition(":")[0]
    return kind in TOPOLOGIES and not TOPOLOGIES[kind].is_changing


def is_one_peer(name: str) -> bool:
    """Whether an agent gives to one agent, and takes from another, in each round."""
    kind = name.partition(":")[0]
    return kind in TOPOLOGIES and TOPOLOGIES[kind].is_one_peer


def is_found(name: str) -> bool:
    """Whether the agents find each other, and choose their neighbors themselves."""
    kind = name.partition(":")[0]
    return kind in TOPOLOGIES and TOPOLOGIES[kind].is_found


def parse_fixed(text: str) -> Term:
    """Parse a fixed topology; ValueError where the text is none."""
    if text.partition(":")[0] in TOPOLOGIES and not is_fixed(text):
        raise ValueError(f"must be one of {', '.join(topology_forms(is_changing=False))}, which stay the same")
    return TOPOLOGIES.parse(text)
