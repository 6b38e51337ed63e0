"""`p2pnet simulate --topology overlay`: whole nodes find each other, agree on statistics and train, faults or not."""

from dataclasses import replace
from typing import Literal

import pytest

from p2pnet.errors import ConfigError
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import simulate
from p2pnet.experiments.topologies.by_name import is_fixed, is_found

OVERLAY = SimulateOptions(
    agents=6,
    topology="overlay",
    data="synthetic:regression:240:4",
    hidden=(),
    penalty="l2:1e-2",
    rounds=400,
    tolerance=1e-6,
    is_compared=False,
)


def test_agents_that_find_each_other_train_the_model_of_a_graph() -> None:
    found, wired = (simulate(replace(OVERLAY, topology=topology)).summary for topology in ("overlay", "full"))
    assert found.stopped_because == "converged"
    assert found.objective_worst == pytest.approx(wired.objective_worst, rel=1e-9)
    assert found.conservation_error_max < 1e-12
    assert found.conservation_error < 1e-12
    assert found.links_reopened == 0


@pytest.mark.parametrize("wire", ["auto", "coded"])
def test_the_same_faults_strike_agents_that_find_each_other(wire: Literal["auto", "coded"]) -> None:
    faults = replace(OVERLAY, rounds=600, loss_rate=0.1, duplicate_rate=0.1, churn=0.002, cut=(10, 40))
    run = simulate(replace(faults, wire=wire))
    assert min(moment.agents for moment in run.record) < 6
    assert run.summary.messages_lost > 0
    assert run.summary.links_reopened > 0
    assert run.summary.stationarity < 1e-3 * run.summary.stationarity_first
    assert run.summary.conservation_error_max < 1e-12


def test_what_an_overlay_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="--agents 1001: an overlay has 1000 at most"):
        replace(OVERLAY, agents=1001)
    with pytest.raises(ConfigError, match=r"--churn 0\.1: needs more rounds: in the last 250"):
        replace(OVERLAY, churn=0.1, rounds=200)
    with pytest.raises(ConfigError, match="--processes 2: must be 1"):
        replace(OVERLAY, processes=2)
    assert is_found("overlay")
    assert not is_fixed("overlay")
    assert not is_found("ring")
