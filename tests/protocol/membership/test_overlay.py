"""Small networks in virtual time: all agents find each other, views are symmetric, and the graph holds together."""

from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from p2pnet.protocol.core.effects import Dial, Effect
from p2pnet.protocol.core.events import PeerConnected
from p2pnet.protocol.core.notices import MemberChange
from p2pnet.protocol.membership.timing import LAN, WAN
from p2pnet.protocol.messages.membership import Gossip, MemberState, Record
from p2pnet.protocol.node import NodeEvent
from p2pnet.simulation.overlay_simulation import OverlaySimulation
from p2pnet.simulation.virtual_network import Conditions

REST_S = 40.0
LIVING = (MemberState.ALIVE, MemberState.SUSPECT)


def network(n_agents: int, seed: int = 0, n_dialing_out: int = 0, max_neighbors: int = 4) -> OverlaySimulation:
    """Agents that know the first only; the last ones can only dial out."""
    simulation = OverlaySimulation(LAN, Conditions(latency_s=0.02, is_encoding=True), seed)
    for k in range(n_agents):
        is_dialable = k < n_agents - n_dialing_out
        simulation.add(f"agent-{k}", ["agent-0"], is_dialable=is_dialable, max_neighbors=max_neighbors)
    return simulation


def is_whole(simulation: OverlaySimulation) -> bool:
    """All know that all are alive and hang together; neighbors hold each other for such, and links are with them."""
    n_agents = len(simulation.machines)
    return (
        simulation.n_components() == 1
        and not simulation.asymmetric()
        and all(machine.members.n_living == n_agents for machine in simulation.machines.values())
        and all(
            member.state is MemberState.ALIVE
            for machine in simulation.machines.values()
            for member in machine.members
            if member.peer in simulation.machines
        )
        and {peer: view for peer, view in simulation.views().items() if view}
        == {peer: links for peer, links in simulation.links.items() if links}
    )


def test_agents_that_know_one_seed_find_each_other() -> None:
    simulation = network(12)
    simulation.run(REST_S)
    assert is_whole(simulation)
    assert all(2 <= len(view) <= 4 for view in simulation.views().values())


def test_a_seed_may_come_last() -> None:
    simulation = OverlaySimulation(LAN, Conditions(latency_s=0.02, is_encoding=True))
    simulation.add("ann", ["seed"])
    simulation.add("bob", ["seed"])
    simulation.run(20.0)
    assert simulation.views() == {"ann": set(), "bob": set()}
    simulation.add("seed", [])
    simulation.run(10.0)
    assert is_whole(simulation)


def test_two_networks_become_one_when_a_seed_that_both_know_appears() -> None:
    simulation = OverlaySimulation(LAN, Conditions(latency_s=0.02, is_encoding=True))
    for name in "abcdef":
        simulation.add(name, ["a" if name < "d" else "d", "seed"], max_neighbors=4)
    simulation.run(REST_S)
    assert simulation.n_components() == 2
    simulation.add("seed", [], max_neighbors=4)
    simulation.run(4 * REST_S)
    assert is_whole(simulation)


def test_agents_that_only_dial_out_take_part_and_are_never_joined_to_each_other() -> None:
    simulation = network(10, n_dialing_out=4)
    outward = {f"agent-{k}" for k in range(6, 10)}
    simulation.watcher.watch = lambda _, peer, effect: check_dial(peer, effect)

    def check_dial(peer: str, effect: NodeEvent | Effect) -> None:
        assert not (isinstance(effect, Dial) and effect.peer in outward), f"{peer} dialed {effect}"

    simulation.run(REST_S)
    assert is_whole(simulation)
    assert not any(view & outward for peer, view in simulation.views().items() if peer in outward)


def test_a_crash_is_known_to_all_within_seconds() -> None:
    simulation = network(12)
    simulation.run(REST_S)
    simulation.crash(["agent-5"])
    simulation.run(4.0)
    assert simulation.n_holding("agent-5", [MemberState.DEAD]) == 11
    simulation.run(REST_S)
    assert is_whole(simulation)


def test_an_agent_that_leaves_is_known_to_have_left() -> None:
    simulation = network(12)
    simulation.run(REST_S)
    simulation.leave("agent-5")
    simulation.run(4.0)
    assert simulation.n_holding("agent-5", [MemberState.LEFT]) == 11


def test_an_agent_that_restarts_without_memory_is_alive_again() -> None:
    simulation = network(6)
    simulation.run(REST_S)
    simulation.crash(["agent-3"])
    simulation.run(5.0)
    assert simulation.n_holding("agent-3", [MemberState.DEAD]) == 5
    simulation.add("agent-3", ["agent-0"], max_neighbors=4)
    simulation.run(5.0)
    assert is_whole(simulation)


def test_one_that_restarts_at_once_is_a_neighbor_again() -> None:
    simulation = network(4)
    simulation.run(REST_S)
    simulation.crash(["agent-3"])
    simulation.add("agent-3", ["agent-0"], max_neighbors=4)
    simulation.run(REST_S)
    assert is_whole(simulation)


def test_a_short_partition_kills_nobody() -> None:
    simulation = network(12)
    simulation.run(REST_S)
    simulation.partition([[f"agent-{k}" for k in range(6)], [f"agent-{k}" for k in range(6, 12)]])
    simulation.run(LAN.silence_s - 2.0)
    simulation.heal()
    simulation.run(REST_S)
    assert is_whole(simulation)
    assert simulation.changed(MemberChange.DIED) == []


