"""Every way to set the algorithm comes to the same solution of a convex problem."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from p2pnet.errors import ConfigError
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import simulate

CONVEX = SimulateOptions(
    agents=6,
    topology="random:0.6",
    data="synthetic:classification:300:5:3",
    partition="sorted",
    hidden=(),
    penalty="l2:1e-2",
    rounds=600,
    tolerance=5e-7,
    is_compared=False,
)


@pytest.fixture(scope="module")
def least_objective() -> float:
    return simulate(replace(CONVEX, algorithm="central", tolerance=1e-10)).summary.objective_at_mean


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"surrogate": "full"},
        {"weighting": "own"},
        {"weighting": "paper"},
        {"weighting": "network"},
        {"weighting": "network", "blocks": 2},
        {"curvature_samples": 10},
        {"solver": "direct"},
        {"solver": "cg-jacobi"},
        {"solver": "accelerated-proximal-gradient"},
        {"solver": "proximal-newton", "penalty": "elastic-net:1e-2:0"},
        {"step_rule": "constant:0.3", "exchanges": 2},
        {"step_rule": "diminishing:1:0.01", "exchanges": 2},
        {"gradient_order": "before-mixing"},
        {"gradient_order": "before-mixing", "exchanges": 3},
        {"gradient_order": "before-mixing", "topology": "one-peer-exponential"},
        {"blocks": 3},
        {"blocks": 2, "workers": 2},
    ],
    ids=str,
)
def test_the_network_comes_to_the_central_solution(chosen: dict[str, Any], least_objective: float) -> None:
    """Up to a constant added to all biases, which changes no probability."""
    summary = simulate(replace(CONVEX, **chosen)).summary
    assert summary.stationarity < 2e-6 * summary.stationarity_first
    assert summary.objective_worst == pytest.approx(least_objective, rel=1e-9)
    assert summary.disagreement_max < 1e-5
    assert summary.conservation_error < 1e-12


def test_settings_change_the_way() -> None:
    """Otherwise the test above would show nothing."""
    few = replace(CONVEX, rounds=6, tolerance=0.0)
    ways = [
        simulate(replace(few, **chosen)).network.agents[0].params
        for chosen in (
            {},
            {"surrogate": "full"},
            {"weighting": "own", "data": "synthetic:classification:302:5:3"},
            {"weighting": "paper"},
            {"curvature_samples": 10},
            {"solver": "cg"},
            {"step_rule": "constant:1"},
            {"step_rule": "diminishing:1:0.01"},
            {"gradient_order": "before-mixing"},
        )
    ]
    for one in range(len(ways)):
        for other in range(one):
            assert np.abs(ways[one] - ways[other]).max() > 1e-9, (one, other)


def test_blocks_and_workers_do_not_change_the_way() -> None:
    few = replace(CONVEX, rounds=6, tolerance=0.0)
    plain, blocks, shared = (
        simulate(options).network.agents[0].params
        for options in (few, replace(few, blocks=3), replace(few, blocks=2, workers=2))
    )
    np.testing.assert_allclose(blocks, plain, atol=1e-12)
    np.testing.assert_allclose(shared, plain, atol=1e-12)


@pytest.mark.parametrize("chosen", [{}, {"wire": "coded"}, {"is_float32": True}], ids=str)
def test_with_the_networks_curvature_agents_whose_data_differ_come_to_the_central_solution_sooner(
    chosen: dict[str, Any],
) -> None:
    """Of six agents on a ring with sorted labels, after 160 rounds, of which 100 are with that curvature."""
    small = SimulateOptions(
        agents=6,
        data="synthetic:regression:400:4",
        partition="sorted",
        hidden=(6,),
        penalty="l2:1e-3",
        rounds=160,
        tolerance=0.0,
        is_compared=False,
    )
    central = simulate(replace(small, algorithm="central", rounds=1000)).summary.objective_at_mean
    own, network = (simulate(replace(small, weighting=name, **chosen)).summary for name in ("proxy", "network"))
    assert network.objective_worst - central < 0.1 * (own.objective_worst - central)
    assert network.conservation_error < 1e-12


SMALL = SimulateOptions(
    agents=6,
    data="synthetic:regression:1200:4",
    hidden=(6,),
    penalty="l2:1e-3",
    rounds=140,
    tolerance=0.0,
    wire="float32",
    is_compared=False,
)


@pytest.mark.parametrize("partition", ["sorted", "iid"])
def test_by_default_it_is_tracked_where_samples_differ_and_not_where_they_are_dealt_at_random(
    partition: Literal["sorted", "iid"],
) -> None:
    options = replace(SMALL, partition=partition)
    by_default, without, network = (
        simulate(replace(options, weighting=weighting)).network.agents[0].history[-1].bytes_sent
        for weighting in ("auto", "proxy", "network")
    )
    assert without < 0.9 * network
    assert by_default == pytest.approx(network if partition == "sorted" else without, rel=0.01)


@pytest.mark.parametrize("wire", ["float64", "float32", "coded"])
def test_curvature_is_conserved_whatever_fails(wire: Literal["float64", "float32", "coded"]) -> None:
    faults = replace(SMALL, partition="sorted", loss_rate=0.3, duplicate_rate=0.1, delay_rounds=2.0, churn=0.01)
    summary = simulate(replace(faults, wire=wire)).summary
    assert summary.conservation_error < 1e-12


def test_the_networks_curvature_is_for_small_models() -> None:
    options = replace(CONVEX, weighting="network", hidden=(100,))
    with pytest.raises(ConfigError, match=r"algorithm\.weighting: .* at most 512"):
        simulate(options)
