"""A thousand agents that join, crash and find each other in virtual time; 5 minutes."""

import pytest

from p2pnet.protocol.membership.timing import LOSSY, WAN, MembershipTiming
from tests.chaos.membership import N_AGENTS, joining_row, large_rows, lossy_row
from tests.chaos.table import Judge

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


def test_a_large_network(judge: Judge) -> None:
    judge(lambda: large_rows(N_AGENTS))


def test_many_join_by_one_seed(judge: Judge) -> None:
    judge(lambda: [joining_row(200)])


@pytest.mark.parametrize(("preset", "timing"), [("wan", WAN), ("lossy", LOSSY)], ids=["wan", "lossy"])
def test_every_fifth_message_is_lost(judge: Judge, preset: str, timing: MembershipTiming) -> None:
    judge(lambda: [lossy_row(preset, timing, 120)])
