"""The line that shows how far a simulation is."""

import io

from p2pnet.experiments.simulate.progress import ProgressLine
from p2pnet.training.records import RoundRecord


def test_the_line_is_written_over_a_few_times_a_second_and_taken_away_at_the_end() -> None:
    stream, now = io.StringIO(), [0.0]
    line = ProgressLine(stream, 500, lambda: now[0])
    for round_ in range(100):
        now[0] = round_ / 100
        line.show(RoundRecord(round_, 0.0, 0.125, 0.5, 0.0, 1.0, 0))
    line.clear()
    parts = stream.getvalue().split("\r\x1b[K")
    assert parts[1] == "round 0 of at most 500, objective 0.125"
    assert 5 <= len(parts) - 2 <= 6
    assert parts[-1] == ""


def test_where_nothing_was_shown_nothing_is_taken_away() -> None:
    stream = io.StringIO()
    ProgressLine(stream, 500).clear()
    assert stream.getvalue() == ""
