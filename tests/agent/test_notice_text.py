"""What a line of the log says."""

import pytest

from p2pnet.agent.names import PeerNames
from p2pnet.agent.notice_text import text_of
from p2pnet.protocol.core.notices import StatisticsFound


@pytest.mark.parametrize(
    ("n_rounds", "way"), [(108, "found in 108 rounds"), (0, "told by the network, which has found them before")]
)
def test_a_machine_that_comes_late_does_not_say_that_it_has_found_what_it_was_told(n_rounds: int, way: str) -> None:
    notice = StatisticsFound(n_columns=3, labels=("no", "yes"), n_levels=0, n_rounds=n_rounds)
    assert text_of(notice, PeerNames({})) == f"feature statistics of 3 columns, 2 labels (no, yes), {way}"
