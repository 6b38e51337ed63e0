"""What is usual for one agent, and when samples are alike."""

from collections.abc import Mapping

import pytest

from p2pnet.protocol.core.events import Audited
from p2pnet.protocol.rounds.usual import ALIKE, FADING, Usual

FIRST_LOSS, OWN_LOSS = 2.0, 0.1
GOOD, BAD = OWN_LOSS + 0.05, FIRST_LOSS


def learned(losses: Mapping[str, float], *, rise: float = 0.0, is_first: bool = True) -> Usual:
    usual = Usual()
    learn(usual, losses, rise=rise, is_first=is_first)
    return usual


def learn(usual: Usual, losses: Mapping[str, float], *, rise: float = 0.0, is_first: bool = True) -> None:
    audited = Audited(0, FIRST_LOSS, OWN_LOSS, losses)
    usual.learn(audited, rise, losses, is_first=is_first)


def test_at_first_the_upper_middle_neighbor_says_what_is_usual_and_the_lower_one_later() -> None:
    losses = {"ann": GOOD, "bob": GOOD + 0.1, "eve": BAD, "joe": BAD}
    assert learned(losses).excess == pytest.approx(BAD - OWN_LOSS)
    assert learned(losses, is_first=False).excess == pytest.approx(0.15)
    assert learned(losses).middle == pytest.approx(0.15)


def test_the_rise_of_the_own_loss_counts_at_any_time() -> None:
    assert learned({"ann": GOOD, "bob": GOOD}, rise=0.7).excess == 0.7
    assert learned({"ann": GOOD, "bob": GOOD}, rise=0.7, is_first=False).excess == 0.7


def test_what_was_learned_fades() -> None:
    usual = learned({"ann": GOOD, "bob": BAD})
    learn(usual, {"ann": OWN_LOSS, "bob": OWN_LOSS}, is_first=False)
    assert usual.excess == pytest.approx(FADING * (BAD - OWN_LOSS))


def test_a_liar_that_is_convicted_or_beyond_reach_is_not_what_is_usual() -> None:
    losses = {"ann": GOOD, "eve": BAD}
    usual, other = learned(losses), Usual()
    usual.forget("eve")
    other.leave_out({"eve"})
    learn(other, losses)
    for without in (usual, other):
        assert without.excess == pytest.approx(GOOD - OWN_LOSS)
        assert without.is_alike
    assert not learned(losses).is_alike


def test_samples_are_alike_where_others_parameters_fit_the_own_samples() -> None:
    near, far = {"ann": GOOD, "bob": GOOD}, {"ann": GOOD, "bob": OWN_LOSS + 1.1 * ALIKE * FIRST_LOSS}
    assert learned(near).is_alike
    assert not learned(far).is_alike
    usual = learned(far)
    learn(usual, near)
    assert not usual.is_alike  # once unlike, they are so for good


def test_what_the_own_loss_rose_by_is_forgotten_with_the_one_that_may_be_to_blame() -> None:
    usual = learned({"ann": GOOD, "eve": BAD}, rise=FIRST_LOSS)
    usual.forget("eve")
    assert usual.excess == pytest.approx(GOOD - OWN_LOSS)


def test_of_a_single_neighbor_nothing_is_learned() -> None:
    usual = learned({"eve": BAD})
    assert (usual.excess, usual.middle) == (0.0, 0.0)
