"""Mixing weights: both ends compute the same, and the network's matrix neither makes nor loses anything."""

import numpy as np
import pytest

from p2pnet.consensus.mixing import metropolis_weights
from p2pnet.topology import make_topology, neighbors_of


@pytest.mark.parametrize("topology", ["ring", "path", "star", "grid", "full", "random"])
def test_metropolis_weights_make_a_symmetric_doubly_stochastic_matrix(topology: str) -> None:
    n = 9
    neighbors = neighbors_of(make_topology(topology, n, np.random.default_rng(1)), n)
    W = np.zeros((n, n))
    for k in range(n):
        for j, weight in metropolis_weights(
            len(neighbors[k]), {str(j): len(neighbors[j]) for j in neighbors[k]}
        ).items():
            W[k, int(j)] = weight
        W[k, k] = 1 - W[k].sum()
    np.testing.assert_array_equal(W, W.T)
    np.testing.assert_allclose(W.sum(axis=0), 1.0)
    assert np.all(np.diag(W) > 0)
    assert np.sort(np.abs(np.linalg.eigvalsh(W)))[-2] < 1


def test_neighbors_beyond_the_announced_degree_never_take_an_agent_below_zero() -> None:
    weights = metropolis_weights(1, {"a": 1, "b": 1, "c": 1})
    assert sum(weights.values()) <= 0.75
