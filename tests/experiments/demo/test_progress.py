from pathlib import Path

from p2pnet.agent.history import History
from p2pnet.experiments.demo.progress import AgentProgress, Follower, HistoryTail
from p2pnet.training.records import RoundRecord

RECORDS = [RoundRecord(round_, 100.0 + round_, 0.5, 0.9, 1e-3, 0.1, 1000 * round_) for round_ in range(5)]


def test_the_latest_row_is_followed_as_the_file_grows(tmp_path: Path) -> None:
    tail = HistoryTail(tmp_path / "history.csv")
    assert tail.follow() is None

    history = History(tmp_path / "history.csv")
    assert tail.follow() is None, "a header only"
    for record in RECORDS[:3]:
        history.append(record)
    assert tail.follow() == RECORDS[2]
    assert tail.follow() == RECORDS[2], "nothing is new"
    for record in RECORDS[3:]:
        history.append(record)
    assert tail.follow() == RECORDS[4]


def test_a_row_counts_when_it_is_whole(tmp_path: Path) -> None:
    whole, growing = tmp_path / "whole.csv", tmp_path / "growing.csv"
    history = History(whole)
    for record in RECORDS[:2]:
        history.append(record)
    content = whole.read_bytes()
    header_end = content.index(b"\n") + 1
    first_end = content.index(b"\n", header_end) + 1

    tail = HistoryTail(growing)
    seen = []
    for n_bytes in range(len(content) + 1):
        growing.write_bytes(content[:n_bytes])
        seen.append(tail.follow())
    expected = [None] * first_end + [RECORDS[0]] * (len(content) - first_end) + [RECORDS[1]]
    assert seen == expected


def test_progress_names_every_agent_also_those_that_have_not_begun(tmp_path: Path) -> None:
    history = History(tmp_path / "b.csv")
    history.append(RECORDS[0])
    follower = Follower([("a", tmp_path / "a.csv"), ("b", tmp_path / "b.csv")])

    assert follower.progress({}) == [AgentProgress("a", None), AgentProgress("b", RECORDS[0])]
    gone = follower.progress({"b": "killed by signal 9"})
    assert gone == [AgentProgress("a", None), AgentProgress("b", RECORDS[0], "killed by signal 9")]
