"""What is held against neighbors: what the judges find, but for what samples that have changed excuse."""

import math

import numpy as np
import pytest

from p2pnet.protocol.core.notices import CloseReason
from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import LinkId, Nonce
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.links.tracker import Tracker
from p2pnet.protocol.messages.training import Share
from p2pnet.protocol.rounds.auditing import Auditing
from p2pnet.protocol.rounds.bounds import MAX_GRADIENT, MAX_UNSTEADY, MAX_WEIGHT, MassBounds
from p2pnet.protocol.rounds.clipping import Clipping
from p2pnet.protocol.rounds.excuses import Excuses
from p2pnet.protocol.rounds.reach import FAR_AT_FIRST, MAX_FAR_ROUNDS
from p2pnet.protocol.rounds.steadiness import STEADY_ROUNDS
from p2pnet.protocol.rounds.suspicions import Suspicions

N_PARAMS, N_OWN, GRADIENT = 3, 10.0, 2.0


def bounded(*, may_change: bool) -> Suspicions:
    """Those of an agent that has mass bounds alone, after many rounds without links."""
    suspicions = Suspicions(Excuses(may_change=may_change), bounds=MassBounds(N_PARAMS), clipping=None, auditing=None)
    tracker = Tracker(N_PARAMS)
    tracker.replace_own(np.array([GRADIENT * N_OWN, 0.0, 0.0]), N_OWN)
    for _ in range(STEADY_ROUNDS + 2):
        tracker.update([])
        suspicions.see_tracked(tracker, [])
    return suspicions


def link_that_moved(gradient: float, weight: float = 0.0) -> Link:
    link = Link(LinkId(Nonce(1, 1), Nonce(1, 1)), N_PARAMS + 2, N_PARAMS, 64, ResendTimer(0.2, 1.0))
    total = np.array([gradient, 0.0, 0.0, 0.0, weight])
    link.accept(Share(link.link_id, 1, 0, 0, 64, 1, 1, 1.0, 1.0, 0, -1, False, total, np.zeros(N_PARAMS)), 1, now=0.0)
    return link


def test_without_judges_nothing_is_held_against_anybody() -> None:
    nobody = Suspicions(Excuses(may_change=False), bounds=None, clipping=None, auditing=None)
    assert nobody.broken_by("eve", link_that_moved(1e300, 1e300)) is None
    assert nobody.radius(1, np.zeros(N_PARAMS), [], Tracker(N_PARAMS)) == math.inf
    assert nobody.far_off({"ann": 1.0, "bob": 1.0, "eve": 1e300}) == set()


@pytest.mark.parametrize("may_change", [False, True])
def test_a_gradient_out_of_bounds_is_excused_once_where_samples_may_change(may_change: bool) -> None:
    suspicions = bounded(may_change=may_change)
    moved = link_that_moved(2.0 * MAX_GRADIENT * GRADIENT * N_OWN)
    first = suspicions.broken_by("eve", moved)
    assert first is (None if may_change else CloseReason.TOO_MUCH_GRADIENT)
    beyond_all = link_that_moved(2.0 * MAX_UNSTEADY * GRADIENT * N_OWN)
    assert suspicions.broken_by("eve", beyond_all) is CloseReason.TOO_MUCH_GRADIENT


def test_what_breaks_even_the_bounds_of_an_excuse_has_none() -> None:
    suspicions = bounded(may_change=True)
    beyond_all = link_that_moved(2.0 * MAX_UNSTEADY * GRADIENT * N_OWN)
    assert suspicions.broken_by("eve", beyond_all) is CloseReason.TOO_MUCH_GRADIENT


def test_weight_has_no_excuse() -> None:
    suspicions = bounded(may_change=True)
    assert suspicions.broken_by("eve", link_that_moved(0.0, 2.0 * MAX_WEIGHT)) is CloseReason.TOO_MUCH_WEIGHT


