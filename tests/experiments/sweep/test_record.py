"""What is kept of a sweep that is interrupted at any moment."""

from pathlib import Path

import pytest

from p2pnet.errors import ConfigError
from p2pnet.experiments.sweep.record import FILE, CellOutcome, CellRecord


def outcome(key: str) -> CellOutcome:
    return CellOutcome(key, {"topology": "ring"}, 1, {"objective_worst": 0.5, "objective_central": None})


def test_outcomes_are_found_again(tmp_path: Path) -> None:
    CellRecord(tmp_path).add(outcome("a"))
    record = CellRecord(tmp_path)

    assert "a" in record
    assert "b" not in record
    assert record["a"] == outcome("a")


def test_a_line_cut_short_anywhere_costs_that_outcome_alone(tmp_path: Path) -> None:
    record = CellRecord(tmp_path)
    record.add(outcome("a"))
    first = (tmp_path / FILE).read_bytes()
    record.add(outcome("b"))
    both = (tmp_path / FILE).read_bytes()
    for end in range(len(first), len(both)):
        (tmp_path / FILE).write_bytes(both[:end])
        damaged = CellRecord(tmp_path)
        assert "a" in damaged
        assert "b" not in damaged
        damaged.add(outcome("b"))
        assert (tmp_path / FILE).read_bytes() == both


@pytest.mark.parametrize("line", ["no json", "[]", '{"key": "a"}'])
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path, line: str) -> None:
    (tmp_path / FILE).write_text(line + "\n")
    with pytest.raises(ConfigError, match=r"runs.jsonl, line 1: is not of a sweep"):
        CellRecord(tmp_path)
    assert (tmp_path / FILE).read_text() == line + "\n"
