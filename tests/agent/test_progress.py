"""How often the log tells of rounds."""

import logging
import math

import pytest

from p2pnet.agent.progress import LEAST_PAUSE_S, MOST_PAUSE_S, Progress
from p2pnet.training.records import RoundRecord

DAY_S = 86_400


def record(round_: int, time_s: float, test_metric: float = 0.5) -> RoundRecord:
    return RoundRecord(round_, time_s, 0.25, test_metric, 1e-3, 1.0, 0)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> logging.Logger:
    caplog.set_level(logging.INFO)
    return logging.getLogger("progress")


def test_a_line_says_round_objective_and_the_metric_by_name(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    statuses: list[str] = []
    progress = Progress(log, statuses.append)
    for round_, time_s, metric in [(0, 0.0, 0.1), (1, 1.0, 0.2), (40, 10.0, 0.97), (41, 20.0, math.nan)]:
        progress.tell(record(round_, time_s, metric), "accuracy")
    assert caplog.messages == [
        "round 40: objective 0.25, accuracy 0.9700 on own test samples, disagreement 0.001; 4 rounds a second",
        "round 41: objective 0.25, disagreement 0.001; 0.1 rounds a second",
    ]
    assert statuses == caplog.messages


def test_lines_come_every_few_seconds_at_first_and_every_few_minutes_in_the_long_run(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    progress = Progress(log, lambda _: None)
    for round_ in range(DAY_S + 1):
        progress.tell(record(round_, float(round_)), "R²")
        if round_ == 60:
            assert 60 / (2 * LEAST_PAUSE_S) <= len(caplog.messages) <= 60 / LEAST_PAUSE_S
    assert len(caplog.messages) <= DAY_S / MOST_PAUSE_S + 50
