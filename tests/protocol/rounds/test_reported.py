"""Which statistics that neighbors report an agent believes, and how often it takes a new name of theirs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import FeatureStatistics
from p2pnet.protocol.rounds.moments import LARGEST_MEAN, LocalStatistics
from p2pnet.protocol.rounds.renaming import FORGIVEN_S, N_FREE, N_RESTLESS, PAUSE_S, Renaming
from p2pnet.protocol.rounds.reported import PATIENCE_S, SAME, ReportedStatistics

OWN = LocalStatistics(10.0, np.array([1.0, 50.0]), np.array([4.0, 100.0]), ("x",))
TRUE = FeatureStatistics("ann 1.0", ("x", "y"), np.array([1.5, 45.0]), np.array([5.0, 120.0]))
WIDE = replace(TRUE, variance=np.array([5.0, 1e200]))
SHIFTED = replace(TRUE, mean=np.array([1.5, 60.0]))


def reported(**words: FeatureStatistics) -> ReportedStatistics:
    reports = ReportedStatistics(OWN)
    for peer, word in words.items():
        reports.check(word)
        reports.hear(peer, word, 0.0)
    return reports


def test_what_an_agent_has_found_itself_is_believed_at_once_of_anybody() -> None:
    faster = replace(TRUE, mean=TRUE.mean + SAME / 2 * np.sqrt(TRUE.variance))
    assert reported(bob=faster).believed([TRUE], {"ann"}, 0.0, is_only_one=False) is faster
    for other in (WIDE, SHIFTED, replace(TRUE, labels=("x",))):
        assert reported(bob=other).believed([TRUE], {"ann"}, 0.0, is_only_one=False) is None


def test_what_two_report_is_believed_at_once() -> None:
    reports = reported(bob=TRUE, cy=SHIFTED)
    assert reports.believed([], {"ann"}, 0.0, is_only_one=False) is None
    reports.hear("dan", SHIFTED, 0.1)
    assert reports.believed([], {"ann"}, 0.1, is_only_one=False) is SHIFTED


def test_results_that_differ_by_rounding_are_one_also_where_a_column_does_not_vary() -> None:
    """Each agent rounds in its own way: the variance of a constant 10⁶ is 10⁻³³ here, and 10⁻³² there."""
    one = replace(TRUE, mean=np.array([1.5, 1e6]), variance=np.array([5.0, 1e-33]))
    other = replace(TRUE, mean=np.array([1.5, 1e6 + 1e-10]), variance=np.array([5.0, 1e-32]))
    assert reported(bob=one, cy=other).believed([], {"ann"}, 0.0, is_only_one=False) is one
    assert reported(bob=one).believed([other], {"ann"}, PATIENCE_S, is_only_one=False) is one


def test_own_samples_that_do_not_vary_rule_nothing_out() -> None:
    constant = ReportedStatistics(replace(OWN, mean=np.array([1.0, 0.1]), variance=np.array([4.0, 1e-34])))
    for column in (np.array([0.1 + 1e-17, 3.0]), np.array([0.1, 0.0])):
        report = replace(TRUE, mean=np.array([1.5, column[0]]), variance=np.array([5.0, column[1]]))
        constant.hear("bob", report, 0.0)
        assert constant.believed([], set(), PATIENCE_S, is_only_one=True) is report


def test_the_only_neighbor_is_believed_at_once_unless_the_own_samples_rule_it_out() -> None:
    assert reported(bob=TRUE).believed([], set(), 0.0, is_only_one=True) is TRUE
    assert reported(bob=WIDE).believed([], set(), PATIENCE_S, is_only_one=True) is None


def test_a_second_neighbor_is_waited_for_and_then_the_first_is_believed() -> None:
    reports = reported(bob=SHIFTED)
    assert reports.is_waiting
    assert reports.next_deadline() == PATIENCE_S
    assert reports.believed([], set(), PATIENCE_S - 0.01, is_only_one=False) is None
    assert reports.believed([], set(), PATIENCE_S, is_only_one=False) is SHIFTED


@pytest.mark.parametrize(
    ("change", "is_likely"),
    [
        ({"mean": np.array([1.5, 52.0])}, True),
        ({"mean": np.array([1.5, 60.0])}, False),
        ({"variance": np.array([5.0, 400.0])}, True),
        ({"variance": np.array([5.0, 500.0])}, False),
        ({"variance": np.array([1.0, 120.0])}, False),
        ({"labels": ("x", "y", "z")}, True),
        ({"labels": ("x",)}, False),
    ],
)
def test_among_others_that_are_averaging_it_is_believed_where_it_is_as_good_as_what_they_have(
    change: dict[str, Any], is_likely: bool
) -> None:
    report = replace(TRUE, **change)
    reports = reported(bob=report)
    assert reports.believed([TRUE], {"ann"}, PATIENCE_S - 0.01, is_only_one=False) is None
    assert reports.believed([TRUE], {"ann"}, PATIENCE_S, is_only_one=False) == (report if is_likely else None)


def test_among_others_that_know_nothing_yet_nobody_is_believed_alone() -> None:
    assert reported(bob=TRUE).believed([], {"ann"}, PATIENCE_S, is_only_one=False) is None


def test_the_stage_is_held_up_once_only() -> None:
    reports = reported(bob=TRUE)
    reports.believed([], {"ann"}, PATIENCE_S, is_only_one=False)
    reports.hear("bob", TRUE, PATIENCE_S)
    assert not reports.is_waiting
    assert reports.next_deadline() == 2 * PATIENCE_S


def test_of_parts_that_averaged_apart_the_one_that_knows_the_own_labels_is_believed() -> None:
    reports = reported(bob=replace(SHIFTED, labels=("z",)), cy=TRUE)
    assert reports.believed([], set(), PATIENCE_S, is_only_one=False) is TRUE


@pytest.mark.parametrize(
    "change",
    [
        {"mean": np.zeros(3)},
        {"variance": np.zeros(3)},
        {"variance": np.array([1.0, -1.0])},
        {"variance": np.array([1.0, 1e308])},
        {"mean": np.array([0.0, 2 * LARGEST_MEAN])},
        {"labels": ("x", "x")},
    ],
)
def test_what_cannot_be_of_any_samples_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        reported().check(replace(TRUE, **change))


def test_where_there_are_no_labels_none_are_reported() -> None:
    with pytest.raises(ProtocolError, match="there are none"):
        ReportedStatistics(replace(OWN, labels=())).check(TRUE)


# ---------------------------------------------------------------------------------------------------------- names


def test_some_new_names_are_adopted_at_once_and_each_later_one_after_twice_the_time() -> None:
    renaming = Renaming()
    assert [renaming.is_allowed("ann", 0.0) for _ in range(N_FREE + 1)] == [True] * N_FREE + [False]
    now = 0.0
    for k in range(6):
        assert not renaming.is_allowed("ann", now + 0.9 * PAUSE_S * 2**k)
        now += 1.01 * PAUSE_S * 2**k
        assert renaming.is_allowed("ann", now)
    assert renaming.is_allowed("bob", now)


def test_one_that_brings_names_all_the_time_is_not_waited_for_until_it_has_been_quiet() -> None:
    renaming = Renaming()
    now = 0.0
    while not renaming.is_restless("ann", now):
        renaming.is_allowed("ann", now)
        now += 0.01
    assert now < N_RESTLESS * PAUSE_S
    assert not renaming.is_restless("ann", now + FORGIVEN_S)
    assert not renaming.is_restless("bob", now)
