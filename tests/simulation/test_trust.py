"""Signed records in networks of whole agents: an admission and a revocation reach all, whatever befalls the network."""

from dataclasses import replace
from itertools import count

import pytest

from p2pnet.protocol.core.events import RecordsSigned
from p2pnet.protocol.core.notices import MemberAdmitted
from p2pnet.protocol.core.types import Message
from p2pnet.protocol.messages.trust import TrustDigest, TrustRecords
from p2pnet.protocol.trust.records import Revocation, SignedRecord
from p2pnet.protocol.trust.roster import Roster
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.testing import VirtualFleet, linear_shards
from tests.protocol.trust.signing import GENESIS, admitted, granted, key, signed, verify

SLOW = {"network.round_pace_s": 2.0, "network.round_timeout_s": 4.0, "data.standardize": "none"}
"""Rounds are not what is looked at here, and cost most of the time."""


def chordal(n: int) -> dict[str, list[str]]:
    """A ring, each agent with the ones five places away too."""
    return {
        f"agent-{k + 1}": [f"agent-{(k + step) % n + 1}" for step in (1, -1, 5, -5)]
        for k in range(n)
    }  # fmt: skip


def fleet_of(n: int, *, loss_rate: float = 0.0, is_named: bool = True, strangers: int = 0) -> VirtualFleet:
    """Agents of one network, of which the last ones are not admitted yet; agent-1 may invite and revoke."""
    conditions = Conditions(latency_s=0.05, is_encoding=True, loss_rate=loss_rate)
    neighbors = chordal(n) if is_named else None
    fleet = VirtualFleet(linear_shards(n), SLOW, neighbors=neighbors, conditions=conditions, seed=1)
    members = [admitted(name, key("agent-1") if k else GENESIS.root) for k, name in enumerate(fleet.names)]
    for name, agent in fleet.agents.items():
        known = [granted("agent-1", quota=100), *members[: n - strangers]]
        fleet.agents[name] = replace(agent, roster=Roster(GENESIS, verify, known))
    return fleet


def tell(fleet: VirtualFleet, name: str, record: SignedRecord) -> None:
    fleet.nodes.simulator.handle(name, RecordsSigned((record.data,)))


def allowing(fleet: VirtualFleet, peer: str) -> set[str]:
    """The agents that allow this key."""
    rosters = {name: agent.roster for name, agent in fleet.agents.items()}
    return {name for name, roster in rosters.items() if roster is not None and peer in roster.allowed}


def links_with(fleet: VirtualFleet, peer: str) -> set[str]:
    return {name for name in fleet.nodes.names if name != peer and peer in fleet.nodes.linked(name)}


@pytest.fixture
def fifty() -> VirtualFleet:
    """Fifty agents with named neighbors; every third message is lost."""
    fleet = fleet_of(50, loss_rate=0.3)
    fleet.start()
    fleet.run(10.0)
    return fleet


def test_an_admission_reaches_fifty_agents_though_every_third_message_is_lost(fifty: VirtualFleet) -> None:
    tell(fifty, "agent-1", admitted("new", key("agent-1")))
    assert fifty.run_until(lambda: len(allowing(fifty, "new")) == 50, within_s=10.0)


def test_a_cut_holds_it_up_and_no_longer_than_that(fifty: VirtualFleet) -> None:
    tell(fifty, "agent-1", admitted("new", key("agent-1")))
    assert fifty.run_until(lambda: len(allowing(fifty, "new")) == 50, within_s=20.0)
    halves = [fifty.names[:25], fifty.names[25:]]
    fifty.nodes.cut(halves)
    tell(fifty, "agent-1", signed(Revocation("new"), key("agent-1")))
    fifty.run(10.0)
    assert allowing(fifty, "new") == set(halves[1])
    fifty.nodes.heal()
    assert fifty.run_until(lambda: not allowing(fifty, "new"), within_s=60.0)


def test_one_that_is_revoked_loses_its_links_everywhere_and_gets_none_again(fifty: VirtualFleet) -> None:
    assert len(links_with(fifty, "agent-20")) == 4
    tell(fifty, "agent-1", signed(Revocation("agent-20"), key("agent-1")))
    assert fifty.run_until(lambda: allowing(fifty, "agent-20") <= {"agent-20"}, within_s=10.0)
    assert not links_with(fifty, "agent-20")
    fifty.nodes.restart("agent-20", is_state_lost=True)
    fifty.run(60.0)
    assert not links_with(fifty, "agent-20")


def test_a_newcomer_is_allowed_everywhere_and_finds_neighbors_of_which_none_was_told() -> None:
    fleet = fleet_of(8, is_named=False, strangers=1)
    old, new = fleet.names[:-1], fleet.names[-1]
    fleet.start(old)
    assert fleet.run_until(lambda: len(fleet.nodes.parts()) == 1, within_s=60.0)
    record = admitted(new, key("agent-1"))
    tell(fleet, "agent-1", record)
    roster = fleet.agents[new].roster
    assert roster is not None
    roster.add([record])
    fleet.start([new])
    assert fleet.run_until(lambda: len(fleet.nodes.linked(new)) >= 3, within_s=30.0)
    assert allowing(fleet, new) == set(fleet.names)
    assert MemberAdmitted(new, new) in fleet.nodes.notices(old[3])


def test_a_member_that_forges_and_floods_changes_nobodys_roster_and_training_goes_on() -> None:
    """With each message it sends an admission that it may not sign, a forged one, one too many, and a digest."""
    fleet = fleet_of(5)
    network_id = GENESIS.network_id
    forged = SignedRecord(admitted("eve").fact, GENESIS.root, bytes(64))
    n_sent = count()

    def lie(message: Message) -> list[Message]:
        unknown = admitted(f"eve-{next(n_sent)}", key("stranger"))
        not_granted = admitted("eve", key("agent-3"))
        noise = [TrustRecords(network_id, (record.data,)) for record in (unknown, not_granted, forged)]
        return [message, *noise, TrustRecords(network_id, (b"noise",)), TrustDigest(network_id, bytes(512))]

    fleet.agents["agent-3"] = replace(fleet.agents["agent-3"], outgoing=lie)
    before = {name: set(agent.roster or ()) for name, agent in fleet.agents.items()}
    fleet.start()
    fleet.run(120.0)
    assert {name: set(agent.roster or ()) for name, agent in fleet.agents.items()} == before
    honest = [name for name in fleet.names if name != "agent-3"]
    assert fleet.is_training(honest)
    assert fleet.nodes.round("agent-1") > 10


def test_an_agent_that_was_away_meanwhile_learns_of_it_before_it_opens_a_link_with_the_revoked() -> None:
    fleet = fleet_of(6)
    fleet.start()
    fleet.run(10.0)
    fleet.nodes.crash(["agent-3"])
    tell(fleet, "agent-1", signed(Revocation("agent-4"), key("agent-1")))
    fleet.run(10.0)
    fleet.nodes.restart("agent-3")
    fleet.run(5.0)
    assert allowing(fleet, "agent-4") <= {"agent-4"}
    assert not links_with(fleet, "agent-4")