def test_a_long_partition_heals() -> None:
    simulation = network(12)
    simulation.run(REST_S)
    halves = [[f"agent-{k}" for k in range(6)], [f"agent-{k}" for k in range(6, 12)]]
    simulation.partition(halves)
    simulation.run(240.0)
    for half in halves:
        for peer in half:
            living = {m.peer for m in simulation.machines[peer].members if m.state in LIVING}
            assert living == set(half) - {peer}
    simulation.heal()
    simulation.run(120.0)
    assert is_whole(simulation)


def test_one_with_which_there_is_nothing_to_train_is_left_alone() -> None:
    simulation = network(3)
    simulation.sessions["agent-1"].refused.add("agent-2")
    simulation.run(2 * REST_S)
    assert simulation.views() == {
        "agent-0": {"agent-1", "agent-2"},
        "agent-1": {"agent-0"},
        "agent-2": {"agent-0"},
    }
    assert simulation.n_holding("agent-2", [MemberState.ALIVE]) == 2


def test_hearing_of_ones_own_death_is_answered_by_a_newer_incarnation() -> None:
    simulation = network(5)
    simulation.run(REST_S)
    liar = simulation.machines["agent-4"]
    lie = Gossip((Record("agent-1", MemberState.DEAD, 1),))
    for other in liar.view.connected:
        simulation.tell("agent-4", other, lie)
    simulation.run(REST_S)
    assert is_whole(simulation)
    assert simulation.machines["agent-1"].members.me.incarnation == 2


def test_a_session_is_told_of_neighbors_that_come_and_go_in_turn() -> None:
    simulation = network(8)
    simulation.run(REST_S)
    simulation.crash(["agent-2"])
    simulation.run(REST_S)
    for session in simulation.sessions.values():
        linked: set[str] = set()
        for event in session.news:
            if isinstance(event, PeerConnected):
                assert event.peer not in linked
                linked.add(event.peer)
            else:
                linked.discard(event.peer)
        assert linked == session.links == simulation.views()[session.identity.peer]


def churn(simulation: OverlaySimulation, steps: list[tuple[str, float]], rng: Random) -> None:
    n_added = len(simulation.machines)
    for step, pause_s in steps:
        others = sorted(simulation.machines.keys() - {"agent-0"})
        match step:
            case "join":
                simulation.add(f"agent-{n_added}", ["agent-0"], max_neighbors=4, is_dialable=rng.random() < 0.7)
                n_added += 1
            case "crash" if others:
                simulation.crash([rng.choice(others)])
            case "leave" if others:
                simulation.leave(rng.choice(others))
            case "cut" if others:
                simulation.partition([simulation.machines.keys() - {others[0]}, {others[0]}])
            case "heal":
                simulation.heal()
        simulation.run(pause_s)


LEFT_UNHEARD = [
    *(("cut", 0.0), ("leave", 0.0), ("join", 0.0), ("cut", 0.0), ("cut", 6.146260083203858), ("join", 0.0)),
    *(("crash", 5.494809095792239), ("cut", 5.7750988225891176), ("leave", 0.0), ("heal", 1.3980136979131645)),
    *(("cut", 0.0), ("leave", 7.036621666462235)),
]


@settings(max_examples=10)
@example(343, LEFT_UNHEARD)
@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.sampled_from(["join", "crash", "leave", "cut", "heal"]), st.floats(0.0, 8.0)), max_size=12),
)
def test_whatever_happens_views_are_symmetric_and_the_graph_connected_once_it_is_over(
    seed: int, steps: list[tuple[str, float]]
) -> None:
    simulation = network(6, seed, max_neighbors=4)
    simulation.run(5.0)
    churn(simulation, steps, Random(seed))  # noqa: S311
    simulation.heal()
    simulation.run(180.0)
    assert simulation.n_components() == 1
    assert not simulation.asymmetric()
    if not is_whole(simulation):
        # One has left while it was cut off and linked with nobody, soon after it had refuted that it is out of reach.
        simulation.run(simulation.timing.forget_s)
    assert is_whole(simulation)


def test_a_hundred_agents_survive_the_crash_of_half_of_them() -> None:
    simulation = OverlaySimulation(WAN, Conditions(latency_s=0.02, is_encoding=True), seed=1)
    names = [f"agent-{k}" for k in range(100)]
    for name in names:
        simulation.add(name, names[:1], known=names)
    simulation.run(15.0)
    assert is_whole(simulation)
    simulation.crash(["agent-50"])
    simulation.run(5.0)
    assert simulation.n_holding("agent-50", LIVING) == 0
    simulation.crash(Random(0).sample(sorted(simulation.machines), 49))  # noqa: S311
    simulation.run(20.0)
    assert simulation.n_components() == 1
    assert not simulation.asymmetric()
    assert all(view <= simulation.machines.keys() for view in simulation.views().values())
    assert max(rate for rates in simulation.rates(0.0, 40.0).values() for rate in rates) < 2000.0


def test_where_messages_are_lost_nobody_is_held_dead() -> None:
    simulation = OverlaySimulation(WAN, Conditions(latency_s=0.02, is_encoding=True, loss_rate=0.2), seed=1)
    for k in range(20):
        simulation.add(f"agent-{k}", ["agent-0"])
    simulation.run(120.0)
    assert simulation.n_components() == 1
    assert all(machine.members.n_living == 20 for machine in simulation.machines.values())
    assert simulation.changed(MemberChange.DIED) == []
