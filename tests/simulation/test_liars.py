"""What a lying member brings about in the others: nothing, or its own exclusion."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from p2pnet.protocol.core.counts import LEAD_S, LEAST_CLOCK_S, MAX_COUNT
from p2pnet.protocol.core.notices import TakenForPast
from p2pnet.protocol.messages.membership import MemberState
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