def test_an_announced_epoch_brings_another_excuse() -> None:
    suspicions = bounded(may_change=True)
    moved = link_that_moved(2.0 * MAX_GRADIENT * GRADIENT * N_OWN)
    assert suspicions.broken_by("eve", moved) is None
    suspicions.begin_epoch()
    assert suspicions.broken_by("bob", link_that_moved(0.9 * MAX_UNSTEADY * GRADIENT * N_OWN)) is None


def rounds_until_far_off(*, may_change: bool) -> int:
    """After so many rounds one of three neighbors is convicted that is far off from the fortieth round on."""
    suspicions = Suspicions(Excuses(may_change=may_change), bounds=None, clipping=Clipping(1e-3), auditing=None)
    links = [Link(LinkId(Nonce(1, 1), Nonce(k, 1)), 3, 1, 64, ResendTimer(0.2, 1.0)) for k in (1, 2, 3)]
    tracker, proposal = Tracker(1), np.array([100.0, 0.0])
    tracker.replace_own(np.zeros(1), 100.0)
    tracker.update(())
    for round_ in range(400):
        suspicions.see_tracked(tracker, links)
        suspicions.step_from(proposal - np.array([0.0, 1.0]))
        assert suspicions.radius(round_, proposal, links, tracker) > 0.0
        if suspicions.far_off({"ann": 1.0, "bob": 1.0, "eve": 1.0 if round_ < 40 else 1e10}):
            return round_ - 40
    raise AssertionError("never convicted")


def test_parameters_far_off_are_excused_once_where_samples_may_change() -> None:
    assert 0 < rounds_until_far_off(may_change=False) < rounds_until_far_off(may_change=True)


def auditing(*, is_typical: bool = True, n_received: float = 10.0) -> tuple[Suspicions, Auditing]:
    """Those of an agent in its first round, and its audit: links have carried these samples both ways, or unlike."""
    judge = Auditing()
    suspicions = Suspicions(Excuses(may_change=False), bounds=MassBounds(N_PARAMS), clipping=None, auditing=judge)
    link = Link(LinkId(Nonce(1, 1), Nonce(1, 1)), N_PARAMS + 2, N_PARAMS, 64, ResendTimer(0.2, 1.0))
    link.ledger.sent = np.array([0.0, 0.0, 0.0, 10.0, 0.3])
    link.ledger.received = np.array([0.0, 0.0, 0.0, n_received, 0.3])
    tracker = Tracker(N_PARAMS)
    tracker.replace_own(np.array([GRADIENT * N_OWN, 0.0, 0.0]), N_OWN)
    tracker.update([])
    suspicions.know_own(is_typical=is_typical)
    suspicions.see_tracked(tracker, [])
    suspicions.step_from(np.zeros(N_PARAMS))
    suspicions.radius(0, np.array([1.0, 0.0, 0.0]), [link], tracker)
    suspicions.see_coming(tracker, [link])
    return suspicions, judge


def test_in_the_first_rounds_parameters_are_mixed_within_reach_where_agents_know_that_they_are_alike() -> None:
    assert auditing()[0].reach == FAR_AT_FIRST
    assert auditing(is_typical=False)[0].reach == math.inf
    assert auditing(n_received=50.0)[0].reach == math.inf
    assert auditing(n_received=2.0)[0].reach == math.inf


def test_who_is_convicted_by_one_judge_is_known_to_all() -> None:
    suspicions, judge = auditing()
    for _ in range(MAX_FAR_ROUNDS):
        assert suspicions.far_off({"ann": 1.0, "eve": 1e3}) == set()
    assert suspicions.far_off({"ann": 1.0, "eve": 1e3}) == {"eve"}
    assert judge.knows_as_liar("eve")
    assert not judge.knows_as_liar("ann")
    assert suspicions.broken_by("bob", link_that_moved(0.0, 2.0 * MAX_WEIGHT)) is CloseReason.TOO_MUCH_WEIGHT
    assert judge.knows_as_liar("bob")
