"""Convex problems, churn and neural networks over a virtual network that loses, repeats and delays; 10 minutes."""

import pytest

from benchmarks.data import KIN8NM
from p2pnet.data.sharding import PartitionName
from tests.chaos.simulated import MODES, PARTITIONS, churn_rows, convex_rows, network_row
from tests.chaos.table import Judge

SOURCES = [("digits", (32,)), *([(str(KIN8NM), (20,))] if KIN8NM.exists() else [])]
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("penalty", ["none", "l2", "l1"])
@pytest.mark.parametrize("loss", ["half-squared", "logistic"])
def test_convex_problems(judge: Judge, loss: str, penalty: str) -> None:
    judge(lambda: convex_rows(loss, penalty))


@pytest.mark.parametrize("mode", MODES)
def test_agents_that_crash_return_and_are_cut_off(judge: Judge, mode: str) -> None:
    judge(lambda: churn_rows(mode))


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize(("data", "hidden"), SOURCES, ids=["digits", "kin8nm"][: len(SOURCES)])
def test_neural_networks(judge: Judge, data: str, hidden: tuple[int, ...], partition: PartitionName) -> None:
    judge(lambda: [network_row(data, hidden, partition)])
