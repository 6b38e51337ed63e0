"""Graphs have the edges that their names promise, and are connected."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.errors import ConfigError
from p2pnet.experiments.topologies.by_name import make_graphs, make_topology
from p2pnet.simulation.graphs import diameter, diameter_bound, eccentricity, neighbors_of, union


@pytest.mark.parametrize("n_agents", [1, 2, 3, 4, 5, 8, 16, 17])
@pytest.mark.parametrize(
    "name", ["ring", "path", "star", "grid", "torus", "full", "exponential", "random", "random:0.6"]
)
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
        ("torus", 12, [4] * 12, 3),
        ("torus", 7, [2] * 7, 3),
        ("torus", 4, [2] * 4, 2),
        ("exponential", 8, [5] * 8, 2),
        ("regular:3", 10, [3] * 10, 3),
        ("regular:4", 5, [4] * 5, 1),
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
    with pytest.raises(ConfigError, match="'moebius': must be one of ring, path"):
        make_topology("moebius", 4, np.random.default_rng(0))


def test_a_graph_in_pieces_has_no_diameter() -> None:
    assert diameter([(0, 1), (2, 3)], 4) is None


@given(st.integers(2, 12), st.data())
def test_the_diameter_is_the_largest_eccentricity_and_its_bound_no_less(n_agents: int, data: st.DataObject) -> None:
    edges = data.draw(st.lists(st.sampled_from(list(combinations(range(n_agents), 2))), unique=True))
    longest = [eccentricity(edges, n_agents, agent) for agent in range(n_agents)]
    whole = diameter(edges, n_agents)
    if None in longest:
        assert whole is None
    else:
        assert whole == max(distance for distance in longest if distance is not None)
        assert diameter_bound(edges, n_agents) >= whole


@pytest.mark.parametrize(("n_agents", "degree"), [(5, 3), (4, 1), (4, 4)])
def test_a_regular_graph_that_cannot_be_says_which_can(n_agents: int, degree: int) -> None:
    with pytest.raises(ConfigError, match=f"regular:{degree}: {n_agents} agents can have from 2 to {n_agents - 1}"):
        make_topology(f"regular:{degree}", n_agents, np.random.default_rng(0))


def test_a_regular_graph_is_random_and_large_ones_have_short_ways() -> None:
    draws = [make_topology("regular:4", 600, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert diameter(draws[0], 600) in range(5, 10)


@pytest.mark.parametrize("n_agents", [2, 3, 8, 9, 40])
def test_a_matching_joins_everybody_with_one_other_each_round_and_all_in_the_end(n_agents: int) -> None:
    graphs = make_graphs("matching", n_agents, np.random.default_rng(0))
    assert all(len({k for edge in graph for k in edge}) == 2 * len(graph) == n_agents // 2 * 2 for graph in graphs)
    assert eccentricity(union(graphs), n_agents) is not None


def test_one_peer_exponential_takes_the_hops_in_turn() -> None:
    graphs = make_graphs("one-peer-exponential", 8, np.random.default_rng(0))
    assert [sorted({(k - j) % 8 for j, k in graph}) for graph in graphs] == [[1, 7], [2, 6], [4]]
    assert union(graphs) == make_topology("exponential", 8, np.random.default_rng(0))


def test_graphs_come_from_a_file_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "graphs.txt"
    path.write_text("# two graphs\n1 2\n3 4  # a remark\n\n\n4 1\n2 3\n3 2\n")
    assert make_graphs(str(path), 4, np.random.default_rng(0)) == [[(0, 1), (2, 3)], [(0, 3), (1, 2)]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 2\n2 2\n", r"line 2: '2 2' is no edge"),
        ("1 2 3\n", r"line 1: '1 2 3' is no edge"),
        ("1 2\n2 4\n", r"line 2: agents are numbered from 1 to 3"),
        ("1 2\n", r"do not connect all 3 agents"),
    ],
)
def test_a_file_that_is_no_graph_says_where(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "graph.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        make_graphs(str(path), 3, np.random.default_rng(0))


def test_a_file_that_is_not_there_is_named_with_the_names_there_are() -> None:
    with pytest.raises(ConfigError, match=r"topology nowhere\.txt: not one of ring, .* overlay, nor a file"):
        make_graphs("nowhere.txt", 3, np.random.default_rng(0))
