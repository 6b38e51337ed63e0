"""What strangers and bad members send to a running agent is refused, counted and logged, and changes nothing."""

from pathlib import Path

import pytest

from tests.chaos.attacked import PACE_AT_ONCE_S, Siege
from tests.chaos.attacks import ATTACKS


@pytest.mark.timeout(400)
def test_every_attack_is_survived_counted_and_logged_and_training_ends_with_the_same_result(tmp_path: Path) -> None:
    outcomes = Siege.prepare(tmp_path).carry_out(ATTACKS, PACE_AT_ONCE_S)
    assert len(outcomes) >= 15
    for outcome in outcomes:
        assert outcome.row.is_kept, outcome.row
