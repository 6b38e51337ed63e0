"""Who leads an agent astray, and where it goes back to."""

import math

import numpy as np
import pytest

from p2pnet.protocol.core.events import Audited
from p2pnet.protocol.rounds.astray import BETTER, FORGIVEN, MAX_DISTRESS, MAX_DISTRESS_AGAIN, Astray

FIRST_LOSS, BETTER_LOSS = 2.0, 0.2


def n_audits_until_convicted(own: float, loss: float, *, is_apart: bool = True, is_known: bool = False) -> float:
    """After how many audits one with this loss is convicted, another having BETTER_LOSS."""
    astray = Astray()
    audited = Audited(0, FIRST_LOSS, own, {})
    for n_audits in range(1, 100):
        if astray.is_led_by("eve", loss, [BETTER_LOSS, 3.0], audited, is_apart=is_apart, is_known=is_known):
            return n_audits
    return math.inf


def test_one_whose_parameters_are_worse_while_anothers_are_better_is_convicted() -> None:
    assert n_audits_until_convicted(0.5, 1.5) == MAX_DISTRESS + 1
    assert n_audits_until_convicted(0.5, 1.5, is_known=True) == MAX_DISTRESS_AGAIN + 1


def test_an_agent_whose_own_parameters_are_about_the_best_is_in_no_distress() -> None:
    own = BETTER_LOSS + BETTER * FIRST_LOSS
    assert n_audits_until_convicted(own - 0.01, 1.5) == math.inf
    assert n_audits_until_convicted(own + 0.01, 1.5) < math.inf


def test_one_that_is_hardly_worse_or_near_or_like_the_others_is_not_to_blame() -> None:
    assert n_audits_until_convicted(0.5, 0.9) == math.inf
    assert n_audits_until_convicted(0.5, 1.5, is_apart=False) == math.inf
    assert n_audits_until_convicted(1.1 * FIRST_LOSS, 9.0) == math.inf  # nor where the agent has learned nothing yet


def test_a_good_audit_forgives_a_quarter_of_a_bad_one_and_after_a_conviction_all_is_counted_anew() -> None:
    astray = Astray()
    audited = Audited(0, FIRST_LOSS, 0.5, {})

    def is_convicted(loss: float) -> bool:
        return astray.is_led_by("eve", loss, [BETTER_LOSS], audited, is_apart=True, is_known=False)

    for _ in range(int(MAX_DISTRESS)):
        assert not is_convicted(1.5)
    for _ in range(int(1.0 / FORGIVEN)):
        assert not is_convicted(0.5)
    assert not is_convicted(1.5)
    assert is_convicted(1.5)
    astray.forget("eve")
    assert not is_convicted(1.5)


@pytest.mark.parametrize(("loss", "is_restored"), [(0.5, False), (0.8, True)])
def test_an_agent_that_has_lost_a_quarter_of_what_it_had_gained_goes_back_to_the_best(
    loss: float, is_restored: bool
) -> None:
    astray, best, later = Astray(), np.ones(2), np.full(2, 9.0)
    assert astray.restored(later) is later
    astray.see_own(Audited(0, FIRST_LOSS, BETTER_LOSS, {}), best)
    astray.see_own(Audited(1, FIRST_LOSS, loss, {}), later)
    assert astray.rise == pytest.approx(loss - BETTER_LOSS)
    restored = astray.restored(later)
    np.testing.assert_array_equal(restored, best if is_restored else later)
    assert restored is not best
