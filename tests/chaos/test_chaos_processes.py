"""Daemons over real sockets are killed, stopped, cut off, restarted, slowed and attacked; 35 minutes in all."""

from pathlib import Path

import pytest

from tests.chaos.references import References
from tests.chaos.scenarios import HARMS, PARTITIONS, SETTINGS, digits, rows, stay_alive
from tests.chaos.table import Judge

MINUTES_OF_LOSS = 10.0
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module", params=PARTITIONS)
def references(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> References:
    """Models of agents left in peace, trained once for all scenarios."""
    return References(digits(request.param), SETTINGS, tmp_path_factory.mktemp("references"))


@pytest.mark.parametrize("what", HARMS)
def test_harm_in_mid_training(
    judge: Judge, request: pytest.FixtureRequest, references: References, what: str, tmp_path: Path
) -> None:
    partition = request.node.callspec.params["references"]
    judge(lambda: rows(partition, what, references, tmp_path))


def test_packet_loss_on_busy_cores(judge: Judge, tmp_path: Path) -> None:
    judge(lambda: [stay_alive(MINUTES_OF_LOSS, tmp_path)])
