"""Every attack on a training of its own; 2 minutes."""

from collections.abc import Callable
from functools import cache

import pytest

from tests.chaos.attacked import Siege
from tests.chaos.attacks import ATTACKS, Attack
from tests.chaos.table import Judge

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def prepare(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Siege]:
    """Train in peace when it is asked for first."""
    return cache(lambda: Siege.prepare(tmp_path_factory.mktemp("siege")))


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.carry_out.__name__ for attack in ATTACKS])
def test_an_attack(judge: Judge, prepare: Callable[[], Siege], attack: Attack) -> None:
    judge(lambda: [attacked.row for attacked in prepare().carry_out([attack])])
