"""From defaults alone, whatever is trained comes to rest: the small form of `studies/matrix.py`."""

from dataclasses import replace

import pytest

from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import simulate

BASE = SimulateOptions(agents=4, hidden=(4,), rounds=1500, is_compared=False)
REGRESSION, CLASSIFICATION = "synthetic:regression:120:3", "synthetic:classification:120:3:2"


def check_rest(options: SimulateOptions) -> None:
    summary = simulate(options).summary
    assert summary.stopped_because == "converged"
    assert summary.stationarity < 0.05 * summary.stationarity_first
    assert summary.disagreement_max < 0.05


@pytest.mark.parametrize("topology", ["ring", "full", "one-peer-exponential"])
@pytest.mark.parametrize("partition", ["iid", "sorted"])
@pytest.mark.parametrize("data", ["diabetes", "iris"])
def test_data_partitions_and_graphs(data: str, partition: str, topology: str) -> None:
    check_rest(replace(BASE, data=data, partition=partition, topology=topology, penalty="l2:1e-2"))  # type: ignore[arg-type]


@pytest.mark.parametrize("penalty", ["none", "l2:1e-3", "l1:1e-3", "elastic-net:1e-3:0.5", "group:1e-3", "box:-1:1"])
@pytest.mark.parametrize(
    ("data", "loss"),
    [
        *((REGRESSION, loss) for loss in ("half-squared", "huber", "log-cosh")),
        *((CLASSIFICATION, loss) for loss in ("softmax-cross-entropy", "logistic", "squared-hinge")),
    ],
)
def test_losses_and_penalties(data: str, loss: str, penalty: str) -> None:
    check_rest(replace(BASE, data=data, loss=loss, penalty=penalty))


@pytest.mark.parametrize("data", ["iris", "diabetes", "wine"])
def test_the_residual_goes_down_and_does_not_hover(data: str) -> None:
    run = simulate(replace(BASE, data=data, penalty="l2:1e-2", tolerance=1e-5, rounds=900)).summary
    assert run.stopped_because == "converged"
    assert run.stationarity < 1e-5 * run.stationarity_first
