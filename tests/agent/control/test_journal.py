"""What is kept of the log for whoever asks."""

import logging

import pytest

from p2pnet.agent.control.journal import PASSED_OVER, Journal


@pytest.fixture
def log() -> logging.Logger:
    """A log of its own, of every level."""
    return logging.Logger("journal", logging.DEBUG)


def test_the_latest_lines_are_kept_with_their_numbers(log: logging.Logger) -> None:
    journal = Journal(capacity=3)
    log.addHandler(journal)
    for k in range(5):
        log.info("line %d", k + 1)
    assert [(line.number, line.text) for line in journal.after(0)] == [(3, "line 3"), (4, "line 4"), (5, "line 5")]
    assert [line.number for line in journal.after(4)] == [5]
    assert journal.after(5) == []


def test_details_and_progress_are_passed_over(log: logging.Logger) -> None:
    journal = Journal()
    log.addHandler(journal)
    log.debug("a detail")
    log.info("round 7", extra={PASSED_OVER: True})
    log.warning("a neighbor is late")
    assert [(line.level, line.text) for line in journal.after(0)] == [("warning", "a neighbor is late")]
