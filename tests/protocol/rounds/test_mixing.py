"""Mixing weights: both ends compute the same, and the network's matrix neither makes nor loses anything."""

import numpy as np
import pytest
from numpy.typing import NDArray

from p2pnet.experiments.topologies.by_name import make_topology
from p2pnet.protocol.rounds.mixing import MetropolisMixing, Mixing, OnePeerExponential, RandomMatching
from p2pnet.simulation.graphs import neighbors_of

Matrix = NDArray[np.float64]


def matrices(mixings: list[Mixing], neighbors: list[list[int]], round_: int) -> tuple[Matrix, Matrix]:
    """C as those who give see it, and as those who take do."""
    n = len(neighbors)
    given, taken = np.zeros((n, n)), np.zeros((n, n))
    for k, mixing in enumerate(mixings):
        weights = mixing.weights(round_, len(neighbors[k]), {str(j): len(neighbors[j]) for j in neighbors[k]})
        for j, weight in weights.given.items():
            given[int(j), k] = weight
        for j, weight in weights.taken.items():
            taken[k, int(j)] = weight
        given[k, k] = 1 - given[:, k].sum()
        taken[k, k] = 1 - taken[k].sum()
    return given, taken


def all_to_all(n: int) -> list[list[int]]:
    return [[j for j in range(n) if j != k] for k in range(n)]


@pytest.mark.parametrize("topology", ["ring", "path", "star", "grid", "full", "random"])
def test_metropolis_weights_make_a_symmetric_doubly_stochastic_matrix(topology: str) -> None:
    n = 9
    neighbors = neighbors_of(make_topology(topology, n, np.random.default_rng(1)), n)
    W, taken = matrices([MetropolisMixing()] * n, neighbors, 0)
    np.testing.assert_array_equal(W, taken)
    np.testing.assert_allclose(W, W.T)
    np.testing.assert_allclose(W.sum(axis=0), 1.0)
    assert np.all(np.diag(W) >= 0.25)
    assert np.sort(np.abs(np.linalg.eigvalsh(W)))[-2] < 1


def test_neighbors_beyond_the_announced_degree_never_take_an_agent_below_a_quarter() -> None:
    weights = MetropolisMixing().weights(0, 1, {"a": 1, "b": 1, "c": 1})
    assert sum(weights.given.values()) <= 0.75


@pytest.mark.parametrize("n", [2, 5, 8, 16])
@pytest.mark.parametrize("kind", ["exponential", "matching"])
def test_schedules_agree_between_giver_and_taker_in_every_round(kind: str, n: int) -> None:
    names = tuple(str(k) for k in range(n))
    mixings: list[Mixing] = [
        OnePeerExponential(name, names) if kind == "exponential" else RandomMatching(name, names, seed=3)
        for name in names
    ]
    for round_ in range(10):
        given, taken = matrices(mixings, all_to_all(n), round_)
        np.testing.assert_array_equal(given, taken)
        np.testing.assert_allclose(given.sum(axis=0), 1.0)
        np.testing.assert_allclose(given.sum(axis=1), 1.0)
        for me, mixing in zip(names, mixings, strict=True):
            others = {other: n - 1 for other in names if other != me}
            met = {other for other in others if mixing.meets(other, round_)}
            assert met == set(mixing.weights(round_, n - 1, others).taken)


def test_one_peer_exponential_reaches_the_exact_mean_in_log_n_rounds() -> None:
    names = tuple(str(k) for k in range(8))
    mixings: list[Mixing] = [OnePeerExponential(name, names) for name in names]
    product = np.eye(8)
    for round_ in range(3):
        product = matrices(mixings, all_to_all(8), round_)[1] @ product
    np.testing.assert_allclose(product, np.full((8, 8), 1 / 8))


def test_random_matchings_differ_from_round_to_round_and_leave_one_of_an_odd_number_out() -> None:
    names = tuple(str(k) for k in range(5))
    mixings: list[Mixing] = [RandomMatching(name, names, seed=3) for name in names]
    seen = set()
    for round_ in range(20):
        given, _ = matrices(mixings, all_to_all(5), round_)
        assert np.sum(np.diag(given) == 1.0) == 1
        seen.add(given.tobytes())
    assert len(seen) > 5


def test_a_partner_that_is_not_there_is_given_nothing() -> None:
    assert OnePeerExponential("0", ("0", "1", "2")).weights(0, 2, {"2": 1}).given == {}
    assert RandomMatching("0", ("0", "1"), seed=0).weights(0, 0, {}).taken == {}
