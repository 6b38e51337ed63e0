"""Training does not end, and an agent does not close, while an absent neighbor may come back; each is said once."""

from p2pnet.protocol.core.effects import Notify
from p2pnet.protocol.core.notices import CloseReason, EndHeldUp, ServiceProlonged
from p2pnet.protocol.rounds.ending import Ending
from tests.protocol.rounds.parts import Parts

ABSENT_S = 20.0


def with_absent() -> Ending:
    """Ann, called so, is expected back for twenty seconds."""
    parts = Parts("ann")
    parts.neighbor("ann").name = "ann"
    parts.neighborhood.disconnected("ann", 0.0)
    parts.neighborhood.miss("ann", ABSENT_S, CloseReason.DISCONNECTED, 0.0)
    return Ending(parts.neighborhood)


def test_a_stationary_agent_counts_as_that_once_nobody_is_missed() -> None:
    ending = with_absent()
    assert ending.hold_up(is_quiet=False, now=1.0) == (False, [])
    assert ending.hold_up(is_quiet=True, now=2.0) == (False, [Notify(EndHeldUp(("ann",)))])
    assert ending.hold_up(is_quiet=True, now=3.0) == (False, [])
    assert ending.hold_up(is_quiet=True, now=ABSENT_S) == (True, [])


def test_an_agent_that_has_ended_stays_as_long() -> None:
    ending = with_absent()
    assert ending.prolong(1.0) == (True, [Notify(ServiceProlonged(("ann",)))])
    assert ending.prolong(2.0) == (True, [])
    assert ending.prolong(ABSENT_S) == (False, [])
