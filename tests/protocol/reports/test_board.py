"""The board of reports: what spreads, what it costs, what a member that lies can do."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.core.reports import AgentReport
from p2pnet.protocol.core.types import LinkId, Nonce
from p2pnet.protocol.messages.reports import Reports
from p2pnet.protocol.messages.wire import decode, encode
from p2pnet.protocol.reports.board import AT_ONCE, FORGOTTEN_AFTER_S, PERIOD_S, REFRESH_S, Board


def report(peer: str, round_: int = 0, bytes_sent: int = 0) -> AgentReport:
    return AgentReport(
        peer=peer,
        name=f"agent {peer}",
        software="1.0",
        incarnation=7,
        sequence=0,
        stage="training",
        round=round_,
        residual=None,
        disagreement=0.5,
        n_neighbors=2,
        bytes_sent=bytes_sent,
    )


class Network:
    """Boards on a graph, each of which describes itself once a period; every message passes the wire."""

    def __init__(self, neighbors: Mapping[str, list[str]]) -> None:
        self.neighbors = neighbors
        self.boards = {peer: Board(peer) for peer in neighbors}
        self.round = dict.fromkeys(neighbors, 0)
        self.life = dict.fromkeys(neighbors, 0)
        self.now = 0.0
        self.n_sent = 0
        self.n_reports_sent = 0

    def pass_a_period(self) -> None:
        for peer, board in self.boards.items():
            own = report(peer, self.round[peer], bytes_sent=int(self.now))
            links = {neighbor: self.link(peer, neighbor) for neighbor in self.neighbors[peer]}
            for send in board.describe(own, links, self.now):
                message = decode([bytes(frame) for frame in encode(send.message)])
                assert isinstance(message, Reports)
                assert len(message.reports) <= AT_ONCE
                self.n_sent += 1
                self.n_reports_sent += len(message.reports)
                self.boards[send.peer].hear(peer, message.reports, self.now)
        self.now += PERIOD_S

    def link(self, mine: str, theirs: str) -> LinkId:
        return LinkId(Nonce(self.life[mine], 0), Nonce(self.life[theirs], 0))

    def restart(self, peer: str) -> None:
        self.boards[peer] = Board(peer)
        self.life[peer] += 1

    def rounds_known_at(self, peer: str) -> dict[str, int]:
        return {heard.report.peer: heard.report.round for heard in self.boards[peer].reports(self.now)}


def ring(n_agents: int) -> Network:
    names = [f"{k:03}" for k in range(n_agents)]
    return Network({name: [names[k - 1], names[(k + 1) % n_agents]] for k, name in enumerate(names)})


@given(n_agents=st.integers(3, 24))
def test_each_agent_hears_of_all_others_within_as_many_periods_as_there_are_hops_and_reports_to_wait_for(
    n_agents: int,
) -> None:
    network = ring(n_agents)
    for _ in range(n_agents // 2 + n_agents // AT_ONCE + 2):
        network.pass_a_period()
    for peer in network.boards:
        assert network.rounds_known_at(peer) == network.round


def test_what_changes_at_one_agent_is_seen_at_all_others_and_a_network_at_rest_is_quiet() -> None:
    network = ring(8)
    for _ in range(10):
        network.pass_a_period()
    n_before = network.n_sent
    for _ in range(round(REFRESH_S / PERIOD_S / 2)):
        network.pass_a_period()
    assert network.n_sent == n_before  # though the bytes sent have changed

    network.round["003"] = 100
    for _ in range(6):
        network.pass_a_period()
    assert all(network.rounds_known_at(peer)["003"] == 100 for peer in network.boards)
    assert network.n_reports_sent - 8 * 14 <= 200


def test_each_link_carries_a_report_once_in_each_direction_at_most() -> None:
    network = ring(8)
    for _ in range(10):
        network.pass_a_period()
    n_before = network.n_reports_sent
    network.round["000"] = 1
    for _ in range(10):
        network.pass_a_period()
    assert 7 <= network.n_reports_sent - n_before <= 9  # seven must hear of it; two meet at the far end


def test_an_agent_of_which_nothing_is_heard_is_taken_off() -> None:
    network = ring(3)
    network.pass_a_period()
    network.pass_a_period()
    del network.boards["002"]
    network.neighbors = {"000": ["001"], "001": ["000"]}
    while network.now < FORGOTTEN_AFTER_S + 4 * PERIOD_S:
        network.pass_a_period()
    assert set(network.rounds_known_at("000")) == {"000", "001"}


def test_an_agent_that_comes_back_takes_the_place_of_what_it_said_in_its_earlier_life() -> None:
    board = Board("me")
    old = replace(report("other", 900), sequence=500)
    board.hear("other", [old], 0.0)
    board.hear("other", [replace(report("other", 3), incarnation=8, sequence=1)], 1.0)
    board.hear("third", [old], 2.0)
    assert [heard.report.round for heard in board.reports(2.0)] == [3]


def test_an_agent_that_has_restarted_between_two_periods_is_told_of_all_others_anew() -> None:
    network = ring(6)
    for _ in range(10):
        network.pass_a_period()
    network.restart("000")
    for _ in range(2):
        network.pass_a_period()
    assert network.rounds_known_at("000") == network.round


def test_an_agent_overtakes_what_a_member_says_of_it() -> None:
    board = Board("me")
    board.describe(report("me", 5), {}, 0.0)
    board.hear("liar", [replace(report("me", 999), sequence=40), replace(report("me"), sequence=2**60)], 1.0)
    (send,) = board.describe(report("me", 6), {"friend": LinkId(Nonce(1, 0), Nonce(1, 0))}, 2.0)
    assert isinstance(send.message, Reports)
    (own,) = send.message.reports
    assert (own.round, own.sequence) == (6, 41)


def test_invented_agents_fill_no_memory() -> None:
    board = Board("me")
    for k in range(5_000):
        board.hear("liar", [replace(report(f"invented {k}"), sequence=1)], 0.0)
    assert len(board.reports(0.0)) == 1024


def test_where_all_agents_change_all_the_time_none_is_kept_out() -> None:
    n_agents = 4 * AT_ONCE
    network = ring(n_agents)
    for _ in range(3 * n_agents):
        for peer in network.neighbors:
            network.round[peer] += 1
        network.pass_a_period()
    for peer, neighbors in network.neighbors.items():
        late = {about: network.round[about] - known for about, known in network.rounds_known_at(peer).items()}
        assert late.keys() == network.neighbors.keys()
        assert max(late[neighbor] for neighbor in neighbors) <= 1
        # A report waits for its turn at each of the n/2 links that it passes, for n/8 periods at most.
        assert max(late.values()) <= n_agents / 2 * n_agents / AT_ONCE
