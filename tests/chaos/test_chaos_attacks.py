"""Every attack on a training of its own; 2 minutes."""

import pytest

from tests.chaos.attacked import Siege
from tests.chaos.attacks import ATTACKS, Attack
from tests.chaos.table import Judge

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Siege:
    return Siege.prepare(tmp_path_factory.mktemp("siege"))


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.carry_out.__name__ for attack in ATTACKS])
def test_an_attack(judge: Judge, siege: Siege, attack: Attack) -> None:
    judge(lambda: [attacked.row for attacked in siege.carry_out([attack])])
