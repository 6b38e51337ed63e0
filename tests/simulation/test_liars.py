"""What a lying member brings about in the others: nothing, or its own exclusion."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from p2pnet.protocol.core.counts import LEAD_S, LEAST_CLOCK_S, MAX_COUNT
from p2pnet.protocol.core.notices import TakenForPast
from p2pnet.protocol.messages.membership import MemberState
from p2pnet.protocol.rounds.state import Phase
from p2pnet.testing import VirtualFleet, least_squares, linear_shards, relative_errors

LIAR = "agent-4"


def in_a_ring(names: Sequence[str]) -> dict[str, list[str]]:
    return {name: [names[k - 1], names[(k + 1) % len(names)]] for k, name in enumerate(names)}


def fleet_with(
    *lies: str, n_agents: int = 5, is_named: bool = False, settings: Mapping[str, Any] | None = None
) -> VirtualFleet:
    names = [f"agent-{k + 1}" for k in range(n_agents)]
    return VirtualFleet(
        linear_shards(n_agents),
        settings,
        neighbors=in_a_ring(names) if is_named else None,
        lies={LIAR: lies},
        seed=3,
    )


def honest(fleet: VirtualFleet) -> list[str]:
    return [name for name in fleet.names if name != LIAR]


def errors(fleet: VirtualFleet, names: Sequence[str], scaled_by: Sequence[str] | None = None) -> float:
    """Of the parameters of these agents, relative to the solution of the samples of all that scaled together."""
    everyone = fleet.names if scaled_by is None else scaled_by
    solution = least_squares(
        [fleet.shards[name] for name in fleet.names], standardized_by=[fleet.shards[name] for name in everyone]
    )
    return max(relative_errors(fleet.params(names), solution))


def has_ended(fleet: VirtualFleet, name: str) -> bool:
    return fleet.nodes.phase(name) in (Phase.FINISHED, Phase.CLOSED)


# ------------------------------------------------------------------------------------------------- membership


@pytest.mark.parametrize(
    ("state", "incarnation"),
    [
        (MemberState.DEAD, MAX_COUNT - 1),
        (MemberState.DEAD, LEAST_CLOCK_S + LEAD_S),
        (MemberState.SUSPECT, LEAST_CLOCK_S + LEAD_S + 5),
        (MemberState.ALIVE, LEAST_CLOCK_S + LEAD_S),
    ],
)
def test_whatever_is_said_of_others_incarnations_all_stay_in_touch(state: MemberState, incarnation: int) -> None:
    fleet = fleet_with(f"others-{state.name.lower()}:{incarnation}")
    fleet.start()
    assert fleet.run_until(fleet.is_training)
    fleet.run(20.0)
    for name in honest(fleet):
        others = set(honest(fleet)) - {name}
        states = fleet.nodes.members(name)
        assert {states[other] for other in others} <= {MemberState.ALIVE, MemberState.SUSPECT}
    assert len(fleet.nodes.parts()) == 1
    fleet.nodes.crash(["agent-2"])
    fleet.nodes.restart("agent-2")
    assert fleet.run_until(lambda: len(fleet.nodes.linked("agent-2")) > 1, 60.0)
    assert fleet.run_until(lambda: errors(fleet, honest(fleet)) < 1e-6)


def test_a_machine_whose_clock_was_set_back_and_whose_state_is_lost_joins_again_and_says_why_it_took_long() -> None:
    fleet = fleet_with(is_named=True)
    ahead = "agent-2"
    fleet.nodes.set_clock(ahead, 90 * 86_400)
    fleet.start()
    assert fleet.run_until(fleet.is_training)
    fleet.run(5.0)
    fleet.nodes.crash([ahead])
    fleet.nodes.lose_state(ahead)
    fleet.nodes.set_clock(ahead, 0)
    fleet.nodes.start(fleet.agents[ahead])
    assert fleet.run_until(lambda: len(fleet.nodes.linked(ahead)) == 2, 60.0)
    told = [notice for notice in fleet.nodes.notices(ahead) if isinstance(notice, TakenForPast)]
    assert len(told) in (1, 2)
    assert all(notice.remembered - notice.own > 80 * 86_400 for notice in told)
    assert fleet.run_until(lambda: errors(fleet, fleet.names) < 1e-6)


# ---------------------------------------------------------------------------------------- the course of training


@pytest.mark.parametrize(
    "lies",
    [
        ["running:1000000000"],
        ["running:90000"],
        ["running:5", "state-constant:1e300"],
        ["running:5", "state-constant:1e5"],
        ["stop-early:3"],
        ["finished:3"],
        ["finished:1000000000"],
    ],
    ids=" ".join,
)
def test_no_word_of_one_ends_the_training_of_others_or_hands_them_a_state(lies: list[str]) -> None:
    fleet = fleet_with(*lies, is_named=True, settings={"algorithm.tolerance": 1e-7})
    fleet.start()
    assert fleet.run_until(lambda: fleet.is_training(honest(fleet)))
    assert fleet.run_until(lambda: all(has_ended(fleet, name) for name in honest(fleet)), 200.0)
    assert errors(fleet, honest(fleet)) < 1e-4


def test_one_that_hurries_rounds_on_at_most_doubles_their_pace() -> None:
    fleet = fleet_with("rounds-hurried:50000", is_named=True)
    fleet.start()
    assert fleet.run_until(lambda: fleet.is_training(honest(fleet)))
    first_s = fleet.nodes.now
    fleet.run(20.0)
    n_rounds = (fleet.nodes.now - first_s) / 0.1  # of the pace of the settings
    assert max(fleet.nodes.round(name) for name in honest(fleet)) < 2 * n_rounds + 3 * 40


@pytest.mark.parametrize("lies", [["running:90000"], ["state-constant:1e5"], ["stop-early:1"]], ids=" ".join)
def test_a_joiner_is_not_led_astray_by_one_of_its_neighbors(lies: list[str]) -> None:
    fleet = fleet_with(*lies, is_named=True)
    late = "agent-3"  # a neighbor of the liar
    fleet.start(name for name in fleet.names if name != late)
    assert fleet.run_until(lambda: fleet.is_training([name for name in honest(fleet) if name != late]), 200.0)
    fleet.run(10.0)
    fleet.start([late])
    assert fleet.run_until(lambda: len(fleet.nodes.linked(late)) == 2, 60.0)
    fleet.run(10.0)
    near = fleet.nodes.round("agent-1")
    assert abs(fleet.nodes.round(late) - near) < 50
    assert not has_ended(fleet, late)


# ----------------------------------------------------------------------------------- the statistics, and storms


@pytest.mark.parametrize(
    "lie",
    [
        "statistics-unasked:4",
        "statistics-wide:1e300",
        "statistics-wide:1e3",
        "names-made-up:1",
        "names-made-up:1000000000000000000",
        "label-sets-repeated:10",
        "hellos-repeated:100",
    ],
)
@pytest.mark.parametrize("is_named", [True, False], ids=["ring", "overlay"])
def test_one_neither_changes_the_scales_of_others_nor_keeps_them_from_beginning(lie: str, is_named: bool) -> None:
    fleet = fleet_with(lie, is_named=is_named)
    fleet.start()
    # A named neighbor with which no link opens is waited for as long as one that does not come, in both stages.
    assert fleet.run_until(lambda: fleet.is_training(honest(fleet)), 2 * 60.0 + 60.0)
    found = [fleet.nodes.statistics(name) for name in honest(fleet)]
    columns = np.vstack([np.column_stack(fleet.shards[name]) for name in honest(fleet)])
    for statistics in found:
        assert statistics is not None
        assert (np.abs(statistics.mean - columns.mean(axis=0)) < columns.std(axis=0)).all()
        assert (np.abs(np.log(statistics.variance / columns.var(axis=0))) < 1.0).all()
    assert len({statistics.survey for statistics in found if statistics is not None}) == 1


def test_labels_where_there_are_none_cost_the_one_that_names_them_its_links() -> None:
    fleet = fleet_with("labels-added:470", is_named=True)
    fleet.start()
    assert fleet.run_until(lambda: fleet.is_training(honest(fleet)), 120.0)


@pytest.mark.parametrize(
    ("lie", "is_named"),
    [("hellos-repeated:100", True), ("hellos-repeated:100", False), ("members-invented:150", False)],
)
def test_a_storm_keeps_nobody_from_the_end(lie: str, is_named: bool) -> None:
    fleet = fleet_with(lie, is_named=is_named, settings={"algorithm.tolerance": 1e-7})
    fleet.start()
    assert fleet.run_until(lambda: fleet.is_training(honest(fleet)), 120.0)
    assert fleet.run_until(lambda: all(has_ended(fleet, name) for name in honest(fleet)), 300.0)
