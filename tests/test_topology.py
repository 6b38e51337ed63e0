"""Graphs have the edges that their names promise, and are connected."""

import numpy as np
import pytest

from p2pnet.errors import ConfigError
from p2pnet.topology import diameter, make_topology, neighbors_of


@pytest.mark.parametrize("n_agents", [1, 2, 3, 4, 5, 8, 16, 17])
@pytest.mark.parametrize("name", ["ring", "path", "star", "grid", "full", "random", "random:0.6"])
def test_every_topology_is_a_connected_simple_graph(name: str, n_agents: int) -> None:
    edges = make_topology(name, n_agents, np.random.default_rng(0))
    assert all(0 <= j < k < n_agents for j, k in edges)
    assert len(edges) == len(set(edges))
    assert diameter(edges, n_agents) is not None


@pytest.mark.parametrize(
    ("name", "n_agents", "degrees", "longest"),
    [
        ("ring", 8, [2] * 8, 4),
        ("ring", 2, [1, 1], 1),
        ("path", 4, [1, 2, 2, 1], 3),
        ("star", 5, [4, 1, 1, 1, 1], 2),
        ("full", 5, [4] * 5, 1),
        ("grid", 9, [2, 3, 2, 3, 4, 3, 2, 3, 2], 4),
        ("grid", 5, [2, 3, 1, 2, 2], 3),
    ],
)
def test_degrees_and_diameters(name: str, n_agents: int, degrees: list[int], longest: int) -> None:
    edges = make_topology(name, n_agents, np.random.default_rng(0))
    assert [len(neighbors) for neighbors in neighbors_of(edges, n_agents)] == degrees
    assert diameter(edges, n_agents) == longest


def test_a_random_graph_is_a_function_of_the_generator() -> None:
    draws = [make_topology("random", 12, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_a_probability_too_small_to_connect_says_what_would_do() -> None:
    with pytest.raises(ConfigError, match=r"random:0\.001: 20 agents were not connected .* above 0\.15"):
        make_topology("random:0.001", 20, np.random.default_rng(0))


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ConfigError, match="'torus': not one of ring, path"):
        make_topology("torus", 4, np.random.default_rng(0))


def test_a_graph_in_pieces_has_no_diameter() -> None:
    assert diameter([(0, 1), (2, 3)], 4) is None
