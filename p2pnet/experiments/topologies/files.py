"""Topologies in text files."""

from __future__ import annotations

from pathlib import Path

from p2pnet.catalogue.topologies import topology_forms
from p2pnet.errors import ConfigError
from p2pnet.simulation.graphs import Edge, eccentricity, edge, union


def read_graphs(path: Path, n_agents: int) -> list[list[Edge]]:
    """Read graphs from a text file: one edge per line, as two agents' numbers from 1; blank lines separate graphs; #
    begins a comment.

    ConfigError names the line that is wrong, or says that the graphs taken together are not connected.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        names = ", ".join(topology_forms())
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


def _read_edge(words: list[str], place: str, n_agents: int) -> Edge:
    numbers = [int(word) for word in words if word.isdigit()]
    if len(numbers) != 2 or len(words) != 2 or numbers[0] == numbers[1]:
        raise ConfigError(f"{place}: {' '.join(words)!r} is no edge; write the numbers of two agents, as in 1 4")
    if not all(1 <= number <= n_agents for number in numbers):
        raise ConfigError(f"{place}: agents are numbered from 1 to {n_agents}")
    return edge(numbers[0] - 1, numbers[1] - 1)
